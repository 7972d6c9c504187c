//! The number of instances that a component creates.

/// Counts the instances that instantiating the component would create. Each instantiation is
/// assumed to be of the most expensive component or module seen so far, so that no index has to be
/// resolved.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    /// The instances that each enclosing component would create.
    open: Vec<u64>,
    /// The most instances that a complete component would create.
    greatest: u64,
    pub(super) total: u64,
}

impl Expansion {
    pub(super) fn enter(&mut self) {
        self.open.push(0);
    }

    pub(super) fn instantiate(&mut self, count: u32) {
        let made = u64::from(count).saturating_mul(self.greatest.saturating_add(1));
        let here = self.open.last_mut().unwrap_or(&mut self.total);
        *here = here.saturating_add(made);
    }

    pub(super) fn leave(&mut self) {
        if let Some(made) = self.open.pop() {
            self.greatest = self.greatest.max(made);
        }
    }
}

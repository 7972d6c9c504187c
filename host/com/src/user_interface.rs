//! What a handler shows to the user by itself.

use syncmgr_host::{Property, PropertyValue, Question};

use crate::interfaces::HWND;

#[cfg(windows)]
mod dialog;

#[cfg(windows)]
pub use dialog::Dialogs;

/// A window of the manager's to put dialogs above, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parent(usize);

impl Parent {
    pub(crate) fn new(window: HWND) -> Self {
        Self(window.expose_provenance())
    }

    /// The window as the system has it.
    pub fn window(self) -> HWND {
        std::ptr::with_exposed_provenance_mut(self.0)
    }
}

/// Shows dialogs. Each method returns when the user is done with it.
pub trait UserInterface: Send + Sync {
    /// Puts a question; `None`: the user gave no answer.
    fn ask(&self, parent: Parent, title: &str, question: &Question) -> Option<usize>;

    /// Shows a text.
    fn show(&self, parent: Parent, title: &str, text: &str);

    /// Lets the user change properties. Returns the changes, by the properties' names; `None`:
    /// the user changed nothing.
    fn edit(
        &self,
        parent: Parent,
        title: &str,
        properties: &[Property],
    ) -> Option<Vec<(String, PropertyValue)>>;
}

/// Shows nothing: every question gets its default answer.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl UserInterface for Silent {
    fn ask(&self, _: Parent, _: &str, _: &Question) -> Option<usize> {
        None
    }

    fn show(&self, _: Parent, _: &str, _: &str) {}

    fn edit(&self, _: Parent, _: &str, _: &[Property]) -> Option<Vec<(String, PropertyValue)>> {
        None
    }
}

//! Removes old runs from the trash at the end of a run.

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Interrupt, LogLevel};

use super::Applier;
use crate::local::{Place, local, remove_old};
use crate::tree::Side;

impl Applier<'_> {
    /// Removes runs of this pair from the trash of its directories, as the setting `trash-keep`
    /// says. A failure is a warning.
    pub fn remove_old_trash(&mut self, storage: &Directory) {
        if self.run.keep.is_all() {
            return;
        }
        match self.try_to_remove_old_trash(storage) {
            // A cancelled run has nothing else to do.
            Ok(_) | Err(Interrupt::Item | Interrupt::All) => {}
            Err(Interrupt::Failed(error)) => {
                let message = format!("cannot remove old runs from the trash: {error}");
                self.context.log(LogLevel::Warning, &message);
            }
        }
    }

    fn try_to_remove_old_trash(&mut self, storage: &Directory) -> Result<u64, Interrupt> {
        let mut places: Vec<_> = Place::open(storage, false)?.into_iter().collect();
        for side in Side::BOTH.into_iter().filter(|side| self.pair.is_writable(*side)) {
            if let Some(local) = local(&mut *self.ends[side.index()]) {
                places.extend(local.trash_in_root()?);
            }
        }
        let context = &mut *self.context;
        let mut progress = || context.working(|| "removing old files from the trash".to_owned());
        remove_old(&places, &self.run, &mut progress)
    }
}

//! Opens granted directories as sides.

use std::collections::HashMap;

use syncmgr_plugin::directories::{self, Directory, Grant};
use syncmgr_plugin::{Error, ErrorCode, LogLevel, Result, SyncContext};
use uuid::Uuid;

use super::modes::KeptModes;
use super::permit::Opened;
use super::trash::Trash;
use super::walker::Walker;
use super::{Local, SCAN_HANDLES, metadata_of};
use crate::tree::Side;

impl Local {
    /// Uses an open directory as a side. `id` is that of its grant, and `description` names it in
    /// messages. Deleted files are kept in the storage if that is on the same file system, and
    /// otherwise in the directory.
    ///
    /// # Errors
    /// Fails if the directory cannot be opened again.
    pub fn new(
        top: Directory,
        storage: &Directory,
        side: Side,
        id: Uuid,
        description: &str,
    ) -> Result<Self> {
        let metadata = metadata_of(&top.metadata()?);
        let mut walker = Walker::new(Some(top.reopen()?));
        walker.set_handles(SCAN_HANDLES);
        Ok(Self {
            walker,
            storage: storage.reopen()?,
            top,
            side,
            id,
            description: description.to_owned(),
            identity: metadata.identity,
            run: None,
            trash: Trash::default(),
            opened: Opened::default(),
            kept_modes: KeptModes::default(),
            trials: HashMap::new(),
            received: HashMap::new(),
            _lock: None,
        })
    }

    /// Opens and locks a granted directory; the lock lasts as long as the side. Its description is
    /// "the directory `NAME`".
    ///
    /// # Errors
    /// Fails with [`SafetyStop`](ErrorCode::SafetyStop) if it does not exist: an unmounted file
    /// system must not look like a directory whose files were all deleted. Fails with
    /// [`Busy`](ErrorCode::Busy) if another run holds it.
    pub fn open_grant(
        grant: &Grant,
        storage: &Directory,
        side: Side,
        context: &SyncContext,
    ) -> Result<Self> {
        let name = &grant.name;
        let description = format!("the directory `{name}`");
        let top = directories::open_grant(name).map_err(|error| {
            let message = if error.code == ErrorCode::NotFound {
                format!("{description} does not exist; create it, or mount its file system")
            } else if error.code == ErrorCode::Changed {
                format!("{}; restore the directory", error.message)
            } else {
                return error;
            };
            Error::new(ErrorCode::SafetyStop, format!("{message}, then run again"))
        })?;
        let lock = match top.lock() {
            Ok(lock) => Some(lock),
            Err(error) if error.code == ErrorCode::Busy => {
                let message = format!("another run holds {description}; run again after it ends");
                return Err(Error::new(ErrorCode::Busy, message));
            }
            Err(error) => {
                let text =
                    format!("{description} cannot be locked ({error}); do not run twice at once");
                context.log(LogLevel::Information, &text);
                None
            }
        };
        Ok(Self { _lock: lock, ..Self::new(top, storage, side, grant.id, &description)? })
    }
}

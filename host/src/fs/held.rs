//! Whether a session holds a directory.

use std::io;
use std::path::Path;

use super::fence::Fence;
use super::metadata::Links;
use super::system;

/// Returns whether a session holds a directory, so that another one cannot lock it. A directory that
/// cannot be opened is not held.
pub(crate) fn is_held(path: &Path, exclusive: bool) -> bool {
    let locked = system::Handle::open(path, Links::Refuse, &Fence::default())
        .and_then(|handle| system::Lock::new(&handle, exclusive));
    locked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

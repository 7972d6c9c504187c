//! Where things are kept.

use std::path::{Path, PathBuf};

use crate::error::StoreError;
#[cfg(windows)]
use crate::permissions;
use crate::scope::Scope;

/// The folder of installed plugins in the state directory.
pub(crate) const INSTALLED: &str = "installed";

/// The folder of what is installed for a scope; `None`: this system has no such scope.
pub(crate) fn installed(scope: Scope, state_dir: &Path) -> Option<PathBuf> {
    match scope {
        Scope::User => Some(state_dir.join(INSTALLED)),
        Scope::Machine => machine_dir().map(|dir| dir.join(INSTALLED)),
    }
}

/// The user's state folder, where nothing names another one: `~/.local/state/syncmgr` on Linux
/// and macOS, `%APPDATA%\syncmgr` on Windows.
///
/// # Errors
/// [`StoreError::Text`] where the user has no home.
pub fn default_state_dir() -> Result<PathBuf, StoreError> {
    use etcetera::BaseStrategy as _;
    let dir = etcetera::choose_base_strategy()
        .ok()
        .map(|base| base.state_dir().unwrap_or_else(|| base.data_dir()).join("syncmgr"));
    // An empty `HOME` must not make it the current directory.
    dir.filter(|dir| dir.is_absolute()).ok_or_else(|| StoreError::Text {
        what: "there is no home directory; set HOME, or name a state directory with --state-dir"
            .to_owned(),
    })
}

/// Makes a folder that is its owner's alone: what plugins remember is nobody else's business, and
/// what is installed is run. One that is there is left as it is.
///
/// # Errors
/// Those of the system.
pub fn create_private(path: &Path) -> std::io::Result<()> {
    #[cfg(windows)]
    return permissions::create_private(path);
    #[cfg(not(windows))]
    {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }
}

/// Not by the environment, which is the user's.
#[cfg(windows)]
fn machine_dir() -> Option<PathBuf> {
    permissions::program_data().map(|dir| dir.join("syncmgr"))
}

/// Whether this process has more rights than its user has without asking for them.
pub(crate) fn is_elevated() -> bool {
    #[cfg(windows)]
    return permissions::is_elevated();
    #[cfg(not(windows))]
    false
}

/// Whether only administrators can have put something there.
#[cfg(windows)]
pub fn is_administrators(path: &Path) -> bool {
    permissions::is_trusted(path, Scope::Machine).unwrap_or(false)
}

#[cfg(not(windows))]
fn machine_dir() -> Option<PathBuf> {
    None
}

/// Makes a folder, and the one that it is in, for the machine.
#[cfg(windows)]
pub(crate) fn create_for_machine(path: &Path) -> std::io::Result<()> {
    // The folder of this program, and what is in it.
    for folder in [path.parent(), Some(path)].into_iter().flatten() {
        match permissions::create_for_machine(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(not(windows))]
pub(crate) fn create_for_machine(_path: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

//! The folders of installed plugins.

use std::path::{Path, PathBuf};

use crate::error::InstallError;
#[cfg(windows)]
use crate::permissions;
use crate::scope::Scope;

/// The name of the folder of installed plugins in the state directory.
pub(crate) const INSTALLED: &str = "installed";

/// Returns the folder of the plugins that are installed for a scope, if the system has the scope.
pub(crate) fn installed(scope: Scope, state_dir: &Path) -> Option<PathBuf> {
    match scope {
        Scope::User => Some(state_dir.join(INSTALLED)),
        Scope::Machine => machine_dir().map(|dir| dir.join(INSTALLED)),
    }
}

/// Returns the user's default state directory: `~/.local/state/syncmgr` on Linux and macOS,
/// `%APPDATA%\syncmgr` on Windows.
///
/// # Errors
/// [`InstallError::Text`] if the user has no home directory.
pub fn default_state_dir() -> Result<PathBuf, InstallError> {
    use etcetera::BaseStrategy as _;
    let dir = etcetera::choose_base_strategy()
        .ok()
        .map(|base| base.state_dir().unwrap_or_else(|| base.data_dir()).join("syncmgr"));
    // An empty `HOME` must not select the current directory.
    dir.filter(|dir| dir.is_absolute()).ok_or_else(|| InstallError::Text {
        what: "no home directory; set HOME, or set the state directory with --state-dir".to_owned(),
    })
}

/// Resolves `~` to the home directory, and a relative path against `base`.
pub(crate) fn from_home(path: &Path, base: &Path) -> Result<PathBuf, InstallError> {
    let Ok(rest) = path.strip_prefix("~") else { return Ok(base.join(path)) };
    match etcetera::home_dir().ok().filter(|home| home.is_absolute()) {
        Some(home) => Ok(home.join(rest)),
        None => Err(InstallError::Text {
            what: format!("path {} needs a home directory; set HOME", path.display()),
        }),
    }
}

/// Creates a folder, and its missing parents, that only the owner can access. Does not change an
/// existing folder.
///
/// # Errors
/// Returns the errors of the system.
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

/// Does not use the environment, which the user controls.
#[cfg(windows)]
fn machine_dir() -> Option<PathBuf> {
    permissions::program_data().map(|dir| dir.join("syncmgr"))
}

/// Returns whether the process is elevated.
pub(crate) fn is_elevated() -> bool {
    #[cfg(windows)]
    return permissions::is_elevated();
    #[cfg(not(windows))]
    false
}

/// Returns whether only administrators can have created a file or a folder.
#[cfg(windows)]
pub fn is_administrators(path: &Path) -> bool {
    permissions::is_trusted(path, Scope::Machine).unwrap_or(false)
}

#[cfg(not(windows))]
fn machine_dir() -> Option<PathBuf> {
    None
}

/// Creates a folder and its parent for all users of the machine.
#[cfg(windows)]
pub(crate) fn create_for_machine(path: &Path) -> std::io::Result<()> {
    // The parent is the folder of this program.
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

//! The folders in which things are kept, and how files get there.

use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// The folder of installed plugins in the state directory.
pub(crate) const INSTALLED: &str = "installed";

mod folder;
#[cfg(windows)]
mod owner;

pub use folder::PrivateFolder;

/// For whom a plugin is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For the user.
    User,
    /// For all users of the machine; on Windows only.
    Machine,
}

impl Scope {
    /// A stable name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Machine => "machine",
        }
    }

    /// The folder of what is installed.
    pub(crate) fn folder(self, state_dir: &Path) -> Option<PathBuf> {
        match self {
            Self::User => Some(state_dir.join(INSTALLED)),
            Self::Machine => machine_dir().map(|dir| dir.join(INSTALLED)),
        }
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
    return owner::create_private(path);
    #[cfg(not(windows))]
    {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }
}

/// Writes a file so that it has the old content or the new one, whatever happens.
///
/// # Errors
/// Those of the system.
pub fn replace_file(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = PrivateFolder::open(folder.unwrap_or(Path::new(".")))?;
    folder.replace(&path.file_name().unwrap_or_default().to_string_lossy(), content)
}

/// Not by the environment, which is the user's.
#[cfg(windows)]
fn machine_dir() -> Option<PathBuf> {
    owner::program_data().map(|dir| dir.join("syncmgr"))
}

/// Whether this process has more rights than its user has without asking for them.
pub(crate) fn is_elevated() -> bool {
    #[cfg(windows)]
    return owner::is_elevated();
    #[cfg(not(windows))]
    false
}

/// Whether only administrators can have put something there.
#[cfg(windows)]
pub fn is_administrators(path: &Path) -> bool {
    owner::is_trusted(path, Scope::Machine).unwrap_or(false)
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
        match owner::create_for_machine(folder) {
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

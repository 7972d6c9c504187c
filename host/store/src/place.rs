//! The folders in which things are kept, and how files get there.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

#[cfg(windows)]
mod owner;

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
            Self::User => Some(state_dir.join("installed")),
            Self::Machine => machine_dir().map(|dir| dir.join("installed")),
        }
    }

    pub(crate) fn create_folder(self, folder: &Path) -> std::io::Result<()> {
        match self {
            Self::User => create_private(folder),
            Self::Machine => create_for_machine(folder),
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
    let base = etcetera::choose_base_strategy().map_err(|error| StoreError::Text {
        what: format!("cannot find your home folder ({error}); name a folder with --state-dir"),
    })?;
    Ok(base.state_dir().unwrap_or_else(|| base.data_dir()).join("syncmgr"))
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

/// Writes a file so that it has the old content or the new one, whatever happens meanwhile.
///
/// # Errors
/// Those of the system.
pub fn replace_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Readable by its owner only.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Whether nobody can write there who could not as well replace this program.
///
/// # Errors
/// [`StoreError::Open`] where somebody can.
#[cfg(unix)]
pub(crate) fn check_private(path: &Path, _scope: Scope) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    const OTHERS_WRITE: u32 = 0o022;
    let metadata = std::fs::symlink_metadata(path).map_err(StoreError::file(path))?;
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    match ours && metadata.mode() & OTHERS_WRITE == 0 && !metadata.is_symlink() {
        true => Ok(()),
        false => Err(StoreError::Open { path: path.to_owned() }),
    }
}

/// Access control lists say who may write, and are made when the folder is. Who owns something may
/// change its list, so that is looked at.
#[cfg(windows)]
pub(crate) fn check_private(path: &Path, scope: Scope) -> Result<(), StoreError> {
    match owner::is_trusted(path, scope).map_err(StoreError::file(path))? {
        true => Ok(()),
        false => Err(StoreError::Open { path: path.to_owned() }),
    }
}

#[cfg(not(any(unix, windows)))]
pub(crate) fn check_private(path: &Path, _scope: Scope) -> Result<(), StoreError> {
    Err(StoreError::Open { path: path.to_owned() })
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

#[cfg(windows)]
fn create_for_machine(path: &Path) -> std::io::Result<()> {
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
fn create_for_machine(_path: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

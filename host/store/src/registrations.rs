//! All installed plugins.

use std::path::{Path, PathBuf};

use syncmgr_host::{Host, HostOptions, LoadLimits, Plugin};
use uuid::Uuid;

use crate::error::StoreError;
use crate::place::{Scope, check_private};
use crate::registration::{FILE, Registration};

/// How every host that loads installed plugins is made, so that all of them can use what one has
/// compiled. On Windows that may be in somebody else's process, where the handlers of exceptions
/// are not ours to change.
pub fn host_options(limits: LoadLimits) -> HostOptions {
    let options = HostOptions::new().limits(limits);
    match cfg!(windows) {
        true => options.without_signal_handlers(),
        false => options,
    }
}

/// The installed plugins, those of the machine first: what an administrator has installed is not
/// replaced by what a user has.
#[derive(Clone, Debug)]
pub struct Registrations {
    state_dir: PathBuf,
    pub(crate) folders: Vec<(Scope, PathBuf)>,
}

impl Registrations {
    /// Those of a user whose state folder this is, and those of the machine.
    pub fn new(state_dir: &Path) -> Self {
        let folder = |scope: Scope| Some((scope, scope.folder(state_dir)?));
        Self {
            state_dir: state_dir.to_owned(),
            folders: [Scope::Machine, Scope::User].into_iter().filter_map(folder).collect(),
        }
    }

    /// The user's state folder.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// All of them, by name. One that cannot be read does not hide the others.
    pub fn list(&self) -> Vec<Result<Registration, StoreError>> {
        let mut found = Vec::new();
        for (scope, folder) in &self.folders {
            let entries = match std::fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    found.push(Err(StoreError::file(folder)(error)));
                    continue;
                }
            };
            let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            folders.sort();
            let read = |folder: &PathBuf| Registration::read(folder, *scope).transpose();
            found.extend(folders.iter().filter_map(read));
        }
        found
    }

    /// The one of this name.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], and those of reading it.
    pub fn find(&self, name: &str) -> Result<Registration, StoreError> {
        let unknown = || StoreError::Unknown { name: name.to_owned() };
        Registration::check_name(name).map_err(|_| unknown())?;
        for (scope, folder) in &self.folders {
            if let Some(found) = Registration::read(&folder.join(name), *scope)? {
                return Ok(found);
            }
        }
        Err(unknown())
    }

    /// The one with this class.
    ///
    /// # Errors
    /// [`StoreError::Unknown`].
    pub fn find_class(&self, clsid: Uuid) -> Result<Registration, StoreError> {
        let found = self.list().into_iter().flatten().find(|found| found.clsid == clsid);
        found.ok_or_else(|| StoreError::Unknown { name: clsid.to_string() })
    }

    /// The part of the user's state folder that a plugin of this name has.
    pub fn home(&self, name: &str) -> PathBuf {
        self.state_dir.join("plugins").join(name)
    }

    /// Loads what was compiled when it was installed.
    ///
    /// # Errors
    /// [`StoreError::Open`] where others could have replaced it, and [`StoreError::Load`] where
    /// it cannot be used.
    pub fn load_compiled(
        &self,
        host: &Host,
        registration: &Registration,
    ) -> Result<Plugin, StoreError> {
        let file = registration.compiled_file();
        for place in [registration.folder.parent(), Some(&registration.folder), Some(&file)] {
            check_private(place.unwrap_or(&registration.folder))?;
        }
        // SAFETY: the file was written by `Installation`, with what `precompile` returned, into a
        // folder that was made for its owner alone, and is replaced and never changed. That
        // nobody else could write there since was checked above.
        #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
        let plugin = unsafe { host.load_precompiled_file(&registration.name, &file) };
        Ok(plugin?)
    }

    /// The component, as it was installed.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where it is not that any more.
    pub fn component(&self, registration: &Registration) -> Result<Vec<u8>, StoreError> {
        let file = registration.component_file();
        let component = std::fs::read(&file).map_err(StoreError::file(&file))?;
        match blake3::hash(&component).to_hex().as_str() == registration.component {
            true => Ok(component),
            false => Err(StoreError::Damaged {
                path: file,
                message: "it is not the component that was registered".to_owned(),
            }),
        }
    }

    /// Removes an installed plugin. What it keeps in its own storage stays.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn uninstall(&self, registration: &Registration) -> Result<(), StoreError> {
        let file = registration.folder.join(FILE);
        std::fs::remove_file(&file).map_err(StoreError::file(&file))?;
        let folder = &registration.folder;
        std::fs::remove_dir_all(folder).map_err(StoreError::file(folder))
    }
}

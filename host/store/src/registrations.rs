//! All installed plugins.

use std::path::{Path, PathBuf};

use syncmgr_host::{Host, HostOptions, LoadLimits, Plugin, SessionOptions};
use uuid::Uuid;

use crate::error::StoreError;
use crate::granted::Granted;
use crate::place::{INSTALLED, PrivateFolder, Scope, is_elevated};
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

/// The folder of the plugins' own parts of the state directory.
const PLUGINS: &str = "plugins";

/// A plugin's own files.
const STORAGE: &str = "storage";

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

    /// Those that a library in somebody else's process may load. With raised rights, what a user
    /// without them can write does not count.
    pub fn for_library(state_dir: &Path) -> Self {
        let mut registrations = Self::new(state_dir);
        if is_elevated() {
            registrations.folders.retain(|(scope, _)| *scope == Scope::Machine);
        }
        registrations
    }

    /// What a session of a plugin is given, with a storage in this part of the user's state folder.
    ///
    /// # Errors
    /// Those of [`Registrations::check`], and [`StoreError::Text`] for a secret that is not there.
    pub fn session_options(
        &self,
        plugin: &Plugin,
        granted: &Granted,
        home: &Path,
    ) -> Result<SessionOptions, StoreError> {
        self.check(plugin, granted)?;
        let options = granted.session_options(&home.join(STORAGE))?;
        // Below a directory that is granted for reading, or mounted into one.
        Ok(self.own_directories().into_iter().fold(options, SessionOptions::leave_out))
    }

    /// What plugins must not read, nor change: grants, secrets' names, compiled code, and what other
    /// plugins keep.
    fn own_directories(&self) -> Vec<PathBuf> {
        let inner = [INSTALLED, PLUGINS, "cache"].map(|name| self.state_dir.join(name));
        let machine = self.folders.iter().filter(|(scope, _)| *scope == Scope::Machine);
        let machine = machine.filter_map(|(_, folder)| Some(folder.parent()?.to_owned()));
        machine.chain([self.state_dir.clone()]).chain(inner).collect()
    }

    /// Whether a plugin can be given this.
    ///
    /// # Errors
    /// [`StoreError::Unrequested`] for what it does not ask for, [`StoreError::Protected`] and
    /// [`StoreError::ProtectedFile`] for a directory from which it could become more than a plugin,
    /// and [`StoreError::Moved`] for one that is not what it was when the plugin was registered.
    pub fn check(&self, plugin: &Plugin, granted: &Granted) -> Result<(), StoreError> {
        granted.check(plugin)?;
        let machine = self.folders.iter().filter(|(scope, _)| *scope == Scope::Machine);
        let machine = machine.filter_map(|(_, folder)| folder.parent());
        let state_dirs: Vec<_> = machine.chain([self.state_dir.as_path()]).collect();
        granted.check_directories(&plugin.description().requests, &state_dirs)
    }

    /// Makes the part of the user's state directory that a plugin of this name has, with its
    /// storage, and opens it.
    ///
    /// # Errors
    /// [`StoreError::File`], and [`StoreError::Open`] and [`StoreError::Foreign`] where another user
    /// may have made it.
    pub fn create_home(&self, name: &str) -> Result<PrivateFolder, StoreError> {
        let state = PrivateFolder::create(&self.state_dir)?;
        let home = state.create_folder(PLUGINS)?.create_folder(name)?;
        home.create_folder(STORAGE)?;
        Ok(home)
    }

    /// The user's state folder.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The folder of all that are installed; `None`: there is none.
    fn open(folder: &Path) -> Result<Option<PrivateFolder>, StoreError> {
        let state = PrivateFolder::open(folder.parent().unwrap_or(Path::new(".")));
        optional(state.and_then(|state| state.folder(INSTALLED)))
    }

    /// All of them, by name. One that cannot be read does not hide the others.
    pub fn list(&self) -> Vec<Result<Registration, StoreError>> {
        let mut found = Vec::new();
        for (scope, folder) in &self.folders {
            let all = Self::open(folder).and_then(|folder| match folder {
                Some(folder) => folder.names().map(|names| Some((folder, names))),
                None => Ok(None),
            });
            let (folder, mut names) = match all {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    found.push(Err(error));
                    continue;
                }
            };
            names.sort();
            for name in names {
                // The lock is no folder.
                let Some(name) = name.to_str().filter(|_| folder.path().join(&name).is_dir())
                else {
                    continue;
                };
                let read = folder.folder(name);
                let read = read.and_then(|folder| Registration::read(&folder, *scope));
                found.extend(read.transpose());
            }
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
            let Some(place) = Self::open(folder)? else { continue };
            let Some(folder) = optional(place.folder(name))? else { continue };
            if let Some(found) = Registration::read(&folder, *scope)? {
                return Ok(found);
            }
        }
        Err(unknown())
    }

    /// The one of this name, to be removed: one that is damaged has no more than its name.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], and [`StoreError::Foreign`].
    pub fn find_to_remove(&self, name: &str) -> Result<Registration, StoreError> {
        let error = match self.find(name) {
            Ok(found) => return Ok(found),
            Err(error @ StoreError::Foreign { .. }) => return Err(error),
            Err(error) => error,
        };
        Registration::check_name(name)
            .map_err(|_| StoreError::Unknown { name: name.to_owned() })?;
        let mut folders = self.folders.iter().map(|(scope, folder)| (scope, folder.join(name)));
        match folders.find(|(_, folder)| folder.symlink_metadata().is_ok()) {
            Some((scope, folder)) => Ok(Registration::damaged(name, folder, *scope)),
            None => Err(error),
        }
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
        self.state_dir.join(PLUGINS).join(name)
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
        let name = registration.compiled_name();
        // From the state folder on: whoever can write there can put another one in its place.
        let folders = registration.open_folders()?;
        for folder in &folders {
            folder.check_private(registration.scope)?;
        }
        let [_, _, folder] = &folders;
        let path = folder.path().join(&name);
        let file = folder.open_file(&name)?.ok_or_else(|| not_found(&path))?;
        folder.check_private_file(&file, &name, registration.scope)?;
        // SAFETY: the file was written by `Installation`, with what `precompile` returned, into a
        // folder that was made for its owner alone, and is replaced and never changed. That
        // nobody else could write there since was checked above, by handle.
        #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
        let plugin = unsafe { host.load_precompiled_open_file(&registration.name, &file, &path) };
        Ok(plugin?)
    }

    /// The component, as it was installed.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where it is not that any more.
    pub fn component(&self, registration: &Registration) -> Result<Vec<u8>, StoreError> {
        let file = registration.component_file();
        let component = registration.open_folder()?.read(&registration.component_name())?;
        let component = component.ok_or_else(|| not_found(&file))?;
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
        // Whatever cannot be removed first goes with the folder.
        let _ = registration.open_folder().and_then(|folder| folder.remove(FILE));
        let folder = &registration.folder;
        let removed = match folder.is_symlink() {
            true => std::fs::remove_file(folder),
            false => std::fs::remove_dir_all(folder),
        };
        removed.map_err(StoreError::file(folder))
    }
}

/// Takes what is not there for `None`.
fn optional(
    opened: Result<PrivateFolder, StoreError>,
) -> Result<Option<PrivateFolder>, StoreError> {
    match opened {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn not_found(path: &Path) -> StoreError {
    // In the system's words, which are the same number everywhere.
    const NOT_FOUND: i32 = 2;
    StoreError::file(path)(std::io::Error::from_raw_os_error(NOT_FOUND))
}

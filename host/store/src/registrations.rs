//! All installed plugins.

use std::path::{Path, PathBuf};

use syncmgr_host::{Access, Host, HostOptions, LoadLimits, Plugin, SessionOptions};
use uuid::Uuid;

use crate::error::StoreError;
use crate::granted::Granted;
use crate::place::{Scope, check_private, is_elevated};
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

/// A plugin's folder, the one with all of them, and the state folder.
const PLACES: usize = 3;

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
        let options = granted.session_options(&home.join("storage"))?;
        // Below a directory that is granted for reading, or mounted into one.
        Ok(self.own_directories().into_iter().fold(options, SessionOptions::leave_out))
    }

    /// What plugins must not read, nor change: grants, secrets' names, compiled code, and what other
    /// plugins keep.
    fn own_directories(&self) -> Vec<PathBuf> {
        let inner = ["installed", "plugins", "cache"].map(|name| self.state_dir.join(name));
        let machine = self.folders.iter().filter(|(scope, _)| *scope == Scope::Machine);
        let machine = machine.filter_map(|(_, folder)| Some(folder.parent()?.to_owned()));
        machine.chain([self.state_dir.clone()]).chain(inner).collect()
    }

    /// Whether a plugin can be given this.
    ///
    /// # Errors
    /// [`StoreError::Unrequested`] for what it does not ask for, and [`StoreError::Protected`] for a
    /// directory from which it could become more than a plugin.
    pub fn check(&self, plugin: &Plugin, granted: &Granted) -> Result<(), StoreError> {
        granted.check(plugin)?;
        let machine = self.folders.iter().filter(|(scope, _)| *scope == Scope::Machine);
        let machine = machine.filter_map(|(_, folder)| folder.parent());
        for ours in machine.chain([self.state_dir.as_path()]) {
            // What is not there yet will be.
            let ours = ours.canonicalize().or_else(|_| std::path::absolute(ours));
            let ours = ours.map_err(StoreError::file(&self.state_dir))?;
            for grant in &granted.directories {
                // Compiled plugins and grants are there. Reading them all does no harm in a backup.
                let around = ours.starts_with(grant.path()) && grant.access() != Access::ReadOnly;
                if around || grant.path().starts_with(&ours) {
                    return Err(StoreError::Protected {
                        name: grant.name().to_owned(),
                        path: ours,
                    });
                }
            }
        }
        Ok(())
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
            let mut folders: Vec<_> =
                entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
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
        // From the state folder on: whoever can write there can put another one in its place.
        for place in registration.folder.ancestors().take(PLACES).chain([file.as_path()]) {
            check_private(place, registration.scope)?;
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

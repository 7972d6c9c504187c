//! The installed plugins.

use std::path::{Path, PathBuf};

use syncmgr_host::{Host, HostOptions, LoadLimits, Plugin, SessionOptions};
use uuid::Uuid;

use crate::error::InstallError;
use crate::folder::PrivateFolder;
use crate::grants::Grants;
use crate::paths::{self, INSTALLED, is_elevated};
use crate::registration::{FILE, Registration};
use crate::scope::Scope;

/// Returns the options of every host that loads installed plugins, so that all of them can use the
/// same precompiled code. On Windows, a host may be in a foreign process, whose exception handlers
/// must not change.
pub fn host_options(limits: LoadLimits) -> HostOptions {
    let options = HostOptions::new().limits(limits);
    match cfg!(windows) {
        true => options.without_signal_handlers(),
        false => options,
    }
}

/// The name of the folder of the plugins' own folders in the state directory.
const PLUGINS: &str = "plugins";

/// The name of the storage in a plugin's own folder.
const STORAGE: &str = "storage";

/// The installed plugins, those of the machine first: a user cannot replace a plugin that an
/// administrator has installed.
#[derive(Clone, Debug)]
pub struct Registrations {
    state_dir: PathBuf,
    pub(crate) folders: Vec<(Scope, PathBuf)>,
}

impl Registrations {
    /// Returns the installed plugins of a user's state directory and of the machine.
    pub fn new(state_dir: &Path) -> Self {
        let folder = |scope: Scope| Some((scope, paths::installed(scope, state_dir)?));
        Self {
            state_dir: state_dir.to_owned(),
            folders: [Scope::Machine, Scope::User].into_iter().filter_map(folder).collect(),
        }
    }

    /// Returns the plugins that a library in a foreign process may load. In an elevated process,
    /// excludes those that the user can write to.
    pub fn for_library(state_dir: &Path) -> Self {
        let mut registrations = Self::new(state_dir);
        if is_elevated() {
            registrations.folders.retain(|(scope, _)| *scope == Scope::Machine);
        }
        registrations
    }

    /// Returns the options for a session of a plugin. `home`: the plugin's folder in the state
    /// directory.
    ///
    /// # Errors
    /// Returns the errors of [`Registrations::check`], and [`InstallError::Text`] for a missing
    /// secret.
    pub fn session_options(
        &self,
        plugin: &Plugin,
        grants: &Grants,
        home: &Path,
    ) -> Result<SessionOptions, InstallError> {
        self.check(plugin, grants)?;
        let options = grants.session_options(plugin, &home.join(STORAGE))?;
        // They may be inside a read-only grant, or mounted into one.
        Ok(self.own_directories().into_iter().fold(options, SessionOptions::leave_out))
    }

    /// Returns the folders that plugins must not access: they contain grants, names of secrets,
    /// precompiled code, and the storage of other plugins.
    fn own_directories(&self) -> Vec<PathBuf> {
        let inner = [INSTALLED, PLUGINS, "cache"].map(|name| self.state_dir.join(name));
        let machine = self.folders.iter().filter(|(scope, _)| *scope == Scope::Machine);
        let machine = machine.filter_map(|(_, folder)| Some(folder.parent()?.to_owned()));
        machine.chain([self.state_dir.clone()]).chain(inner).collect()
    }

    /// Checks whether grants are valid for a plugin.
    ///
    /// # Errors
    /// [`InstallError::ExcessGrants`] for grants that the plugin does not request;
    /// [`InstallError::Protected`] and [`InstallError::ProtectedFile`] for a directory that would
    /// let it gain access; and [`InstallError::Moved`] for another directory than at registration.
    pub fn check(&self, plugin: &Plugin, grants: &Grants) -> Result<(), InstallError> {
        grants.check(plugin)?;
        let machine = self.folders.iter().filter(|(scope, _)| *scope == Scope::Machine);
        let machine = machine.filter_map(|(_, folder)| folder.parent());
        let state_dirs: Vec<_> = machine.chain([self.state_dir.as_path()]).collect();
        grants.check_directories(&plugin.description().requests, &state_dirs)
    }

    /// Creates and opens a plugin's folder in the user's state directory, with its storage.
    ///
    /// # Errors
    /// [`InstallError::File`], [`InstallError::InsecurePermissions`] and [`InstallError::Foreign`].
    pub fn create_home(&self, name: &str) -> Result<PrivateFolder, InstallError> {
        let state = PrivateFolder::create(&self.state_dir)?;
        let home = state.create_folder(PLUGINS)?.create_folder(name)?;
        home.create_folder(STORAGE)?;
        Ok(home)
    }

    /// Opens the storage of a plugin in the user's state directory, if it exists. `name` is that of
    /// the plugin's folder.
    ///
    /// # Errors
    /// As of [`Registrations::create_home`].
    pub fn open_storage(&self, name: &str) -> Result<Option<PrivateFolder>, InstallError> {
        let open = || {
            let state = PrivateFolder::open(&self.state_dir)?;
            state.folder(PLUGINS)?.folder(name)?.folder(STORAGE)
        };
        optional(open())
    }

    /// Returns the names of the plugins that have a folder in the user's state directory, sorted.
    ///
    /// # Errors
    /// As of [`Registrations::create_home`].
    pub fn homes(&self) -> Result<Vec<String>, InstallError> {
        let open = PrivateFolder::open(&self.state_dir).and_then(|state| state.folder(PLUGINS));
        let Some(plugins) = optional(open)? else { return Ok(Vec::new()) };
        let names = plugins.names()?.into_iter();
        let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Returns the user's state directory.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Opens the folder of installed plugins, if it exists.
    fn open(folder: &Path) -> Result<Option<PrivateFolder>, InstallError> {
        let state = PrivateFolder::open(folder.parent().unwrap_or(Path::new(".")));
        optional(state.and_then(|state| state.folder(INSTALLED)))
    }

    /// Returns all plugins by name, or an error for each that cannot be read.
    pub fn list(&self) -> Vec<Result<Registration, InstallError>> {
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
                // The lock file is not a plugin.
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

    /// Finds a plugin by name.
    ///
    /// # Errors
    /// [`InstallError::Unknown`], and those of reading the registration.
    pub fn find(&self, name: &str) -> Result<Registration, InstallError> {
        let unknown = || InstallError::Unknown { name: name.to_owned() };
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

    /// Finds a plugin to remove, which may be damaged.
    ///
    /// # Errors
    /// [`InstallError::Unknown`], and [`InstallError::Foreign`].
    pub fn find_to_remove(&self, name: &str) -> Result<Registration, InstallError> {
        let error = match self.find(name) {
            Ok(found) => return Ok(found),
            Err(error @ InstallError::Foreign { .. }) => return Err(error),
            Err(error) => error,
        };
        Registration::check_name(name)
            .map_err(|_| InstallError::Unknown { name: name.to_owned() })?;
        let mut folders = self.folders.iter().map(|(scope, folder)| (scope, folder.join(name)));
        match folders.find(|(_, folder)| folder.symlink_metadata().is_ok()) {
            Some((scope, folder)) => Ok(Registration::damaged(name, folder, *scope)),
            None => Err(error),
        }
    }

    /// Finds a plugin by class id.
    ///
    /// # Errors
    /// [`InstallError::Unknown`].
    pub fn find_class(&self, clsid: Uuid) -> Result<Registration, InstallError> {
        let found = self.list().into_iter().flatten().find(|found| found.clsid == clsid);
        found.ok_or_else(|| InstallError::Unknown { name: clsid.to_string() })
    }

    /// Returns the path of a plugin's folder in the user's state directory.
    pub fn home(&self, name: &str) -> PathBuf {
        self.state_dir.join(PLUGINS).join(name)
    }

    /// Loads the precompiled code of an installed plugin.
    ///
    /// # Errors
    /// [`InstallError::InsecurePermissions`] if another user can replace it, and
    /// [`InstallError::Load`].
    pub fn load_compiled(
        &self,
        host: &Host,
        registration: &Registration,
    ) -> Result<Plugin, InstallError> {
        let name = registration.compiled_name();
        // Checks all folders: a user who can write to one of them can replace the code.
        let folders = registration.open_folders()?;
        for folder in &folders {
            folder.check_private(registration.scope)?;
        }
        let [_, _, folder] = &folders;
        let path = folder.path().join(&name);
        let file = folder.open_file(&name)?.ok_or_else(|| not_found(&path))?;
        folder.check_private_file(&file, &name, registration.scope)?;
        // SAFETY: `Installation` has written the file, with the bytes that `precompile` returned,
        // to a folder that only its owner can access, and files are replaced and never changed. The
        // checks above, by handle, ensure that no other user can write to the file or the folder.
        #[expect(unsafe_code, reason = "precompiled code is native code")]
        let plugin = unsafe { host.load_precompiled_open_file(&registration.name, &file, path) };
        Ok(plugin?)
    }

    /// Reads the component of an installed plugin.
    ///
    /// # Errors
    /// [`InstallError::Damaged`] if it has changed.
    pub fn component(&self, registration: &Registration) -> Result<Vec<u8>, InstallError> {
        let file = registration.component_file();
        let component = registration.open_folder()?.read(&registration.component_name())?;
        let component = component.ok_or_else(|| not_found(&file))?;
        match blake3::hash(&component).to_hex().as_str() == registration.component {
            true => Ok(component),
            false => Err(InstallError::Damaged {
                path: file,
                message: "not the registered component".to_owned(),
            }),
        }
    }

    /// Removes an installed plugin, but not its storage.
    ///
    /// # Errors
    /// [`InstallError::File`].
    pub fn uninstall(&self, registration: &Registration) -> Result<(), InstallError> {
        // If this fails, the file is removed with the folder.
        let _ = registration.open_folder().and_then(|folder| folder.remove(FILE));
        let folder = &registration.folder;
        let removed = match folder.is_symlink() {
            true => std::fs::remove_file(folder),
            false => std::fs::remove_dir_all(folder),
        };
        removed.map_err(InstallError::file(folder))
    }
}

/// Converts a missing folder to `None`.
fn optional(
    opened: Result<PrivateFolder, InstallError>,
) -> Result<Option<PrivateFolder>, InstallError> {
    match opened {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn not_found(path: &Path) -> InstallError {
    // The code for the system's own message, the same on all systems.
    const NOT_FOUND: i32 = 2;
    InstallError::file(path)(std::io::Error::from_raw_os_error(NOT_FOUND))
}

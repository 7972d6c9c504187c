//! Installing plugins.

use std::path::PathBuf;

use syncmgr_host::{Host, LoadError, Plugin};

use crate::error::InstallError;
use crate::folder::PrivateFolder;
use crate::grants::Grants;
use crate::origin::Origin;
use crate::paths::{INSTALLED, create_for_machine};
use crate::registration::{FILE, Registration};
use crate::registrations::Registrations;
use crate::scope::Scope;

impl Registrations {
    /// Loads an installed plugin. Compiles it again if its precompiled code is missing, damaged or
    /// made by another version of this program.
    ///
    /// # Errors
    /// As of [`Registrations::load_compiled`].
    pub fn load(&self, host: &Host, registration: &Registration) -> Result<Plugin, InstallError> {
        match self.load_compiled(host, registration) {
            Err(InstallError::Load(LoadError::Precompiled { .. })) => {}
            Err(
                InstallError::File { source, .. }
                | InstallError::Load(LoadError::Read { source, .. }),
            ) if source.kind() == std::io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let component = self.component(registration)?;
        let compiled = host.precompile(&registration.name, &component)?;
        // The folder may not be writable, for example that of the machine.
        let _ = registration
            .open_folder()
            .and_then(|folder| folder.replace(&registration.compiled_name(), &compiled));
        // SAFETY: these are the bytes that `precompile` has just returned.
        #[expect(unsafe_code, reason = "precompiled code is native code")]
        let plugin = unsafe { host.load_precompiled(&registration.name, &compiled) };
        Ok(plugin?)
    }

    /// Prepares to install a plugin under a name, replacing the plugin of that name. Changes
    /// nothing.
    ///
    /// # Errors
    /// Returns the errors of loading the plugin and of [`Registrations::check`],
    /// [`InstallError::Name`], [`InstallError::Scope`] and [`InstallError::ClassTaken`].
    pub fn prepare(
        &self,
        host: &Host,
        scope: Scope,
        name: &str,
        component: Vec<u8>,
        grants: Grants,
    ) -> Result<Installation, InstallError> {
        Registration::check_name(name)?;
        let place = self.folders.iter().find(|(known, _)| *known == scope);
        let (_, place) = place.ok_or(InstallError::Scope)?;
        let compiled = host.precompile(name, &component)?;
        // SAFETY: these are the bytes that `precompile` has just returned.
        #[expect(unsafe_code, reason = "precompiled code is native code")]
        let plugin = unsafe { host.load_precompiled(name, &compiled) }?;
        self.check(&plugin, &grants)?;
        let clsid = Registration::class(name, plugin.description());
        let mut others = self.list().into_iter().flatten();
        if let Some(other) = others.find(|other| other.name != name && other.clsid == clsid) {
            return Err(InstallError::ClassTaken {
                name: name.to_owned(),
                clsid,
                other: other.name,
            });
        }
        let registration = Registration {
            name: name.to_owned(),
            clsid,
            scope,
            component: blake3::hash(&component).to_hex().to_string(),
            origin: None,
            grants,
            folder: place.join(name),
        };
        Ok(Installation { registration, place: place.clone(), component, compiled })
    }
}

/// The lock file of an installation. Plugin names have no dot.
const LOCK: &str = ".lock";

/// A prepared installation.
#[derive(Debug)]
pub struct Installation {
    registration: Registration,
    place: PathBuf,
    component: Vec<u8>,
    compiled: Vec<u8>,
}

impl Installation {
    /// Returns the future registration.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Records where the plugin is from.
    #[must_use]
    pub fn with_origin(mut self, origin: Option<Origin>) -> Self {
        self.registration.origin = origin;
        self
    }

    /// Installs the plugin atomically.
    ///
    /// # Errors
    /// [`InstallError::File`] and [`InstallError::InsecurePermissions`].
    pub fn commit(self) -> Result<Registration, InstallError> {
        let Self { registration, place, component, compiled } = self;
        let text = registration.to_text()?;
        let folder = &registration.folder;
        match registration.scope {
            Scope::User => {
                let top = PrivateFolder::create(place.parent().unwrap_or(&place))?;
                top.create_folder(INSTALLED)?.create_folder(&registration.name)?;
            }
            Scope::Machine => {
                create_for_machine(&place).map_err(InstallError::file(&place))?;
                // Inherits the access control list of the parent.
                std::fs::create_dir_all(folder).map_err(InstallError::file(folder))?;
            }
        }
        let [_, place, folder] = registration.open_folders()?;
        place.check_private(registration.scope)?;
        folder.check_private(registration.scope)?;
        // Files of a concurrent installation are not leftovers.
        let _lock = place.lock_file(LOCK)?;
        let wanted = [registration.component_name(), registration.compiled_name(), FILE.to_owned()];
        for (name, content) in
            wanted.iter().zip([component.as_slice(), compiled.as_slice(), text.as_bytes()])
        {
            folder.replace(name, content)?;
        }
        // Files of the replaced plugin are not needed. They are harmless if they remain.
        for name in folder.names()?.iter().filter_map(|name| name.to_str()) {
            if !wanted.iter().any(|wanted| wanted == name) {
                let _ = folder.remove(name);
            }
        }
        Ok(registration)
    }
}

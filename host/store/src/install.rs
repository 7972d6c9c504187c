//! Installing plugins, for which they are compiled.

use std::path::PathBuf;

use syncmgr_host::{Host, LoadError, Plugin, PrecompiledError};

use crate::error::StoreError;
use crate::granted::Granted;
use crate::place::{INSTALLED, PrivateFolder, Scope, create_for_machine};
use crate::registration::{FILE, Registration};
use crate::registrations::Registrations;

impl Registrations {
    /// Loads it. What cannot be used of what was compiled, since another version of this program
    /// did it or it is damaged, is compiled again.
    ///
    /// # Errors
    /// As of [`Registrations::load_compiled`].
    pub fn load(&self, host: &Host, registration: &Registration) -> Result<Plugin, StoreError> {
        match self.load_compiled(host, registration) {
            Err(StoreError::Load(LoadError::Precompiled { reason, .. })) => match reason {
                PrecompiledError::Foreign
                | PrecompiledError::Damaged
                | PrecompiledError::OtherHost { .. } => {}
            },
            Err(
                StoreError::File { source, .. } | StoreError::Load(LoadError::Read { source, .. }),
            ) if source.kind() == std::io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let component = self.component(registration)?;
        let compiled = host.precompile(&registration.name, &component)?;
        // Another user's, or the machine's, may not be ours to write. It is done again then.
        let _ = registration
            .open_folder()
            .and_then(|folder| folder.replace(&registration.compiled_name(), &compiled));
        // SAFETY: these are the bytes that `precompile` has just returned.
        #[expect(unsafe_code, reason = "what is compiled is native code")]
        let plugin = unsafe { host.load_precompiled(&registration.name, &compiled) };
        Ok(plugin?)
    }

    /// Gets ready to install a plugin under a name, in place of the one that has it. Nothing is
    /// changed by that.
    ///
    /// # Errors
    /// Those of loading it, and those of [`StoreError`] that say so.
    pub fn prepare(
        &self,
        host: &Host,
        scope: Scope,
        name: &str,
        component: Vec<u8>,
        granted: Granted,
    ) -> Result<Installation, StoreError> {
        Registration::check_name(name)?;
        let place = self.folders.iter().find(|(known, _)| *known == scope);
        let (_, place) = place.ok_or(StoreError::Scope)?;
        let compiled = host.precompile(name, &component)?;
        // SAFETY: these are the bytes that `precompile` has just returned.
        #[expect(unsafe_code, reason = "what is compiled is native code")]
        let plugin = unsafe { host.load_precompiled(name, &compiled) }?;
        self.check(&plugin, &granted)?;
        let clsid = Registration::class(name, plugin.description());
        let mut others = self.list().into_iter().flatten();
        if let Some(other) = others.find(|other| other.name != name && other.clsid == clsid) {
            return Err(StoreError::ClassTaken { name: name.to_owned(), clsid, other: other.name });
        }
        let registration = Registration {
            name: name.to_owned(),
            clsid,
            scope,
            component: blake3::hash(&component).to_hex().to_string(),
            granted,
            folder: place.join(name),
        };
        Ok(Installation { registration, place: place.clone(), component, compiled })
    }
}

/// Held while something is installed. No name of a plugin has a dot.
const LOCK: &str = ".lock";

/// A plugin that is ready to be installed.
#[derive(Debug)]
pub struct Installation {
    registration: Registration,
    place: PathBuf,
    component: Vec<u8>,
    compiled: Vec<u8>,
}

impl Installation {
    /// What it will be.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Installs it. Whatever happens meanwhile, the old one or the new one is installed.
    ///
    /// # Errors
    /// [`StoreError::File`] and [`StoreError::Open`].
    pub fn commit(self) -> Result<Registration, StoreError> {
        let Self { registration, place, component, compiled } = self;
        let text = registration.to_text()?;
        let folder = &registration.folder;
        match registration.scope {
            Scope::User => {
                let top = PrivateFolder::create(place.parent().unwrap_or(&place))?;
                top.create_folder(INSTALLED)?.create_folder(&registration.name)?;
            }
            Scope::Machine => {
                create_for_machine(&place).map_err(StoreError::file(&place))?;
                // What is in the machine's folder has its access control list.
                std::fs::create_dir_all(folder).map_err(StoreError::file(folder))?;
            }
        }
        let [_, place, folder] = registration.open_folders()?;
        place.check_private(registration.scope)?;
        folder.check_private(registration.scope)?;
        // What another one is about to install is not a leftover.
        let _lock = place.lock_file(LOCK)?;
        let wanted = [registration.component_name(), registration.compiled_name(), FILE.to_owned()];
        for (name, content) in
            wanted.iter().zip([component.as_slice(), compiled.as_slice(), text.as_bytes()])
        {
            folder.replace(name, content)?;
        }
        // What is left of the one before is not needed, and does no harm.
        for name in folder.names()?.iter().filter_map(|name| name.to_str()) {
            if !wanted.iter().any(|wanted| wanted == name) {
                let _ = folder.remove(name);
            }
        }
        Ok(registration)
    }
}

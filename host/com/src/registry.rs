//! The Windows registry entries by which COM and the sync manager find handlers.

#![allow(unsafe_code, reason = "COM and module handles")]

use std::path::{Path, PathBuf};

use syncmgr_host::Hresult;
use syncmgr_install::{Registration, Scope};
use windows_core::{GUID, HRESULT, Interface};
use windows_registry::{CURRENT_USER, Key, LOCAL_MACHINE};
use windows_sys::Win32::Foundation::ERROR_FILE_NOT_FOUND;
use windows_sys::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance};

use crate::collection::{self, COLLECTION_CLASS};
use crate::convert;
use crate::guard::ours;
use crate::interfaces::{CLSID_SyncMgr, ISyncMgrRegister};

/// The file name of this library.
const LIBRARY: &str = "syncmgr_com.dll";

/// The key in which COM looks up classes, for a user or for the machine.
const CLASSES: &str = r"Software\Classes\CLSID";

/// The key in which the sync manager looks up handlers. It is documented for the machine only.
const HANDLERS: &str = r"Software\Microsoft\Windows\CurrentVersion\SyncMgr\Handlers";

/// The key in which Sync Center looks up collections of handlers, for the machine only.
const COLLECTIONS: &str = r"Software\Microsoft\Windows\CurrentVersion\SyncMgr\HandlerCollections";

/// The value that marks a class as created by this library. It holds the plugin's name.
const MARK: &str = "SyncMgrPlugin";

const NOT_FOUND: Hresult = Hresult::from_win32(ERROR_FILE_NOT_FOUND);

/// An error of registering or unregistering a plugin as a native handler.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The library was not found.
    #[error("{} does not exist; install it next to the program", path.display())]
    NoLibrary {
        /// The expected path.
        path: PathBuf,
    },
    /// The class id is in use by other software.
    #[error(
        "the class id {class} is already used by {server}; declare another one in the plugin's \
         requests"
    )]
    ClassTaken {
        /// The class id.
        class: String,
        /// The path of the server that uses it.
        server: String,
    },
    /// A user other than an administrator could replace the library, which runs for all users.
    #[error(
        "{} is writable by users other than administrators, but would run for all users; install \
         the program in a protected directory such as C:\\Program Files",
        path.display()
    )]
    OpenLibrary {
        /// The path of the library.
        path: PathBuf,
    },
    /// Access to a registry key failed.
    #[error("cannot access the registry key {key}: {hresult}")]
    Key {
        /// The key.
        key: String,
        /// The error of the system.
        hresult: Hresult,
    },
}

impl RegistryError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoLibrary { .. } => "registry-no-library",
            Self::OpenLibrary { .. } => "registry-open-library",
            Self::ClassTaken { .. } => "registry-class-taken",
            Self::Key { .. } => "registry-key",
        }
    }

    /// Returns the HRESULT for a native caller.
    pub const fn hresult(&self) -> Hresult {
        match self {
            Self::NoLibrary { .. } => Hresult::HRESULT_ERROR_NOT_FOUND,
            Self::OpenLibrary { .. } => Hresult::E_ACCESSDENIED,
            Self::ClassTaken { .. } => Hresult::HRESULT_ERROR_ALREADY_EXISTS,
            Self::Key { hresult, .. } => *hresult,
        }
    }
}

/// The way in which a handler was registered with the sync manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// Through the collection that the installer registered, which lists the user's plugins.
    ByCollection,
    /// Through `ISyncMgrRegister`.
    ByManager,
    /// Through the documented registry key, because `ISyncMgrRegister` was unavailable or failed.
    ByKey {
        /// The failure of `ISyncMgrRegister`.
        manager: Hresult,
        /// The scope of the key.
        scope: Scope,
    },
}

impl Registered {
    /// Returns a note for the user, if there is anything to know.
    pub fn note(self) -> Option<String> {
        match self {
            Self::ByCollection | Self::ByManager => None,
            Self::ByKey { manager, scope } => {
                let more = match scope {
                    Scope::Machine => "",
                    Scope::User => {
                        "; the key of a single user is undocumented, so if the handler is not \
                         found, use --machine, or install the program with its installer, which \
                         registers a collection of the user's handlers"
                    }
                };
                Some(format!(
                    "the sync manager did not register the handler ({manager}), so the registry key \
                     is written directly{more}"
                ))
            }
        }
    }
}

/// Returns the path of the library next to the running program.
///
/// # Errors
/// Returns [`RegistryError::NoLibrary`] if there is no such file.
pub fn library_beside_program() -> Result<PathBuf, RegistryError> {
    let program = std::env::current_exe().unwrap_or_default();
    let path = program.with_file_name(LIBRARY);
    match path.is_file() {
        true => Ok(path),
        false => Err(RegistryError::NoLibrary { path }),
    }
}

fn root(scope: Scope) -> &'static Key {
    match scope {
        Scope::User => CURRENT_USER,
        Scope::Machine => LOCAL_MACHINE,
    }
}

/// Returns the class id as the registry spells it.
fn class_name(registration: &Registration) -> String {
    collection::handler_id(registration.clsid)
}

/// Returns whether Sync Center finds the collection of handlers.
fn has_collection() -> bool {
    let key = format!(r"{COLLECTIONS}\{}", collection::handler_id(COLLECTION_CLASS));
    LOCAL_MACHINE.open(key).is_ok()
}

/// Registers an installed plugin as a native handler.
///
/// # Errors
/// Returns a [`RegistryError`] if a key cannot be written. Keys written before the failure stay;
/// registering again replaces them.
pub fn register(registration: &Registration, library: &Path) -> Result<Registered, RegistryError> {
    check_class(registration)?;
    check_library(registration, library)?;
    let class = class_name(registration);
    let key = format!(r"{CLASSES}\{class}");
    let server = format!(r"{key}\InprocServer32");
    let root = root(registration.scope);
    // This is written first, so that the class is recognized as ours if a later step fails.
    set(root, &key, MARK, &registration.name)?;
    set(root, &key, "", &registration.name)?;
    set(root, &server, "", &library.to_string_lossy())?;
    // Objects work in every apartment and need no dedicated one.
    set(root, &server, "ThreadingModel", "Both")?;
    // Another key would list the handler twice.
    if registration.scope == Scope::User && has_collection() {
        unregister_handler(registration)?;
        return Ok(Registered::ByCollection);
    }
    let manager = match Manager::get().and_then(|manager| manager.register(registration)) {
        Ok(()) => return Ok(Registered::ByManager),
        Err(manager) => manager,
    };
    set(root, &format!(r"{HANDLERS}\{class}"), "", &registration.name)?;
    Ok(Registered::ByKey { manager, scope: registration.scope })
}

/// Unregisters the handler. Missing keys are ignored, and classes of other software are kept.
///
/// # Errors
/// Returns [`RegistryError::Key`] if a key cannot be removed.
pub fn unregister(registration: &Registration) -> Result<(), RegistryError> {
    let class = class_name(registration);
    let root = root(registration.scope);
    if owner(root, &class)? != Owner::Ours {
        return Ok(());
    }
    unregister_handler(registration)?;
    remove(root, format!(r"{CLASSES}\{class}"))
}

/// Removes the handler from the lists of the sync manager, but not its class.
fn unregister_handler(registration: &Registration) -> Result<(), RegistryError> {
    // The manager may be missing, or may not know the handler.
    if let Ok(manager) = Manager::get() {
        manager.unregister(registration);
    }
    remove(root(registration.scope), format!(r"{HANDLERS}\{}", class_name(registration)))
}

/// Removes a key, if it exists.
fn remove(root: &Key, key: String) -> Result<(), RegistryError> {
    match root.remove_tree(&key) {
        Err(error) if ours(error.code()) != NOT_FOUND => Err(key_error(key, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Returns whether this library registered the class of a plugin.
pub fn is_registered(registration: &Registration) -> bool {
    let owner = owner(root(registration.scope), &class_name(registration));
    owner.is_ok_and(|owner| owner == Owner::Ours)
}

/// The owner of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Unused,
    Ours,
    /// Other software; holds the path of its server, or the key if the path is unknown.
    Others(String),
}

fn owner(root: &Key, class: &str) -> Result<Owner, RegistryError> {
    let path = format!(r"{CLASSES}\{class}");
    let key = match root.open(&path) {
        Ok(key) => key,
        Err(error) if ours(error.code()) == NOT_FOUND => return Ok(Owner::Unused),
        Err(error) => return Err(key_error(path, &error)),
    };
    if key.get_string(MARK).is_ok() {
        return Ok(Owner::Ours);
    }
    let server = ["InprocServer32", "LocalServer32"]
        .into_iter()
        .find_map(|server| key.open(server).and_then(|key| key.get_string("")).ok());
    Ok(Owner::Others(server.unwrap_or(path)))
}

/// Checks that the class is unused or ours. A plugin may state a class id, but must not replace the
/// class of other software.
///
/// # Errors
/// Returns [`RegistryError::ClassTaken`] if other software uses the class, and
/// [`RegistryError::Key`] if the registry cannot be read.
pub fn check_class(registration: &Registration) -> Result<(), RegistryError> {
    let class = class_name(registration);
    if registration.clsid == COLLECTION_CLASS {
        let server = "the collection of plugins".to_owned();
        return Err(RegistryError::ClassTaken { class, server });
    }
    for root in [CURRENT_USER, LOCAL_MACHINE] {
        match owner(root, &class)? {
            Owner::Unused | Owner::Ours => {}
            Owner::Others(server) => return Err(RegistryError::ClassTaken { class, server }),
        }
    }
    Ok(())
}

/// Checks that a library registered for all users can be replaced by administrators only.
///
/// # Errors
/// Returns [`RegistryError::OpenLibrary`] if others can write the file or its directory.
pub fn check_library(registration: &Registration, library: &Path) -> Result<(), RegistryError> {
    let administrators = || {
        let paths = [Some(library), library.parent()];
        paths.into_iter().flatten().all(syncmgr_install::is_administrators)
    };
    match registration.scope {
        Scope::Machine if !administrators() => {
            Err(RegistryError::OpenLibrary { path: library.to_owned() })
        }
        Scope::Machine | Scope::User => Ok(()),
    }
}

fn set(root: &Key, key: &str, name: &str, value: &str) -> Result<(), RegistryError> {
    let set = root.create(key).and_then(|key| key.set_string(name, value));
    set.map_err(|error| key_error(key.to_owned(), &error))
}

fn key_error(key: String, error: &windows_core::Error) -> RegistryError {
    RegistryError::Key { key, hresult: ours(error.code()) }
}

/// The sync manager's object and its apartment.
struct Manager {
    // Fields drop in this order: the object must be released before the apartment is left.
    object: ISyncMgrRegister,
    _apartment: crate::apartment::Multithreaded,
}

impl Manager {
    fn get() -> Result<Self, Hresult> {
        let same = |id: GUID| windows_sys::core::GUID::from_u128(id.to_u128());
        let (class, interface) = (same(CLSID_SyncMgr), same(ISyncMgrRegister::IID));
        let apartment = crate::apartment::Multithreaded::enter();
        let mut pointer = std::ptr::null_mut();
        // SAFETY: the ids live until the call returns, and the out pointer is valid.
        let created = unsafe {
            CoCreateInstance(
                &raw const class,
                std::ptr::null_mut(),
                CLSCTX_INPROC_SERVER,
                &raw const interface,
                &raw mut pointer,
            )
        };
        match ours(HRESULT(created)) {
            created if created.is_success() && !pointer.is_null() => {
                // SAFETY: the call returned an owned reference to this interface.
                let object = unsafe { ISyncMgrRegister::from_raw(pointer) };
                Ok(Self { object, _apartment: apartment })
            }
            created if created.is_success() => Err(crate::guard::E_POINTER),
            failure => Err(failure),
        }
    }

    fn register(&self, registration: &Registration) -> Result<(), Hresult> {
        let id = convert::guid(registration.clsid);
        let description = convert::utf16(&registration.name);
        // SAFETY: the id and the NUL-terminated text live until the call returns.
        let answer =
            unsafe { self.object.RegisterSyncMgrHandler(&raw const id, description.as_ptr(), 0) };
        match ours(answer) {
            answer if answer.is_success() => Ok(()),
            failure => Err(failure),
        }
    }

    fn unregister(&self, registration: &Registration) {
        let id = convert::guid(registration.clsid);
        // SAFETY: the id lives until the call returns.
        let _ = unsafe { self.object.UnregisterSyncMgrHandler(&raw const id, 0) };
    }
}

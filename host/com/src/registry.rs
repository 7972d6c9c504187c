//! Windows' registry: where COM and the sync manager look for handlers.

#![allow(unsafe_code, reason = "COM and module handles")]

use std::path::{Path, PathBuf};

use syncmgr_host::Hresult;
use syncmgr_install::{Registration, Scope};
use windows_core::{GUID, HRESULT, Interface};
use windows_registry::{CURRENT_USER, Key, LOCAL_MACHINE};
use windows_sys::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance};

use crate::convert;
use crate::guard::ours;
use crate::interfaces::{CLSID_SyncMgr, ISyncMgrRegister};

/// The file of this library.
const LIBRARY: &str = "syncmgr_com.dll";

/// Where COM looks for classes, of a user or of the machine.
const CLASSES: &str = r"Software\Classes\CLSID";

/// Where the sync manager looks for handlers. Documented for the machine.
const HANDLERS: &str = r"Software\Microsoft\Windows\CurrentVersion\SyncMgr\Handlers";

/// The value that tells our classes from those of others: the name of the plugin.
const MARK: &str = "SyncMgrPlugin";

/// `HRESULT_FROM_WIN32(ERROR_FILE_NOT_FOUND)`.
const NOT_FOUND: Hresult = Hresult(0x8007_0002);

/// Why a plugin cannot be made a native handler, or be one no more.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The library is not where it should be.
    #[error("there is no {}; it has to lie beside the program", path.display())]
    NoLibrary {
        /// Where it should be.
        path: PathBuf,
    },
    /// The class id belongs to something else.
    #[error("the class {class} is taken by {server}; the plugin has to state another one")]
    ClassTaken {
        /// The class.
        class: String,
        /// Whose it is.
        server: String,
    },
    /// The library could be replaced by a user, for all users.
    #[error(
        "{} is not the administrators', and every user would run it; install the program where only \
         they can write, such as in C:\\Program Files",
        path.display()
    )]
    OpenLibrary {
        /// Where it is.
        path: PathBuf,
    },
    /// The registry refuses.
    #[error("the registry key {key}: {hresult}")]
    Key {
        /// The key.
        key: String,
        /// What the system said.
        hresult: Hresult,
    },
}

impl RegistryError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoLibrary { .. } => "registry-no-library",
            Self::OpenLibrary { .. } => "registry-open-library",
            Self::ClassTaken { .. } => "registry-class-taken",
            Self::Key { .. } => "registry-key",
        }
    }

    /// What a native caller gets.
    pub const fn hresult(&self) -> Hresult {
        match self {
            Self::NoLibrary { .. } => Hresult::HRESULT_ERROR_NOT_FOUND,
            Self::OpenLibrary { .. } => Hresult::E_ACCESSDENIED,
            Self::ClassTaken { .. } => Hresult::HRESULT_ERROR_ALREADY_EXISTS,
            Self::Key { hresult, .. } => *hresult,
        }
    }
}

/// How the sync manager was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// By its own interface, `ISyncMgrRegister`.
    ByManager,
    /// By the documented key, since the sync manager was not there or would not.
    ByKey {
        /// Why.
        manager: Hresult,
        /// For whom.
        scope: Scope,
    },
}

impl Registered {
    /// What the user should know about it.
    pub fn note(self) -> Option<String> {
        match self {
            Self::ByManager => None,
            Self::ByKey { manager, scope } => {
                let more = match scope {
                    Scope::Machine => "",
                    Scope::User => {
                        "; that it looks there for handlers of one user is not documented, and \
                         --machine is what is"
                    }
                };
                Some(format!(
                    "the sync manager did not take the handler itself ({manager}), so its registry \
                     key was written{more}"
                ))
            }
        }
    }
}

/// The library, where it lies beside the program that is running.
///
/// # Errors
/// [`RegistryError::NoLibrary`].
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

/// A class id as the registry has it.
fn class_name(registration: &Registration) -> String {
    format!("{{{}}}", registration.clsid.to_string().to_uppercase())
}

/// Makes an installed plugin a native handler.
///
/// # Errors
/// [`RegistryError`]. What was written until then stays, and doing it again replaces it.
pub fn register(registration: &Registration, library: &Path) -> Result<Registered, RegistryError> {
    check_class(registration)?;
    check_library(registration, library)?;
    let class = class_name(registration);
    let key = format!(r"{CLASSES}\{class}");
    let server = format!(r"{key}\InprocServer32");
    let root = root(registration.scope);
    // First, so that whatever comes of the rest is known to be ours.
    set(root, &key, MARK, &registration.name)?;
    set(root, &key, "", &registration.name)?;
    set(root, &server, "", &library.to_string_lossy())?;
    // Objects work in every apartment, and need none of their own.
    set(root, &server, "ThreadingModel", "Both")?;
    let manager = match Manager::get().and_then(|manager| manager.register(registration)) {
        Ok(()) => return Ok(Registered::ByManager),
        Err(manager) => manager,
    };
    set(root, &format!(r"{HANDLERS}\{class}"), "", &registration.name)?;
    Ok(Registered::ByKey { manager, scope: registration.scope })
}

/// Makes it a handler no more. What is not there need not be removed, and what is somebody else's
/// is not.
///
/// # Errors
/// [`RegistryError::Key`].
pub fn unregister(registration: &Registration) -> Result<(), RegistryError> {
    let class = class_name(registration);
    let root = root(registration.scope);
    if owner(root, &class)? != Owner::Ours {
        return Ok(());
    }
    // There may be no manager, or it may not know the handler.
    if let Ok(manager) = Manager::get() {
        manager.unregister(registration);
    }
    for parent in [HANDLERS, CLASSES] {
        let key = format!(r"{parent}\{class}");
        match root.remove_tree(&key) {
            Err(error) if ours(error.code()) != NOT_FOUND => return Err(key_error(key, &error)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Whose a class is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    Ours,
    /// Where its server is, if that can be told.
    Others(String),
}

fn owner(root: &Key, class: &str) -> Result<Owner, RegistryError> {
    let path = format!(r"{CLASSES}\{class}");
    let key = match root.open(&path) {
        Ok(key) => key,
        Err(error) if ours(error.code()) == NOT_FOUND => return Ok(Owner::Nobody),
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

/// Whether the class is free, or ours: a plugin may state a class id, and must not take that of
/// something else.
///
/// # Errors
/// [`RegistryError::ClassTaken`], and [`RegistryError::Key`] where that cannot be told.
pub fn check_class(registration: &Registration) -> Result<(), RegistryError> {
    let class = class_name(registration);
    for root in [CURRENT_USER, LOCAL_MACHINE] {
        match owner(root, &class)? {
            Owner::Nobody | Owner::Ours => {}
            Owner::Others(server) => return Err(RegistryError::ClassTaken { class, server }),
        }
    }
    Ok(())
}

/// Whether nobody can replace the library who could not as well replace the system's own.
///
/// # Errors
/// [`RegistryError::OpenLibrary`].
pub fn check_library(registration: &Registration, library: &Path) -> Result<(), RegistryError> {
    let administrators = || {
        let places = [Some(library), library.parent()];
        places.into_iter().flatten().all(syncmgr_install::is_administrators)
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

/// The sync manager's own object, and the apartment that it is in.
struct Manager {
    // Dropped in this order: without an apartment the object is gone.
    object: ISyncMgrRegister,
    _apartment: crate::apartment::Multithreaded,
}

impl Manager {
    fn get() -> Result<Self, Hresult> {
        let same = |id: GUID| windows_sys::core::GUID::from_u128(id.to_u128());
        let (class, interface) = (same(CLSID_SyncMgr), same(ISyncMgrRegister::IID));
        let apartment = crate::apartment::Multithreaded::enter();
        let mut pointer = std::ptr::null_mut();
        // SAFETY: the ids live until the call returns, and there is a place for the result.
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
                // SAFETY: the call gave a reference to this interface.
                let object = unsafe { ISyncMgrRegister::from_raw(pointer) };
                Ok(Self { object, _apartment: apartment })
            }
            created if created.is_success() => Err(crate::guard::E_POINTER),
            failure => Err(failure),
        }
    }

    fn register(&self, registration: &Registration) -> Result<(), Hresult> {
        let id = convert::guid(registration.clsid);
        let mut description = Vec::new();
        convert::encode(&registration.name, &mut description);
        // SAFETY: the id and the text, which ends with a NUL, live until the call returns.
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

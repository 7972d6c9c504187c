//! The functions exported for COM and `regsvr32`.

#![allow(unsafe_code, reason = "called from C")]
#![allow(unreachable_pub, reason = "found by name, from outside")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::path::PathBuf;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use syncmgr_host::{Host, Hresult, LoadLimits, full_message};
use syncmgr_install::{InstallError, Registration, Registrations, Scope, default_state_dir};
use uuid::Uuid;
use windows_core::{GUID, HRESULT, Interface};
use windows_sys::Win32::Foundation::{HMODULE, MAX_PATH};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleFileNameW,
    GetModuleHandleExW,
};

use crate::collection::{self, COLLECTION_CLASS};
use crate::guard::{check_pointer, guard, ours};
use crate::handler::Class;
use crate::user_interface::Dialogs;
use crate::{convert, factory, object_count, registry};

/// `CLASS_E_CLASSNOTAVAILABLE`.
const CLASS_E_CLASSNOTAVAILABLE: Hresult = Hresult(0x8004_0111);

/// Returns the class factory of an installed plugin, or of the collection of plugins.
///
/// # Safety
/// The pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DllGetClassObject(
    rclsid: *const GUID,
    riid: *const GUID,
    ppv: *mut *mut c_void,
) -> HRESULT {
    guard(|| {
        check_pointer(ppv)?;
        // SAFETY: the pointer is the caller's and not NULL.
        unsafe { ppv.write(null_mut()) };
        check_pointer(rclsid)?;
        check_pointer(riid)?;
        // SAFETY: the pointer is the caller's and not NULL.
        let clsid = convert::uuid(unsafe { rclsid.read_unaligned() });
        let factory = match clsid {
            COLLECTION_CLASS => {
                factory::for_objects(Box::new(|| collection::create(users_classes, class).into()))
            }
            _ => factory::create(class(clsid)?),
        };
        // SAFETY: both pointers are the caller's and not NULL.
        Ok(ours(unsafe { factory.query(riid, ppv) }))
    })
}

/// Returns `S_OK` if no object is left and no thread works for one.
///
/// The library nevertheless stays loaded once it has loaded a plugin: an abandoned thread may be
/// blocked in a system call and would return to unloaded code.
#[unsafe(no_mangle)]
pub extern "system" fn DllCanUnloadNow() -> HRESULT {
    guard(|| match object_count() {
        0 => Ok(Hresult::S_OK),
        _ => Ok(Hresult::S_FALSE),
    })
}

/// Registers all installed plugins as native handlers.
#[unsafe(no_mangle)]
pub extern "system" fn DllRegisterServer() -> HRESULT {
    guard(|| {
        let library = this_library().ok_or(Hresult::E_UNEXPECTED)?;
        for_all(|registration| registry::register(registration, &library).map(|_| ()))
    })
}

/// Unregisters all native handlers. The plugins stay installed.
#[unsafe(no_mangle)]
pub extern "system" fn DllUnregisterServer() -> HRESULT {
    guard(|| for_all(registry::unregister))
}

/// Applies `change` to all registrations, and returns the last failure.
fn for_all(
    mut change: impl FnMut(&Registration) -> Result<(), registry::RegistryError>,
) -> Result<Hresult, Hresult> {
    let mut outcome = Ok(Hresult::S_OK);
    // The plugins are not loaded here.
    for registration in Registrations::new(&state_dir()?).list() {
        let changed = match registration {
            Ok(registration) => change(&registration).map_err(|error| error.hresult()),
            Err(error) => Err(error.hresult()),
        };
        if let Err(failure) = changed {
            outcome = Err(failure);
        }
    }
    outcome
}

/// Returns the state directory of the user. Environment variables are ignored, because they belong
/// to the host process.
fn state_dir() -> Result<PathBuf, Hresult> {
    default_state_dir().map_err(|error| error.hresult())
}

/// Returns the registered classes of the user's plugins. Those of the machine have a separate
/// documented key.
fn users_classes() -> Result<Vec<Uuid>, Hresult> {
    let registrations = Registrations::for_library(&state_dir()?).list();
    // A damaged registration does not hide the others.
    let users = registrations.into_iter().flatten().filter(|found| found.scope == Scope::User);
    let users = users.filter(registry::is_registered);
    Ok(users.map(|found| found.clsid).collect())
}

/// Classes by class id, each with the plugin's name and the digest of its component.
type Classes = HashMap<Uuid, (String, String, Arc<Class>)>;

/// Returns the class of an installed plugin, which is loaded once per installation.
fn class(clsid: Uuid) -> Result<Arc<Class>, Hresult> {
    static CLASSES: OnceLock<Mutex<Classes>> = OnceLock::new();
    let registrations = Registrations::for_library(&state_dir()?);
    let registration =
        registrations.find_class(clsid).map_err(|_unknown| CLASS_E_CLASSNOTAVAILABLE)?;
    let mut classes =
        CLASSES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((name, component, class)) = classes.get(&clsid)
        && *name == registration.name
        && *component == registration.component
    {
        return Ok(Arc::clone(class));
    }
    let class = Arc::new(load(&registrations, &registration)?);
    classes.insert(clsid, (registration.name, registration.component, Arc::clone(&class)));
    Ok(class)
}

fn load(registrations: &Registrations, registration: &Registration) -> Result<Class, Hresult> {
    let home = registrations.home(&registration.name);
    let storage = home.join("storage");
    syncmgr_install::create_private(&storage).map_err(|_| Hresult::E_ACCESSDENIED)?;
    let loaded = host(registration.grants.limits().load).and_then(|host| {
        registrations.load_compiled(&host, registration).map_err(|error| {
            // COM callers only receive an HRESULT, so the message is written to a file.
            let note = home.join("last-error.txt");
            let message = full_message(&error) + "\n";
            let _ = syncmgr_install::replace_file(&note, message.as_bytes());
            error.hresult()
        })
    })?;
    let (registrations, clsid) = (registrations.clone(), registration.clsid);
    let (plugin, report) = (loaded.clone(), home.join("last-run.json"));
    Ok(Class {
        plugin: loaded,
        // The grants may change while this process runs.
        options: Box::new(move || {
            let hresult = |error: InstallError| error.hresult();
            let registration = registrations.find_class(clsid).map_err(hresult)?;
            registrations.session_options(&plugin, &registration.grants, &home).map_err(hresult)
        }),
        interface: Arc::new(Dialogs),
        report: Some(report),
    })
}

/// Returns the host: a shared one for default limits, a new one otherwise.
fn host(limits: LoadLimits) -> Result<Host, Hresult> {
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    let make = |limits| Host::with_options(syncmgr_install::host_options(limits)).ok();
    let host = match limits == LoadLimits::default() {
        true => HOST
            .get_or_init(|| {
                pin();
                make(LoadLimits::default())
            })
            .clone(),
        false => {
            pin();
            make(limits)
        }
    };
    host.ok_or(Hresult::E_FAIL)
}

/// Keeps this library (see [`DllCanUnloadNow`]) and the multithreaded apartment loaded.
fn pin() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = module(GET_MODULE_HANDLE_EX_FLAG_PIN);
        crate::apartment::keep_multithreaded();
    });
}

fn module(flags: u32) -> Option<HMODULE> {
    let flags = flags | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
    let here = pin as *const u16;
    let mut module = null_mut();
    // SAFETY: with this flag, the name is an address within the module.
    let found = unsafe { GetModuleHandleExW(flags, here, &raw mut module) };
    (found != 0).then_some(module)
}

/// Returns the path of this library's file.
fn this_library() -> Option<PathBuf> {
    use std::os::windows::ffi::OsStringExt as _;
    let module = module(GET_MODULE_HANDLE_EX_FLAG_PIN)?;
    let mut units = vec![0; MAX_PATH as usize];
    loop {
        let room = u32::try_from(units.len()).ok()?;
        // SAFETY: the buffer has `room` units.
        let length = unsafe { GetModuleFileNameW(module, units.as_mut_ptr(), room) };
        match usize::try_from(length).ok()? {
            0 => return None,
            length if length < units.len() => {
                return Some(std::ffi::OsString::from_wide(&units[..length]).into());
            }
            _cut => units.resize(units.len() * 2, 0),
        }
    }
}

//! Owners and access control lists on Windows.

#![allow(unsafe_code, reason = "the standard library does not support access control lists")]

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::ptr::{null_mut, without_provenance_mut};

use windows_sys::Win32::Foundation::{LocalFree, MAX_PATH};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetNamedSecurityInfoW, SDDL_REVISION_1,
    SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    EqualSid, GetTokenInformation, IsWellKnownSid, OWNER_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_ELEVATION, TOKEN_USER, TokenElevation,
    TokenUser, WinBuiltinAdministratorsSid, WinLocalSystemSid,
};
use windows_sys::Win32::Storage::FileSystem::CreateDirectoryW;
use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::Win32::System::SystemInformation::GetSystemWindowsDirectoryW;
use windows_sys::Win32::UI::Shell::{FOLDERID_ProgramData, SHGetKnownFolderPath};

use crate::scope::Scope;

/// The pseudo handle of the token of this process.
const CURRENT_PROCESS_TOKEN: isize = -4;

/// Without inheritance. Full access for administrators and the system, read access for users.
const MACHINE: &str = "D:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;GRGX;;;BU)";

/// Without inheritance. Full access for administrators, the system and the owner.
const PRIVATE: &str = "D:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;FA;;;OW)";

fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

/// A security descriptor that the system has allocated.
struct Descriptor(PSECURITY_DESCRIPTOR);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for us to free, and it is not used after this.
        unsafe { LocalFree(self.0) };
    }
}

/// Creates a folder that only administrators can write to. By default, all users can write to
/// folders in `ProgramData`.
pub(crate) fn create_for_machine(path: &Path) -> io::Result<()> {
    create(path, MACHINE)
}

/// Creates a folder and its missing parents that only the user can access.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_private(parent)?;
    }
    match create(path, PRIVATE) {
        // Another process has created it in the meantime.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        created => created,
    }
}

fn create(path: &Path, access: &str) -> io::Result<()> {
    let access = wide(OsStr::new(access));
    let mut descriptor = Descriptor(null_mut());
    // SAFETY: the text ends with a NUL, there is a place for the result, and the size is not
    // wanted.
    let made = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            access.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor.0,
            null_mut(),
        )
    };
    if made == 0 {
        return Err(io::Error::last_os_error());
    }
    let attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    };
    let path = wide(path.as_os_str());
    // SAFETY: the path ends with a NUL, and the attributes live until the call returns.
    match unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Returns whether the system owns a file or a folder, or for [`Scope::User`] the user of this
/// process.
pub(crate) fn is_trusted(path: &Path, scope: Scope) -> io::Result<bool> {
    let found = Owned::of(path)?;
    if found.owner.is_null() {
        return Ok(false);
    }
    for known in [WinBuiltinAdministratorsSid, WinLocalSystemSid] {
        // SAFETY: the owner is part of the descriptor, which still lives.
        if unsafe { IsWellKnownSid(found.owner, known) } != 0 {
            return Ok(true);
        }
    }
    match scope {
        Scope::User => is_current_user(found.owner),
        // The owner of Windows is also trusted. On a single-user system, this is the user.
        Scope::Machine => {
            let system = Owned::of(&system_directory()?)?;
            // SAFETY: neither is NULL, and both are parts of descriptors that still live.
            Ok(!system.owner.is_null() && unsafe { EqualSid(found.owner, system.owner) } != 0)
        }
    }
}

/// An owner with its descriptor. The owner is part of the descriptor, or NULL.
struct Owned {
    owner: PSID,
    _descriptor: Descriptor,
}

impl Owned {
    fn of(path: &Path) -> io::Result<Self> {
        let path = wide(path.as_os_str());
        let (mut owner, mut descriptor): (PSID, _) = (null_mut(), Descriptor(null_mut()));
        // SAFETY: the path ends with a NUL, there are places for what is wanted, and the rest may
        // be NULL.
        let found = unsafe {
            GetNamedSecurityInfoW(
                path.as_ptr(),
                SE_FILE_OBJECT,
                OWNER_SECURITY_INFORMATION,
                &raw mut owner,
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut descriptor.0,
            )
        };
        match found {
            0 => Ok(Self { owner, _descriptor: descriptor }),
            error => Err(io::Error::from_raw_os_error(error.cast_signed())),
        }
    }
}

/// Returns the folder of Windows.
fn system_directory() -> io::Result<PathBuf> {
    let mut units = [0; MAX_PATH as usize];
    // SAFETY: there is as much room as is said.
    let length = unsafe { GetSystemWindowsDirectoryW(units.as_mut_ptr(), MAX_PATH) };
    match units.get(..usize::try_from(length).unwrap_or(usize::MAX)) {
        Some(path) if !path.is_empty() => Ok(OsString::from_wide(path).into()),
        Some(_) | None => Err(io::Error::last_os_error()),
    }
}

/// Returns the folder for data of all users.
pub(crate) fn program_data() -> Option<PathBuf> {
    let mut path = null_mut();
    // SAFETY: there is a place for the path, and no token is needed.
    let found =
        unsafe { SHGetKnownFolderPath(&FOLDERID_ProgramData, 0, null_mut(), &raw mut path) };
    let mut units = Vec::new();
    while found >= 0 && !path.is_null() {
        // SAFETY: the path ends with a NUL, and no unit before this one was it.
        let unit = unsafe { path.add(units.len()) };
        // SAFETY: as above.
        match unsafe { unit.read() } {
            0 => break,
            unit => units.push(unit),
        }
    }
    // SAFETY: NULL, or what was allocated for us to free.
    unsafe { CoTaskMemFree(path.cast()) };
    (!units.is_empty()).then(|| OsString::from_wide(&units).into())
}

/// Returns whether the process is elevated.
pub(crate) fn is_elevated() -> bool {
    let mut elevation = TOKEN_ELEVATION { TokenIsElevated: 0 };
    let mut length = 0;
    // SAFETY: the handle is one that is always there, and the size is that of the place.
    let found = unsafe {
        GetTokenInformation(
            without_provenance_mut(CURRENT_PROCESS_TOKEN.cast_unsigned()),
            TokenElevation,
            (&raw mut elevation).cast(),
            u32::try_from(size_of::<TOKEN_ELEVATION>()).unwrap_or(0),
            &raw mut length,
        )
    };
    // If the state is unknown, it may be elevated.
    found == 0 || elevation.TokenIsElevated != 0
}

fn is_current_user(owner: PSID) -> io::Result<bool> {
    // Room for the structure and the id behind it, aligned for the structure.
    let mut user = [0_u64; 32];
    let mut length = 0;
    // SAFETY: the handle is one that is always there, and the size is that of the place.
    let found = unsafe {
        GetTokenInformation(
            without_provenance_mut(CURRENT_PROCESS_TOKEN.cast_unsigned()),
            TokenUser,
            user.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&user)).unwrap_or(0),
            &raw mut length,
        )
    };
    if found == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has filled it in.
    let user = unsafe { user.as_ptr().cast::<TOKEN_USER>().read() };
    // SAFETY: both are valid: the one is part of a descriptor that lives, and the other one of
    // the place above.
    Ok(unsafe { EqualSid(owner, user.User.Sid) } != 0)
}

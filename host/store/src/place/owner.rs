//! Who owns a folder on Windows, and folders that are the administrators'.

#![allow(unsafe_code, reason = "the standard library knows no access control lists")]

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::{null_mut, without_provenance_mut};

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetNamedSecurityInfoW, SDDL_REVISION_1,
    SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    EqualSid, GetTokenInformation, IsWellKnownSid, OWNER_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_USER, TokenUser,
    WinBuiltinAdministratorsSid, WinLocalSystemSid,
};
use windows_sys::Win32::Storage::FileSystem::CreateDirectoryW;

/// The token of this process, without opening it.
const CURRENT_PROCESS_TOKEN: isize = -4;

/// Protected from what the folder above would hand down. Administrators and the system: all;
/// users: reading.
const ACCESS: &str = "D:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;GRGX;;;BU)";

fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

/// A security descriptor that the system has allocated.
struct Descriptor(PSECURITY_DESCRIPTOR);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: it was allocated by the system for us to free, and is not used after this.
        unsafe { LocalFree(self.0) };
    }
}

/// Makes a folder in which administrators write and everybody reads. In `ProgramData`, without
/// being told, everybody could.
pub(super) fn create_for_machine(path: &Path) -> io::Result<()> {
    let access = wide(OsStr::new(ACCESS));
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

/// Whether the administrators, the system or the user of this process own it.
pub(super) fn is_trusted(path: &Path) -> io::Result<bool> {
    let path = wide(path.as_os_str());
    let (mut owner, mut descriptor): (PSID, _) = (null_mut(), Descriptor(null_mut()));
    // SAFETY: the path ends with a NUL, there are places for what is wanted, and the rest may be
    // NULL.
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
    if found != 0 {
        return Err(io::Error::from_raw_os_error(found.cast_signed()));
    }
    for known in [WinBuiltinAdministratorsSid, WinLocalSystemSid] {
        // SAFETY: the owner is part of the descriptor, which still lives.
        if unsafe { IsWellKnownSid(owner, known) } != 0 {
            return Ok(true);
        }
    }
    is_current_user(owner)
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

//! The type of an HRESULT, and the named codes.

use std::fmt;

/// A native result code. Success codes carry meaning: compare values, never just the sign.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Hresult(pub u32);

macro_rules! hresults {
    ($($name:ident = $value:literal, $doc:literal;)*) => {
        impl Hresult {
            $(#[doc = $doc] pub const $name: Self = Self($value);)*

            /// All named codes with their names.
            pub const NAMED: &[(&str, Self)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

hresults! {
    S_OK = 0x0000_0000, "Success.";
    S_FALSE = 0x0000_0001, "Success, and the answer is no.";
    S_SYNCMGR_MISSINGITEMS = 0x0004_0201, "The enumerator lacks items.";
    S_SYNCMGR_RETRYSYNC = 0x0004_0202, "Synchronize the items given once more.";
    S_SYNCMGR_CANCELITEM = 0x0004_0203, "Cancel the item.";
    S_SYNCMGR_CANCELALL = 0x0004_0204, "Cancel everything.";
    S_SYNCMGR_ITEMDELETED = 0x0004_0210, "The item is gone.";
    S_SYNCMGR_ENUMITEMS = 0x0004_0211, "List the items again.";
    E_NOTIMPL = 0x8000_4001, "Not offered.";
    E_FAIL = 0x8000_4005, "Failed.";
    E_UNEXPECTED = 0x8000_FFFF, "Out of place.";
    E_ACCESSDENIED = 0x8007_0005, "Denied.";
    E_OUTOFMEMORY = 0x8007_000E, "Out of memory.";
    E_INVALIDARG = 0x8007_0057, "An argument is not acceptable.";
    HRESULT_ERROR_DISK_FULL = 0x8007_0070, "`HRESULT_FROM_WIN32(ERROR_DISK_FULL)`.";
    HRESULT_ERROR_BUSY = 0x8007_00AA, "`HRESULT_FROM_WIN32(ERROR_BUSY)`.";
    HRESULT_ERROR_ALREADY_EXISTS = 0x8007_00B7, "`HRESULT_FROM_WIN32(ERROR_ALREADY_EXISTS)`.";
    HRESULT_ERROR_IO_DEVICE = 0x8007_045D, "`HRESULT_FROM_WIN32(ERROR_IO_DEVICE)`.";
    HRESULT_ERROR_NOT_FOUND = 0x8007_0490, "`HRESULT_FROM_WIN32(ERROR_NOT_FOUND)`.";
    HRESULT_ERROR_CANCELLED = 0x8007_04C7, "`HRESULT_FROM_WIN32(ERROR_CANCELLED)`.";
    HRESULT_ERROR_REQUEST_ABORTED = 0x8007_04D3, "`HRESULT_FROM_WIN32(ERROR_REQUEST_ABORTED)`.";
    HRESULT_ERROR_RETRY = 0x8007_04D5, "`HRESULT_FROM_WIN32(ERROR_RETRY)`.";
    HRESULT_ERROR_PROCESS_ABORTED = 0x8007_042B, "`HRESULT_FROM_WIN32(ERROR_PROCESS_ABORTED)`.";
    HRESULT_ERROR_TIMEOUT = 0x8007_05B4, "`HRESULT_FROM_WIN32(ERROR_TIMEOUT)`.";
    HRESULT_ERROR_INVALID_DATA = 0x8007_000D, "`HRESULT_FROM_WIN32(ERROR_INVALID_DATA)`.";
    HRESULT_ERROR_NOT_ENOUGH_QUOTA = 0x8007_0718, "`HRESULT_FROM_WIN32(ERROR_NOT_ENOUGH_QUOTA)`.";
    HRESULT_ERROR_TOO_MANY_OPEN_FILES = 0x8007_0004, "`HRESULT_FROM_WIN32(ERROR_TOO_MANY_OPEN_FILES)`.";
    HRESULT_ERROR_BUFFER_OVERFLOW = 0x8007_006F, "`HRESULT_FROM_WIN32(ERROR_BUFFER_OVERFLOW)`.";
    HRESULT_WAIT_TIMEOUT = 0x8007_0102, "`HRESULT_FROM_WIN32(WAIT_TIMEOUT)`.";
    HRESULT_ERROR_OPERATION_ABORTED = 0x8007_03E3, "`HRESULT_FROM_WIN32(ERROR_OPERATION_ABORTED)`.";
    HRESULT_ERROR_STACK_OVERFLOW = 0x8007_03E9, "`HRESULT_FROM_WIN32(ERROR_STACK_OVERFLOW)`.";
    HRESULT_ERROR_SERVICE_REQUEST_TIMEOUT = 0x8007_041D, "`HRESULT_FROM_WIN32(ERROR_SERVICE_REQUEST_TIMEOUT)`.";
    HRESULT_ERROR_TOO_MANY_MODULES = 0x8007_00D6, "`HRESULT_FROM_WIN32(ERROR_TOO_MANY_MODULES)`.";
    HRESULT_ERROR_NO_SYSTEM_RESOURCES = 0x8007_05AA, "`HRESULT_FROM_WIN32(ERROR_NO_SYSTEM_RESOURCES)`.";
    HRESULT_ERROR_NOT_ENOUGH_SERVER_MEMORY = 0x8007_046A, "`HRESULT_FROM_WIN32(ERROR_NOT_ENOUGH_SERVER_MEMORY)`.";
    HRESULT_ERROR_LOG_FILE_FULL = 0x8007_05DE, "`HRESULT_FROM_WIN32(ERROR_LOG_FILE_FULL)`.";
    HRESULT_ERROR_BAD_FORMAT = 0x8007_000B, "`HRESULT_FROM_WIN32(ERROR_BAD_FORMAT)`.";
    HRESULT_ERROR_FILE_TOO_LARGE = 0x8007_00DF, "`HRESULT_FROM_WIN32(ERROR_FILE_TOO_LARGE)`.";
    HRESULT_ERROR_SERVICE_DISABLED = 0x8007_0422, "`HRESULT_FROM_WIN32(ERROR_SERVICE_DISABLED)`.";
    HRESULT_ERROR_FILE_CORRUPT = 0x8007_0570, "`HRESULT_FROM_WIN32(ERROR_FILE_CORRUPT)`.";
    HRESULT_ERROR_PRODUCT_VERSION = 0x8007_0666, "`HRESULT_FROM_WIN32(ERROR_PRODUCT_VERSION)`.";
    HRESULT_ERROR_NOT_CONNECTED = 0x8007_08CA, "`HRESULT_FROM_WIN32(ERROR_NOT_CONNECTED)`.";
}

impl Hresult {
    /// Returns the HRESULT of a Win32 error code, as `HRESULT_FROM_WIN32` of `winerror.h` does. A
    /// value that is an HRESULT of a failure already is returned unchanged.
    ///
    /// ```
    /// use syncmgr_host::Hresult;
    ///
    /// const ERROR_DISK_FULL: u32 = 112;
    /// assert_eq!(Hresult::from_win32(ERROR_DISK_FULL), Hresult::HRESULT_ERROR_DISK_FULL);
    /// assert_eq!(Hresult::from_win32(0), Hresult::S_OK);
    /// assert_eq!(Hresult::from_win32(0x8000_4005), Hresult::E_FAIL);
    /// ```
    pub const fn from_win32(code: u32) -> Self {
        const FACILITY_WIN32: u32 = 7;
        match code {
            0 | 0x8000_0000.. => Self(code),
            _positive => Self((code & 0xFFFF) | (FACILITY_WIN32 << 16) | 0x8000_0000),
        }
    }

    /// Returns whether the sign bit is clear (`SUCCEEDED`). A cancellation is a success, too.
    pub const fn is_success(self) -> bool {
        self.0 & 0x8000_0000 == 0
    }

    /// Returns the name of the code, if it has one.
    pub fn name(self) -> Option<&'static str> {
        Self::NAMED.iter().find(|(_, code)| *code == self).map(|(name, _)| *name)
    }
}

/// Formats as `S_SYNCMGR_CANCELITEM (0x00040203)`, or as the number alone for an unnamed code.
impl fmt::Display for Hresult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:08X})", self.0),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for Hresult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

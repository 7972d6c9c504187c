//! The interfaces and structures of `mobsync.h`, with their original names, slot order and layout.
//!
//! Every method returns an [`HRESULT`]: success codes carry values, which a `Result` would lose.
//! Parameters are raw pointers, because any of them may be NULL.

#![allow(non_snake_case, non_camel_case_types, reason = "native names")]
#![allow(unsafe_code, reason = "any holder of the pointer can call a COM method")]
#![allow(missing_docs, reason = "the attribute drops the docs of methods")]

use std::ffi::c_void;

use windows_core::{BOOL, GUID, HRESULT, IUnknown, IUnknown_Vtbl, interface};

/// A window handle, or NULL.
pub type HWND = *mut c_void;

/// An icon handle; always NULL here.
pub type HICON = *mut c_void;

/// The handler: `ISyncMgrSynchronize`.
#[interface("6295DF40-35EE-11D1-8707-00C04FD93327")]
pub unsafe trait ISyncMgrSynchronize: IUnknown {
    /// Slot 3.
    pub unsafe fn Initialize(
        &self,
        dwReserved: u32,
        dwSyncMgrFlags: u32,
        cbCookie: u32,
        lpCookie: *const u8,
    ) -> HRESULT;
    /// Slot 4.
    pub unsafe fn GetHandlerInfo(
        &self,
        ppSyncMgrHandlerInfo: *mut *mut SYNCMGRHANDLERINFO,
    ) -> HRESULT;
    /// Slot 5.
    pub unsafe fn EnumSyncMgrItems(&self, ppSyncMgrEnumItems: *mut *mut c_void) -> HRESULT;
    /// Slot 6.
    pub unsafe fn GetItemObject(
        &self,
        ItemID: *const GUID,
        riid: *const GUID,
        ppv: *mut *mut c_void,
    ) -> HRESULT;
    /// Slot 7.
    pub unsafe fn ShowProperties(&self, hWndParent: HWND, ItemID: *const GUID) -> HRESULT;
    /// Slot 8.
    pub unsafe fn SetProgressCallback(&self, lpCallBack: *mut c_void) -> HRESULT;
    /// Slot 9. `cbNumItems` is the number of items.
    pub unsafe fn PrepareForSync(
        &self,
        cbNumItems: u32,
        pItemIDs: *const GUID,
        hWndParent: HWND,
        dwReserved: u32,
    ) -> HRESULT;
    /// Slot 10.
    pub unsafe fn Synchronize(&self, hWndParent: HWND) -> HRESULT;
    /// Slot 11.
    pub unsafe fn SetItemStatus(&self, ItemID: *const GUID, dwSyncMgrStatus: u32) -> HRESULT;
    /// Slot 12.
    pub unsafe fn ShowError(&self, hWndParent: HWND, ErrorID: *const GUID) -> HRESULT;
}

/// The sync manager's callback: `ISyncMgrSynchronizeCallback`.
#[interface("6295DF41-35EE-11D1-8707-00C04FD93327")]
pub unsafe trait ISyncMgrSynchronizeCallback: IUnknown {
    /// Slot 3.
    pub unsafe fn ShowPropertiesCompleted(&self, hr: HRESULT) -> HRESULT;
    /// Slot 4.
    pub unsafe fn PrepareForSyncCompleted(&self, hr: HRESULT) -> HRESULT;
    /// Slot 5.
    pub unsafe fn SynchronizeCompleted(&self, hr: HRESULT) -> HRESULT;
    /// Slot 6.
    pub unsafe fn ShowErrorCompleted(
        &self,
        hr: HRESULT,
        cItems: u32,
        pItemIDs: *const GUID,
    ) -> HRESULT;
    /// Slot 7.
    pub unsafe fn EnableModeless(&self, fEnable: BOOL) -> HRESULT;
    /// Slot 8.
    pub unsafe fn Progress(
        &self,
        ItemID: *const GUID,
        pSyncProgressItem: *const SYNCMGRPROGRESSITEM,
    ) -> HRESULT;
    /// Slot 9.
    pub unsafe fn LogError(
        &self,
        dwErrorLevel: u32,
        pszErrorText: *const u16,
        pSyncLogError: *const SYNCMGRLOGERRORINFO,
    ) -> HRESULT;
    /// Slot 10.
    pub unsafe fn DeleteLogError(&self, ErrorID: *const GUID, dwReserved: u32) -> HRESULT;
    /// Slot 11.
    pub unsafe fn EstablishConnection(
        &self,
        pwszConnection: *const u16,
        dwReserved: u32,
    ) -> HRESULT;
}

/// `ISyncMgrEnumItems`.
#[interface("6295DF2A-35EE-11D1-8707-00C04FD93327")]
pub unsafe trait ISyncMgrEnumItems: IUnknown {
    /// Slot 3.
    pub unsafe fn Next(
        &self,
        celt: u32,
        rgelt: *mut SYNCMGRITEM,
        pceltFetched: *mut u32,
    ) -> HRESULT;
    /// Slot 4.
    pub unsafe fn Skip(&self, celt: u32) -> HRESULT;
    /// Slot 5.
    pub unsafe fn Reset(&self) -> HRESULT;
    /// Slot 6.
    pub unsafe fn Clone(&self, ppenum: *mut *mut c_void) -> HRESULT;
}

/// `ISyncMgrRegister`, implemented by the manager's class.
#[interface("6295DF42-35EE-11D1-8707-00C04FD93327")]
pub unsafe trait ISyncMgrRegister: IUnknown {
    /// Slot 3.
    pub unsafe fn RegisterSyncMgrHandler(
        &self,
        clsidHandler: *const GUID,
        pwszDescription: *const u16,
        dwSyncMgrRegisterFlags: u32,
    ) -> HRESULT;
    /// Slot 4.
    pub unsafe fn UnregisterSyncMgrHandler(
        &self,
        clsidHandler: *const GUID,
        dwReserved: u32,
    ) -> HRESULT;
    /// Slot 5.
    pub unsafe fn GetHandlerRegistrationInfo(
        &self,
        clsidHandler: *const GUID,
        pdwSyncMgrRegisterFlags: *mut u32,
    ) -> HRESULT;
}

/// `IClassFactory` of `unknwn.h`.
#[interface("00000001-0000-0000-C000-000000000046")]
pub unsafe trait IClassFactory: IUnknown {
    /// Slot 3.
    pub unsafe fn CreateInstance(
        &self,
        pUnkOuter: *mut c_void,
        riid: *const GUID,
        ppvObject: *mut *mut c_void,
    ) -> HRESULT;
    /// Slot 4.
    pub unsafe fn LockServer(&self, fLock: BOOL) -> HRESULT;
}

/// The manager's class, which implements [`ISyncMgrRegister`].
#[allow(non_upper_case_globals, reason = "its native name")]
pub const CLSID_SyncMgr: GUID = GUID::from_u128(0x6295DF27_35EE_11D1_8707_00C04FD93327);

/// `GUID_NULL`.
pub const GUID_NULL: GUID = GUID::from_u128(0);

/// `MAX_SYNCMGRHANDLERNAME`, in UTF-16 code units including the NUL.
pub const MAX_SYNCMGRHANDLERNAME: usize = 32;
/// `MAX_SYNCMGRITEMNAME`, in UTF-16 code units including the NUL.
pub const MAX_SYNCMGRITEMNAME: usize = 128;

/// `SYNCMGRHANDLERINFO`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SYNCMGRHANDLERINFO {
    /// The size of this structure.
    pub cbSize: u32,
    /// Always NULL.
    pub hIcon: HICON,
    /// `SYNCMGRHANDLERFLAGS`.
    pub SyncMgrHandlerFlags: u32,
    /// The name, NUL-terminated.
    pub wszHandlerName: [u16; MAX_SYNCMGRHANDLERNAME],
}

/// `FILETIME`: 100 ns since 1601.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FILETIME {
    /// The lower half.
    pub dwLowDateTime: u32,
    /// The upper half.
    pub dwHighDateTime: u32,
}

/// `SYNCMGRITEM`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SYNCMGRITEM {
    /// The size of this structure.
    pub cbSize: u32,
    /// `SYNCMGRITEMFLAGS`.
    pub dwFlags: u32,
    /// Never `GUID_NULL`.
    pub ItemID: GUID,
    /// `SYNCMGRITEMSTATE`.
    pub dwItemState: u32,
    /// Always NULL.
    pub hIcon: HICON,
    /// The name, NUL-terminated.
    pub wszItemName: [u16; MAX_SYNCMGRITEMNAME],
    /// The time of the last update, valid with [`SYNCMGRITEM_LASTUPDATETIME`].
    pub ftLastUpdate: FILETIME,
}

/// `SYNCMGRPROGRESSITEM`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SYNCMGRPROGRESSITEM {
    /// The size of this structure.
    pub cbSize: u32,
    /// `SYNCMGRPROGRESSITEM_` bits that mark the valid fields.
    pub mask: u32,
    /// The status text, NUL-terminated.
    pub lpcStatusText: *const u16,
    /// `SYNCMGRSTATUS`.
    pub dwStatusType: u32,
    /// The progress value.
    pub iProgValue: i32,
    /// The maximum progress value.
    pub iMaxValue: i32,
}

/// `SYNCMGRLOGERRORINFO`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SYNCMGRLOGERRORINFO {
    /// The size of this structure.
    pub cbSize: u32,
    /// `SYNCMGRLOGERROR_` bits that mark the valid fields.
    pub mask: u32,
    /// `SYNCMGRERRORFLAGS`.
    pub dwSyncMgrErrorFlags: u32,
    /// The id of the entry.
    pub ErrorID: GUID,
    /// The item that the entry is about.
    pub ItemID: GUID,
}

/// `SYNCMGRFLAG_EVENTMASK`.
pub const SYNCMGRFLAG_EVENTMASK: u32 = 0xFF;
/// `SYNCMGRFLAG_SETTINGS`.
pub const SYNCMGRFLAG_SETTINGS: u32 = 0x100;
/// `SYNCMGRFLAG_MAYBOTHERUSER`.
pub const SYNCMGRFLAG_MAYBOTHERUSER: u32 = 0x200;

/// `SYNCMGRITEM_LASTUPDATETIME`.
pub const SYNCMGRITEM_LASTUPDATETIME: u32 = 8;
/// `SYNCMGRITEMSTATE_UNCHECKED`.
pub const SYNCMGRITEMSTATE_UNCHECKED: u32 = 0;
/// `SYNCMGRITEMSTATE_CHECKED`.
pub const SYNCMGRITEMSTATE_CHECKED: u32 = 1;

/// `SYNCMGRPROGRESSITEM_STATUSTEXT`.
pub const SYNCMGRPROGRESSITEM_STATUSTEXT: u32 = 1;
/// `SYNCMGRPROGRESSITEM_STATUSTYPE`.
pub const SYNCMGRPROGRESSITEM_STATUSTYPE: u32 = 2;
/// `SYNCMGRPROGRESSITEM_PROGVALUE`.
pub const SYNCMGRPROGRESSITEM_PROGVALUE: u32 = 4;
/// `SYNCMGRPROGRESSITEM_MAXVALUE`.
pub const SYNCMGRPROGRESSITEM_MAXVALUE: u32 = 8;

/// `SYNCMGRLOGERROR_ERRORFLAGS`.
pub const SYNCMGRLOGERROR_ERRORFLAGS: u32 = 1;
/// `SYNCMGRLOGERROR_ERRORID`.
pub const SYNCMGRLOGERROR_ERRORID: u32 = 2;
/// `SYNCMGRLOGERROR_ITEMID`.
pub const SYNCMGRLOGERROR_ITEMID: u32 = 4;

/// `SYNCMGRERRORFLAG_ENABLEJUMPTEXT`.
pub const SYNCMGRERRORFLAG_ENABLEJUMPTEXT: u32 = 1;

/// Returns the size of a structure, as stored in its `cbSize`.
#[expect(clippy::cast_possible_truncation, reason = "native structures are small")]
pub const fn size_of_structure<T>() -> u32 {
    size_of::<T>() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_their_native_layout() {
        assert_eq!(size_of::<usize>(), 8, "the numbers below are those of 64-bit Windows");
        for (found, native) in [
            (size_of::<SYNCMGRHANDLERINFO>(), 88),
            (std::mem::offset_of!(SYNCMGRHANDLERINFO, wszHandlerName), 20),
            (size_of::<SYNCMGRITEM>(), 304),
            (std::mem::offset_of!(SYNCMGRITEM, ItemID), 8),
            (std::mem::offset_of!(SYNCMGRITEM, wszItemName), 40),
            (std::mem::offset_of!(SYNCMGRITEM, ftLastUpdate), 296),
            (size_of::<SYNCMGRPROGRESSITEM>(), 32),
            (std::mem::offset_of!(SYNCMGRPROGRESSITEM, dwStatusType), 16),
            (std::mem::offset_of!(SYNCMGRPROGRESSITEM, iMaxValue), 24),
            (size_of::<SYNCMGRLOGERRORINFO>(), 44),
            (std::mem::offset_of!(SYNCMGRLOGERRORINFO, ItemID), 28),
        ] {
            assert_eq!(found, native);
        }
    }

    #[test]
    fn interfaces_have_their_native_number_of_slots() {
        let pointer = size_of::<usize>();
        assert_eq!(size_of::<ISyncMgrSynchronize_Vtbl>(), 13 * pointer);
        assert_eq!(size_of::<ISyncMgrSynchronizeCallback_Vtbl>(), 12 * pointer);
        assert_eq!(size_of::<ISyncMgrEnumItems_Vtbl>(), 7 * pointer);
        assert_eq!(size_of::<ISyncMgrRegister_Vtbl>(), 6 * pointer);
    }
}

//! Memory that another component frees: `CoTaskMemAlloc`.

#![allow(unsafe_code, reason = "raw memory")]

/// Moves a plain structure to where the caller's `CoTaskMemFree` can free it; `None`: there is no
/// room.
pub(crate) fn give<T: Copy>(value: T) -> Option<*mut T> {
    #[cfg(windows)]
    // SAFETY: any size will do.
    let memory = unsafe { windows_sys::Win32::System::Com::CoTaskMemAlloc(size_of::<T>()) };
    #[cfg(not(windows))]
    // SAFETY: any size will do.
    let memory = unsafe { libc_malloc(size_of::<T>()) };
    let memory = memory.cast::<T>();
    if memory.is_null() {
        return None;
    }
    // SAFETY: there is room for one, aligned for anything.
    unsafe { memory.write(value) };
    Some(memory)
}

/// Frees what a handler gave: what a manager does.
///
/// # Safety
/// The pointer is NULL or from `CoTaskMemAlloc`, and not used after this.
pub unsafe fn free<T>(memory: *mut T) {
    #[cfg(windows)]
    // SAFETY: the caller vouches for it.
    unsafe {
        windows_sys::Win32::System::Com::CoTaskMemFree(memory.cast());
    }
    #[cfg(not(windows))]
    // SAFETY: the caller vouches for it; elsewhere it is the C library's.
    unsafe {
        libc_free(memory.cast());
    }
}

#[cfg(not(windows))]
unsafe extern "C" {
    #[link_name = "malloc"]
    fn libc_malloc(size: usize) -> *mut std::ffi::c_void;
    #[link_name = "free"]
    fn libc_free(memory: *mut std::ffi::c_void);
}

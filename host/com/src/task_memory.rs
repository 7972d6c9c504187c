//! Memory that another component frees: `CoTaskMemAlloc`.

#![allow(unsafe_code, reason = "raw memory")]

/// Copies a plain structure to memory that the caller frees with `CoTaskMemFree`. Returns `None` if
/// the allocation fails.
pub(crate) fn give<T: Copy>(value: T) -> Option<*mut T> {
    give_all(&[value])
}

/// Copies plain values to memory that the caller frees with `CoTaskMemFree`. Returns `None` if the
/// allocation fails.
pub(crate) fn give_all<T: Copy>(values: &[T]) -> Option<*mut T> {
    #[cfg(windows)]
    // SAFETY: any size is allowed.
    let memory = unsafe { windows_sys::Win32::System::Com::CoTaskMemAlloc(size_of_val(values)) };
    #[cfg(not(windows))]
    // SAFETY: any size is allowed.
    let memory = unsafe { libc_malloc(size_of_val(values)) };
    let memory = memory.cast::<T>();
    if memory.is_null() {
        return None;
    }
    // SAFETY: the memory is new, has room for the values, and is aligned for any type.
    unsafe { memory.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
    Some(memory)
}

/// Frees memory that a handler returned, as a manager does.
///
/// # Safety
/// The pointer is NULL or from `CoTaskMemAlloc`, and is not used afterwards.
pub unsafe fn free<T>(memory: *mut T) {
    #[cfg(windows)]
    // SAFETY: the caller guarantees it.
    unsafe {
        windows_sys::Win32::System::Com::CoTaskMemFree(memory.cast());
    }
    #[cfg(not(windows))]
    // SAFETY: the caller guarantees it; on other systems the memory is from `malloc`.
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

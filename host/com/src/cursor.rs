//! The state of an enumerator, as `IEnumXXXX` of `objidl.h` specifies.

#![allow(unsafe_code, reason = "enumerators write to their caller's memory")]

use std::sync::{Arc, Mutex, PoisonError};

use syncmgr_host::Hresult;

use crate::guard::check_pointer;

/// A position in a list.
pub(crate) struct Cursor<T> {
    elements: Arc<[T]>,
    at: Mutex<usize>,
}

/// A copy with its own position.
impl<T> Clone for Cursor<T> {
    fn clone(&self) -> Self {
        let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
        Self { elements: Arc::clone(&self.elements), at: Mutex::new(at) }
    }
}

impl<T> Cursor<T> {
    pub(crate) fn new(elements: Arc<[T]>) -> Self {
        Self { elements, at: Mutex::new(0) }
    }

    /// Implements `Next`: writes up to `celt` elements and their number. The position is unchanged
    /// if they cannot be converted.
    ///
    /// # Safety
    /// `rgelt` is NULL or has room for `celt` elements, and `fetched` is NULL or valid.
    pub(crate) unsafe fn next<N>(
        &self,
        celt: u32,
        rgelt: *mut N,
        fetched: *mut u32,
        convert: impl FnOnce(&[T]) -> Result<Vec<N>, Hresult>,
    ) -> Result<Hresult, Hresult> {
        if !fetched.is_null() {
            // SAFETY: the pointer is the caller's and not NULL.
            unsafe { fetched.write(0) };
        }
        if celt > 0 {
            check_pointer(rgelt)?;
        }
        self.advance(celt, |taken| {
            let converted = convert(taken)?;
            for (at, element) in converted.into_iter().enumerate() {
                // SAFETY: the caller has room for `celt` elements, and at most as many are written.
                let slot = unsafe { rgelt.add(at) };
                // SAFETY: as above.
                unsafe { slot.write(element) };
            }
            if !fetched.is_null() {
                // SAFETY: as above; the number is at most `celt`, a `u32`.
                unsafe { fetched.write(u32::try_from(taken.len()).unwrap_or(celt)) };
            }
            Ok(())
        })
    }

    /// Implements `Skip`.
    pub(crate) fn skip(&self, celt: u32) -> Result<Hresult, Hresult> {
        self.advance(celt, |_| Ok(()))
    }

    /// Implements `Reset`.
    pub(crate) fn reset(&self) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// Advances by up to `celt` elements, unless `with` fails. Returns `S_FALSE` if there were
    /// fewer.
    fn advance(
        &self,
        celt: u32,
        with: impl FnOnce(&[T]) -> Result<(), Hresult>,
    ) -> Result<Hresult, Hresult> {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let left = &self.elements[*at..];
        let taken = &left[..left.len().min(usize::try_from(celt).unwrap_or(usize::MAX))];
        with(taken)?;
        *at += taken.len();
        Ok(match u32::try_from(taken.len()) == Ok(celt) {
            true => Hresult::S_OK,
            false => Hresult::S_FALSE,
        })
    }
}

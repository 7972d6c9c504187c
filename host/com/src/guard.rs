//! Helpers at the boundary between a COM method and its caller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use syncmgr_host::Hresult;
use windows_core::HRESULT;

/// `E_POINTER`.
pub(crate) const E_POINTER: Hresult = Hresult(0x8000_4003);

/// Runs the body of a method. A panic must not unwind into the caller, so it becomes
/// `E_UNEXPECTED`.
pub(crate) fn guard(body: impl FnOnce() -> Result<Hresult, Hresult>) -> HRESULT {
    let answer = catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Hresult::E_UNEXPECTED));
    native(answer.unwrap_or_else(|failure| failure))
}

/// Converts to COM's signed representation.
pub(crate) const fn native(hresult: Hresult) -> HRESULT {
    HRESULT(hresult.0.cast_signed())
}

/// Converts to the host's unsigned representation.
pub(crate) const fn ours(hresult: HRESULT) -> Hresult {
    Hresult(hresult.0.cast_unsigned())
}

/// Returns `E_POINTER` for NULL.
pub(crate) fn check_pointer<T>(pointer: *const T) -> Result<(), Hresult> {
    match pointer.is_null() {
        true => Err(E_POINTER),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_e_unexpected() {
        assert_eq!(guard(|| panic!("a defect")), native(Hresult::E_UNEXPECTED));
    }

    #[test]
    fn success_codes_keep_their_values() {
        assert_eq!(guard(|| Ok(Hresult::S_SYNCMGR_MISSINGITEMS)).0, 0x0004_0201);
        assert_eq!(guard(|| Err(Hresult::E_INVALIDARG)).0, 0x8007_0057_u32.cast_signed());
    }
}

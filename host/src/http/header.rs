//! Headers that only the host sets.

use http::header::{EXPECT, HeaderName, TRAILER};
use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

/// Returns whether only the host sets this header.
pub(super) fn is_forbidden(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name) || [EXPECT, TRAILER].contains(name)
}

//! The errors of response bodies. wasmtime 48 stores them as its own type, and looks for WASI's: a
//! plugin would not learn why a body ended.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::IoError;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use crate::bindings::WASI;
use crate::state::SyncMgrView;

/// Overrides the function of wasmtime that returns the reason for a failed stream.
pub(crate) fn add_to_linker<T: SyncMgrView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(&format!("wasi:http/types@{WASI}"))?;
    types.func_wrap(
        "http-error-code",
        |mut store: StoreContextMut<'_, T>, (error,): (Resource<IoError>,)| {
            let error = store.data_mut().syncmgr().table.get(&error)?;
            Ok((error.downcast_ref::<Error>().map(error_code),))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Returns the code for the error of a response's body.
#[allow(clippy::wildcard_enum_match_arm, reason = "the host's bodies fail with no others")]
fn error_code(error: &Error) -> ErrorCode {
    match error {
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::HttpResponseBodySize(limit) => ErrorCode::HttpResponseBodySize(*limit),
        _ => ErrorCode::HttpResponseIncomplete,
    }
}

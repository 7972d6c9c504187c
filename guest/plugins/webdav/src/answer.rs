//! What the statuses of a server mean.

use syncmgr_plugin::http::Response;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

/// Returns the response to a request, if its status is one of a success. `names` are those of the
/// errors of other statuses.
pub(crate) fn expect(
    response: Result<Response, Interrupt>,
    names: &[(u16, ErrorCode, &str)],
) -> Result<Response, Interrupt> {
    let response = response?;
    let status = response.status();
    match names.iter().find(|(known, ..)| *known == status) {
        Some((_, code, message)) => Err(Error::new(*code, *message).into()),
        None => response.check_status(),
    }
}

/// Returns the error of a result that cannot be cancelled: the caller sees the cancellation at its
/// next check.
pub(crate) fn failed<T>(result: Result<T, Interrupt>) -> Result<T> {
    result.map_err(|interrupt| match interrupt {
        Interrupt::Failed(error) => error,
        Interrupt::Item | Interrupt::All => Error::new(ErrorCode::Failed, "cancelled"),
    })
}

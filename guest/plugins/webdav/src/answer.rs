//! The meaning of a server's statuses.

use syncmgr_plugin::http::Response;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

/// Returns whether a status means that the server is busy.
pub(crate) fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

/// Returns whether there was no answer, or only that the server is busy.
pub(crate) fn is_unanswered(error: &Error) -> bool {
    [ErrorCode::NotConnected, ErrorCode::Timeout].contains(&error.code)
}

/// Returns the response to a request, if its status is one of a success. `names` are those of the
/// errors of other statuses.
///
/// # Errors
/// Fails with [`NotConnected`](ErrorCode::NotConnected) if the server could not be asked, or was
/// busy each time, and with [`Busy`](ErrorCode::Busy) for an entry that is locked.
pub(crate) fn expect(
    response: Result<Response, Interrupt>,
    names: &[(u16, ErrorCode, &str)],
) -> Result<Response, Interrupt> {
    let response = response.map_err(|interrupt| match &interrupt {
        // There is no answer, so it is not one that is invalid.
        Interrupt::Failed(error) if error.code == ErrorCode::InputOutput => {
            Error::new(ErrorCode::NotConnected, &*error.message).into()
        }
        Interrupt::Failed(_) | Interrupt::Item | Interrupt::All => interrupt,
    })?;
    let status = response.status();
    if let Some((_, code, message)) = names.iter().find(|(known, ..)| *known == status) {
        return Err(Error::new(*code, *message).into());
    }
    let wants_digest = status == 401 && {
        let wanted = response.header("www-authenticate").unwrap_or_default();
        wanted.trim_start().get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case("digest"))
    };
    let code = match status {
        423 => {
            let message = "it is locked on the server; the next run tries again";
            return Err(Error::new(ErrorCode::Busy, message).into());
        }
        401 if wants_digest => {
            let message = "the server accepts Digest authentication only, which is not supported; \
                           enable Basic authentication or tokens there";
            return Err(Error::new(ErrorCode::AccessDenied, message).into());
        }
        status => is_busy(status).then_some(ErrorCode::NotConnected),
    };
    response.check_status().map_err(|interrupt| match (interrupt, code) {
        (Interrupt::Failed(error), Some(code)) => Error::new(code, error.message).into(),
        (interrupt, _) => interrupt,
    })
}

//! What the answers of a server mean.

use syncmgr_plugin::ErrorCode::{AlreadyExists, NotConnected, Timeout};
use syncmgr_plugin::http::Response;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use crate::codes::explain;
use crate::xml;

/// Returns whether there was no answer, or only that the server is busy.
pub(crate) fn is_unanswered(error: &Error) -> bool {
    [NotConnected, Timeout].contains(&error.code)
}

/// Returns the response to a request, if its status is one of a success.
///
/// # Errors
/// Fails with [`NotConnected`] if the server could not be asked, or was busy each time, and with
/// [`Changed`](ErrorCode::Changed) if a condition is not met.
pub(crate) fn expect(response: Result<Response, Interrupt>) -> Result<Response, Interrupt> {
    let response = response.map_err(|interrupt| match &interrupt {
        // There is no answer, so it is not one that is invalid.
        Interrupt::Failed(error) if error.code == ErrorCode::InputOutput => {
            Error::new(NotConnected, &*error.message).into()
        }
        Interrupt::Failed(_) | Interrupt::Item | Interrupt::All => interrupt,
    })?;
    if (200..300).contains(&response.status()) {
        return Ok(response);
    }
    let status = response.status();
    let region = response.header("x-amz-bucket-region").map(str::to_owned);
    let [mut code, mut message] = [String::new(), String::new()];
    // The status is the error, whatever happens to the body.
    let _ = xml::read(response, "Error", &mut |_, name, text| {
        match name {
            "Code" => text.clone_into(&mut code),
            "Message" => text.clone_into(&mut message),
            _ => {}
        }
        Ok(())
    });
    Err(explain(status, &code, &message, region.as_deref()).into())
}

/// Returns the error for a name that is used.
pub(crate) fn used() -> Error {
    Error::new(AlreadyExists, "the name is used")
}

/// Returns the error for an entry that does not exist.
pub(crate) fn missing() -> Error {
    explain(404, "", "", None)
}

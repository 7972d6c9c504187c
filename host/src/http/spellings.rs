//! The spellings of secrets in URLs and forms.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

/// Returns every form of secrets in which a server could return them.
pub(super) fn spellings(secrets: &[String]) -> impl Iterator<Item = String> {
    secrets.iter().flat_map(|secret| {
        let form = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        [secret.clone(), form, percent]
    })
}

//! A plugin from a server that is no registry.

use http::{Method, StatusCode};
use syncmgr_host::HostOptions;
use url::Url;

use super::digest::Digest;
use super::error::OciError;
use super::reference::is_loopback;
use super::transport::{Call, Expected, Transport, origin};

/// Receives a component from an `https://` URL. `limit` is the most bytes.
///
/// # Errors
/// Returns [`OciError`] if the server does not have it, or if it does not have the digest.
pub fn download(
    options: &HostOptions,
    url: &str,
    digest: &Digest,
    limit: u64,
) -> Result<Vec<u8>, OciError> {
    let invalid = |why| OciError::Reference { reference: shown(url), why };
    let parsed = Url::parse(url).map_err(|_| invalid("the URL is invalid"))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(invalid("the URL contains a password"));
    }
    let is_here = parsed.host_str().is_some_and(is_loopback);
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && is_here) {
        return Err(invalid("plugins are downloaded from `https://` URLs"));
    }
    let transport = Transport::new(options, parsed.clone());
    let (answer, _) = transport.follow(&Call::new(Method::GET, parsed.clone()), None)?;
    let server = origin(&parsed);
    match answer.status {
        StatusCode::OK => {
            let what = format!("the component of {url}");
            Expected { what, digest: digest.clone(), size: None, limit }.receive(answer)
        }
        StatusCode::NOT_FOUND => Err(OciError::NotFound {
            registry: server,
            what: "file",
            name: parsed.path().to_owned(),
        }),
        status => Err(OciError::Answer {
            server,
            what: "the plugin".to_owned(),
            why: format!("its status is {}", status.as_u16()),
        }),
    }
}

/// Returns a URL without what may be a password.
fn shown(url: &str) -> String {
    match (url.split_once("://"), url.split_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        (_, _) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_downloaded() {
        for (url, words) in [
            ("http://example.com/x.wasm", "`https://` URLs"),
            ("ftp://example.com/x.wasm", "`https://` URLs"),
            ("file:///etc/passwd", "`https://` URLs"),
            ("https://me:hunter2@example.com/x.wasm", "https://…@example.com/x.wasm"),
            ("https://", "invalid"),
        ] {
            let error = download(&HostOptions::new(), url, &Digest::of(b""), 10).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

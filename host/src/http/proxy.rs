//! A proxy that the operator chose.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use tower_service::Service as _;
use url::Url;

/// A proxy that opens tunnels by `CONNECT`.
#[derive(Clone)]
pub(crate) struct Proxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
}

/// Shows no password.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({})", self.uri)
    }
}

impl Proxy {
    /// Parses `http://[USER:PASSWORD@]HOST[:PORT]`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| url.scheme() == "http")?;
        let (host, port) = (url.host_str()?, url.port().unwrap_or(80));
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (!url.username().is_empty()).then(|| {
            let password = decoded(url.password().unwrap_or_default());
            let encoded = BASE64_STANDARD.encode(format!("{}:{password}", decoded(url.username())));
            HeaderValue::try_from(format!("Basic {encoded}"))
        });
        let uri = format!("http://{host}:{port}/").parse().ok()?;
        Some(Self { uri, authorization: login.transpose().ok()? })
    }

    /// Opens a tunnel to a host, which the proxy resolves.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, Box<dyn std::error::Error + Send + Sync>> {
        let mut direct = HttpConnector::new();
        direct.set_nodelay(true);
        let mut tunnel = Tunnel::new(self.uri.clone(), direct);
        if let Some(authorization) = &self.authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        // Always with the port: without one, the tunnel would lead to port 443.
        let to = Uri::builder()
            .scheme(Scheme::HTTPS)
            .authority(format!("{host}:{port}"))
            .path_and_query("/")
            .build()?;
        Ok(tunnel.call(to).await?.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_url_of_http() {
        for (text, uri, login) in [
            ("http://proxy.example:3128", Some("http://proxy.example:3128/"), None),
            ("http://proxy.example", Some("http://proxy.example:80/"), None),
            ("http://[::1]:8080/", Some("http://[::1]:8080/"), None),
            ("http://me:p%40ss@proxy.example", Some("http://proxy.example:80/"), Some("me:p@ss")),
            ("https://proxy.example", None, None),
            ("socks5://proxy.example", None, None),
            ("proxy.example:3128", None, None),
            ("", None, None),
        ] {
            let proxy = Proxy::parse(text);
            let shown = proxy.as_ref().map(|proxy| proxy.uri.to_string());
            assert_eq!(shown.as_deref(), uri, "{text}");
            let expected = login.map(|login| format!("Basic {}", BASE64_STANDARD.encode(login)));
            let found = proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref());
            assert_eq!(found.map(|value| value.to_str().unwrap().to_owned()), expected, "{text}");
            assert!(!format!("{proxy:?}").contains("p@ss"));
        }
    }
}

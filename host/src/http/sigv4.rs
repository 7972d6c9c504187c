//! Signatures of AWS, version 4, as S3 and compatible servers use them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use std::fmt::Write as _;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use ring::digest::{SHA256, digest};
use ring::hmac;
use url::{Url, form_urlencoded};

use super::auth_error::HttpAuthError;

/// The characters that a signature encodes in names and values. A path keeps `/`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// The body is not signed: the connection protects it.
const PAYLOAD: &str = "UNSIGNED-PAYLOAD";

const SERVICE: &str = "s3";
const PAYLOAD_HEADER: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DATE_HEADER: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-amz-security-token");

/// An access key and its region.
#[derive(Clone)]
pub(super) struct Signer {
    region: String,
    access_key: String,
    secret_key: String,
    /// The token of temporary keys.
    token: Option<HeaderValue>,
}

impl Signer {
    /// Creates a signer from `ACCESS_KEY:SECRET_KEY[:TOKEN]`.
    pub(super) fn new(region: &str, secret: &str) -> Result<Self, HttpAuthError> {
        let is_word = |text: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !text.is_empty() && text.bytes().all(good)
        };
        let mut parts = secret.splitn(3, ':');
        let (Some(access_key), Some(secret_key)) = (parts.next(), parts.next()) else {
            return Err(HttpAuthError::Keys);
        };
        if !is_word(region) || !is_word(access_key) || secret_key.is_empty() {
            return Err(HttpAuthError::Keys);
        }
        let token = parts.next().map(|token| {
            let mut token = HeaderValue::try_from(token).map_err(|_| HttpAuthError::Characters)?;
            token.set_sensitive(true);
            Ok(token)
        });
        Ok(Self {
            region: region.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            token: token.transpose()?,
        })
    }

    /// Returns the parts to redact.
    pub(super) fn secrets(&self) -> Vec<String> {
        let token = self.token.as_ref().and_then(|token| token.to_str().ok());
        [Some(self.secret_key.as_str()), token].into_iter().flatten().map(str::to_owned).collect()
    }

    /// Signs a request: the method, the URL, the host, and all headers that begin with `x-amz-`.
    /// Writes the URL as it was signed: a server may understand another spelling differently.
    pub(super) fn sign(
        &self,
        method: &str,
        url: &mut Url,
        headers: &mut HeaderMap,
        now: Timestamp,
    ) {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = &time[..8];
        headers.insert(PAYLOAD_HEADER, HeaderValue::from_static(PAYLOAD));
        headers.insert(DATE_HEADER, value(&time));
        match &self.token {
            Some(token) => headers.insert(TOKEN_HEADER, token.clone()),
            None => headers.remove(TOKEN_HEADER),
        };
        let path: Vec<u8> = percent_decode_str(url.path()).collect();
        url.set_path(&percent_encode(&path, ENCODED_IN_PATH).to_string());
        if let Some(query) = url.query() {
            let query = canonical_query(query);
            url.set_query(Some(&query).filter(|query| !query.is_empty()).map(String::as_str));
        }
        let (listed, lines) = signed_headers(url, headers);
        let request = format!(
            "{method}\n{}\n{}\n{lines}\n{listed}\n{PAYLOAD}",
            url.path(),
            url.query().unwrap_or_default()
        );
        let scope = format!("{day}/{}/{SERVICE}/aws4_request", self.region);
        let request = hex(digest(&SHA256, request.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request}");
        let start = format!("AWS4{}", self.secret_key).into_bytes();
        let steps = [day, &self.region, SERVICE, "aws4_request", &text];
        let signature = steps.iter().fold(start, |key, step| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
            hmac::sign(&key, step.as_bytes()).as_ref().to_vec()
        });
        let mut authorization = value(&format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={listed}, Signature={}",
            self.access_key,
            hex(&signature)
        ));
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
    }
}

/// Returns the names of the signed headers, and a line for each.
fn signed_headers(url: &Url, headers: &HeaderMap) -> (String, String) {
    let mut signed = vec![("host", url.authority().to_owned())];
    for name in headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
        let values = headers.get_all(name).into_iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
            .collect();
        signed.push((name.as_str(), values.join(",")));
    }
    signed.sort();
    let names: Vec<_> = signed.iter().map(|(name, _)| *name).collect();
    let mut lines = String::new();
    for (name, value) in &signed {
        let spaced: Vec<_> = value.split_ascii_whitespace().collect();
        let _ = writeln!(lines, "{name}:{}", spaced.join(" "));
    }
    (names.join(";"), lines)
}

/// Returns a query with its parameters sorted, and encoded in the only way that a signature allows.
fn canonical_query(query: &str) -> String {
    let encoded = |text: &str| percent_encode(text.as_bytes(), ENCODED).to_string();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut pairs: Vec<_> =
        pairs.map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value))).collect();
    pairs.sort();
    pairs.join("&")
}

/// Returns a header's value that consists of visible characters.
fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys and the time of the examples of AWS.
    fn signed(method: &str, url: &str, headers: &[(&'static str, &'static str)]) -> (Url, String) {
        let keys = "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let signer = Signer::new("us-east-1", keys).unwrap();
        let mut url = Url::parse(url).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        signer.sign(method, &mut url, &mut map, now);
        (url, map[AUTHORIZATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn the_url_is_sent_as_it_is_signed() {
        for (url, sent) in [
            ("https://b.s3.example/a b+c(d)'*", "https://b.s3.example/a%20b%2Bc%28d%29%27%2A"),
            ("https://s3.example/b/%C3%BC%2e", "https://s3.example/b/%C3%BC."),
            (
                "https://s3.example/b?prefix=a/b&delimiter=%2F&list-type=2",
                "https://s3.example/b?delimiter=%2F&list-type=2&prefix=a%2Fb",
            ),
            ("https://s3.example/b?uploads", "https://s3.example/b?uploads="),
            ("https://s3.example/b?a=1+2", "https://s3.example/b?a=1%202"),
            ("https://s3.example/b?", "https://s3.example/b"),
        ] {
            assert_eq!(signed("GET", url, &[]).0.as_str(), sent, "{url}");
        }
    }

    #[test]
    fn all_headers_of_aws_are_signed() {
        let headers =
            [("x-amz-meta-b", " a   b "), ("x-amz-acl", "private"), ("range", "bytes=0-1")];
        let (_, authorization) = signed("PUT", "https://s3.example:9000/b/k", &headers);
        let list = "SignedHeaders=host;x-amz-acl;x-amz-content-sha256;x-amz-date;x-amz-meta-b,";
        assert!(authorization.contains(list), "{authorization}");
        assert!(authorization.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        ));
    }

    #[test]
    fn keys_have_two_or_three_parts() {
        for (secret, good) in [
            ("id:key", true),
            ("id:key:token", true),
            ("id:key:to:ken", true),
            ("id", false),
            ("id:", false),
            (":key", false),
            ("i d:key", false),
        ] {
            assert_eq!(Signer::new("eu-central-1", secret).is_ok(), good, "{secret}");
        }
        assert!(Signer::new("", "id:key").is_err());
        assert!(Signer::new("a/b", "id:key").is_err());
    }
}

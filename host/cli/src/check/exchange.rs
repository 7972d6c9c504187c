//! An HTTP request of a plugin and its answer, as a recording contains them.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use syncmgr_host::http::{HttpAnswer, HttpBody, HttpExchange, HttpFailure, HttpRequest};

use crate::check::content::{Content, Text};

/// The maximum size of a body in a recording, in bytes. Of a larger one, it has the length only.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// The maximum number of headers of a message in a recording, and their size in bytes.
const MAX_HEADERS: usize = 1_000;
const MAX_HEADER_BYTES: usize = 1 << 20;

/// The maximum length of a URL in a recording, which is that of the HTTP library.
const MAX_URL_BYTES: usize = 65_534;

/// The value of a header in place of credentials.
const REDACTED: &str = "[secret]";

/// An HTTP request of a plugin and its answer. Credentials and secrets are redacted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exchange {
    /// The number of the request in the run, from 1.
    pub(crate) number: u64,
    pub(crate) method: String,
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Headers,
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    body: Body,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<Answer>,
    /// The failure without a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

type Headers = Vec<(String, Text)>;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Answer {
    status: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Headers,
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    body: Body,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Body {
    /// The number of bytes that were transferred.
    length: u64,
    /// Absent if it is empty, too large, or not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
    /// The failure after these bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl Exchange {
    /// Converts an exchange of the plugin.
    pub(crate) fn of(exchange: &HttpExchange) -> Self {
        let mut recorded =
            Self { body: Body::of(&exchange.body), ..Self::begun(&exchange.request) };
        match &exchange.answer {
            HttpAnswer::Response(response) => {
                recorded.response = Some(Answer {
                    status: response.status().as_u16(),
                    headers: headers_of(response.headers()),
                    body: Body::of(response.body()),
                });
            }
            HttpAnswer::Failure(failure) => recorded.failure = Some(failure.to_string()),
        }
        recorded
    }

    /// Converts a request of the plugin that has no answer.
    pub(crate) fn begun(request: &HttpRequest) -> Self {
        Self {
            number: request.number,
            method: request.method.to_string(),
            url: request.url.clone(),
            headers: headers_of(&request.headers),
            body: Body::default(),
            response: None,
            failure: None,
        }
    }

    /// Checks the values of a recording, which may be forged.
    ///
    /// # Errors
    /// The problem.
    pub(crate) fn check(&self) -> Result<(), String> {
        Method::from_bytes(self.method.as_bytes())
            .map_err(|_| format!("invalid HTTP method {:?}", self.method))?;
        if self.url.len() > MAX_URL_BYTES {
            let length = self.url.len();
            return Err(format!("the URL has {length} bytes (limit {MAX_URL_BYTES})"));
        }
        headers(&self.headers)?;
        self.body.read()?;
        self.answer().map(|_| ())
    }

    /// Returns the answer for the plugin.
    ///
    /// # Errors
    /// The problem, unless the exchange was checked.
    pub(crate) fn answer(&self) -> Result<HttpAnswer, String> {
        match (&self.response, &self.failure) {
            (Some(answer), None) => {
                let refuse = || format!("invalid HTTP status {}; use 200 to 999", answer.status);
                let status = StatusCode::from_u16(answer.status).map_err(|_| refuse())?;
                if status.is_informational() {
                    return Err(refuse());
                }
                let mut response = Response::new(answer.body.read()?);
                *response.status_mut() = status;
                *response.headers_mut() = headers(&answer.headers)?;
                Ok(HttpAnswer::Response(response))
            }
            (None, Some(name)) => failure(name).map(HttpAnswer::Failure),
            (None, None) | (Some(_), Some(_)) => {
                Err("a request has either a `response` or a `failure`".to_owned())
            }
        }
    }

    /// Returns whether the body of the response was not recorded.
    pub(crate) fn lacks_body(&self) -> bool {
        let body = self.response.as_ref().map(|response| &response.body);
        body.is_some_and(|body| body.length > 0 && body.content.is_none())
    }

    /// Returns whether the plugin sent the same request, as far as both are known.
    pub(crate) fn is_same_request(&self, other: &Self) -> bool {
        let is_same = |(recorded, now): (&(String, Text), &(String, Text))| {
            let is_redacted = recorded.1.bytes().as_deref() == Some(REDACTED.as_bytes());
            recorded.0 == now.0 && (is_redacted || recorded.1.bytes() == now.1.bytes())
        };
        let (recorded, now) = (sorted(&self.headers), sorted(&other.headers));
        let headers = recorded.len() == now.len() && recorded.into_iter().zip(now).all(is_same);
        headers && self.body.is_same(&other.body)
    }

    /// Returns the size of the texts in memory, in bytes.
    pub(crate) fn content_bytes(&self) -> usize {
        let texts = |headers: &Headers| {
            headers.iter().map(|(name, value)| name.len() as u64 + value.len()).sum::<u64>()
        };
        let response = self.response.as_ref();
        let response = response.map_or(0, |one| texts(&one.headers) + one.body.content_len());
        let bytes = texts(&self.headers) + self.body.content_len() + response;
        self.method.len() + self.url.len() + usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http {} {:?}", self.method, self.url)?;
        for (name, value) in &self.headers {
            let value = value.bytes().unwrap_or_default();
            write!(f, " {name}={:?}", String::from_utf8_lossy(&value))?;
        }
        if !self.body.is_empty() {
            write!(f, " {}", self.body)?;
        }
        match (&self.response, &self.failure) {
            (Some(answer), _) if answer.body.is_empty() => write!(f, " -> {}", answer.status),
            (Some(answer), _) => write!(f, " -> {} {}", answer.status, answer.body),
            (None, Some(failure)) => write!(f, " -> {failure}"),
            (None, None) => Ok(()),
        }
    }
}

impl Body {
    fn of(body: &HttpBody) -> Self {
        let content = body.content.as_ref().filter(|content| {
            // Redaction may lengthen it.
            (1..=MAX_BODY_BYTES).contains(&content.len())
        });
        Self {
            length: body.length,
            content: content.cloned().map(Content::of),
            failure: body.failure.map(|failure| failure.to_string()),
        }
    }

    fn read(&self) -> Result<HttpBody, String> {
        let content = self.content.as_ref();
        let content = content.map(|content| content.bytes().ok_or("a body is not valid base64"));
        let content = content.transpose()?;
        let length = content.as_ref().map_or(0, Vec::len);
        if length > MAX_BODY_BYTES {
            return Err(format!("a body has {length} bytes (limit {MAX_BODY_BYTES})"));
        }
        let failure = self.failure.as_deref().map(failure).transpose()?;
        Ok(HttpBody { length: self.length, content, failure })
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether they are equal, as far as both are known. The end of an incomplete one
    /// depends on the network.
    fn is_same(&self, other: &Self) -> bool {
        if self.failure.is_some() || other.failure.is_some() {
            return true;
        }
        self.length == other.length
            && match (&self.content, &other.content) {
                (Some(content), Some(other)) => content == other,
                (None, _) | (_, None) => true,
            }
    }

    fn content_len(&self) -> u64 {
        self.content.as_ref().map_or(0, Content::len)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The characters that are shown.
        const SHOWN: usize = 60;
        write!(f, "({} bytes", self.length)?;
        if let Some(Content::Text(text)) = &self.content {
            write!(f, ", {:?}", text.chars().take(SHOWN).collect::<String>())?;
        }
        if let Some(failure) = &self.failure {
            write!(f, ", {failure}")?;
        }
        f.write_str(")")
    }
}

fn headers_of(headers: &HeaderMap) -> Headers {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), Text::of(value.as_bytes())))
        .collect()
}

fn sorted(headers: &Headers) -> Vec<&(String, Text)> {
    let mut sorted: Vec<_> = headers.iter().collect();
    sorted.sort_by_key(|(name, _)| name);
    sorted
}

fn headers(recorded: &Headers) -> Result<HeaderMap, String> {
    if recorded.len() > MAX_HEADERS {
        return Err(format!("a message has {} headers (limit {MAX_HEADERS})", recorded.len()));
    }
    let (mut headers, mut bytes) = (HeaderMap::new(), 0);
    for (name, value) in recorded {
        let invalid = || format!("invalid header {name:?}");
        let value = value.bytes().ok_or_else(invalid)?;
        bytes += name.len() + value.len();
        if bytes > MAX_HEADER_BYTES {
            return Err(format!("the headers of a message exceed {MAX_HEADER_BYTES} bytes"));
        }
        let name = HeaderName::try_from(name).map_err(|_| invalid())?;
        headers.append(name, HeaderValue::try_from(value).map_err(|_| invalid())?);
    }
    Ok(headers)
}

fn failure(name: &str) -> Result<HttpFailure, String> {
    HttpFailure::parse(name).ok_or_else(|| format!("unknown failure {name:?}"))
}

//! The content of a token file.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use crate::grants::Access;
use crate::http::{HttpGrant, HttpPolicy};

/// The length of a token in bytes. Redacting a shorter one would make reports illegible.
const TOKEN_BYTES: RangeInclusive<usize> = 8..=8192;

/// The length of the other values.
const VALUE_BYTES: RangeInclusive<usize> = 1..=2048;

/// A client's registration with an authorization server, and its tokens.
#[derive(Clone)]
pub(super) struct Login {
    /// As in a grant, possibly with the prefix `local:`.
    token_url: String,
    client_id: String,
    client_secret: Option<String>,
    refresh_token: String,
    access_token: Option<String>,
    /// In seconds since 1970-01-01T00:00:00Z.
    expires_at: Option<u64>,
    scope: Option<String>,
    /// All values, including unknown ones.
    object: Map<String, Value>,
}

/// New tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    /// In seconds.
    pub(super) expires_in: Option<u64>,
}

impl Login {
    /// Parses a token file. The message of an error contains no value.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| format!("line {} is not valid JSON", error.line()))?;
        let Value::Object(object) = value else { return Err("it is not an object".to_owned()) };
        let text = |key: &str, bytes: &RangeInclusive<usize>| match object.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if is_text(text, bytes) => Ok(Some(text.clone())),
            Some(_) => Err(format!(
                "`{key}` is not a text of {} to {} ASCII characters",
                bytes.start(),
                bytes.end()
            )),
        };
        let required =
            |key: &str, value: Option<String>| value.ok_or_else(|| format!("`{key}` is missing"));
        let expires_at = match object.get("expires_at") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let seconds = value.as_u64();
                Some(seconds.ok_or("`expires_at` is not a number of seconds since 1970")?)
            }
        };
        let access_token = text("access_token", &TOKEN_BYTES)?;
        if access_token.as_deref().is_some_and(|token| token.contains(' ')) {
            return Err("`access_token` contains a space".to_owned());
        }
        let login = Self {
            token_url: required("token_url", text("token_url", &VALUE_BYTES)?)?,
            client_id: required("client_id", text("client_id", &VALUE_BYTES)?)?,
            client_secret: text("client_secret", &VALUE_BYTES)?,
            refresh_token: required("refresh_token", text("refresh_token", &TOKEN_BYTES)?)?,
            access_token,
            expires_at,
            scope: text("scope", &VALUE_BYTES)?,
            object,
        };
        login.endpoint()?;
        Ok(login)
    }

    /// Returns the text of the token file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        format!("{:#}\n", Value::Object(self.object.clone())).into_bytes()
    }

    /// Returns the URL of the token endpoint, and the policy that allows nothing but its origin.
    pub(super) fn endpoint(&self) -> Result<(Url, HttpPolicy), String> {
        const PREFIX: &str = "local:";
        let invalid = |why: &str| format!("`token_url` {why}");
        let (prefix, url) = match self.token_url.strip_prefix(PREFIX) {
            Some(url) => (PREFIX, url),
            None => ("", self.token_url.as_str()),
        };
        let origin = Url::parse(url).map_err(|error| invalid(&format!("is invalid: {error}")))?;
        if origin.fragment().is_some() {
            return Err(invalid("has a fragment"));
        }
        let origin = format!("{prefix}{}/", origin.origin().ascii_serialization());
        let grant = HttpGrant::new("token", &origin, Access::ReadWrite)
            .map_err(|error| invalid(&format!("is invalid: {}", error.problem)))?;
        if !grant.is_private() {
            return Err(invalid("must begin with `https://`, or be on this machine"));
        }
        let policy = HttpPolicy::new(vec![grant]);
        let allowed = policy.check("POST", url).map(|allowed| allowed.url().clone());
        Ok((allowed.map_err(|denial| invalid(&format!("is invalid: {denial}")))?, policy))
    }

    /// Returns the body of the request for new tokens, and the header that authenticates the
    /// client.
    pub(super) fn request(&self) -> (String, Option<String>) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        form.append_pair("refresh_token", &self.refresh_token);
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        let basic = self.basic();
        if basic.is_none() {
            form.append_pair("client_id", &self.client_id);
        }
        (form.finish(), basic.map(|encoded| format!("Basic {encoded}")))
    }

    fn basic(&self) -> Option<String> {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let secret: String = encode(self.client_secret.as_deref()?);
        let id: String = encode(&self.client_id);
        Some(BASE64_STANDARD.encode(format!("{id}:{secret}")))
    }

    /// Returns the login with new tokens.
    pub(super) fn renewed(&self, tokens: Tokens, now: u64) -> Self {
        let mut login = self.clone();
        login.expires_at = tokens.expires_in.map(|seconds| now.saturating_add(seconds));
        match login.expires_at {
            Some(at) => login.object.insert("expires_at".to_owned(), at.into()),
            None => login.object.remove("expires_at"),
        };
        let mut insert = |key: &str, token: &str| login.object.insert(key.to_owned(), token.into());
        insert("access_token", &tokens.access_token);
        if let Some(token) = tokens.refresh_token {
            insert("refresh_token", &token);
            login.refresh_token = token;
        }
        login.access_token = Some(tokens.access_token);
        login
    }

    /// Returns whether the access token is missing, rejected, or invalid at a time.
    pub(super) fn needs_renewal(&self, is_rejected: bool, at: u64) -> bool {
        is_rejected
            || self.access_token.is_none()
            || self.expires_at.is_some_and(|expires_at| expires_at <= at)
    }

    /// Returns the value of the header `Authorization`.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let token = self.access_token.as_ref()?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns the values to redact.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![self.refresh_token.clone()];
        secrets.extend(self.access_token.clone());
        secrets.extend(self.client_secret.clone());
        secrets.extend(self.basic());
        secrets
    }
}

/// Returns whether a token has no space, no other characters than visible ones of ASCII, and a
/// suitable length.
pub(super) fn is_token(token: &str) -> bool {
    is_text(token, &TOKEN_BYTES) && !token.contains(' ')
}

fn is_text(text: &str, bytes: &RangeInclusive<usize>) -> bool {
    bytes.contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

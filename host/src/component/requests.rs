//! The requests of a plugin, in a custom section of its file.
//!
//! The section is named [`SECTION`] and holds TOML:
//!
//! ```toml
//! clsid = "6295df40-35ee-11d1-8707-00c04fd93327"
//! [directories]
//! left = { access = "read-write", why = "one of the two folders" }
//! "*.left" = { access = "read-write", why = "the same for each of several pairs" }
//! [settings]
//! mode = "what to do where the two sides differ"
//! durable = { type = "boolean", default = true, why = "whether changes are flushed" }
//! transfers = { type = "integer", min = 1, max = 32, why = "requests in flight", per-item = true }
//! order = { values = ["oldest-first", "newest-first"], why = "which files are first" }
//! [secrets]
//! token = "signs in at the service"
//! [allow]
//! wall-clock = "names copies after the time"
//! [http]
//! remote = { access = "read-write", why = "the server to sync with" }
//! api = { url = "https://api.example.com", why = "the service" }
//! ```
//!
//! The access to a server is `read-only` if absent. With a `url`, in the form of an
//! [`HttpGrant`](crate::http::HttpGrant), only that server or a part of it can be granted.
//!
//! A setting with a `type` or `values` cannot have other values; the host refuses them before the
//! start. `default` is what the plugin uses without the setting. With `per-item`, `ITEM.NAME` is the
//! same setting of one item.
//!
//! A name consists of ASCII letters, digits, `_`, `-`, `.` and `*`. A `*` in a name matches one part
//! between dots. A grant without a matching request has no effect.

mod setting;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ContractError;
use crate::grants::{Access, Capability};
use crate::http::HttpGrant;
pub use setting::{SettingRequest, SettingValues};

/// The name of the custom section, in the component or in one of its core modules.
pub const SECTION: &str = "syncmgr-requests";

const SECTION_BYTES: usize = 64 << 10;
const MAX_ENTRIES: usize = 1_000;
const NAME_BYTES: usize = 255;
const WHY_BYTES: usize = 1_000;

/// The requests of a plugin. A file without the section requests nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Requests {
    /// The class id of its native handler on Windows; `None` derives one from the registered name.
    pub clsid: Option<Uuid>,
    /// Directories, by name.
    pub directories: Vec<DirectoryRequest>,
    /// Settings, by name.
    pub settings: Vec<SettingRequest>,
    /// Secrets, by name.
    pub secrets: Vec<Request>,
    /// Capabilities such as the time of day.
    pub capabilities: Vec<(Capability, String)>,
    /// Servers to reach over HTTP, by name.
    pub http: Vec<ServerRequest>,
}

/// One request of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Request {
    /// The name; `*` matches one part between dots.
    pub name: String,
    /// The purpose, written by the author: escape it before showing it.
    pub why: String,
}

/// One directory requested by a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct DirectoryRequest {
    /// The name; `*` matches one part between dots.
    pub name: String,
    /// The requested access.
    pub access: Access,
    /// The purpose, written by the author: escape it before showing it.
    pub why: String,
}

/// One server requested by a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ServerRequest {
    /// The name; `*` matches one part between dots.
    pub name: String,
    /// The only URL that can be granted; `None` if the operator chooses it.
    pub url: Option<String>,
    /// The requested access.
    pub access: Access,
    /// The purpose, written by the author: escape it before showing it.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    clsid: Option<Uuid>,
    #[serde(default)]
    directories: BTreeMap<String, DirectoryText>,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    #[serde(default)]
    allow: BTreeMap<Capability, String>,
    #[serde(default)]
    http: BTreeMap<String, ServerText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectoryText {
    access: Access,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerText {
    url: Option<String>,
    access: Option<Access>,
    #[serde(default)]
    why: String,
}

impl Requests {
    /// Parses the content of a section.
    ///
    /// # Errors
    /// Returns [`ContractError::Requests`] if the content is invalid.
    pub fn parse(section: &[u8]) -> Result<Self, ContractError> {
        let refuse = |message: String| ContractError::Requests { message };
        if section.len() > SECTION_BYTES {
            return Err(refuse(format!("the section is longer than {SECTION_BYTES} bytes")));
        }
        let text = std::str::from_utf8(section).map_err(|_| refuse("not Unicode".to_owned()))?;
        let text: Text =
            toml::from_str(text).map_err(|error| refuse(error.message().to_owned()))?;
        let mut entries = 0;
        let mut request = |name: String, why: String| {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(refuse(format!("there are more than {MAX_ENTRIES} requests")));
            }
            if name.is_empty() || name.len() > NAME_BYTES || why.len() > WHY_BYTES {
                return Err(refuse(format!(
                    "a name has 1 to {NAME_BYTES} bytes, and a reason at most {WHY_BYTES}"
                )));
            }
            // Operators copy names from the output of `syncmgr inspect`.
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.*".contains(c);
            if !name.chars().all(is_plain) {
                return Err(refuse(format!(
                    "the name {name:?} has characters other than letters, digits, `_`, `-`, `.` \
                     and `*`"
                )));
            }
            Ok(Request { name, why })
        };
        if text.clsid.is_some_and(|clsid| clsid.is_nil()) {
            return Err(refuse("`clsid` is GUID_NULL, which is not a class id".to_owned()));
        }
        let mut requests = Self { clsid: text.clsid, ..Self::default() };
        for (name, directory) in text.directories {
            let Request { name, why } = request(name, directory.why)?;
            let access = directory.access;
            requests.directories.push(DirectoryRequest { name, access, why });
        }
        for (capability, why) in text.allow {
            let Request { why, .. } = request(capability.name().to_owned(), why)?;
            requests.capabilities.push((capability, why));
        }
        for (name, server) in text.http {
            let Request { name, why } = request(name, server.why)?;
            if let Some(url) = &server.url {
                // The name of the request may be a pattern.
                let checked = HttpGrant::new("server", url, Access::ReadOnly);
                checked.map_err(|error| {
                    refuse(format!("the URL of the server {name:?}: {}", error.problem))
                })?;
            }
            let access = server.access.unwrap_or(Access::ReadOnly);
            requests.http.push(ServerRequest { name, url: server.url, access, why });
        }
        for (name, value) in text.settings {
            let setting = SettingRequest::parse(name, value).map_err(refuse)?;
            request(setting.name.clone(), setting.why.clone())?;
            requests.settings.push(setting);
        }
        for (name, why) in text.secrets {
            requests.secrets.push(request(name, why)?);
        }
        Ok(requests)
    }

    /// Returns whether there are no requests.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the requested access to a directory with this name, or `None` if it is not
    /// requested.
    pub fn directory(&self, name: &str) -> Option<Access> {
        let wanted = self.directories.iter().filter(|request| matches(&request.name, name));
        wanted.map(|request| request.access).max()
    }

    /// Returns the request of a server with this name, preferring one with write access.
    pub fn server(&self, name: &str) -> Option<&ServerRequest> {
        let wanted = self.http.iter().filter(|request| matches(&request.name, name));
        wanted.max_by_key(|request| request.access)
    }

    /// Returns the request of a setting with this name, preferring one without `*`.
    pub fn setting(&self, name: &str) -> Option<&SettingRequest> {
        let wanted = self.settings.iter().filter(|request| request.matches(name));
        wanted.max_by_key(|request| request.is_exact())
    }

    /// Returns the name of the requested setting that is most similar to a misspelled one.
    pub fn similar_setting(&self, name: &str) -> Option<&str> {
        let (_, last) = name.rsplit_once('.').unwrap_or(("", name));
        let exact = self.settings.iter().filter(|request| request.is_exact());
        let exact = exact.map(|request| {
            (strsim::damerau_levenshtein(&request.name, last), request.name.as_str())
        });
        let (changes, similar) = exact.min()?;
        (changes <= 1 + last.len() / 4).then_some(similar)
    }

    /// Returns whether the plugin requests a secret with this name.
    pub fn secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|request| matches(&request.name, name))
    }

    /// Returns whether the plugin requests the capability.
    pub fn capability(&self, capability: Capability) -> bool {
        self.capabilities.iter().any(|(wanted, _)| *wanted == capability)
    }
}

/// Returns whether the pattern matches a name.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = name.split('.');
    pattern
        .split('.')
        .all(|wanted| parts.next().is_some_and(|part| wanted == "*" || wanted == part))
        && parts.next().is_none()
}

//! The origin of an installed plugin.

use serde::{Deserialize, Serialize};

/// Where an installed plugin is from, and what it was then.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Origin {
    /// The reference or the URL.
    pub reference: String,
    /// The digest of the manifest; for a URL, that of the component.
    pub digest: String,
    /// The version that the component declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The id of the trusted key that has signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

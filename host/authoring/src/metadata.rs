//! What a component says about itself, in its custom sections.

use syncmgr_host::requests::SECTION;
use wasm_encoder::{Encode, Section as _};
use wasm_metadata::{AddMetadata, AddMetadataField, Payload};

use crate::error::AuthoringError;
use crate::manifest::About;

/// Adds what the plugin wants at the end of its file.
pub(crate) fn with_requests(mut component: Vec<u8>, requests: &str) -> Vec<u8> {
    let section =
        wasm_encoder::CustomSection { name: SECTION.into(), data: requests.as_bytes().into() };
    component.push(section.id());
    section.encode(&mut component);
    component
}

/// What a plugin's file says about it, as registries and `wasm-tools metadata show` read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Its licence, as an SPDX expression.
    pub license: Option<String>,
    /// A web page.
    pub homepage: Option<String>,
}

impl Metadata {
    /// Reads what a file says. Nothing, where it cannot be read.
    pub fn of(component: &[u8]) -> Self {
        let Ok(payload) = Payload::from_binary(component) else { return Self::default() };
        let metadata = payload.metadata();
        Self {
            name: metadata.name.clone(),
            version: metadata.version.as_ref().map(ToString::to_string),
            description: metadata.description.as_ref().map(ToString::to_string),
            license: metadata.licenses.as_ref().map(ToString::to_string),
            homepage: metadata.homepage.as_ref().map(ToString::to_string),
        }
    }
}

/// Adds what the manifest says about the plugin.
pub(crate) fn with_about(component: &[u8], about: &About) -> Result<Vec<u8>, AuthoringError> {
    fn field<T>(what: &str, value: Option<&str>) -> Result<AddMetadataField<T>, AuthoringError>
    where
        T: std::str::FromStr<Err: std::fmt::Display> + std::fmt::Debug + Clone,
    {
        let Some(value) = value else { return Ok(AddMetadataField::default()) };
        match value.parse() {
            Ok(value) => Ok(AddMetadataField::Set(value)),
            Err(error) => Err(AuthoringError::Component {
                what: "add what the manifest says to the plugin",
                message: format!("`{what}` is {value:?}: {error}"),
            }),
        }
    }
    let mut add = AddMetadata::default();
    add.name = AddMetadataField::Set(about.name.clone());
    add.version = field("version", Some(&about.version))?;
    add.description = field("description", about.description.as_deref())?;
    add.licenses = field("license", about.license.as_deref())?;
    add.homepage = field("homepage", about.homepage.as_deref())?;
    add.to_wasm(component).map_err(|error| AuthoringError::Component {
        what: "add what the manifest says to the plugin",
        message: format!("{error:#}"),
    })
}

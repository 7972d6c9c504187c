//! The custom sections of a component: requests and metadata.

use syncmgr_host::requests::SECTION;
use syncmgr_host::{ContractError, Description};
use wasm_encoder::{Encode, Section as _};
use wasm_metadata::{AddMetadata, AddMetadataField, Payload};

use crate::project::error::ProjectError;
use crate::project::manifest::About;

/// Adds a request section to a component, or replaces the one that an earlier call added.
/// `requests` is TOML in the form of [`syncmgr_host::requests`].
///
/// # Errors
/// The requests are invalid, the component does not conform to the contract, or one of its modules
/// also has a request section.
pub(crate) fn embed_requests(component: &[u8], requests: &str) -> Result<Vec<u8>, ContractError> {
    let component = with_requests(without_requests(component), requests);
    Description::of(&component)?;
    Ok(component)
}

/// Removes the request sections at the top level of a component.
fn without_requests(component: &[u8]) -> Vec<u8> {
    const HEADER: usize = 8;
    let mut name = Vec::new();
    SECTION.encode(&mut name);
    let (header, mut rest) = component.split_at(HEADER.min(component.len()));
    let mut kept = header.to_vec();
    while let Some((content, length)) = first_section(rest) {
        let (section, after) = rest.split_at(length);
        if section[0] != 0 || !content.starts_with(&name) {
            kept.extend_from_slice(section);
        }
        rest = after;
    }
    // The contract check reports a damaged section.
    kept.extend_from_slice(rest);
    kept
}

/// Returns the content of the section at the start of the bytes, and the length of the section.
fn first_section(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (mut length, mut at) = (0_u64, 1);
    for shift in [0, 7, 14, 21, 28] {
        let byte = *bytes.get(at)?;
        at += 1;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let end = at.checked_add(usize::try_from(length).ok()?)?;
            return Some((bytes.get(at..end)?, end));
        }
    }
    None
}

/// Adds a request section at the end of a component.
pub(crate) fn with_requests(mut component: Vec<u8>, requests: &str) -> Vec<u8> {
    let section =
        wasm_encoder::CustomSection { name: SECTION.into(), data: requests.as_bytes().into() };
    component.push(section.id());
    section.encode(&mut component);
    component
}

/// The metadata of a plugin, as registries and `wasm-tools metadata show` read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Its name.
    pub(crate) name: Option<String>,
    /// Its version.
    pub(crate) version: Option<String>,
    /// Its purpose.
    pub(crate) description: Option<String>,
    /// Its license, as an SPDX expression.
    pub(crate) license: Option<String>,
    /// A web page.
    pub(crate) homepage: Option<String>,
}

impl Metadata {
    /// Reads the metadata of a component, empty if it is invalid.
    pub(crate) fn of(component: &[u8]) -> Self {
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

/// Adds the metadata of the manifest.
pub(crate) fn with_about(component: &[u8], about: &About) -> Result<Vec<u8>, ProjectError> {
    fn field<T>(what: &str, value: Option<&str>) -> Result<AddMetadataField<T>, ProjectError>
    where
        T: std::str::FromStr<Err: std::fmt::Display> + std::fmt::Debug + Clone,
    {
        let Some(value) = value else { return Ok(AddMetadataField::default()) };
        match value.parse() {
            Ok(value) => Ok(AddMetadataField::Set(value)),
            Err(error) => Err(ProjectError::Component {
                what: "add the metadata of the manifest",
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
    add.to_wasm(component).map_err(|error| ProjectError::Component {
        what: "add the metadata of the manifest",
        message: format!("{error:#}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_section_is_replaced_and_nothing_else() {
        let section = |name: &str, data: &str| {
            let section =
                wasm_encoder::CustomSection { name: name.into(), data: data.as_bytes().into() };
            let mut component = wasm_encoder::Component::new();
            component.section(&section);
            component.finish()[wasm_encoder::Component::HEADER.len()..].to_vec()
        };
        let header = wasm_encoder::Component::HEADER.to_vec();
        let other = section("other", &"x".repeat(300));
        let request = section(SECTION, "[settings]\na = \"b\"");
        let without = [&header[..], &other].concat();
        for component in [
            without.clone(),
            [&header[..], &request, &other].concat(),
            [&header[..], &other, &request].concat(),
            [&header[..], &request, &other, &request].concat(),
        ] {
            assert_eq!(without_requests(&component), without);
        }
        // An invalid component stays unchanged.
        for damaged in
            [&[][..], b"\0asm", &[&header[..], &[0]].concat(), &[&header[..], b"\0\xff"].concat()]
        {
            assert_eq!(without_requests(damaged), damaged);
        }
    }
}

//! Pushing a plugin to a registry.

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use syncmgr_host::Description;

use super::client::{Client, RegistryOptions, Scope};
use super::digest::Digest;
use super::error::OciError;
use super::manifest::{
    CONFIG, Descriptor, EMPTY_CONTENT, INDEX, Index, LAYER, MANIFEST, Manifest, SIGNATURE, config,
};
use super::reference::{Reference, Selector};

/// A plugin to push.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    /// The component.
    pub component: &'a [u8],
    /// Its imports and exports.
    pub description: &'a Description,
    /// The time of its creation, as in RFC 3339.
    pub created: &'a str,
    /// Annotations of the manifest, such as `org.opencontainers.image.version`.
    pub annotations: &'a [(&'static str, String)],
    /// The content of its signature file, if it is signed.
    pub signature: Option<&'a [u8]>,
}

/// Pushes a plugin under a tag, and its signature. Returns the digest of its manifest.
///
/// # Errors
/// Returns [`OciError`] if the reference has no tag, or the registry does not accept the plugin.
pub fn push(
    options: &RegistryOptions,
    reference: &Reference,
    package: &Package<'_>,
) -> Result<Digest, OciError> {
    let Selector::Tag(tag) = reference.selector() else {
        let why = "a plugin is pushed under a tag, not a digest";
        return Err(OciError::Reference { reference: reference.to_string(), why });
    };
    let mut client = Client::new(options, reference, Scope::Push)?;
    let layer = Descriptor::new(LAYER, package.component);
    let Description { imports, exports, .. } = package.description;
    let config = config(package.created, &layer, imports, exports);
    let config_descriptor = Descriptor::new(CONFIG, &config);
    put_blob(&mut client, package.component)?;
    put_blob(&mut client, &config)?;
    let annotations: BTreeMap<_, _> = package
        .annotations
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let manifest = Manifest::plugin(config_descriptor, layer, annotations);
    let manifest = to_json(&client, &manifest)?;
    let digest = Digest::of(&manifest);
    // Push the signature before the tag, so that the tag never refers to an unsigned plugin.
    // Registries that check references need the manifest, so push it by its digest first.
    put_manifest(&mut client, digest.as_str(), MANIFEST, &manifest)?;
    if let Some(signature) = package.signature {
        put_signature(&mut client, &manifest, signature)?;
    }
    put_manifest(&mut client, tag, MANIFEST, &manifest)?;
    Ok(digest)
}

/// Puts a signature as a referrer of the plugin's manifest.
fn put_signature(client: &mut Client, manifest: &[u8], signature: &[u8]) -> Result<(), OciError> {
    let subject = Descriptor::new(MANIFEST, manifest);
    let layer = Descriptor::new(SIGNATURE, signature);
    put_blob(client, signature)?;
    put_blob(client, EMPTY_CONTENT)?;
    let referrer = to_json(client, &Manifest::signature(layer, subject))?;
    let digest = Digest::of(&referrer);
    if put_manifest(client, digest.as_str(), MANIFEST, &referrer)? {
        return Ok(());
    }
    // The registry has no referrers API: a list under a tag replaces it.
    let tag = Digest::of(manifest).fallback_tag();
    let mut index = match client.manifest(&tag)? {
        Some((json, _)) => Index::parse(&json)
            .ok_or_else(|| client.unexpected("the list of signatures", "it is no OCI index"))?,
        None => Index::new(),
    };
    let mut descriptor = Descriptor::new(MANIFEST, &referrer);
    if index.manifests.iter().any(|known| known.digest() == descriptor.digest()) {
        return Ok(());
    }
    descriptor.artifact_type = Some(SIGNATURE.to_owned());
    index.manifests.push(descriptor);
    let index = to_json(client, &index)?;
    put_manifest(client, &tag, INDEX, &index)?;
    Ok(())
}

/// Puts a content, unless the registry has it.
fn put_blob(client: &mut Client, content: &[u8]) -> Result<(), OciError> {
    let digest = Digest::of(content);
    if client.has(&digest)? {
        return Ok(());
    }
    let start = client.call(Method::POST, "blobs/uploads/")?;
    let answer = client.send(&start)?;
    if answer.status != StatusCode::ACCEPTED {
        return Err(client.status("an upload", answer.status));
    }
    let mut put = start;
    put.method = Method::PUT;
    put.url = client.upload_url(&answer, &put.url)?;
    put.url.query_pairs_mut().append_pair("digest", digest.as_str());
    put.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    put.body = content.to_vec();
    match client.send(&put)?.status {
        StatusCode::CREATED => Ok(()),
        status => Err(client.status(&format!("the upload of {digest}"), status)),
    }
}

/// Puts a manifest or a list. Returns whether the registry has listed it as a referrer.
fn put_manifest(
    client: &mut Client,
    name: &str,
    media_type: &'static str,
    content: &[u8],
) -> Result<bool, OciError> {
    let mut put = client.call(Method::PUT, &format!("manifests/{name}"))?;
    put.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    put.body = content.to_vec();
    let answer = client.send(&put)?;
    match answer.status {
        StatusCode::CREATED => Ok(answer.headers.contains_key("oci-subject")),
        status => Err(client.status(&format!("the manifest `{name}`"), status)),
    }
}

fn to_json(client: &Client, value: &impl serde::Serialize) -> Result<Vec<u8>, OciError> {
    serde_json::to_vec(value).map_err(|error| client.unexpected("a manifest", &error.to_string()))
}

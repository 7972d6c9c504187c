//! Pulling a plugin from a registry.

use super::client::{Client, RegistryOptions, Scope};
use super::digest::Digest;
use super::error::OciError;
use super::manifest::{MAX_LISTED, Manifest};
use super::reference::Reference;
use super::signature::{MAX_SIGNATURE_BYTES, PluginSignature};
use super::transport::Expected;

/// A plugin from a registry. Nothing of it was stored.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The digest of its manifest, which `@` in a reference selects.
    pub digest: Digest,
    /// The component. It has the digest of the manifest's layer.
    pub component: Vec<u8>,
    /// Its signatures, which were not verified.
    pub signatures: Vec<PluginSignature>,
}

/// Returns the digest of the manifest that a reference selects now.
///
/// # Errors
/// Returns [`OciError`] if the registry does not have it, or does not answer as specified.
pub fn resolve(options: &RegistryOptions, reference: &Reference) -> Result<Digest, OciError> {
    let mut client = Client::new(options, reference, Scope::Pull)?;
    let (_, digest) = manifest(&mut client)?;
    Ok(digest)
}

/// Returns the tags of a repository.
///
/// # Errors
/// As of [`resolve`].
pub fn tags(options: &RegistryOptions, reference: &Reference) -> Result<Vec<String>, OciError> {
    Client::new(options, reference, Scope::Pull)?.tags()
}

/// Receives a plugin and its signatures. `limit` is the most bytes of its component.
///
/// # Errors
/// As of [`resolve`], and if a content is too large or does not have its digest.
pub fn pull(
    options: &RegistryOptions,
    reference: &Reference,
    limit: u64,
) -> Result<Pulled, OciError> {
    let mut client = Client::new(options, reference, Scope::Pull)?;
    let (json, digest) = manifest(&mut client)?;
    let not_a_plugin = |why| OciError::NotAPlugin { reference: reference.to_string(), why };
    let (layer, layer_digest) = Manifest::component(&json).map_err(not_a_plugin)?;
    let expected = Expected {
        what: format!("the component of `{reference}`"),
        digest: layer_digest,
        size: Some(layer.size),
        limit,
    };
    let component = client.blob(&expected)?;
    let signatures = signatures(&mut client, &digest)?;
    Ok(Pulled { digest, component, signatures })
}

fn manifest(client: &mut Client) -> Result<(Vec<u8>, Digest), OciError> {
    let reference = client.reference().clone();
    let found = client.manifest(reference.selector().as_str())?;
    found.ok_or_else(|| OciError::NotFound {
        registry: reference.registry().to_owned(),
        what: "plugin",
        name: reference.to_string(),
    })
}

/// Receives the signatures of a manifest. Those that cannot be read are left out: anyone who can
/// push could add them.
fn signatures(client: &mut Client, subject: &Digest) -> Result<Vec<PluginSignature>, OciError> {
    let Some(index) = client.referrers(subject)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for descriptor in index.signatures().take(MAX_LISTED) {
        let Some(digest) = descriptor.digest() else { continue };
        let Some((json, _)) = client.manifest(digest.as_str())? else { continue };
        let Ok(layer) = Manifest::signature_layer(&json, subject) else { continue };
        let Some(digest) = layer.digest() else { continue };
        let what = "a signature".to_owned();
        let expected =
            Expected { what, digest, size: Some(layer.size), limit: MAX_SIGNATURE_BYTES };
        if expected.check_size().is_err() {
            continue;
        }
        let signature = client.blob(&expected)?;
        found.extend(PluginSignature::parse(&signature));
    }
    Ok(found)
}

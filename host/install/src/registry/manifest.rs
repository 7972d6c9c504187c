//! The manifest of a plugin: CNCF's layout of WebAssembly components in OCI registries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::digest::Digest;

/// The media type of a manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The media type of a list of manifests.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The media type of a plugin's configuration.
pub(crate) const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The media type of a component.
pub(crate) const LAYER: &str = "application/wasm";

/// The type of a signature's manifest, and of the signature.
pub(crate) const SIGNATURE: &str = "application/vnd.minisign.signature.v1";

/// The media type, and the content, of an empty configuration.
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const EMPTY_CONTENT: &[u8] = b"{}";

/// The most bytes of a manifest or a list. The specification asks registries to accept 4 MiB, but
/// those of plugins have one kilobyte.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// The most entries that are read of a list.
pub(crate) const MAX_LISTED: usize = 64;

/// A content in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub(crate) fn new(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(content).to_string(),
            size: content.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Returns the digest, if it is a valid one.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.digest.parse().ok()
    }
}

/// A manifest. Unknown fields are ignored, as the specification requires.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Creates the manifest of a plugin.
    pub(crate) fn plugin(
        config: Descriptor,
        layer: Descriptor,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers: vec![layer],
            subject: None,
            annotations,
        }
    }

    /// Creates the manifest of a signature.
    pub(crate) fn signature(signature: Descriptor, subject: Descriptor) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: Some(SIGNATURE.to_owned()),
            config: Descriptor::new(EMPTY, EMPTY_CONTENT),
            layers: vec![signature],
            subject: Some(subject),
            annotations: BTreeMap::new(),
        }
    }

    /// Parses the manifest of a plugin. Returns the descriptor of its component, or the problem.
    pub(crate) fn component(json: &[u8]) -> Result<(Descriptor, Digest), String> {
        let layer = Self::only_layer(json, CONFIG, LAYER)?;
        let digest = layer.digest().ok_or("the digest of its layer is invalid")?;
        Ok((layer, digest))
    }

    /// Parses the manifest of a signature. Returns the descriptor of the signature, or the problem.
    pub(crate) fn signature_layer(json: &[u8], subject: &Digest) -> Result<Descriptor, String> {
        let layer = Self::only_layer(json, EMPTY, SIGNATURE)?;
        let manifest: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        match manifest.subject.and_then(|found| found.digest()) {
            Some(found) if found == *subject => Ok(layer),
            Some(_) | None => Err("it is about another content".to_owned()),
        }
    }

    fn only_layer(json: &[u8], config: &str, layer: &str) -> Result<Descriptor, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            schema_version: Option<u32>,
            media_type: Option<String>,
        }
        let invalid = |error: serde_json::Error| {
            format!("its manifest is invalid at line {}, column {}", error.line(), error.column())
        };
        let kind: Kind = serde_json::from_slice(json).map_err(invalid)?;
        if kind.schema_version != Some(2) {
            return Err("its manifest does not have `schemaVersion` 2".to_owned());
        }
        match kind.media_type.as_deref() {
            None | Some(MANIFEST) => {}
            Some(other) => {
                return Err(format!("its manifest has the media type `{}`", short(other)));
            }
        }
        let manifest: Self = serde_json::from_slice(json).map_err(invalid)?;
        if manifest.config.media_type != config {
            return Err(format!(
                "its configuration has the media type `{}` instead of `{config}`",
                short(&manifest.config.media_type)
            ));
        }
        let [only] = manifest.layers.as_slice() else {
            return Err(format!("it has {} layers instead of one", manifest.layers.len()));
        };
        match only.media_type == layer {
            true => Ok(only.clone()),
            false => Err(format!(
                "its layer has the media type `{}` instead of `{layer}`",
                short(&only.media_type)
            )),
        }
    }
}

/// Returns the start of a text of a registry, for messages.
fn short(text: &str) -> &str {
    const MOST: usize = 100;
    text.char_indices().nth(MOST).map_or(text, |(at, _)| &text[..at])
}

/// A list of manifests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    pub(crate) manifests: Vec<Descriptor>,
}

impl Index {
    pub(crate) fn new() -> Self {
        let (media_type, manifests) = (Some(INDEX.to_owned()), Vec::new());
        Self { schema_version: 2, media_type, manifests }
    }

    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let index: Self = serde_json::from_slice(json).ok()?;
        let is_index = index.media_type.as_deref().is_none_or(|media_type| media_type == INDEX);
        (index.schema_version == 2 && is_index).then_some(index)
    }

    /// Returns the signatures in the list, bounded.
    pub(crate) fn signatures(self) -> impl Iterator<Item = Descriptor> {
        let is_signature = |one: &Descriptor| {
            one.media_type == MANIFEST && one.artifact_type.as_deref() == Some(SIGNATURE)
        };
        self.manifests.into_iter().filter(is_signature).take(MAX_LISTED)
    }
}

/// Returns the configuration of a plugin. `created` is a time of RFC 3339.
pub(crate) fn config(
    created: &str,
    layer: &Descriptor,
    imports: &[String],
    exports: &[String],
) -> Vec<u8> {
    let config = json!({
        "created": created,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.digest],
        "component": { "exports": exports, "imports": imports, "target": null },
    });
    config.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn plugin() -> Value {
        let layer = Descriptor::new(LAYER, b"component");
        let config = Descriptor::new(CONFIG, &config("2026-01-01T00:00:00Z", &layer, &[], &[]));
        serde_json::to_value(Manifest::plugin(config, layer, BTreeMap::new())).unwrap()
    }

    #[test]
    fn a_manifest_of_a_plugin_has_one_layer() {
        let (layer, digest) = Manifest::component(plugin().to_string().as_bytes()).unwrap();
        assert_eq!((digest, layer.size), (Digest::of(b"component"), 9));
        let cases: [(&str, Value, &str); 9] = [
            ("/schemaVersion", json!(1), "schemaVersion"),
            ("/mediaType", json!(INDEX), "media type"),
            ("/mediaType", json!("application/vnd.docker.distribution.manifest.v2+json"), "media"),
            (
                "/config/mediaType",
                json!("application/vnd.oci.image.config.v1+json"),
                "configuration",
            ),
            ("/layers", json!([]), "0 layers"),
            ("/layers/0/mediaType", json!("application/vnd.oci.image.layer.v1.tar"), "layer has"),
            ("/layers/0/digest", json!("sha256:../../x"), "digest"),
            ("/layers/0/size", json!(-1), "invalid at line"),
            ("/layers", json!({}), "invalid at line"),
        ];
        for (pointer, value, words) in cases {
            let mut manifest = plugin();
            *manifest.pointer_mut(pointer).unwrap() = value;
            let error = Manifest::component(manifest.to_string().as_bytes()).unwrap_err();
            assert!(error.contains(words), "{pointer}: {error}");
        }
        let mut two = plugin();
        let layer = two["layers"][0].clone();
        two["layers"].as_array_mut().unwrap().push(layer);
        assert!(Manifest::component(two.to_string().as_bytes()).unwrap_err().contains("2 layers"));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for json in ["", "null", "[]", "{}", &deep] {
            assert!(Manifest::component(json.as_bytes()).is_err());
        }
    }

    #[test]
    fn a_signature_is_about_its_subject() {
        let subject = Descriptor::new(MANIFEST, b"manifest");
        let signature = Manifest::signature(Descriptor::new(SIGNATURE, b"RUQ"), subject);
        let json = serde_json::to_vec(&signature).unwrap();
        assert!(Manifest::signature_layer(&json, &Digest::of(b"manifest")).is_ok());
        assert!(Manifest::signature_layer(&json, &Digest::of(b"other")).is_err());
        assert!(Manifest::component(&json).is_err());
    }

    #[test]
    fn a_list_is_bounded() {
        let mut index = Index::new();
        let mut signature = Descriptor::new(MANIFEST, b"one");
        signature.artifact_type = Some(SIGNATURE.to_owned());
        index.manifests = vec![signature; 1000];
        index.manifests.push(Descriptor::new(MANIFEST, b"other"));
        let json = serde_json::to_vec(&index).unwrap();
        assert_eq!(Index::parse(&json).unwrap().signatures().count(), MAX_LISTED);
        assert_eq!(Index::parse(plugin().to_string().as_bytes()), None);
    }
}

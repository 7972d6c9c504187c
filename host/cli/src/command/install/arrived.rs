//! A plugin that was received, and not stored yet.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use syncmgr_host::{Description, HostOptions, LoadError, LoadLimits, read_component};
use syncmgr_install::registry::{
    Digest, DockerConfig, MAX_SIGNATURE_BYTES, OciError, PluginSignature, Pulled, Reference,
    RegistryOptions, TrustedKey, TrustedKeys, download, pull, read_key, verify,
};
use syncmgr_install::{InstallError, Origin, Registrations};

use crate::args::RegistryArgs;
use crate::exit::UsageError;
use crate::project::Metadata;

/// Where a plugin to install is.
#[derive(Debug)]
pub(crate) enum Source {
    Registry(Reference),
    Url { url: String, digest: Digest },
    File { path: PathBuf, digest: Option<Digest> },
}

/// A plugin that was received, and not stored yet.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The reference, the URL or the path.
    pub(crate) from: String,
    /// A name for the installed plugin.
    pub(crate) name: String,
    /// The digest of the manifest; for a file, that of the component.
    pub(crate) digest: Digest,
    pub(crate) component: Vec<u8>,
    pub(crate) description: Description,
    pub(crate) metadata: Metadata,
    /// The trusted key that has signed it.
    pub(crate) signer: Option<TrustedKey>,
    /// The ids of other keys, which nothing proves.
    pub(crate) unknown_keys: Vec<String>,
    is_file: bool,
}

impl Source {
    pub(crate) fn parse(source: &str, digest: Option<&str>) -> anyhow::Result<Self> {
        let digest = digest.map(str::parse).transpose();
        let digest = digest.map_err(|error| InstallError::from(OciError::from(error)))?;
        if Reference::is_meant(source) {
            if digest.is_some() {
                let message = "give the digest in the reference: `oci://HOST/REPOSITORY@sha256:…`";
                return Err(UsageError(message.to_owned()).into());
            }
            return Ok(Self::Registry(source.parse().map_err(InstallError::from)?));
        }
        if source.contains("://") {
            let missing = || {
                UsageError(format!(
                    "`{source}` needs `--digest sha256:…`, with the digest that its publisher states"
                ))
            };
            return Ok(Self::Url { url: source.to_owned(), digest: digest.ok_or_else(missing)? });
        }
        Ok(Self::File { path: source.into(), digest })
    }

    /// Receives the plugin and verifies its signatures.
    pub(crate) fn receive(
        &self,
        options: &RegistryOptions,
        limits: &LoadLimits,
        keys: &Keys,
    ) -> anyhow::Result<Arrived> {
        let limit = limits.component_bytes;
        match self {
            Self::Registry(reference) => {
                let Pulled { digest, component, signatures } =
                    pull(options, reference, limit).map_err(InstallError::from)?;
                let (from, name) = (reference.to_string(), reference.name().to_owned());
                let required = match keys.trusted.requires_signature(reference) {
                    true => Some(format!("`{}`", keys.trusted.file().display())),
                    false => None,
                };
                Arrived::verified(from, name, digest, component, &signatures, required, keys)
            }
            Self::Url { url, digest } => {
                if keys.required.is_some() {
                    let message = "`--key` needs a registry or a file; a URL has no signature";
                    return Err(UsageError(message.to_owned()).into());
                }
                let component = download(&options.host, url, digest, limit);
                let component = component.map_err(InstallError::from)?;
                let path = url.split(['?', '#']).next().unwrap_or(url);
                let name = path.rsplit('/').next().unwrap_or(path);
                let name = name.strip_suffix(".wasm").unwrap_or(name).to_owned();
                let digest = digest.clone();
                Arrived::verified(url.clone(), name, digest, component, &[], None, keys)
            }
            Self::File { path, digest } => {
                let component = read_component(path, limits)?;
                let found = Digest::of(&component);
                if let Some(expected) = digest.clone().filter(|expected| *expected != found) {
                    let what = format!("the file {}", path.display());
                    return Err(
                        InstallError::from(OciError::Digest { what, expected, found }).into()
                    );
                }
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let signatures =
                    read_signature(path)?.and_then(|text| PluginSignature::parse(&text));
                let signatures: Vec<_> = signatures.into_iter().collect();
                let from = path.display().to_string();
                let mut arrived =
                    Arrived::verified(from, name, found, component, &signatures, None, keys)?;
                arrived.is_file = true;
                Ok(arrived)
            }
        }
    }
}

impl Arrived {
    fn verified(
        from: String,
        name: String,
        digest: Digest,
        component: Vec<u8>,
        signatures: &[PluginSignature],
        required: Option<String>,
        keys: &Keys,
    ) -> anyhow::Result<Self> {
        let description = Description::of(&component)
            .map_err(|reason| LoadError::Contract { name: name.clone(), reason })?;
        let known = match &keys.required {
            // No other key replaces it.
            Some((_, key)) => std::slice::from_ref(key),
            None => &keys.trusted.keys,
        };
        let what = format!("`{from}`");
        let signer = verify(&what, &component, signatures, known).map_err(InstallError::from)?;
        let mut unknown_keys: Vec<_> =
            signatures.iter().map(|signature| signature.key().to_owned()).collect();
        unknown_keys.retain(|id| !known.iter().any(|key| key.id == *id));
        unknown_keys.dedup();
        let by_option =
            keys.required.as_ref().map(|(path, _)| format!("`--key {}`", path.display()));
        if let (None, Some(required)) = (signer, by_option.or(required)) {
            let trusted_keys = keys.trusted.file().to_owned();
            let others = unknown_keys;
            let error = OciError::Unsigned { what, required, others, trusted_keys };
            return Err(InstallError::from(error).into());
        }
        let metadata = Metadata::of(&component);
        let (signer, is_file) = (signer.cloned(), false);
        Ok(Self {
            from,
            name,
            digest,
            component,
            description,
            metadata,
            signer,
            unknown_keys,
            is_file,
        })
    }

    /// Returns what the registration records. A file has no place to look for updates.
    pub(crate) fn origin(&self) -> Option<Origin> {
        (!self.is_file).then(|| Origin {
            reference: self.from.clone(),
            digest: self.digest.to_string(),
            version: self.metadata.version.clone(),
            signed_by: self.signer.as_ref().map(|key| key.id.clone()),
        })
    }
}

/// The keys that verify a plugin.
#[derive(Debug)]
pub(crate) struct Keys {
    trusted: TrustedKeys,
    /// The key of the command line.
    required: Option<(PathBuf, TrustedKey)>,
}

impl Keys {
    pub(crate) fn read(registrations: &Registrations, key: Option<&Path>) -> anyhow::Result<Self> {
        let trusted = TrustedKeys::read(registrations.state_dir())?;
        let required = match key {
            Some(path) => {
                let mut key = read_key(path).map_err(InstallError::from)?;
                if let Some(known) = trusted.keys.iter().find(|known| known.id == key.id) {
                    key.name.clone_from(&known.name);
                }
                Some((path.to_owned(), key))
            }
            None => None,
        };
        Ok(Self { trusted, required })
    }
}

/// Returns the path of a plugin's signature.
pub(crate) fn signature_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".minisig");
    path.into()
}

/// Reads the signature of a file, if there is one.
pub(crate) fn read_signature(file: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let path = signature_path(file);
    let mut content = Vec::new();
    match std::fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened
            .and_then(|file| file.take(MAX_SIGNATURE_BYTES + 1).read_to_end(&mut content))
            .with_context(|| format!("cannot read the signature {}", path.display()))?,
    };
    if PluginSignature::parse(&content).is_none() {
        let why = "it is not a signature of `minisign`; sign again with `syncmgr sign`".to_owned();
        return Err(InstallError::from(OciError::Key { path, why }).into());
    }
    Ok(Some(content))
}

/// Returns how to reach registries.
pub(crate) fn registry_options(args: &RegistryArgs) -> anyhow::Result<RegistryOptions> {
    let mut host = HostOptions::new();
    if let Some(file) = &args.ca {
        let pem = std::fs::read(file)
            .map_err(|error| UsageError(format!("certificate file {}: {error}", file.display())))?;
        let trusted = host.http_ca(&file.display().to_string(), &pem);
        host = trusted.map_err(|error| UsageError(syncmgr_host::full_message(&error)))?;
    }
    if let Some(proxy) = args.proxy.as_ref().filter(|proxy| !proxy.is_empty()) {
        let proxied = host.http_proxy(proxy);
        host = proxied.map_err(|error| UsageError(syncmgr_host::full_message(&error)))?;
    }
    Ok(RegistryOptions { host, tls_on_loopback: args.ca.is_some(), docker: DockerConfig::find() })
}

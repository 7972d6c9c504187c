//! The keys that the user trusts, and the registries that must have signatures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::OciError;
use super::reference::{Reference, canonical_place};
use super::signature::TrustedKey;
use crate::error::InstallError;
use crate::folder::PrivateFolder;
use crate::scope::Scope;
use crate::text_file;

/// The file in the state directory.
const FILE: &str = "trusted-keys.toml";

/// The keys that the user trusts, and the registries whose plugins must be signed.
///
/// The file `trusted-keys.toml` in the state directory:
/// ```toml
/// require-signature = false
///
/// [[keys]]
/// name = "Alice"
/// public-key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
///
/// [registries."ghcr.io/alice"]
/// require-signature = true
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys {
    file: PathBuf,
    /// The keys.
    pub keys: Vec<TrustedKey>,
    by_default: bool,
    registries: BTreeMap<String, bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Text {
    require_signature: bool,
    keys: Vec<Key>,
    registries: BTreeMap<String, Policy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Key {
    name: String,
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Policy {
    require_signature: bool,
}

impl TrustedKeys {
    /// Reads the file in a state directory. Without a file, no key is trusted and no signature is
    /// required.
    ///
    /// # Errors
    /// [`InstallError::Registry`] if the file is invalid, [`InstallError::InsecurePermissions`] if
    /// other users can change it, and [`InstallError::Foreign`].
    pub fn read(state_dir: &Path) -> Result<Self, InstallError> {
        let file = state_dir.join(FILE);
        let none = Self { file: file.clone(), ..Self::default() };
        let folder = match PrivateFolder::open(state_dir) {
            Ok(folder) => folder,
            Err(error) if error.is_not_found() => return Ok(none),
            Err(error) => return Err(error),
        };
        let Some(open) = folder.open_file(FILE)? else { return Ok(none) };
        folder.check_private(Scope::User)?;
        folder.check_private_file(&open, FILE, Scope::User)?;
        let text = text_file::read_open(open).map_err(InstallError::file(&file))?;
        Ok(Self::parse(&file, &text)?)
    }

    fn parse(file: &Path, text: &str) -> Result<Self, OciError> {
        let invalid = |why: String| OciError::Key { path: file.to_owned(), why };
        let text: Text = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let keys = text.keys.iter().map(|key| {
            TrustedKey::parse(&key.name, &key.public_key).ok_or_else(|| {
                let why = "is not a public key of `minisign`";
                invalid(format!("`public-key` of `{}` {why}", key.name))
            })
        });
        let registries = text.registries.into_iter().map(|(place, policy)| {
            let place = canonical_place(&place).ok_or_else(|| {
                invalid(format!(
                    "`registries` has `{place}`, which is not a host with an optional port and \
                     repository"
                ))
            })?;
            Ok((place, policy.require_signature))
        });
        Ok(Self {
            file: file.to_owned(),
            keys: keys.collect::<Result<_, _>>()?,
            by_default: text.require_signature,
            registries: registries.collect::<Result<_, OciError>>()?,
        })
    }

    /// Returns the path of the file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns whether a plugin from a registry must be signed. The longest entry that is the
    /// registry, or a part of the path of its repository, decides.
    pub fn requires_signature(&self, reference: &Reference) -> bool {
        let place = format!("{}/{}", reference.registry(), reference.repository());
        let covers = |name: &str| {
            let rest = place.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let covering = self.registries.iter().filter(|(name, _)| covers(name));
        let most_specific = covering.max_by_key(|(name, _)| name.len());
        most_specific.map_or(self.by_default, |(_, required)| *required)
    }
}

/// Reads a public key in a file of `minisign`.
///
/// # Errors
/// [`OciError::Key`] if the file is none.
pub fn read_key(path: &Path) -> Result<TrustedKey, OciError> {
    let invalid = |why: String| OciError::Key { path: path.to_owned(), why };
    let text = text_file::read(path).map_err(|error| invalid(error.to_string()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    TrustedKey::parse(&name, &text)
        .ok_or_else(|| invalid("it is not a public key of `minisign`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn the_most_specific_registry_decides() {
        let text = format!(
            "require-signature = true\n[[keys]]\nname = \"Alice\"\npublic-key = \"{KEY}\"\n\
             [registries.\"localhost:5000\"]\nrequire-signature = false\n\
             [registries.\"GHCR.io:443/alice/\"]\nrequire-signature = false\n\
             [registries.\"ghcr.io/alice/mail\"]\nrequire-signature = true\n"
        );
        let keys = TrustedKeys::parse(Path::new("x"), &text).unwrap();
        assert_eq!(keys.keys[0].name, "Alice");
        for (reference, expected) in [
            ("oci://other.example/a", true),
            ("oci://localhost:5000/a", false),
            ("oci://localhost:50001/a", true),
            ("oci://ghcr.io/alice/files", false),
            ("oci://GHCR.IO:443/alice/files", false),
            ("oci://ghcr.io/alicea/files", true),
            ("oci://ghcr.io/alice/mail", true),
            ("oci://ghcr.io/alice/mail/x:1", true),
            ("oci://ghcr.io/alice/mailx", false),
        ] {
            assert_eq!(
                keys.requires_signature(&reference.parse().unwrap()),
                expected,
                "{reference}"
            );
        }
    }

    #[test]
    fn an_invalid_file_is_refused() {
        for text in [
            "x = 1",
            "require-signature = 1",
            "[[keys]]\nname = \"a\"",
            "[[keys]]\nname = \"a\"\npublic-key = \"RWQ\"",
            "[registries.x]",
            "[registries.x]\nrequire-signature = true",
            "[registries.\"https://ghcr.io\"]\nrequire-signature = true",
            "[registries.\"ghcr.io/Alice\"]\nrequire-signature = true",
        ] {
            let error = TrustedKeys::parse(Path::new("x"), text).unwrap_err();
            assert_eq!(error.code(), "signature-key", "{text}");
        }
    }

    #[test]
    fn without_a_file_nothing_is_trusted_or_required() {
        let folder = tempfile::tempdir().unwrap();
        let keys = TrustedKeys::read(folder.path()).unwrap();
        assert!(keys.keys.is_empty());
        assert!(!keys.requires_signature(&"oci://a.example/b".parse().unwrap()));
        assert_eq!(keys.file(), folder.path().join(FILE));
        let missing = TrustedKeys::read(&folder.path().join("missing")).unwrap();
        assert!(missing.keys.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_change_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, "").unwrap();
        assert!(TrustedKeys::read(folder.path()).is_ok());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(TrustedKeys::read(folder.path()).unwrap_err().code(), "store-open");
    }
}

//! An installed plugin.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::{Description, full_message};
use uuid::Uuid;

use crate::error::InstallError;
use crate::folder::PrivateFolder;
use crate::grants::Grants;
use crate::job_file::JobFile;
use crate::origin::Origin;
use crate::paths::INSTALLED;
use crate::registered_directory::RegisteredDirectory;
use crate::scope::Scope;

/// The file that describes the plugin. Replacing it installs the plugin.
pub(crate) const FILE: &str = "registration.toml";

/// The namespace of class ids for plugins that do not declare one.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0b_6c1e_0d3a_4e67_8b52_91c4_7ad2_3e80);

/// A plugin that is installed under a name.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The name of the plugin and its folder.
    pub name: String,
    /// The class id of its native handler.
    pub clsid: Uuid,
    /// The scope.
    pub scope: Scope,
    /// The BLAKE3 digest of the component, in hexadecimal digits.
    pub component: String,
    /// The origin, if it was installed from a registry or a server.
    pub origin: Option<Origin>,
    /// The grants.
    pub grants: Grants,
    /// The folder of the plugin.
    pub(crate) folder: PathBuf,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Text {
    clsid: String,
    component: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    #[serde(default)]
    granted: JobFile,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    directories: Vec<RegisteredDirectory>,
}

impl Registration {
    /// # Errors
    /// [`InstallError::Name`].
    pub(crate) fn check_name(name: &str) -> Result<(), InstallError> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        match (1..=60).contains(&name.len()) && name.bytes().all(plain) {
            true => Ok(()),
            false => Err(InstallError::Name { name: name.to_owned() }),
        }
    }

    /// Returns the class id that the plugin declares, or one derived from the name.
    pub(crate) fn class(name: &str, description: &Description) -> Uuid {
        let declared = description.requests.clsid;
        declared.unwrap_or_else(|| Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// Reads the registration in a folder, if there is one.
    pub(crate) fn read(from: &PrivateFolder, scope: Scope) -> Result<Option<Self>, InstallError> {
        let folder = from.path();
        let Some(text) = from.read(FILE)? else { return Ok(None) };
        let file = folder.join(FILE);
        let damaged = |message| InstallError::Damaged { path: file.clone(), message };
        let text = String::from_utf8(text).map_err(|error| damaged(error.to_string()))?;
        let text: Text = toml::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::check_name(&name)?;
        let digits = text.component.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.component.len() != 2 * blake3::OUT_LEN || !digits {
            return Err(damaged("`component` is not a digest".to_owned()));
        }
        Ok(Some(Self {
            name,
            clsid: text.clsid.parse().map_err(|error| damaged(format!("`clsid`: {error}")))?,
            scope,
            component: text.component,
            origin: text.origin,
            grants: text
                .granted
                .grants(folder)
                .and_then(|grants| grants.with_directories(text.directories))
                .map_err(|error| damaged(full_message(&error)))?,
            folder: folder.to_owned(),
        }))
    }

    pub(crate) fn to_text(&self) -> Result<String, InstallError> {
        let text = Text {
            clsid: self.clsid.to_string(),
            component: self.component.clone(),
            origin: self.origin.clone(),
            granted: JobFile::of(&self.grants)?,
            directories: self.grants.registered_directories()?,
        };
        toml::to_string(&text).map_err(|error| InstallError::Text { what: error.to_string() })
    }

    /// Opens the state directory, the folder of installed plugins and that of this plugin, each
    /// relative to the previous one.
    pub(crate) fn open_folders(&self) -> Result<[PrivateFolder; 3], InstallError> {
        let top = self.folder.ancestors().nth(2).unwrap_or(Path::new("."));
        let top = PrivateFolder::open(top)?;
        let place = top.folder(INSTALLED)?;
        let folder = place.folder(&self.name)?;
        Ok([top, place, folder])
    }

    pub(crate) fn open_folder(&self) -> Result<PrivateFolder, InstallError> {
        let [_, _, folder] = self.open_folders()?;
        Ok(folder)
    }

    /// Returns a registration that is sufficient to remove a damaged plugin.
    pub(crate) fn damaged(name: &str, folder: PathBuf, scope: Scope) -> Self {
        #[derive(Deserialize)]
        struct Class {
            clsid: Uuid,
        }
        let text = std::fs::read_to_string(folder.join(FILE)).unwrap_or_default();
        let class = toml::from_str(&text).map(|Class { clsid }| clsid);
        Self {
            name: name.to_owned(),
            clsid: class.unwrap_or_else(|_| Uuid::new_v5(&NAMESPACE, name.as_bytes())),
            scope,
            component: String::new(),
            origin: None,
            grants: Grants::default(),
            folder,
        }
    }

    /// Returns the path of the component.
    pub fn component_file(&self) -> PathBuf {
        self.folder.join(self.component_name())
    }

    pub(crate) fn component_name(&self) -> String {
        format!("{}.wasm", self.component)
    }

    pub(crate) fn compiled_name(&self) -> String {
        format!("{}.compiled", self.component)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_names_are_rejected() {
        for (name, good) in [
            ("folder", true),
            ("my_mail-2", true),
            ("", false),
            ("Folder", false),
            ("a.b", false),
            ("../a", false),
            ("a b", false),
            (&"x".repeat(61), false),
        ] {
            assert_eq!(Registration::check_name(name).is_ok(), good, "{name:?}");
        }
    }

    #[test]
    fn a_registration_round_trips() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("mine");
        std::fs::create_dir(&folder).unwrap();
        let grants =
            JobFile::parse("[dirs]\nleft = \"/nowhere/a\"").unwrap().grants(Path::new("")).unwrap();
        let written = Registration {
            name: "mine".into(),
            clsid: Uuid::from_u128(7),
            scope: Scope::User,
            component: "0".repeat(64),
            origin: Some(Origin {
                reference: "oci://r.example/mine:1.0.0".into(),
                digest: format!("sha256:{}", "0".repeat(64)),
                version: Some("1.0.0".into()),
                signed_by: None,
            }),
            grants,
            folder: folder.clone(),
        };
        let read = || Registration::read(&PrivateFolder::open(&folder).unwrap(), Scope::User);
        assert!(read().unwrap().is_none());
        std::fs::write(folder.join(FILE), written.to_text().unwrap()).unwrap();
        let found = read().unwrap().unwrap();
        assert_eq!((&found.name, found.clsid), (&written.name, written.clsid));
        assert_eq!(found.grants.directories, written.grants.directories);
        assert_eq!(found.origin, written.origin);
        for text in ["", "clsid = 1", "clsid = \"x\"\ncomponent = \"y\"", "\0"] {
            std::fs::write(folder.join(FILE), text).unwrap();
            let error = read().unwrap_err();
            assert_eq!(error.code(), "store-damaged", "{text:?}: {error}");
        }
        std::fs::write(
            folder.join(FILE),
            written.to_text().unwrap().replace(&"0".repeat(64), "../../../x"),
        )
        .unwrap();
        assert_eq!(read().unwrap_err().code(), "store-damaged");
    }
}

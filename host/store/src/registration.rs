//! One installed plugin.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::Description;
use uuid::Uuid;

use crate::error::StoreError;
use crate::granted::{Granted, GrantsFile};
use crate::place::{INSTALLED, PrivateFolder, Scope};
use crate::registered_directory::RegisteredDirectory;

/// The file that says all. Replacing it is what installs a plugin.
pub(crate) const FILE: &str = "registration.toml";

/// Class ids of plugins that state none hang below this one.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0b_6c1e_0d3a_4e67_8b52_91c4_7ad2_3e80);

/// A plugin that is installed under a name.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The name, which is that of its folder, too.
    pub name: String,
    /// The class of its native handler.
    pub clsid: Uuid,
    /// For whom it is installed.
    pub scope: Scope,
    /// The BLAKE3 digest of the component, in hexadecimal digits.
    pub component: String,
    /// What it is given.
    pub granted: Granted,
    /// The folder that it is installed in.
    pub(crate) folder: PathBuf,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Text {
    clsid: String,
    component: String,
    #[serde(default)]
    granted: GrantsFile,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    directories: Vec<RegisteredDirectory>,
}

impl Registration {
    /// # Errors
    /// [`StoreError::Name`].
    pub(crate) fn check_name(name: &str) -> Result<(), StoreError> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        match (1..=60).contains(&name.len()) && name.bytes().all(plain) {
            true => Ok(()),
            false => Err(StoreError::Name { name: name.to_owned() }),
        }
    }

    /// The class that the plugin states, or one that belongs to the name.
    pub(crate) fn class(name: &str, description: &Description) -> Uuid {
        let stated = description.requests.clsid;
        stated.unwrap_or_else(|| Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// Reads what is in a folder; `None`: nothing is installed there.
    pub(crate) fn read(from: &PrivateFolder, scope: Scope) -> Result<Option<Self>, StoreError> {
        let folder = from.path();
        let Some(text) = from.read(FILE)? else { return Ok(None) };
        let file = folder.join(FILE);
        let damaged = |message| StoreError::Damaged { path: file.clone(), message };
        let text = String::from_utf8(text).map_err(|error| damaged(error.to_string()))?;
        let text: Text = toml::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::check_name(&name)?;
        let digits = text.component.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.component.len() != 2 * blake3::OUT_LEN || !digits {
            return Err(damaged("`component` is no digest".to_owned()));
        }
        Ok(Some(Self {
            name,
            clsid: text.clsid.parse().map_err(|error| damaged(format!("`clsid`: {error}")))?,
            scope,
            component: text.component,
            granted: Granted::from_file(text.granted, folder)
                .and_then(|granted| granted.with_directories(text.directories))
                .map_err(|error| damaged(error.to_string()))?,
            folder: folder.to_owned(),
        }))
    }

    pub(crate) fn to_text(&self) -> Result<String, StoreError> {
        let text = Text {
            clsid: self.clsid.to_string(),
            component: self.component.clone(),
            granted: self.granted.to_file()?,
            directories: self.granted.registered_directories()?,
        };
        toml::to_string(&text).map_err(|error| StoreError::Text { what: error.to_string() })
    }

    /// The state directory, the folder of all installed plugins and that of this one, each opened
    /// from the one before.
    pub(crate) fn open_folders(&self) -> Result<[PrivateFolder; 3], StoreError> {
        let top = self.folder.ancestors().nth(2).unwrap_or(Path::new("."));
        let top = PrivateFolder::open(top)?;
        let place = top.folder(INSTALLED)?;
        let folder = place.folder(&self.name)?;
        Ok([top, place, folder])
    }

    pub(crate) fn open_folder(&self) -> Result<PrivateFolder, StoreError> {
        let [_, _, folder] = self.open_folders()?;
        Ok(folder)
    }

    /// What can be said of one that cannot be read: enough to remove it.
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
            granted: Granted::default(),
            folder,
        }
    }

    /// The plugin's own copy of the component.
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
    fn names_are_plain() {
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
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("mine");
        std::fs::create_dir(&folder).unwrap();
        let granted = Granted::parse("[dirs]\nleft = \"/nowhere/a\"", Path::new("")).unwrap();
        let written = Registration {
            name: "mine".into(),
            clsid: Uuid::from_u128(7),
            scope: Scope::User,
            component: "0".repeat(64),
            granted,
            folder: folder.clone(),
        };
        let read = || Registration::read(&PrivateFolder::open(&folder).unwrap(), Scope::User);
        assert!(read().unwrap().is_none());
        std::fs::write(folder.join(FILE), written.to_text().unwrap()).unwrap();
        let found = read().unwrap().unwrap();
        assert_eq!((&found.name, found.clsid), (&written.name, written.clsid));
        assert_eq!(found.granted.directories, written.granted.directories);
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

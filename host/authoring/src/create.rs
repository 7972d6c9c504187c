use std::fs;
use std::path::{Path, PathBuf};

use crate::error::AuthoringError;
use crate::files::{self, File};
use crate::language::Language;

/// The native name of a handler is no longer, and the templates use the same.
pub(crate) const NAME_LENGTH: usize = 31;

/// What stands in the templates for the plugin's name.
const PLACEHOLDER: &str = "{{name}}";

/// The SDK is not taken from a registry: it comes with the program that fits it.
const SDK_MANIFEST: &str = "\
[package]
name = \"syncmgr-plugin\"
description = \"Write sync handlers as WebAssembly components\"
version = \"0.1.0\"
edition = \"2024\"
rust-version = \"1.95\"
license = \"MIT OR Apache-2.0\"
publish = false

[dependencies]
uuid = { version = \"1.26\", default-features = false, features = [\"serde\", \"v5\"] }
wit-bindgen = { version = \"0.61.1\", default-features = false, features = [\"macros\", \"realloc\"] }

[target.'cfg(not(target_family = \"wasm\"))'.dependencies]
blake3 = { version = \"1.8\", default-features = false, features = [\"std\"] }
serde_json = \"1.0\"
";

/// Whether a plugin can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= NAME_LENGTH
        && name.chars().all(plain)
        && !name.ends_with('-')
}

/// Makes a project with a plugin that works: a folder of the plugin's name. Either all of it is
/// there afterwards, or nothing.
///
/// # Errors
/// [`AuthoringError::Name`], and [`AuthoringError::Exists`] where there is something of that name
/// already.
pub fn create(parent: &Path, name: &str, language: Language) -> Result<PathBuf, AuthoringError> {
    if !is_name(name) {
        return Err(AuthoringError::Name { name: name.to_owned() });
    }
    let path = parent.join(name);
    let exists = || AuthoringError::Exists { path: path.clone() };
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    fs::create_dir_all(parent).map_err(AuthoringError::file("make", parent))?;
    let made = tempfile::Builder::new()
        .prefix(".syncmgr-new-")
        .tempdir_in(parent)
        .map_err(AuthoringError::file("make a folder in", parent))?;
    let root = made.path().join(name);
    for file in language.template() {
        put(&root, file, Some(name))?;
    }
    match language {
        Language::Rust => {
            let vendor = root.join("vendor");
            for file in files::WIT {
                put(&vendor.join("wit"), file, None)?;
            }
            let sdk = vendor.join("syncmgr-plugin");
            for file in files::SDK {
                put(&sdk.join("src"), file, None)?;
            }
            write(&sdk.join("plugins/hello/src/lib.rs"), files::HELLO)?;
            write(&sdk.join("Cargo.toml"), SDK_MANIFEST.as_bytes())?;
        }
        Language::Python | Language::JavaScript | Language::C => {
            for file in files::WIT {
                put(&root.join("wit"), file, None)?;
            }
        }
    }
    // Fails where something of the name has come into being meanwhile and is not empty.
    fs::rename(&root, &path).map_err(|error| match path.symlink_metadata() {
        Ok(_) => exists(),
        Err(_) => AuthoringError::File { what: "make", path: path.clone(), source: error },
    })?;
    Ok(path)
}

fn put(root: &Path, file: &File, name: Option<&str>) -> Result<(), AuthoringError> {
    let path = root.join(file.path);
    match (name, std::str::from_utf8(file.bytes)) {
        (Some(name), Ok(text)) => write(&path, text.replace(PLACEHOLDER, name).as_bytes()),
        (Some(_), Err(_)) | (None, _) => write(&path, file.bytes),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), AuthoringError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(AuthoringError::file("make", folder))?;
    fs::write(path, bytes).map_err(AuthoringError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_short() {
        for (name, good) in [
            ("mirror", true),
            ("my-copy-2", true),
            ("abcdefghijklmnopqrstuvwxyz-0123", true),
            ("abcdefghijklmnopqrstuvwxyz-01234", false),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("2a", false),
            ("A", false),
            ("a/b", false),
            ("..", false),
            ("a b", false),
        ] {
            assert_eq!(is_name(name), good, "{name:?}");
        }
    }

    #[test]
    fn a_project_is_made_once() {
        let parent = tempfile::tempdir().unwrap();
        for language in Language::ALL {
            let name = format!("my-{language}");
            let path = create(parent.path(), &name, language).unwrap();
            let manifest = fs::read_to_string(path.join("syncmgr.toml")).unwrap();
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{manifest}");
            assert!(path.join(".gitignore").exists() && path.join("README.md").exists());
            fs::write(path.join("mine"), "").unwrap();
            let again = create(parent.path(), &name, language);
            assert!(matches!(again, Err(AuthoringError::Exists { .. })), "{again:?}");
            assert!(path.join("mine").exists());
        }
        // Nothing else is left behind.
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), Language::ALL.len());
    }

    #[test]
    fn no_placeholder_is_left() {
        let parent = tempfile::tempdir().unwrap();
        for language in Language::ALL {
            create(parent.path(), &format!("my-{language}"), language).unwrap();
        }
        let mut folders = vec![parent.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let text = fs::read_to_string(&path).unwrap();
                        assert!(!text.contains(PLACEHOLDER), "{}", path.display());
                    }
                }
            }
        }
    }
}

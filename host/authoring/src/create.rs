use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

use crate::error::{AuthoringError, NAME_LENGTH};
use crate::files::{self, File};
use crate::language::Language;

/// What stands in the templates for the plugin's name, and for the two halves of an item's id.
const NAME: &str = "{{name}}";
const ID_HALVES: [&str; 2] = ["{{id-high}}", "{{id-low}}"];

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
    let id = item_id(&path);
    for file in language.template() {
        put(&root, file, Some((name, id)))?;
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
        Language::Python | Language::JavaScript | Language::TypeScript | Language::C => {
            for file in files::WIT {
                put(&root.join("wit"), file, None)?;
                if language == Language::Python && file.path == "deps/sockets.wit" {
                    let text = String::from_utf8_lossy(file.bytes);
                    write(&root.join("wit").join(file.path), gated(&text).as_bytes())?;
                }
            }
            for file in language.package() {
                put(&root, file, None)?;
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

/// The network interface of WASI with the feature gate that our contract leaves out. componentize-py
/// runs what it builds, in a host that has only what is behind no gate.
fn gated(sockets: &str) -> String {
    const GATE: &str = "  @unstable(feature = network-error-code)\n";
    let mut gated = String::new();
    for line in sockets.split_inclusive('\n') {
        if line.starts_with("  use wasi:io/error@") || line.starts_with("  network-error-code:") {
            gated.push_str(GATE);
        }
        gated.push_str(line);
    }
    gated
}

/// An id that no other project has for its item: two with the same id could not tell their users'
/// choices apart once they are one plugin.
fn item_id(path: &Path) -> Uuid {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&now.as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.update(path.as_os_str().as_encoded_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn put(root: &Path, file: &File, values: Option<(&str, Uuid)>) -> Result<(), AuthoringError> {
    let path = root.join(file.path);
    match (values, std::str::from_utf8(file.bytes)) {
        (Some((name, id)), Ok(text)) => {
            let (high, low) = id.as_u64_pair();
            let mut text = text.replace(NAME, name);
            for (placeholder, half) in ID_HALVES.into_iter().zip([high, low]) {
                text = text.replace(placeholder, &format!("{half:016x}"));
            }
            write(&path, text.as_bytes())
        }
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
    fn a_project_in_python_has_the_network_of_wasi_as_published() {
        let parent = tempfile::tempdir().unwrap();
        for (language, gates) in [(Language::Python, 2), (Language::JavaScript, 0)] {
            let path = create(parent.path(), &format!("my-{language}"), language).unwrap();
            let sockets = fs::read_to_string(path.join("wit/deps/sockets.wit")).unwrap();
            assert_eq!(sockets.matches("@unstable(feature").count(), gates, "{language}");
        }
    }

    #[test]
    fn each_project_has_its_own_item_id() {
        let root = tempfile::tempdir().unwrap();
        for (language, file) in [
            (Language::Rust, "src/lib.rs"),
            (Language::C, "src/handler.c"),
            (Language::Python, "app.py"),
            (Language::JavaScript, "plugin.js"),
            (Language::TypeScript, "plugin.ts"),
        ] {
            let id = |parent: &str| {
                let parent = root.path().join(format!("{parent}-{language}"));
                let path = create(&parent, "same", language).unwrap();
                let text = fs::read_to_string(path.join(file)).unwrap();
                let halves = text.split("0x").filter_map(|after| Some(after.get(..16)?.to_owned()));
                let is_hex = |half: &String| half.bytes().all(|byte| byte.is_ascii_hexdigit());
                let halves: Vec<_> = halves.filter(is_hex).collect();
                assert_eq!(halves.len(), 2, "{language}: {text}");
                halves
            };
            assert_ne!(id("one"), id("other"), "{language}");
        }
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
                        let left = [NAME].iter().chain(&ID_HALVES).find(|one| text.contains(**one));
                        assert_eq!(left, None, "{}", path.display());
                    }
                }
            }
        }
    }
}

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

use crate::project::error::ProjectError;
use crate::project::files;
use crate::project::language::Language;
use crate::project::name;
use crate::project::published::{self, Sdk};
use crate::project::template::Template;

/// The placeholders of the templates: the plugin's name, and the two halves of an item's id.
const NAME: &str = "{{name}}";
const ID_HALVES: [&str; 2] = ["{{id-high}}", "{{id-low}}"];

/// Creates a project with a working plugin, in a folder of the plugin's name. On an error, nothing
/// is created.
///
/// # Errors
/// [`ProjectError::Name`], and [`ProjectError::Exists`] if the path exists.
pub fn create(
    parent: &Path,
    name: &str,
    language: Language,
    template: Template,
    sdk: Sdk,
) -> Result<PathBuf, ProjectError> {
    if !name::is_valid(name) {
        return Err(ProjectError::Name { name: name.to_owned() });
    }
    let path = parent.join(name);
    let exists = || ProjectError::Exists { path: path.clone() };
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    fs::create_dir_all(parent).map_err(ProjectError::file("create", parent))?;
    let made = tempfile::Builder::new()
        .prefix(".syncmgr-new-")
        .tempdir_in(parent)
        .map_err(ProjectError::file("create a folder in", parent))?;
    let root = made.path().join(name);
    let id = item_id(&path);
    // No registry has packages for C.
    let is_published = sdk == Sdk::Published && language != Language::C;
    for file in template.files(language) {
        let text = std::str::from_utf8(file.bytes).ok().filter(|_| is_published);
        let adapted = text.map(|text| published::adapt(file.path, text));
        let bytes = adapted.as_ref().map_or(file.bytes, String::as_bytes);
        put(&root, file.path, bytes, Some((name, id)))?;
    }
    match language {
        Language::Rust if is_published => {}
        Language::Rust => {
            let vendor = root.join("vendor");
            for file in files::WIT {
                put(&vendor.join("wit"), file.path, file.bytes, None)?;
            }
            let crate_folder = vendor.join("syncmgr-plugin");
            for file in files::SDK {
                put(&crate_folder.join("src"), file.path, file.bytes, None)?;
            }
            write(&crate_folder.join("Cargo.toml"), files::SDK_MANIFEST.as_bytes())?;
        }
        Language::Python | Language::JavaScript | Language::TypeScript | Language::C => {
            for file in files::WIT {
                put(&root.join("wit"), file.path, file.bytes, None)?;
                if language == Language::Python && file.path == "deps/sockets.wit" {
                    let text = String::from_utf8_lossy(file.bytes);
                    write(&root.join("wit").join(file.path), gated(&text).as_bytes())?;
                }
            }
        }
    }
    let packages = template.packages(language);
    for file in packages.into_iter().filter(|_| !is_published) {
        put(&root, file.path, file.bytes, None)?;
    }
    // Fails if a folder of the name, which is not empty, was created in the meantime.
    fs::rename(&root, &path).map_err(|error| match path.symlink_metadata() {
        Ok(_) => exists(),
        Err(_) => ProjectError::File { what: "create", path: path.clone(), source: error },
    })?;
    Ok(path)
}

/// Adds the feature gate that our copy of WASI's network interface does not have. componentize-py
/// runs the component that it builds, in a host without gated features.
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

/// Returns a unique id for the item of a project. Users' choices are stored by item id, so two
/// projects that become one plugin must not share it.
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

fn put(
    root: &Path,
    path: &str,
    bytes: &[u8],
    values: Option<(&str, Uuid)>,
) -> Result<(), ProjectError> {
    let path = root.join(path);
    match (values, std::str::from_utf8(bytes)) {
        (Some((name, id)), Ok(text)) => {
            let (high, low) = id.as_u64_pair();
            let mut text = text.replace(NAME, name);
            for (placeholder, half) in ID_HALVES.into_iter().zip([high, low]) {
                text = text.replace(placeholder, &format!("{half:016x}"));
            }
            write(&path, text.as_bytes())
        }
        (Some(_), Err(_)) | (None, _) => write(&path, bytes),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ProjectError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(ProjectError::file("create", folder))?;
    fs::write(path, bytes).map_err(ProjectError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_project_is_not_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        for language in Language::ALL {
            let name = format!("my-{language}");
            let path =
                create(parent.path(), &name, language, Template::Copy, Sdk::Vendored).unwrap();
            let manifest = fs::read_to_string(path.join("syncmgr.toml")).unwrap();
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{manifest}");
            assert!(path.join(".gitignore").exists() && path.join("README.md").exists());
            fs::write(path.join("mine"), "").unwrap();
            let again = create(parent.path(), &name, language, Template::Http, Sdk::Vendored);
            assert!(matches!(again, Err(ProjectError::Exists { .. })), "{again:?}");
            assert!(path.join("mine").exists());
        }
        // No temporary folder remains.
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), Language::ALL.len());
    }

    #[test]
    fn a_python_project_has_gated_network_interfaces() {
        let parent = tempfile::tempdir().unwrap();
        for (language, gates) in [(Language::Python, 2), (Language::JavaScript, 0)] {
            let name = format!("my-{language}");
            let path =
                create(parent.path(), &name, language, Template::Copy, Sdk::Vendored).unwrap();
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
            let id = |parent: &str, template| {
                let parent = root.path().join(format!("{parent}-{language}"));
                let path = create(&parent, "same", language, template, Sdk::Vendored).unwrap();
                let text = fs::read_to_string(path.join(file)).unwrap();
                let halves = text.split("0x").filter_map(|after| Some(after.get(..16)?.to_owned()));
                let is_hex = |half: &String| half.bytes().all(|byte| byte.is_ascii_hexdigit());
                let halves: Vec<_> = halves.filter(is_hex).collect();
                assert_eq!(halves.len(), 2, "{language}: {text}");
                halves
            };
            for template in Template::ALL {
                let parent = |side| format!("{side}-{template:?}");
                assert_ne!(id(&parent("one"), template), id(&parent("other"), template));
            }
        }
    }

    #[test]
    fn the_manifest_of_the_sdk_is_independent_of_the_workspace() {
        let manifest: toml::Table = files::SDK_MANIFEST.parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("syncmgr-plugin"));
        assert!(manifest["dependencies"]["wit-bindgen"].get("version").is_some());
        assert!(!files::SDK_MANIFEST.contains("workspace"), "{}", files::SDK_MANIFEST);
    }

    #[test]
    fn no_placeholder_is_left() {
        let parent = tempfile::tempdir().unwrap();
        for language in Language::ALL {
            for template in Template::ALL {
                for sdk in [Sdk::Vendored, Sdk::Published] {
                    let parent = parent.path().join(format!("{template:?}-{sdk:?}"));
                    create(&parent, &format!("my-{language}"), language, template, sdk).unwrap();
                }
            }
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

//! The templates, the contract and the SDK as source code, file by file.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Folders that a build inside a template creates at its top.
const BUILD_FOLDERS: [&str; 7] =
    [".venv", "build", "dist", "node_modules", "stubs", "target", "types"];

/// Cargo omits folders with a `Cargo.toml` from packages, so `.ci/publish` adds this suffix.
const RENAMED: &str = ".packaged";

/// Returns source code that defines a constant for each folder, and the manifest of the SDK.
pub(crate) fn source(workspace: &Path) -> String {
    let mut text = String::new();
    for (name, folder) in [
        ("RUST", "guest/templates/rust"),
        ("PYTHON", "guest/templates/python"),
        ("JAVASCRIPT", "guest/templates/javascript"),
        ("TYPESCRIPT", "guest/templates/typescript"),
        ("C", "guest/templates/c"),
        ("RUST_HTTP", "guest/templates/http/rust"),
        ("PYTHON_HTTP", "guest/templates/http/python"),
        ("JAVASCRIPT_HTTP", "guest/templates/http/javascript"),
        ("TYPESCRIPT_HTTP", "guest/templates/http/typescript"),
        ("C_HTTP", "guest/templates/http/c"),
        ("PYTHON_PACKAGE", "guest/templates/packages/python"),
        ("PYTHON_HTTP_PACKAGE", "guest/templates/packages/python-http"),
        ("JAVASCRIPT_PACKAGE", "guest/templates/packages/javascript"),
        ("JAVASCRIPT_HTTP_PACKAGE", "guest/templates/packages/javascript-http"),
        ("C_HTTP_PACKAGE", "guest/templates/packages/c-http"),
        ("WIT", "wit"),
        ("SDK", "guest/src"),
    ] {
        let folder = workspace.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut found = Vec::new();
        files(&folder, &folder, &mut found);
        text.push_str(&format!("pub(crate) const {name}: &[File] = &[\n"));
        for file in found {
            let source = folder.join(&file);
            let path = file.to_string_lossy().replace('\\', "/");
            let path = path.trim_end_matches(RENAMED);
            text.push_str(&format!(
                "    File {{ path: {path:?}, bytes: include_bytes!({source:?}) }},\n"
            ));
        }
        text.push_str("];\n");
    }
    let manifest = vendored_manifest(workspace, "guest");
    text.push_str(&format!("pub(crate) const SDK_MANIFEST: &str = {manifest:?};\n"));
    text
}

/// Collects the files below a folder, by their paths relative to `top`, in order.
fn files(folder: &Path, top: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut entries: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "__pycache__" && (folder != top || !BUILD_FOLDERS.contains(&name.as_str())) {
                files(&path, top, found);
            }
        } else if name != "Cargo.lock" && name != "package-lock.json" {
            found.push(path.strip_prefix(top).unwrap_or(&path).to_owned());
        }
    }
}

/// Returns the manifest of a crate of the workspace for a copy of it outside of the workspace,
/// next to the copies of its path dependencies. It has no tests and no lints.
fn vendored_manifest(workspace: &Path, folder: &str) -> String {
    let root = read(&workspace.join("Cargo.toml"));
    let shared = |table: &str| root["workspace"][table].as_table().expect("it is a table");
    let mut manifest = read(&workspace.join(folder).join("Cargo.toml"));
    for part in ["dev-dependencies", "lints", "test"] {
        manifest.remove(part);
    }
    let package = manifest["package"].as_table_mut().expect("it is a table");
    inherit(package, shared("package"));
    package.insert("publish".to_owned(), false.into());
    let targets = manifest.get_mut("target").and_then(Value::as_table_mut);
    let mut tables: Vec<_> = targets
        .into_iter()
        .flatten()
        .filter_map(|(_, target)| target.get_mut("dependencies"))
        .collect();
    for table in tables.iter_mut().filter_map(|table| table.as_table_mut()) {
        inherit(table, shared("dependencies"));
    }
    if let Some(table) = manifest.get_mut("dependencies").and_then(Value::as_table_mut) {
        inherit(table, shared("dependencies"));
    }
    toml::to_string(&manifest).expect("it was TOML before")
}

/// Resolves the values that a table inherits from the workspace.
fn inherit(table: &mut Table, shared: &Table) {
    for (name, value) in table.iter_mut() {
        if value.get("workspace").is_some() {
            *value = shared[name].clone();
        }
        if let Some(path) = value.get_mut("path") {
            *path = format!("../{name}").into();
        }
    }
}

fn read(path: &Path) -> Table {
    let renamed = PathBuf::from(format!("{}{RENAMED}", path.display()));
    let path = if renamed.exists() { &renamed } else { path };
    println!("cargo::rerun-if-changed={}", path.display());
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.parse().unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

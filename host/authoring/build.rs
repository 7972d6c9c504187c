//! Puts the templates, the contract and the SDK into the library, file by file.

#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What building a template in its place would leave at its top.
const LEFT_BEHIND: [&str; 7] =
    [".venv", "build", "dist", "node_modules", "stubs", "target", "types"];

/// The files under a folder, by their paths from there, in order.
fn files(folder: &Path, from: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut entries: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "__pycache__" && (folder != from || !LEFT_BEHIND.contains(&name.as_str())) {
                files(&path, from, found);
            }
        } else if name != "Cargo.lock" && name != "package-lock.json" {
            found.push(path.strip_prefix(from).unwrap_or(&path).to_owned());
        }
    }
}

fn main() {
    let variable = |name: &str| PathBuf::from(std::env::var_os(name).expect("cargo sets it"));
    let root = variable("CARGO_MANIFEST_DIR").join("../..");
    let mut text = String::new();
    for (name, folder) in [
        ("RUST", "guest/templates/rust"),
        ("PYTHON", "guest/templates/python"),
        ("JAVASCRIPT", "guest/templates/javascript"),
        ("TYPESCRIPT", "guest/templates/typescript"),
        ("C", "guest/templates/c"),
        ("PYTHON_PACKAGE", "guest/templates/packages/python"),
        ("JAVASCRIPT_PACKAGE", "guest/templates/packages/javascript"),
        ("WIT", "wit"),
        ("SDK", "guest/src"),
    ] {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut found = Vec::new();
        files(&folder, &folder, &mut found);
        writeln!(text, "pub(crate) const {name}: &[File] = &[").expect("it is a string");
        for file in found {
            let place = folder.join(&file);
            let path = file.to_string_lossy().replace('\\', "/");
            writeln!(text, "    File {{ path: {path:?}, bytes: include_bytes!({place:?}) }},")
                .expect("it is a string");
        }
        text.push_str("];\n");
    }
    fs::write(variable("OUT_DIR").join("files.rs"), text).expect("the folder is cargo's");
}

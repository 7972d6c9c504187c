//! Embeds the built-in plugins, the templates of projects, the SDK and the pages about errors.

#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

#[path = "build/guests.rs"]
mod guests;
#[path = "build/project_files.rs"]
mod project_files;
#[path = "build/version_resource.rs"]
mod version_resource;

use std::path::PathBuf;

use guests::Guest;

fn main() {
    let package = variable("CARGO_MANIFEST_DIR");
    let workspace = package.join("../..");
    // A published package has no workspace. `.ci/publish` adds the plugins, and the sources of
    // everything else, in the layout of the workspace.
    let is_published = !workspace.join("host/cli/build/guests.rs").is_file();
    let sources = if is_published { package.join("embedded") } else { workspace };
    for name in ["folder", "s3", "webdav"] {
        let file = format!("{name}.wasm");
        let plugin = match is_published {
            true => sources.join(file),
            false => guests::build(Guest::Package(name)).join(file),
        };
        let variable = format!("PLUGIN_{}", name.to_uppercase());
        println!("cargo::rustc-env={variable}={}", plugin.display());
        let component = std::fs::read(&plugin).expect("the plugin exists");
        println!("cargo::rustc-env={variable}_DIGEST={}", blake3::hash(&component).to_hex());
    }
    let out = variable("OUT_DIR");
    let files = project_files::source(&sources);
    std::fs::write(out.join("project_files.rs"), files).expect("the folder is cargo's");
    let pages = pages(&sources.join("guest/book/src/errors"));
    std::fs::write(out.join("errors.rs"), pages).expect("the folder is cargo's");
    version();
}

fn variable(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(name).expect("cargo sets it"))
}

/// Gives the program a version, which Windows shows.
fn version() {
    println!("cargo::rerun-if-changed=build/version_resource.rs");
    let file = version_resource::File {
        name: "syncmgr.exe",
        description: "Run, inspect and validate sync plugins",
        // `VFT_APP`.
        kind: 1,
    };
    if let Some(object) = version_resource::write(&file) {
        println!("cargo::rustc-link-arg-bins={}", object.display());
    }
}

/// Returns source code with the pages about error codes.
fn pages(folder: &std::path::Path) -> String {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = std::fs::read_dir(folder).expect("the book has them");
    let mut pages: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .filter(|path| path.file_stem().is_some_and(|name| name != "README"))
        .collect();
    pages.sort();
    let mut text =
        String::from("/// Each error code, with its page.\nconst PAGES: &[(&str, &str)] = &[\n");
    for page in pages {
        let code = page.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        text.push_str(&format!("    ({code:?}, include_str!({page:?})),\n"));
    }
    text.push_str("];\n");
    text
}

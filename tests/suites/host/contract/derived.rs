//! The sources of the WIT, and the files that are copied or generated from it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use conformance::reference::reference;
use conformance::{compare_with_file, workspace};
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_parser::{Resolve, WorldKey};

use super::compatibility::freeze;
use super::{read_text, wit};

#[test]
fn the_dependencies_are_as_published() -> Result<()> {
    let lock: toml::Table = read_text(&wit().join("deps.lock"))?.parse()?;
    let field = |table: &toml::Value, name: &str| -> Result<String> {
        let value = table.get(name).and_then(toml::Value::as_str);
        Ok(value.with_context(|| format!("deps.lock does not contain `{name}`"))?.to_owned())
    };
    let source = &lock["source"];
    let (name, version) = (field(source, "crate")?, field(source, "version")?);
    let cargo_lock: toml::Table = read_text(&workspace().join("Cargo.lock"))?.parse()?;
    let packages = cargo_lock["package"].as_array().context("it lists packages")?;
    let locked = packages
        .iter()
        .find(|package| package["name"].as_str() == Some(&name))
        .context("Cargo.lock does not contain the source")?;
    assert_eq!(field(locked, "version")?, version);
    assert_eq!(field(locked, "checksum")?, field(source, "sha256")?);

    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(workspace())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .and_then(|packages| packages.iter().find(|package| package["name"] == *name))
        .and_then(|package| package["manifest_path"].as_str())
        .context("cargo knows the source")?;
    let published = Path::new(manifest).with_file_name("wit").join("deps");
    for entry in fs::read_dir(wit().join("deps"))? {
        let path = entry?.path();
        let file = path.file_name().context("it has a name")?;
        let mut expected = read_text(&published.join(file))?;
        for removed in lock["removed"].as_array().context("it is a list")? {
            if Path::new(&field(removed, "file")?) == Path::new(file) {
                let text = field(removed, "text")?;
                ensure!(expected.contains(&text), "{name} {version} does not contain {text:?}");
                expected = expected.replace(&text, "");
            }
        }
        ensure!(read_text(&path)? == expected, "{} is not as published", path.display());
    }
    Ok(())
}

/// Returns the WIT files in a directory with their content, by path.
fn wit_files(dir: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for below in [PathBuf::new(), PathBuf::from("deps")] {
        for entry in fs::read_dir(dir.join(&below))? {
            let path = entry?.path();
            if path.extension() == Some("wit".as_ref())
                && let Some(name) = path.file_name()
            {
                files.insert(below.join(name), read_text(&path)?);
            }
        }
    }
    Ok(files)
}

#[test]
fn the_host_has_a_copy_of_the_wit() -> Result<()> {
    let copy = workspace().join("host/wit");
    if std::env::var_os("BLESS").is_some() {
        freeze(&wit(), &copy)?;
    }
    ensure!(
        wit_files(&copy)? == wit_files(&wit())?,
        "host/wit is not a copy of `wit`: renew it with `BLESS=1 cargo test --test host contract`"
    );
    Ok(())
}

/// Generates the bindings of the SDK.
fn sdk_bindings() -> Result<String> {
    let mut resolve = Resolve::default();
    resolve.push_dir(wit())?;
    let package = resolve.push_str(
        "sdk.wit",
        "package syncmgr:sdk;
        world sdk {
            include syncmgr:plugin/imports@0.1.0;
            // The linker takes what the standard library imports for this version of it.
            include wasi:cli/imports@0.2.12;
            export syncmgr:plugin/synchronize@0.1.0;
        }",
    )?;
    let world = resolve.select_world(&[package], Some("sdk"))?;
    // The SDK uses no interface of WASI but `poll`. The path of the others only has to exist.
    let path = |id: String| {
        let path = if id.starts_with("wasi:io/poll@") { "wasip2::io::poll" } else { "core" };
        (id, wit_bindgen_rust::WithOption::Path(path.to_owned()))
    };
    let wasi = resolve.worlds[world].imports.keys().filter_map(|import| match import {
        WorldKey::Interface(id) => resolve.id_of(*id),
        WorldKey::Name(_) => None,
    });
    let wasi = wasi.filter(|id| id.starts_with("wasi:")).map(path);
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        with: wasi.collect(),
        pub_export_macro: true,
        export_macro_name: Some("export_synchronize".to_owned()),
        default_bindings_module: Some("syncmgr_plugin::bindings".to_owned()),
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let (_name, text) = files.iter().next().context("there is one file")?;
    Ok(String::from_utf8(text.to_vec())?)
}

#[test]
fn the_bindings_of_the_sdk_equal_the_wit() -> Result<()> {
    compare_with_file("guest/src/bindings.rs", &sdk_bindings()?)
}

#[test]
fn the_reference_equals_the_wit() -> Result<()> {
    compare_with_file("wit/reference.md", &reference(&wit())?)
}

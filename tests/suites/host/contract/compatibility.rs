//! Plugins that were built for the frozen contract still fit.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use conformance::{SCRIPT, workspace};
use wit_parser::{InterfaceId, Resolve, Span, TypeDefKind, WorldId};

use super::{plugin_world, wit};

/// Returns whether plugins that were built for the world `old` are compatible with the world `new`.
fn still_fits(old: (Resolve, WorldId), new: (Resolve, WorldId)) -> Result<()> {
    let ((mut old, old_world), (mut resolve, new_world)) = (old, new);
    let package = old.worlds[old_world].package.context("a world without a package")?;
    // Both have the same package name. Removing one version makes them distinct; the check ignores
    // versions.
    let name = &mut old.packages[package].name;
    name.version = None;
    let name = name.clone();
    old.package_names.retain(|_, id| *id != package);
    old.package_names.insert(name, package);
    let remap = resolve.merge(old)?;
    let old_world = remap.map_world(old_world, Span::default())?;
    wit_component::semver_check(resolve, old_world, new_world)
}

#[test]
fn plugins_built_for_the_frozen_contract_are_compatible() -> Result<()> {
    let frozen = workspace().join("tests/data/wit-0.1.0");
    if std::env::var_os("BLESS_FROZEN").is_some() {
        freeze(&wit(), &frozen)?;
    }
    still_fits(plugin_world(&frozen)?, plugin_world(&wit())?)
        .context("the contract changed in a way that plugins which are out there do not survive")
}

/// Copies only the WIT files, so that a deleted file is deleted in the copy.
pub(super) fn freeze(wit: &Path, frozen: &Path) -> Result<()> {
    if frozen.exists() {
        fs::remove_dir_all(frozen)?;
    }
    fs::create_dir_all(frozen)?;
    for entry in fs::read_dir(wit)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            freeze(&path, &frozen.join(name))?;
        } else if path.extension() == Some("wit".as_ref()) {
            // Copies the content without permissions and times.
            fs::write(frozen.join(name), fs::read(&path)?)?;
        }
    }
    Ok(())
}

#[test]
fn freezing_replaces_the_wit_files() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (source, frozen) = (dir.path().join("wit"), dir.path().join("frozen"));
    fs::create_dir_all(source.join("deps"))?;
    for file in ["a.wit", "deps/b.wit", "notes.md"] {
        fs::write(source.join(file), file)?;
    }
    fs::create_dir_all(&frozen)?;
    fs::write(frozen.join("old.wit"), "old")?;
    freeze(&source, &frozen)?;
    assert_eq!(fs::read_to_string(frozen.join("a.wit"))?, "a.wit");
    assert_eq!(fs::read_to_string(frozen.join("deps/b.wit"))?, "deps/b.wit");
    assert!(!frozen.join("notes.md").exists());
    assert!(!frozen.join("old.wit").exists());
    Ok(())
}

fn interface(resolve: &Resolve, world: WorldId, name: &str) -> Result<InterfaceId> {
    let package = resolve.worlds[world].package.context("a world without a package")?;
    let interfaces = &resolve.packages[package].interfaces;
    interfaces.get(name).copied().with_context(|| format!("no interface {name}"))
}

/// The contract with one additional function, similar to an existing one.
fn with_another_function(name: &str) -> Result<(Resolve, WorldId)> {
    let (mut resolve, world) = plugin_world(&wit())?;
    let id = interface(&resolve, world, name)?;
    let functions = &mut resolve.interfaces[id].functions;
    let mut function = functions.values().next().context("no functions")?.clone();
    function.name = "brand-new".to_owned();
    functions.insert(function.name.clone(), function);
    Ok((resolve, world))
}

/// The contract with one field, case or flag less in a type.
fn with_less(name: &str, type_name: &str) -> Result<(Resolve, WorldId)> {
    let (mut resolve, world) = plugin_world(&wit())?;
    let id = interface(&resolve, world, name)?;
    let ty = resolve.interfaces[id].types.get(type_name).copied().context("no such type")?;
    let kind = &mut resolve.types[ty].kind;
    let taken = if let TypeDefKind::Record(record) = kind {
        record.fields.pop().is_some()
    } else if let TypeDefKind::Enum(cases) = kind {
        cases.cases.pop().is_some()
    } else if let TypeDefKind::Flags(flags) = kind {
        flags.flags.pop().is_some()
    } else if let TypeDefKind::Variant(variant) = kind {
        variant.cases.pop().is_some()
    } else {
        false
    };
    ensure!(taken, "{name}.{type_name} has nothing to take away");
    Ok((resolve, world))
}

/// One of each kind.
const TYPES: [(&str, &str); 4] = [
    ("types", "progress-item"),
    ("types", "status"),
    ("types", "item-flags"),
    ("synchronize", "property-value"),
];

#[test]
fn a_new_function_of_an_import_does_not_break_plugins() -> Result<()> {
    still_fits(plugin_world(&wit())?, with_another_function("statistics")?)
}

#[test]
fn a_new_function_of_the_export_breaks_plugins() -> Result<()> {
    assert!(still_fits(plugin_world(&wit())?, with_another_function("synchronize")?).is_err());
    Ok(())
}

#[test]
fn another_field_case_or_flag_breaks_plugins() -> Result<()> {
    for (interface, name) in TYPES {
        let (less, more) = (with_less(interface, name)?, plugin_world(&wit())?);
        assert!(still_fits(less, more).is_err(), "one more in {interface}.{name}");
        let (less, more) = (with_less(interface, name)?, plugin_world(&wit())?);
        assert!(still_fits(more, less).is_err(), "one less in {interface}.{name}");
    }
    Ok(())
}

#[test]
fn a_component_of_another_shape_is_incompatible() -> Result<()> {
    let bytes = fs::read(SCRIPT).context(SCRIPT)?;
    for (interface, name) in TYPES {
        let (resolve, world) = with_less(interface, name)?;
        let fits = wit_component::targets(&resolve, world, &bytes);
        assert!(fits.is_err(), "one less in {interface}.{name}");
    }
    Ok(())
}

//! Checks the contract in `wit/` for consistency.
//!
//! - Every item of the WIT has documentation and `@since`.
//! - The host offers exactly what the world `plugin` imports, and every component fits that world.
//! - Plugins that were built for the frozen contract in `tests/data/wit-0.1.0` still fit. The check
//!   compares types, not text. `BLESS_FROZEN=1` replaces the frozen contract with the current one.
//! - `wit/deps` contains what `wit/deps.lock` names as its source, which Cargo.lock pins.
//! - The host has a copy of the WIT, and the SDK has bindings that are generated from it, so that
//!   both can be published. `BLESS=1` renews them.
//! - `wit/reference.md` is generated from the WIT. `BLESS=1` renews it.
//! - `wit/mapping.md` has a row for every item that has a native counterpart.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use conformance::reference::reference;
use conformance::{FOLDER, HELLO, SCRIPT, compare_with_file, workspace};
use syncmgr_host::{CONTRACT_VERSION, offered_interfaces};
use wasmparser::Validator;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_component::DecodedWasm;
use wit_parser::{
    Docs, InterfaceId, PackageId, Resolve, Span, Stability, Type, TypeDef, TypeDefKind, TypeOwner,
    WorldId, WorldItem, WorldKey,
};

/// The components that must be compatible.
const COMPONENTS: [&str; 3] = [HELLO, FOLDER, SCRIPT];

/// The interfaces that need a row in the mapping for every item. The others have no native
/// equivalent.
const MAPPED: [&str; 3] = ["types", "synchronize", "synchronize-callback"];

fn wit() -> PathBuf {
    workspace().join("wit")
}

fn parse(dir: &Path) -> Result<(Resolve, PackageId)> {
    let mut resolve = Resolve::default();
    let (package, _sources) = resolve.push_dir(dir)?;
    Ok((resolve, package))
}

fn plugin_world(dir: &Path) -> Result<(Resolve, WorldId)> {
    let (resolve, package) = parse(dir)?;
    let world = resolve.select_world(&[package], Some("plugin"))?;
    Ok((resolve, world))
}

/// The text of a file with the line endings of the repository.
fn read_text(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(text.replace("\r\n", "\n"))
}

/// The parts of a type that have a name and separate docs.
#[allow(clippy::wildcard_enum_match_arm, reason = "no other type has such parts")]
fn members(ty: &TypeDef) -> Vec<(&str, &Docs)> {
    match &ty.kind {
        TypeDefKind::Record(record) => {
            record.fields.iter().map(|field| (field.name.as_str(), &field.docs)).collect()
        }
        TypeDefKind::Variant(variant) => {
            variant.cases.iter().map(|case| (case.name.as_str(), &case.docs)).collect()
        }
        TypeDefKind::Enum(cases) => {
            cases.cases.iter().map(|case| (case.name.as_str(), &case.docs)).collect()
        }
        TypeDefKind::Flags(flags) => {
            flags.flags.iter().map(|flag| (flag.name.as_str(), &flag.docs)).collect()
        }
        _ => Vec::new(),
    }
}

/// The types that an interface declares itself, without those of `use`.
fn declared_types(resolve: &Resolve, id: InterfaceId) -> impl Iterator<Item = (&str, &TypeDef)> {
    let own = move |ty: &TypeDef| {
        let TypeDefKind::Type(Type::Id(other)) = ty.kind else {
            return true;
        };
        let owner = resolve.types[other].owner;
        owner == ty.owner || owner == TypeOwner::None
    };
    let types = resolve.interfaces[id].types.iter();
    types.map(|(name, &ty)| (name.as_str(), &resolve.types[ty])).filter(move |(_, ty)| own(ty))
}

/// Collects all problems, to report them together.
#[derive(Default)]
struct Missing(Vec<String>);

impl Missing {
    fn docs(&mut self, path: &str, docs: &Docs) {
        if docs.contents.as_deref().unwrap_or_default().trim().is_empty() {
            self.0.push(format!("docs of {path}"));
        }
    }

    fn since(&mut self, path: &str, stability: &Stability) {
        if !stability.is_stable() {
            self.0.push(format!("@since of {path}"));
        }
    }

    fn both(&mut self, path: &str, docs: &Docs, stability: &Stability) {
        self.docs(path, docs);
        self.since(path, stability);
    }
}

/// Returns the items of a package that lack docs or a version.
fn undocumented(resolve: &Resolve, package_id: PackageId) -> Vec<String> {
    let mut missing = Missing::default();
    let package = &resolve.packages[package_id];
    missing.docs(&format!("package {}", package.name), &package.docs);
    for (name, &id) in &package.worlds {
        let world = &resolve.worlds[id];
        let path = format!("world {name}");
        missing.both(&path, &world.docs, &world.stability);
        for (key, item) in world.imports.iter().chain(&world.exports) {
            let theirs = match key {
                WorldKey::Interface(id) => resolve.interfaces[*id].package != Some(package_id),
                WorldKey::Name(_) => false,
            };
            if theirs {
                continue;
            }
            let path = format!("{} in {path}", resolve.name_world_key(key));
            missing.since(&path, item.stability(resolve));
            match item {
                // The interface is documented; its import needs no docs.
                WorldItem::Interface { .. } => {}
                WorldItem::Function(function) => missing.docs(&path, &function.docs),
                WorldItem::Type { id, .. } => missing.docs(&path, &resolve.types[*id].docs),
            }
        }
    }
    for (name, &id) in &package.interfaces {
        let interface = &resolve.interfaces[id];
        missing.both(&format!("interface {name}"), &interface.docs, &interface.stability);
        for (ty_name, ty) in declared_types(resolve, id) {
            let path = format!("{name}.{ty_name}");
            missing.both(&path, &ty.docs, &ty.stability);
            for (member, docs) in members(ty) {
                missing.docs(&format!("{path}.{member}"), docs);
            }
        }
        for (function_name, function) in &interface.functions {
            let path = format!("{name}.{function_name}");
            missing.both(&path, &function.docs, &function.stability);
        }
    }
    missing.0
}

#[test]
fn every_item_of_the_contract_has_docs_and_a_version() -> Result<()> {
    let (resolve, package) = parse(&wit())?;
    let missing = undocumented(&resolve, package);
    ensure!(missing.is_empty(), "missing in the WIT:\n- {}", missing.join("\n- "));
    Ok(())
}

#[test]
fn an_item_without_docs_or_version_is_named() -> Result<()> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str(
        "bare.wit",
        "package a:b@1.0.0;
         interface i {
             record r { field: u8 }
             enum e { case }
             flags f { flag }
             variant v { choice(u8) }
             resource s { method: func(); }
             type t = u8;
             go: func();
         }
         interface j { use i.{r}; }
         world w { import i; }",
    )?;
    let missing = undocumented(&resolve, package);
    let paths = ["world w", "interface i", "interface j", "i.r", "i.e", "i.f", "i.v", "i.s"];
    let mut expected: BTreeSet<String> = paths
        .into_iter()
        .chain(["i.t", "i.go", "i.[method]s.method"])
        .flat_map(|path| [format!("docs of {path}"), format!("@since of {path}")])
        .collect();
    expected.insert("@since of a:b/i@1.0.0 in world w".to_owned());
    for path in ["package a:b@1.0.0", "i.r.field", "i.e.case", "i.f.flag", "i.v.choice"] {
        expected.insert(format!("docs of {path}"));
    }
    assert_eq!(missing.into_iter().collect::<BTreeSet<_>>(), expected);
    Ok(())
}

/// The C++ generator puts the types of an interface and the methods of its resources into nested
/// scopes, in the same spelling. A method with the name of a type hides that type.
fn methods_that_hide_a_type(resolve: &Resolve, package: PackageId) -> Vec<String> {
    let mut hidden = Vec::new();
    for (name, &id) in &resolve.packages[package].interfaces {
        let interface = &resolve.interfaces[id];
        for function in interface.functions.values().filter(|one| one.kind.resource().is_some()) {
            let method = function.item_name();
            if interface.types.contains_key(method) {
                hidden.push(format!("{name}.{}", function.name));
            }
        }
    }
    hidden
}

#[test]
fn no_method_has_the_name_of_a_type() -> Result<()> {
    let (resolve, package) = parse(&wit())?;
    assert_eq!(methods_that_hide_a_type(&resolve, package), [""; 0]);
    let mut resolve = Resolve::default();
    let text =
        "package a:b; interface i { record stat {} resource file { stat: func() -> stat; } }";
    let text = text.replace("{}", "{ size: u64 }");
    let package = resolve.push_str("a.wit", &text)?;
    assert_eq!(methods_that_hide_a_type(&resolve, package), ["i.[method]file.stat"]);
    Ok(())
}

#[test]
fn the_host_runs_the_version_that_the_wit_has() -> Result<()> {
    let (resolve, package) = parse(&wit())?;
    let name = &resolve.packages[package].name;
    assert_eq!(name.to_string(), format!("syncmgr:plugin@{CONTRACT_VERSION}"));
    Ok(())
}

#[test]
fn the_host_offers_exactly_what_the_world_imports() -> Result<()> {
    let (resolve, world) = plugin_world(&wit())?;
    let imports: BTreeSet<String> = resolve.worlds[world]
        .imports
        .keys()
        .map(|key| unversioned(&resolve.name_world_key(key)).to_owned())
        .collect();
    assert_eq!(imports, offered_interfaces().collect());
    Ok(())
}

fn unversioned(id: &str) -> &str {
    id.split_once('@').map_or(id, |(name, _)| name)
}

#[test]
fn every_component_is_valid() -> Result<()> {
    for path in COMPONENTS {
        let bytes = fs::read(path).context(path)?;
        Validator::new().validate_all(&bytes).context(path)?;
    }
    Ok(())
}

#[test]
fn every_component_lists_its_imports_and_exports() -> Result<()> {
    let (resolve, world) = plugin_world(&wit())?;
    let offered: BTreeSet<String> = offered_interfaces().collect();
    let exported: Vec<_> =
        resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key)).collect();
    for path in COMPONENTS {
        let (resolve, world) = decode(&fs::read(path).context(path)?).context(path)?;
        let world = &resolve.worlds[world];
        for key in world.imports.keys() {
            let import = resolve.name_world_key(key);
            ensure!(offered.contains(unversioned(&import)), "{path} imports {import}");
        }
        let exports: Vec<_> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
        assert_eq!(exports, exported, "{path}");
    }
    Ok(())
}

#[test]
fn every_component_fits_the_world() -> Result<()> {
    for path in COMPONENTS {
        let bytes = fs::read(path).context(path)?;
        conformance::fits_the_world(&bytes)
            .with_context(|| format!("{path} does not fit the world `plugin`"))?;
    }
    Ok(())
}

fn decode(bytes: &[u8]) -> Result<(Resolve, WorldId)> {
    match wit_component::decode(bytes)? {
        DecodedWasm::Component(resolve, world) => Ok((resolve, world)),
        DecodedWasm::WitPackage(..) => anyhow::bail!("a WIT package, and no component"),
    }
}

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
fn freeze(wit: &Path, frozen: &Path) -> Result<()> {
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
fn wit_files(dir: &Path) -> Result<std::collections::BTreeMap<PathBuf, String>> {
    let mut files = std::collections::BTreeMap::new();
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
    let unused = resolve.worlds[world].imports.keys().filter_map(|import| match import {
        WorldKey::Interface(id) => resolve.id_of(*id),
        WorldKey::Name(_) => None,
    });
    let unused = unused.filter(|id| id.starts_with("wasi:") && !id.starts_with("wasi:io/poll@"));
    let unused = unused.map(|id| (id, wit_bindgen_rust::WithOption::Path("core".to_owned())));
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        with: unused.collect(),
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

/// Returns all code spans in the tables of a page.
fn names_in_rows(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect()
}

/// Returns the items of the mapped interfaces without a row. An item is named by its path, such as
/// `types.item.id`, because `id` alone is ambiguous.
fn unmapped(resolve: &Resolve, package: PackageId, page: &str) -> Result<Vec<String>> {
    let named = names_in_rows(page);
    let mut missing = Vec::new();
    for name in MAPPED {
        let id = resolve.packages[package].interfaces.get(name).copied();
        let id = id.with_context(|| format!("no interface {name}"))?;
        let mut paths: Vec<String> = Vec::new();
        for function in resolve.interfaces[id].functions.values() {
            paths.push(format!("{name}.{}", function.item_name()));
        }
        for (type_name, ty) in declared_types(resolve, id) {
            let path = format!("{name}.{type_name}");
            paths.extend(members(ty).into_iter().map(|(member, _)| format!("{path}.{member}")));
            paths.push(path);
        }
        missing.extend(paths.into_iter().filter(|path| !named.contains(path.as_str())));
    }
    Ok(missing)
}

#[test]
fn the_mapping_has_a_row_for_every_native_equivalent() -> Result<()> {
    let (resolve, package) = parse(&wit())?;
    let missing = unmapped(&resolve, package, &read_text(&wit().join("mapping.md"))?)?;
    ensure!(missing.is_empty(), "no row in wit/mapping.md names\n- {}", missing.join("\n- "));
    Ok(())
}

#[test]
fn text_between_the_tables_does_not_count_as_a_row() {
    let names = names_in_rows("`a`\n| `b.c`, `d` | x | `e` |\n- `f`\n");
    assert_eq!(names, BTreeSet::from(["b.c", "d", "e"]));
}

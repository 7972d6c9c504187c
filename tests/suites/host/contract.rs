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

mod compatibility;
mod derived;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use conformance::{FOLDER, HELLO, SCRIPT, workspace};
use syncmgr_host::{CONTRACT_VERSION, offered_interfaces};
use wasmparser::Validator;
use wit_component::DecodedWasm;
use wit_parser::{
    Docs, InterfaceId, PackageId, Resolve, Stability, Type, TypeDef, TypeDefKind, TypeOwner,
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
    let (resolve, package) = parse(&wit())?;
    let world = resolve.select_world(&[package], Some("plugin-http"))?;
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

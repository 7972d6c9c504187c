//! The modules of each crate import each other in one direction only.
//!
//! A module is a file. Imports of a module from its children (`mod`, and paths that begin there) do
//! not count, and neither does `lib.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use conformance::workspace;

/// The path of a module in its crate, such as `["session", "run"]`.
type Module = Vec<String>;

/// Returns the sources of all files below a folder.
fn sources(
    folder: &Path,
    module: &Module,
    found: &mut BTreeMap<Module, String>,
) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().context("a name")?.to_string_lossy().into_owned();
        let module = [module.as_slice(), &[name]].concat();
        if path.is_dir() {
            sources(&path, &module, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(module, fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Returns the code without comments and tests.
fn code(source: &str) -> String {
    let tests = source.find("#[cfg(test)]\nmod tests").unwrap_or(source.len());
    let lines = source[..tests].lines().map(|line| line.split("//").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the separate paths of a `use`, such as `a::{b, c::{d, e}}`.
fn expand(tree: &str, prefix: &str, paths: &mut Vec<String>) {
    let Some((before, inside)) = tree.split_once('{') else {
        paths.push(format!("{prefix}{tree}"));
        return;
    };
    let (prefix, mut depth, mut start) = (format!("{prefix}{before}"), 0, 0);
    for (at, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                expand(&inside[start..at], &prefix, paths);
                start = at + 1;
            }
            '}' => depth -= 1,
            _other => {}
        }
    }
}

/// Returns the paths that begin in this crate: in `use`, and in code.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let is_export = code[..at].trim_end().ends_with("pub") || code[..at].ends_with(") ");
        let tree: String = code[at + 4..].chars().take_while(|c| *c != ';').collect();
        let tree: String = tree.replace(" as ", "@").split_whitespace().collect();
        if !is_export {
            expand(&tree, "", &mut paths);
        }
    }
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_path = |c: &char| c.is_alphanumeric() || matches!(c, '_' | ':');
            paths.push(code[at..].chars().take_while(is_path).collect());
        }
    }
    paths
}

/// Returns the imports of each module from the others.
fn imports(modules: &BTreeMap<Module, String>) -> BTreeMap<&Module, BTreeSet<&Module>> {
    let mut imports = BTreeMap::new();
    for (module, source) in modules.iter().filter(|(module, _)| module[..] != ["lib"]) {
        let mut imported = BTreeSet::new();
        for path in paths(&code(source)) {
            let mut absolute = module.clone();
            let mut parts: Vec<_> = path.split("::").map(|part| part.split('@').next()).collect();
            match parts.first() {
                Some(Some("crate")) => absolute.clear(),
                Some(Some("super")) => {}
                // A child, or another crate.
                _other => continue,
            }
            parts.retain(|part| match part {
                Some("super") => {
                    absolute.pop();
                    false
                }
                Some("crate") => false,
                _name => true,
            });
            absolute.extend(parts.into_iter().flatten().map(str::to_owned));
            // The longest prefix that is a file; the rest are items.
            let mut files = (1..=absolute.len()).rev();
            let file = files.find_map(|len| modules.get_key_value(&absolute[..len]));
            imported.extend(file.map(|(file, _)| file).filter(|file| *file != module));
        }
        imports.insert(module, imported);
    }
    imports
}

/// Returns the modules that are in or between cycles: those that remain after modules without
/// imports or importers are removed repeatedly.
fn cycles(modules: &BTreeMap<Module, String>) -> Vec<String> {
    let mut left = imports(modules);
    loop {
        let before = left.len();
        let known: BTreeSet<_> = left.keys().copied().collect();
        left.values_mut().for_each(|imported| imported.retain(|module| known.contains(module)));
        left.retain(|_, imported| !imported.is_empty());
        let imported: BTreeSet<_> = left.values().flatten().copied().collect();
        left.retain(|module, _| imported.contains(module));
        if left.len() == before {
            break;
        }
    }
    let arrow = |(module, imported): (&Module, BTreeSet<&Module>)| {
        let imported: Vec<_> = imported.iter().map(|module| module.join("::")).collect();
        format!("{} -> {}", module.join("::"), imported.join(", "))
    };
    left.into_iter().map(arrow).collect()
}

#[test]
fn modules_have_no_import_cycle() -> anyhow::Result<()> {
    let crates = fs::read_to_string(workspace().join("Cargo.toml"))?;
    let members = crates.split("members = [").nth(1).and_then(|rest| rest.split(']').next());
    let mut seen = 0;
    for member in members.context("no members")?.split('"').skip(1).step_by(2) {
        // The imports of the SDK call its test double, which uses the SDK.
        let folder = workspace().join(member).join("src");
        if member == "guest" || !folder.exists() {
            continue;
        }
        let mut modules = BTreeMap::new();
        sources(&folder, &Module::new(), &mut modules)?;
        seen += modules.len();
        let cycles = cycles(&modules);
        ensure!(cycles.is_empty(), "the modules of {member}:\n{}", cycles.join("\n"));
    }
    ensure!(seen > 100, "only {seen} modules were found");
    Ok(())
}

#[test]
fn an_import_cycle_is_detected() {
    let module = |path: &str, source: &str| {
        (path.split("::").map(str::to_owned).collect::<Module>(), source.to_owned())
    };
    let chain = [
        module("lib", "mod a; pub use b::B;"),
        module("a", "use crate::b::{B, c::{self, C}};"),
        module("b", "mod c; pub use c::C;"),
        module("b::c", "use super::B;"),
    ];
    assert_eq!(cycles(&chain.into_iter().collect()), [""; 0]);
    let circle = [
        module("a", "use std::io;\nuse crate::b::B;"),
        module("b", "fn f() { super::c::f() }"),
        module("c", "pub(crate) fn f() -> crate::a::A {}"),
        module("d", "use crate::a::A;"),
    ];
    assert_eq!(cycles(&circle.into_iter().collect()), ["a -> b", "b -> c", "c -> a"]);
}

//! Checks whether a file conforms to the contract, without compiling or running it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentTypeRef, Encoding, KnownCustom, Parser,
    Payload, ProducersSectionReader, Validator,
};

use super::complexity::Complexity;
use super::expansion::Expansion;
use super::features;
use super::requests::{self, Requests};
use crate::error::{ContractError, newer};

/// The contract version of this host.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// The interface that every plugin exports, without its version.
const EXPORT: &str = "syncmgr:plugin/synchronize";

/// The name of the custom section in which an SDK records its language and version.
const SDK_SECTION: &str = "syncmgr-sdk";
/// The maximum length of that section. A longer one is not from an SDK.
const SDK_BYTES: usize = 64;

/// The maximum nesting depth of components. Reading and compiling take quadratic time in it;
/// composing tools nest a handful.
const MAX_NESTING: usize = 100;

/// The interfaces that a host provides, without versions: those of the contract, of
/// `wasi:cli/imports`, and of outgoing HTTP requests.
const OFFERED: &[(&str, &[&str])] = &[
    ("syncmgr:plugin", &["directories", "statistics", "synchronize-callback", "types"]),
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stderr",
            "stdin",
            "stdout",
            "terminal-input",
            "terminal-output",
            "terminal-stderr",
            "terminal-stdin",
            "terminal-stdout",
        ],
    ),
    ("wasi:clocks", &["monotonic-clock", "wall-clock"]),
    ("wasi:filesystem", &["preopens", "types"]),
    ("wasi:http", &["outgoing-handler", "types"]),
    ("wasi:io", &["error", "poll", "streams"]),
    ("wasi:random", &["insecure", "insecure-seed", "random"]),
    (
        "wasi:sockets",
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// The description of a plugin, from its file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// The length of the component in bytes.
    pub size_bytes: usize,
    /// The contract version for which it was built.
    pub contract_version: String,
    /// The interfaces it imports, with their versions, sorted.
    pub imports: Vec<String>,
    /// The interfaces it exports, with their versions, sorted.
    pub exports: Vec<String>,
    /// The tools that built it, with their versions, sorted.
    pub producers: Vec<(String, String)>,
    /// The language and version of its SDK, if the file states them. Escape it before showing it.
    pub sdk: Option<String>,
    /// The requests of the plugin.
    pub requests: Requests,
    /// The size of its largest function, in bytes.
    pub largest_function_bytes: u64,
    /// The largest product of a function's locals and its blocks and branches.
    pub largest_function_joins: u64,
    /// The sum of these products over all functions.
    pub joins: u64,
    /// An upper bound on the number of nested instances and components, multiplied over all levels.
    pub expansion: u64,
}

impl Description {
    /// Reads a component and checks it against the contract. This compares names and versions only;
    /// types are checked when the plugin is loaded.
    ///
    /// # Errors
    /// Returns the first rule of the contract that the component breaks.
    pub fn of(bytes: &[u8]) -> Result<Self, ContractError> {
        check_encoding(bytes)?;
        let mut description = read(bytes)?;
        description.contract_version = check_exports(&description.exports)?;
        check_imports(&description.imports)?;
        Ok(description)
    }
}

fn check_encoding(bytes: &[u8]) -> Result<(), ContractError> {
    const MAGIC: &[u8] = b"\0asm";
    const MODULE: &[u8] = &[1, 0, 0, 0];
    if bytes.is_empty() {
        return Err(ContractError::Empty);
    }
    if !bytes.starts_with(MAGIC) && !MAGIC.starts_with(bytes) {
        return Err(ContractError::NotWasm { text: std::str::from_utf8(bytes).is_ok() });
    }
    match bytes.get(4..8) {
        None => Err(ContractError::Truncated { bytes: bytes.len() }),
        Some(MODULE) => Err(ContractError::CoreModule),
        Some(_) => Ok(()),
    }
}

impl Requests {
    /// Reads the requests of a component. The rest of it is not checked, which takes most of the time
    /// of [`Description::of`]: it is checked when the plugin is loaded.
    ///
    /// # Errors
    /// Returns [`ContractError::Requests`], and the errors of a file that is no component.
    #[allow(clippy::wildcard_enum_match_arm, reason = "only a part of the file is read")]
    pub fn of(bytes: &[u8]) -> Result<Self, ContractError> {
        check_encoding(bytes)?;
        let (mut requests, mut depth) = (None, 0_usize);
        for payload in Parser::new(0).parse_all(bytes) {
            check_depth(depth)?;
            match payload.map_err(|error| malformed(bytes, &error))? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(custom) if custom.name() == requests::SECTION => {
                    read_requests(custom.data(), &mut requests)?;
                }
                _other => {}
            }
        }
        Ok(requests.unwrap_or_default())
    }
}

fn malformed(bytes: &[u8], error: &wasmparser::BinaryReaderError) -> ContractError {
    if error.message().contains("unexpected end") {
        return ContractError::Truncated { bytes: bytes.len() };
    }
    ContractError::Malformed { message: error.message().to_owned(), offset: error.offset() }
}

fn check_depth(depth: usize) -> Result<(), ContractError> {
    if depth > MAX_NESTING {
        return Err(ContractError::Malformed {
            message: format!("components nest deeper than {MAX_NESTING}"),
            offset: 0,
        });
    }
    Ok(())
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the validator checks the other sections")]
fn read(bytes: &[u8]) -> Result<Description, ContractError> {
    let malformed = |error| malformed(bytes, &error);
    let mut imports = BTreeSet::new();
    let mut exports = BTreeSet::new();
    let mut producers = BTreeSet::new();
    let (mut requests, mut sdk) = (None, None);
    let mut complexity = Complexity::default();
    let mut expansion = Expansion::default();
    // Components nest; only the imports and exports of the outermost one are the plugin's.
    let mut depth = 0_usize;
    let mut parser = Parser::new(0);
    parser.set_features(features::ON);
    for payload in parser.parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        check_depth(depth)?;
        match payload {
            Payload::ModuleSection { .. } => {
                depth += 1;
                expansion.enter();
            }
            Payload::ComponentSection { .. } => {
                depth += 1;
                expansion.enter();
            }
            Payload::End(_) => {
                depth = depth.saturating_sub(1);
                expansion.leave();
            }
            Payload::InstanceSection(section) => expansion.instantiate(section.count()),
            Payload::ComponentInstanceSection(section) => {
                expansion.instantiate(section.count());
            }
            Payload::TypeSection(section) => complexity.types(section).map_err(malformed)??,
            Payload::CodeSectionEntry(ref body) => {
                complexity.function(body).map_err(malformed)??;
            }
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(ContractError::CoreModule);
            }
            // Instantiated components must be in the file itself: an imported component could be
            // made of earlier imported ones, twice each time.
            Payload::ComponentImportSection(section) if depth > 0 => {
                for import in section {
                    if let ComponentTypeRef::Component(_) = import.map_err(malformed)?.ty {
                        return Err(handed_over(bytes));
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if let ComponentAlias::InstanceExport {
                        kind: ComponentExternalKind::Component,
                        ..
                    } = alias.map_err(malformed)?
                    {
                        return Err(handed_over(bytes));
                    }
                }
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.insert(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.insert(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(custom) if custom.name() == requests::SECTION => {
                read_requests(custom.data(), &mut requests)?;
            }
            Payload::CustomSection(custom) if custom.name() == SDK_SECTION => {
                let text = std::str::from_utf8(custom.data()).ok();
                sdk = text.filter(|text| text.len() <= SDK_BYTES).map(str::to_owned);
            }
            Payload::CustomSection(custom) => {
                if let KnownCustom::Producers(section) = custom.as_known() {
                    read_producers(section, &mut producers);
                }
            }
            _other => {}
        }
    }
    Validator::new_with_features(features::ON).validate_all(bytes).map_err(malformed)?;
    Ok(Description {
        size_bytes: bytes.len(),
        contract_version: String::new(),
        imports: imports.into_iter().collect(),
        exports: exports.into_iter().collect(),
        producers: producers.into_iter().collect(),
        sdk,
        requests: requests.unwrap_or_default(),
        largest_function_bytes: complexity.largest_function_bytes,
        largest_function_joins: complexity.largest_function_joins,
        joins: complexity.joins,
        expansion: expansion.total,
    })
}

fn read_requests(section: &[u8], into: &mut Option<Requests>) -> Result<(), ContractError> {
    if into.is_some() {
        let message = "the section occurs twice".to_owned();
        return Err(ContractError::Requests { message });
    }
    *into = Some(Requests::parse(section)?);
    Ok(())
}

fn handed_over(bytes: &[u8]) -> ContractError {
    ContractError::Malformed {
        message: "a component is passed to another component".to_owned(),
        offset: bytes.len(),
    }
}

/// A producers section is optional: unreadable entries are ignored.
fn read_producers(section: ProducersSectionReader<'_>, into: &mut BTreeSet<(String, String)>) {
    for field in section.into_iter().flatten() {
        for value in field.values.into_iter().flatten() {
            into.insert((value.name.to_owned(), value.version.to_owned()));
        }
    }
}

fn split_version(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

/// Returns whether two versions are compatible: equal up to the first number that is not 0.
fn compatible(version: &str, supported: &str) -> bool {
    let line = |version: &str| -> Option<Vec<u64>> {
        let numbers: Option<Vec<u64>> =
            version.split('.').take(3).map(|part| part.parse().ok()).collect();
        let mut numbers = numbers?;
        let significant = numbers.iter().position(|&number| number != 0)? + 1;
        numbers.truncate(significant);
        Some(numbers)
    };
    version == supported || line(version).is_some_and(|found| Some(found) == line(supported))
}

fn check_exports(exports: &[String]) -> Result<String, ContractError> {
    let versions = exports
        .iter()
        .map(|export| split_version(export))
        .filter(|(name, _)| *name == EXPORT)
        .map(|(_, version)| version);
    let mut found = None;
    for version in versions {
        if compatible(version, CONTRACT_VERSION) {
            return Ok(version.to_owned());
        }
        found = Some(version);
    }
    Err(match found {
        Some(found) => ContractError::OtherVersion {
            found: found.to_owned(),
            supported: CONTRACT_VERSION.to_owned(),
        },
        None => ContractError::OtherWorld {
            expected: format!("{EXPORT}@{CONTRACT_VERSION}"),
            exports: exports.to_vec(),
        },
    })
}

fn check_imports(imports: &[String]) -> Result<(), ContractError> {
    let mut unknown = Vec::new();
    for import in imports {
        let (name, version) = split_version(import);
        let (package, interface) = name.split_once('/').unwrap_or((name, ""));
        let offered = OFFERED
            .iter()
            .any(|(offered, interfaces)| *offered == package && interfaces.contains(&interface));
        let ours = package == "syncmgr:plugin";
        let supported = if ours { CONTRACT_VERSION } else { "0.2.0" };
        // Before 1.0, all versions 0.2.x of WASI are compatible.
        if offered && compatible(version, supported) {
            continue;
        }
        // An unknown interface may be from a later version.
        if ours && (offered || newer(version, supported)) {
            return Err(ContractError::OtherVersion {
                found: version.to_owned(),
                supported: supported.to_owned(),
            });
        }
        unknown.push(import.clone());
    }
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(ContractError::UnknownImports { imports: unknown }),
    }
}

/// Returns the names of all interfaces that a host provides, without versions, for tests that
/// compare them with the WIT.
pub fn offered_interfaces() -> impl Iterator<Item = String> {
    OFFERED.iter().flat_map(|(package, interfaces)| {
        interfaces.iter().map(move |interface| format!("{package}/{interface}"))
    })
}

#[cfg(test)]
mod tests;

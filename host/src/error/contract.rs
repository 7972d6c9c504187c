//! Violations of the contract by a component.

/// The rule of the contract that a file breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// The file is empty.
    #[error("the file is empty; build the plugin again")]
    Empty,
    /// The file is not WebAssembly.
    #[error(
        "it is not WebAssembly: it does not start with the bytes `\\0asm`{}",
        if *.text { "; the text format must be turned into a component first, with `wasm-tools parse`" } else { "" }
    )]
    NotWasm {
        /// Whether the file is text.
        text: bool,
    },
    /// The file is a core module.
    #[error(
        "it is a core WebAssembly module, and a plugin is a component; build it for the target \
         wasm32-wasip2, or turn it into a component with `wasm-tools component new`"
    )]
    CoreModule,
    /// The file is truncated.
    #[error("the component is truncated after {bytes} bytes; copy or build it again")]
    Truncated {
        /// The length of the file.
        bytes: usize,
    },
    /// The file is invalid WebAssembly.
    #[error("the component is not valid WebAssembly: {message} (at byte {offset}); build it again")]
    Malformed {
        /// The problem.
        message: String,
        /// The byte offset of the problem.
        offset: usize,
    },
    /// The component targets another world.
    #[error(
        "it does not export `{expected}`, so it is a component of another world (it exports \
         {}); implement the world `syncmgr:plugin/plugin`", list(.exports)
    )]
    OtherWorld {
        /// The expected export.
        expected: String,
        /// The exports.
        exports: Vec<String>,
    },
    /// The plugin was built for another version of the contract.
    #[error(
        "it was built for contract version {found}, but this host supports {supported}; \
         {}", if newer(.found, .supported) { "update this host" } else { "build the plugin again with the current contract" }
    )]
    OtherVersion {
        /// The version for which it was built.
        found: String,
        /// The version of this host.
        supported: String,
    },
    /// The component has imports that this host does not provide.
    #[error(
        "it imports {}, which hosts of this contract do not provide; remove the dependency, or build \
         against the contract's own WIT", list(.imports)
    )]
    UnknownImports {
        /// The names of the imports.
        imports: Vec<String>,
    },
    /// The section with the requests is invalid.
    #[error("invalid `syncmgr-requests` section: {message}; its author must correct it")]
    Requests {
        /// The problem.
        message: String,
    },
    /// The names match, but the types do not.
    #[error(
        "its types do not match the contract: {message}; {}",
        if newer(.found, .supported) {
            format!("it was built for version {found}, but this host supports {supported}: update this host")
        } else {
            "build it against the contract's own WIT".to_owned()
        }
    )]
    Types {
        /// The mismatch.
        message: String,
        /// The version for which it was built.
        found: String,
        /// The version of this host.
        supported: String,
    },
}

impl ContractError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "contract-empty",
            Self::NotWasm { .. } => "contract-not-wasm",
            Self::CoreModule => "contract-core-module",
            Self::Truncated { .. } => "contract-truncated",
            Self::Malformed { .. } => "contract-malformed",
            Self::OtherWorld { .. } => "contract-other-world",
            Self::OtherVersion { .. } => "contract-other-version",
            Self::UnknownImports { .. } => "contract-unknown-imports",
            Self::Requests { .. } => "contract-requests",
            Self::Types { .. } => "contract-types",
        }
    }
}

/// Returns a few of the names, and the number of the others.
pub(super) fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let mut text: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        text.push(format!("{} more", names.len() - SHOWN));
    }
    text.join(", ")
}

/// Returns whether the found version is newer than the supported one.
pub(crate) fn newer(found: &str, supported: &str) -> bool {
    let parts = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
    };
    parts(found) > parts(supported)
}

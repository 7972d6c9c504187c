//! How a component breaks the contract.

/// Which rule of the contract some bytes break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// There is nothing.
    #[error("the file is empty; build the plugin again")]
    Empty,
    /// Something, but not WebAssembly.
    #[error(
        "it is not WebAssembly: it does not start with the bytes `\\0asm`{}",
        if *.text { "; the text format must be turned into a component first, with `wasm-tools parse`" } else { "" }
    )]
    NotWasm {
        /// Whether it is text.
        text: bool,
    },
    /// A core module.
    #[error(
        "it is a core WebAssembly module, and a plugin is a component; build it for the target \
         wasm32-wasip2, or turn it into a component with `wasm-tools component new`"
    )]
    CoreModule,
    /// Broken off.
    #[error("the component breaks off after {bytes} bytes; copy or build it again")]
    Truncated {
        /// The length of what is there.
        bytes: usize,
    },
    /// WebAssembly that breaks the rules of WebAssembly.
    #[error("the component is not valid WebAssembly: {message} (at byte {offset}); build it again")]
    Malformed {
        /// The problem.
        message: String,
        /// The place.
        offset: usize,
    },
    /// A component of some other world.
    #[error(
        "it does not export `{expected}`, so it is a component of another world (it exports \
         {}); implement the world `syncmgr:plugin/plugin`", list(.exports)
    )]
    OtherWorld {
        /// The export that a plugin has.
        expected: String,
        /// The exports.
        exports: Vec<String>,
    },
    /// A plugin of another version of the contract.
    #[error(
        "it was built for version {found} of the contract, and this host runs {supported}; \
         {}", if newer(.found, .supported) { "update this host" } else { "build the plugin again with the current contract" }
    )]
    OtherVersion {
        /// The version it was built for.
        found: String,
        /// The version this host runs.
        supported: String,
    },
    /// It imports what this host does not have.
    #[error(
        "it imports {}, which no host of this contract offers; remove what needs it, or build \
         against the contract's own WIT", list(.imports)
    )]
    UnknownImports {
        /// The names of the imports.
        imports: Vec<String>,
    },
    /// The section with its requests is invalid.
    #[error("its requests cannot be read: {message}; its author has to mend them")]
    Requests {
        /// The problem.
        message: String,
    },
    /// Names fit, types do not.
    #[error(
        "its types do not fit the contract: {message}; {}",
        if newer(.found, .supported) {
            format!("it was built for version {found}, and this host runs {supported}: update this host")
        } else {
            "build it against the contract's own WIT".to_owned()
        }
    )]
    Types {
        /// The difference.
        message: String,
        /// The version it was built for.
        found: String,
        /// The version this host runs.
        supported: String,
    },
}

impl ContractError {
    /// A stable code for programs.
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

/// A few of the names, and how many more there are.
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

/// Whether a version that was found is newer than the one that is supported.
pub(crate) fn newer(found: &str, supported: &str) -> bool {
    let parts = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
    };
    parts(found) > parts(supported)
}

//! Why a plugin could not be loaded.

use std::path::PathBuf;

use super::ContractError;

/// Why a plugin could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the plugin {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The bytes are no plugin of this contract.
    #[error("{name} is not a plugin: {reason}")]
    Contract {
        /// The plugin's name.
        name: String,
        /// Which rule it breaks, and the remedy.
        #[source]
        reason: ContractError,
    },
    /// The file is too large, or would become too large.
    #[error(
        "the plugin {name} is too large: {what} is {found}, and the limit is {limit}; raise \
         `{option}` if that is right"
    )]
    TooLarge {
        /// The plugin's name.
        name: String,
        /// The part that is too large.
        what: &'static str,
        /// How large it is.
        found: u64,
        /// How large it may be.
        limit: u64,
        /// The name of the limit.
        option: &'static str,
    },
    /// Compiling it did not come to an end.
    #[error(
        "the plugin {name} takes longer than {}s to compile; raise `compile-time` if that is right",
        limit.as_secs()
    )]
    CompileTime {
        /// The plugin's name.
        name: String,
        /// How long it may take.
        limit: std::time::Duration,
    },
    /// Compiling it took too much memory.
    #[error(
        "the plugin {name} needs more than {} of memory to compile; raise `compile-memory` if that \
         is right", crate::limits::bytes(*limit)
    )]
    CompileMemory {
        /// The plugin's name.
        name: String,
        /// How much it may take, in bytes.
        limit: u64,
    },
    /// The component is as the contract wants it, but this host cannot compile or link it.
    #[error("cannot load the plugin {name}: {source}")]
    Compile {
        /// The plugin's name.
        name: String,
        /// The error of wasmtime.
        source: wasmtime::Error,
    },
    /// The precompiled plugin cannot be used.
    #[error("cannot use the compiled form of the plugin {name}: {reason}; compile it again")]
    Precompiled {
        /// The plugin's name.
        name: String,
        /// The reason.
        #[source]
        reason: PrecompiledError,
    },
}

/// Why a precompiled plugin cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrecompiledError {
    /// It is something else.
    #[error("it is no such thing")]
    Foreign,
    /// It is not as it was made.
    #[error("it is damaged")]
    Damaged,
    /// It was made by another version of the host, or by one with other options.
    #[error("it was made for another host: {message}")]
    OtherHost {
        /// The difference.
        message: String,
    },
}

impl PrecompiledError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Foreign => "precompiled-foreign",
            Self::Damaged => "precompiled-damaged",
            Self::OtherHost { .. } => "precompiled-other-host",
        }
    }
}

impl LoadError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "load-read",
            Self::Contract { reason, .. } => reason.code(),
            Self::TooLarge { .. } => "load-too-large",
            Self::CompileTime { .. } => "load-compile-time",
            Self::CompileMemory { .. } => "load-compile-memory",
            Self::Compile { .. } => "load-compile",
            Self::Precompiled { reason, .. } => reason.code(),
        }
    }
}

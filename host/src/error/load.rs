//! Errors of loading a plugin.

use std::path::PathBuf;

use super::ContractError;

/// An error of loading a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the plugin {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file does not conform to the contract.
    #[error("{name} is not a plugin")]
    Contract {
        /// The plugin's name.
        name: String,
        /// The rule that it breaks, and the remedy.
        #[source]
        reason: ContractError,
    },
    /// The component exceeds a size limit.
    #[error(
        "plugin `{name}` is too large: {what} is {found}{} (limit {limit}); raise `{option}` to \
         allow it", if option.ends_with("-bytes") { " bytes" } else { "" }
    )]
    TooLarge {
        /// The plugin's name.
        name: String,
        /// The part that is too large.
        what: &'static str,
        /// The size.
        found: u64,
        /// The maximum size.
        limit: u64,
        /// The name of the limit.
        option: &'static str,
    },
    /// Compilation exceeded its time limit.
    #[error(
        "plugin `{name}` exceeded the compile time limit ({}s); raise `compile-time` to allow it",
        limit.as_secs()
    )]
    CompileTime {
        /// The plugin's name.
        name: String,
        /// The time limit.
        limit: std::time::Duration,
    },
    /// Compilation exceeded its memory limit.
    #[error(
        "plugin `{name}` exceeded the compile memory limit ({}); raise `compile-memory` to allow it",
        crate::limits::bytes(*limit)
    )]
    CompileMemory {
        /// The plugin's name.
        name: String,
        /// The memory limit in bytes.
        limit: u64,
    },
    /// The component conforms to the contract, but this host cannot compile or link it.
    #[error("cannot load plugin `{name}`")]
    Compile {
        /// The plugin's name.
        name: String,
        /// The error of wasmtime.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The precompiled plugin cannot be used.
    #[error("cannot use precompiled plugin `{name}`")]
    Precompiled {
        /// The plugin's name.
        name: String,
        /// The reason.
        #[source]
        reason: PrecompiledError,
    },
}

/// The reason why a precompiled plugin cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrecompiledError {
    /// The file is not a precompiled plugin.
    #[error("not a precompiled plugin file; recompile it")]
    Foreign,
    /// The file is damaged.
    #[error("the file is damaged; recompile it")]
    Damaged,
    /// The file was made by another version of the host, or by a host with other options.
    #[error("it was compiled for another host: {message}; recompile it")]
    OtherHost {
        /// The difference.
        message: String,
    },
}

impl PrecompiledError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Foreign => "precompiled-foreign",
            Self::Damaged => "precompiled-damaged",
            Self::OtherHost { .. } => "precompiled-other-host",
        }
    }
}

impl LoadError {
    /// Returns a stable code for programs.
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

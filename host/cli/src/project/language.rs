//! The languages of projects, and their builds.

pub(crate) mod c;
pub(crate) mod javascript;
pub(crate) mod python;
pub(crate) mod rust;

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::project::error::ProjectError;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust, built by Cargo.
    Rust,
    /// Python, built by `componentize-py`.
    Python,
    /// JavaScript, built by `componentize-js`.
    JavaScript,
    /// TypeScript, compiled by `tsc` and built by `componentize-js`.
    TypeScript,
    /// C, built by Clang.
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Rust, Self::Python, Self::JavaScript, Self::TypeScript, Self::C];

    /// Returns the name, as in a manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::C => "c",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|language| language.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown language `{text}`; use one of {names}")
        })
    }
}

/// Reads the output file of a tool and removes it.
fn take(path: &Path) -> Result<Vec<u8>, ProjectError> {
    let bytes = fs::read(path).map_err(ProjectError::file("read", path))?;
    fs::remove_file(path).map_err(ProjectError::file("remove", path))?;
    Ok(bytes)
}

//! The languages there are templates for, and how each is built.

pub(crate) mod c;
pub(crate) mod javascript;
pub(crate) mod python;
pub(crate) mod rust;

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::error::AuthoringError;
use crate::files::{self, File};

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust, built by Cargo.
    Rust,
    /// Python, built by `componentize-py`.
    Python,
    /// JavaScript, built by `componentize-js`.
    JavaScript,
    /// C, built by Clang.
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::Python, Self::JavaScript, Self::C];

    /// Its name, as in a manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::C => "c",
        }
    }

    pub(crate) const fn template(self) -> &'static [File] {
        match self {
            Self::Rust => files::RUST,
            Self::Python => files::PYTHON,
            Self::JavaScript => files::JAVASCRIPT,
            Self::C => files::C,
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
            format!("there is no template for `{text}`; there are {names}")
        })
    }
}

/// Reads what a tool has made, and removes it.
fn take(path: &Path) -> Result<Vec<u8>, AuthoringError> {
    let bytes = fs::read(path).map_err(AuthoringError::file("read", path))?;
    fs::remove_file(path).map_err(AuthoringError::file("remove", path))?;
    Ok(bytes)
}

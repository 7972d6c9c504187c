//! The plugins of new projects.

use std::str::FromStr;

use crate::project::files::{self, File};
use crate::project::language::Language;

/// The plugin of a new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// Copies files between directories.
    Copy,
    /// Transfers files between a directory and a server.
    Http,
}

/// The files of a copying plugin that other plugins share.
const SHARED: [&str; 8] = [
    ".gitignore",
    "Cargo.toml",
    "compile_flags.txt",
    "jsconfig.json",
    "pyrightconfig.json",
    "requirements.txt",
    "rust-toolchain.toml",
    "tsconfig.json",
];

impl Template {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Copy, Self::Http];

    /// Returns the files of a new project.
    pub(crate) fn files(self, language: Language) -> Vec<&'static File> {
        match self {
            Self::Copy => {
                let mut files: Vec<_> = copying(language).iter().collect();
                if language == Language::TypeScript {
                    // Shares tests and fixture with JavaScript.
                    let is_shared = |file: &&File| {
                        file.path.starts_with("tests/") || file.path.starts_with("fixture/")
                    };
                    files.extend(files::JAVASCRIPT.iter().filter(is_shared));
                }
                files
            }
            Self::Http => {
                let shared = copying(language).iter().filter(|file| SHARED.contains(&file.path));
                shared.chain(transferring(language)).collect()
            }
        }
    }

    /// Returns the packages between a plugin and the contract that are part of the project.
    pub(crate) fn packages(self, language: Language) -> Vec<&'static File> {
        let (basic, http): (&[File], &[File]) = match language {
            // The package is a copy of the SDK.
            Language::Rust => (&[], &[]),
            Language::Python => (files::PYTHON_PACKAGE, files::PYTHON_HTTP_PACKAGE),
            Language::JavaScript | Language::TypeScript => {
                (files::JAVASCRIPT_PACKAGE, files::JAVASCRIPT_HTTP_PACKAGE)
            }
            Language::C => (&[], files::C_HTTP_PACKAGE),
        };
        match self {
            Self::Copy => basic.iter().collect(),
            Self::Http => basic.iter().chain(http).collect(),
        }
    }
}

const fn copying(language: Language) -> &'static [File] {
    match language {
        Language::Rust => files::RUST,
        Language::Python => files::PYTHON,
        Language::JavaScript => files::JAVASCRIPT,
        Language::TypeScript => files::TYPESCRIPT,
        Language::C => files::C,
    }
}

const fn transferring(language: Language) -> &'static [File] {
    match language {
        Language::Rust => files::RUST_HTTP,
        Language::Python => files::PYTHON_HTTP,
        Language::JavaScript => files::JAVASCRIPT_HTTP,
        Language::TypeScript => files::TYPESCRIPT_HTTP,
        Language::C => files::C_HTTP,
    }
}

/// Parses the feature that a plugin has in addition.
impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "http" => Ok(Self::Http),
            other => Err(format!("unknown feature `{other}`; use http")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_templates_use_the_same_packages_of_npm() {
        for language in [Language::JavaScript, Language::TypeScript] {
            let [copy, http] = Template::ALL.map(|template| {
                let files = template.files(language);
                let file = files.iter().find(|file| file.path == "package.json").unwrap();
                let package: serde_json::Value = serde_json::from_slice(file.bytes).unwrap();
                package["devDependencies"].clone()
            });
            assert_eq!(copy, http, "{language}");
            assert!(copy.is_object(), "{language}");
        }
    }

    #[test]
    fn no_file_occurs_twice() {
        for language in Language::ALL {
            for template in Template::ALL {
                let files = [template.files(language), template.packages(language)].concat();
                let mut paths: Vec<_> = files.iter().map(|file| file.path).collect();
                paths.sort_unstable();
                let all = paths.len();
                paths.dedup();
                assert_eq!(paths.len(), all, "{language}: {template:?}");
            }
        }
    }
}

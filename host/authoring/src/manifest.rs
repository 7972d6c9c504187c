//! The file `syncmgr.toml` of a project.
//!
//! ```toml
//! [plugin]
//! name = "mirror"
//! version = "0.1.0"
//! description = "Copies new and changed files from one folder to another"
//! license = "MIT OR Apache-2.0"
//! homepage = "https://example.org/mirror"     # optional
//!
//! [build]
//! language = "python"
//! module = "app"
//!
//! [requests.directories]
//! source = { access = "read-only", why = "the folder to copy from" }
//!
//! [fixture.directories]
//! source = "fixture/source"
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use syncmgr_host::Requests;

/// A project's manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the plugin is.
    pub plugin: About,
    pub(crate) build: Build,
    /// What the plugin wants, in the shape of [`syncmgr_host::requests`].
    #[serde(default)]
    pub(crate) requests: toml::Table,
    /// What trying and testing grants.
    #[serde(default)]
    pub fixture: Fixture,
}

/// What a plugin is, for people.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Its name, and that of its file.
    pub name: String,
    /// Its version, such as `1.2.0`.
    pub version: String,
    /// What it does, in a sentence.
    pub description: Option<String>,
    /// An SPDX expression.
    pub license: Option<String>,
    /// A web page.
    pub homepage: Option<String>,
}

/// What trying and testing a plugin grants it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Folders of the project, by the names of the grants. They are copied first, so that they
    /// stay as they are.
    #[serde(default)]
    pub directories: BTreeMap<String, PathBuf>,
    /// Settings.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// How it is built.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "language", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Build {
    Rust {},
    Python {
        /// The module with the exports.
        #[serde(default = "app")]
        module: String,
    },
    Javascript {
        /// The file with the exports.
        #[serde(default = "entry")]
        entry: PathBuf,
    },
    Typescript {
        /// The file with the exports.
        #[serde(default = "typescript_entry")]
        entry: PathBuf,
    },
    C {
        /// Whether frames of a crash have files and lines.
        #[serde(default)]
        debug: bool,
    },
}

fn app() -> String {
    "app".to_owned()
}

fn entry() -> PathBuf {
    "plugin.js".into()
}

fn typescript_entry() -> PathBuf {
    "plugin.ts".into()
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let about = &manifest.plugin;
        if !crate::create::is_name(&about.name) {
            return Err(format!(
                "`{}` cannot be the name of a plugin: use up to {} of a-z, 0-9 and -, beginning \
                 with a letter",
                about.name,
                crate::error::NAME_LENGTH
            ));
        }
        // It becomes a part of the name of a file.
        if let Err(error) = semver::Version::parse(&about.version) {
            return Err(format!(
                "`{}` is not a version: {error}; use three numbers, such as `1.2.0`",
                about.version
            ));
        }
        Requests::parse(manifest.requests_section().as_bytes())
            .map_err(|error| error.to_string())?;
        Ok(manifest)
    }

    /// What the section of the component says.
    pub(crate) fn requests_section(&self) -> String {
        self.requests.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[plugin]\nname = \"a\"\nversion = \"1.0.0\"\n[build]\nlanguage = \"c\"\n";

    #[test]
    fn a_manifest_is_read() {
        let text = format!(
            "{GOOD}[requests.directories]\nsource = {{ access = \"read-only\", why = \"it\" }}\n\
             [fixture.directories]\nsource = \"in\"\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        let requests = Requests::parse(manifest.requests_section().as_bytes()).unwrap();
        assert_eq!(requests.directory("source"), Some(syncmgr_host::Access::ReadOnly));
        assert_eq!(manifest.fixture.directories["source"], PathBuf::from("in"));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for (from, to, about) in [
            ("\"a\"", "\"A b\"", "cannot be the name"),
            ("\"1.0.0\"", "\"../1\"", "is not a version"),
            ("\"1.0.0\"", "\"\"", "is not a version"),
            ("\"1.0.0\"", "\"1.0\"", "is not a version"),
            ("\"1.0.0\"", "\"v1.0.0\"", "is not a version"),
            ("\"1.0.0\"", "\"latest\"", "is not a version"),
            ("\"c\"", "\"cobol\"", "cobol"),
            ("[build]", "[other]\n[build]", "other"),
            ("[build]", "[requests]\nmagic = 1\n[build]", "requests"),
        ] {
            let refused = Manifest::parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(refused.contains(about), "{to}: {refused}");
        }
    }
}

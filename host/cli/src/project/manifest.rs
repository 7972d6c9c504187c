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

use crate::project::name;

/// A project's manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The plugin's metadata.
    pub plugin: About,
    pub(crate) build: Build,
    /// The plugin's requests, in the form of [`syncmgr_host::requests`].
    #[serde(default)]
    pub(crate) requests: toml::Table,
    /// The fixture of `syncmgr dev` and `syncmgr test`.
    #[serde(default)]
    pub fixture: Fixture,
}

/// A plugin's metadata for users.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Its name, and that of its file.
    pub name: String,
    /// Its version, such as `1.2.0`.
    pub version: String,
    /// A sentence about its purpose.
    pub description: Option<String>,
    /// An SPDX expression.
    pub license: Option<String>,
    /// A web page.
    pub homepage: Option<String>,
}

/// The grants and settings of `syncmgr dev` and `syncmgr test`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Folders of the project, by the names of the grants. The plugin gets copies of them.
    #[serde(default)]
    pub directories: BTreeMap<String, PathBuf>,
    /// Settings.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// The language and its options.
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
        /// Whether backtraces have files and lines.
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
    /// Parses a manifest.
    ///
    /// # Errors
    /// The problem and its location.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let about = &manifest.plugin;
        if !name::is_valid(&about.name) {
            return Err(format!(
                "invalid plugin name `{}`; use up to {} of a-z, 0-9 and `-`, starting with a \
                 letter",
                about.name,
                name::MAX_LENGTH
            ));
        }
        // The version becomes part of a file name.
        if let Err(error) = semver::Version::parse(&about.version) {
            return Err(format!(
                "invalid version `{}`: {error}; use three numbers, such as `1.2.0`",
                about.version
            ));
        }
        Requests::parse(manifest.requests_section().as_bytes())
            .map_err(|error| error.to_string())?;
        Ok(manifest)
    }

    /// Returns the world of the contract that the plugin's requests need.
    pub(crate) fn world(&self) -> &'static str {
        match self.requests.contains_key("http") {
            true => "plugin-http",
            false => "plugin",
        }
    }

    /// Returns the content of the component's request section.
    pub(crate) fn requests_section(&self) -> String {
        self.requests.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[plugin]\nname = \"a\"\nversion = \"1.0.0\"\n[build]\nlanguage = \"c\"\n";

    #[test]
    fn a_manifest_is_parsed() {
        let text = format!(
            "{GOOD}[requests.directories]\nsource = {{ access = \"read-only\", why = \"it\" }}\n\
             [fixture.directories]\nsource = \"in\"\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        let requests = Requests::parse(manifest.requests_section().as_bytes()).unwrap();
        assert_eq!(requests.directory("source"), Some(syncmgr_host::Access::ReadOnly));
        assert_eq!(manifest.fixture.directories["source"], PathBuf::from("in"));
        assert_eq!(manifest.world(), "plugin");
    }

    #[test]
    fn requests_for_servers_need_another_world() {
        let text = format!("{GOOD}[requests.http]\nremote = {{ why = \"it\" }}\n");
        assert_eq!(Manifest::parse(&text).unwrap().world(), "plugin-http");
    }

    #[test]
    fn an_invalid_manifest_is_rejected() {
        for (from, to, about) in [
            ("\"a\"", "\"A b\"", "invalid plugin name"),
            ("\"1.0.0\"", "\"../1\"", "invalid version"),
            ("\"1.0.0\"", "\"\"", "invalid version"),
            ("\"1.0.0\"", "\"1.0\"", "invalid version"),
            ("\"1.0.0\"", "\"v1.0.0\"", "invalid version"),
            ("\"1.0.0\"", "\"latest\"", "invalid version"),
            ("\"c\"", "\"cobol\"", "cobol"),
            ("[build]", "[other]\n[build]", "other"),
            ("[build]", "[requests]\nmagic = 1\n[build]", "requests"),
        ] {
            let refused = Manifest::parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(refused.contains(about), "{to}: {refused}");
        }
    }
}

//! Projects that refer to the published SDK by its version, instead of containing a copy of it.

/// The SDK of a new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// The project contains a copy of it.
    Vendored,
    /// The project refers to its version in the registry of the language.
    Published,
}

/// The package of the SDK in each registry. All packages have the version of the program.
const PACKAGE: &str = "syncmgr-plugin";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Rows of a README about the files that a project does not contain.
const ROWS: [&str; 4] =
    ["| `vendor`", "| `syncmgr_plugin.py`", "| `syncmgr_http.py`", "| `syncmgr-plugin/"];

/// Returns a file of a template for a project with the published SDK.
pub(crate) fn adapt(path: &str, text: &str) -> String {
    match path {
        "Cargo.toml" => text.replace(
            &format!("{PACKAGE} = {{ path = \"vendor/{PACKAGE}\" }}"),
            &format!("{PACKAGE} = \"{VERSION}\""),
        ),
        "requirements.txt" => format!("{text}{PACKAGE}=={VERSION}\n"),
        "package.json" => text.replace(
            "\"devDependencies\": {\n",
            &format!("\"dependencies\": {{\n    \"{PACKAGE}\": \"{VERSION}\"\n  }},\n  \"devDependencies\": {{\n"),
        ),
        "tsconfig.json" => text.replace(&format!("\"{PACKAGE}/*.js\", "), ""),
        "README.md" => {
            let lines = text.split_inclusive('\n');
            lines.filter(|line| !ROWS.iter().any(|row| line.starts_with(row))).collect()
        }
        path if path.ends_with(".js") || path.ends_with(".ts") => text
            .replace(&format!("'./{PACKAGE}/"), &format!("'{PACKAGE}/"))
            .replace(&format!("'../{PACKAGE}/"), &format!("'{PACKAGE}/")),
        _other => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{Language, Template, create};

    #[test]
    fn a_project_with_the_published_sdk_has_no_copy_of_it() {
        let parent = tempfile::tempdir().unwrap();
        let version = |before: &str, after: &str| format!("{before}{VERSION}{after}");
        for (language, manifest, reference) in [
            (Language::Rust, "Cargo.toml", version("syncmgr-plugin = \"", "\"")),
            (Language::Python, "requirements.txt", version("syncmgr-plugin==", "\n")),
            (Language::JavaScript, "package.json", version("\"syncmgr-plugin\": \"", "\"")),
            (Language::TypeScript, "package.json", version("\"syncmgr-plugin\": \"", "\"")),
        ] {
            for template in Template::ALL {
                let name = format!("my-{language}-{template:?}").to_lowercase();
                let path =
                    create(parent.path(), &name, language, template, Sdk::Published).unwrap();
                let text = std::fs::read_to_string(path.join(manifest)).unwrap();
                assert!(text.contains(&reference), "{text}");
                let mut folders = vec![path];
                while let Some(folder) = folders.pop() {
                    for entry in std::fs::read_dir(folder).unwrap() {
                        let path = entry.unwrap().path();
                        if path.is_dir() {
                            folders.push(path);
                            continue;
                        }
                        let text = std::fs::read_to_string(&path).unwrap_or_default();
                        for copy in ["vendor/", "./syncmgr-plugin", "| `syncmgr"] {
                            let is_left =
                                |line: &&str| line.contains(copy) && !line.contains(".toml");
                            let found = text.lines().find(is_left);
                            assert_eq!(found, None, "{}", path.display());
                        }
                        assert!(!path.to_string_lossy().contains("syncmgr_plugin"), "{path:?}");
                    }
                }
            }
        }
    }
}

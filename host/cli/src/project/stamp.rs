//! Recognizes a build whose inputs have not changed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::project::error::ProjectError;
use crate::project::language;
use crate::project::manifest::Build;
use crate::project::write::write;
use crate::project::{MANIFEST, Project, sources};

/// The digests of the inputs of a build and of the component that it made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inputs: Inputs,
    component: blake3::Hash,
}

/// The digests of the inputs of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inputs {
    sources: blake3::Hash,
    /// `None`: the tools are not installed.
    tools: Option<blake3::Hash>,
}

impl Stamp {
    pub(crate) fn new(inputs: Inputs, component: &[u8]) -> Self {
        Self { inputs, component: blake3::hash(component) }
    }

    /// Returns whether the project's component was built from these inputs. If the tools are not
    /// installed, only the sources count.
    pub(crate) fn is_current(project: &Project, inputs: Inputs) -> bool {
        let Ok(component) = fs::read(project.component()) else { return false };
        let Ok(kept) = fs::read_to_string(file(project)) else { return false };
        let text = Self::new(inputs, &component).text();
        match inputs.tools {
            Some(_) => kept == text,
            None => without_tools(&kept).eq(without_tools(&text)),
        }
    }

    pub(crate) fn keep(&self, project: &Project) -> Result<(), ProjectError> {
        write(&file(project), self.text().as_bytes())
    }

    fn text(&self) -> String {
        let Inputs { sources, tools } = self.inputs;
        let tools = tools.map(|tools| tools.to_string()).unwrap_or_default();
        format!("sources {sources}\ntools {tools}\ncomponent {}\n", self.component)
    }
}

fn without_tools(stamp: &str) -> impl Iterator<Item = &str> {
    stamp.lines().filter(|line| !line.starts_with("tools "))
}

fn file(project: &Project) -> PathBuf {
    project.build_folder().join("stamp")
}

/// Returns the digests of the inputs of a build: sources, contract, requests and tools, but not the
/// fixture, documents or metadata that only `pack` reads.
///
/// # Errors
/// [`ProjectError::File`].
pub(crate) fn inputs(project: &Project) -> Result<Inputs, ProjectError> {
    let mut hasher = blake3::Hasher::new();
    // The length separates two parts.
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let manifest = project.manifest();
    part(env!("CARGO_PKG_VERSION").as_bytes());
    part(manifest.plugin.name.as_bytes());
    part(format!("{:?}", manifest.build).as_bytes());
    part(manifest.requests_section().as_bytes());
    let tools = match &manifest.build {
        Build::Rust {} => Vec::new(),
        Build::Python { .. } => language::python::tools(project),
        Build::Javascript { .. } | Build::Typescript { .. } => language::javascript::tools(project),
        Build::C { .. } => language::c::tools(project),
    };
    let root = project.root();
    for path in sources(root) {
        let relative = path.strip_prefix(root).unwrap_or(&path);
        if is_input(project, relative) {
            let bytes = fs::read(&path).map_err(ProjectError::file("read", &path))?;
            part(relative.as_os_str().as_encoded_bytes());
            part(&bytes);
        }
    }
    let tools = (!tools.is_empty()).then(|| blake3::hash(&tools));
    Ok(Inputs { sources: hasher.finalize(), tools })
}

/// Returns whether a file, by its path in the project, can be an input of a build.
fn is_input(project: &Project, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_document = name.ends_with(".md") || name.starts_with("LICENSE");
    let is_hidden = path.iter().next().is_some_and(|top| top.to_string_lossy().starts_with('.'));
    let fixture = &project.manifest().fixture;
    let is_fixture = fixture.directories.values().any(|folder| path.starts_with(folder));
    path != Path::new(MANIFEST) && !is_document && !is_hidden && !is_fixture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{Language, Sdk, Template, create};

    #[test]
    fn only_inputs_of_the_build_change_the_digest() {
        let parent = tempfile::tempdir().unwrap();
        for language in [Language::C, Language::Python, Language::JavaScript] {
            let name = format!("my-{language}");
            let root =
                create(parent.path(), &name, language, Template::Copy, Sdk::Vendored).unwrap();
            let digest = || inputs(&Project::find(&root).unwrap()).unwrap();
            let append = |path: &str, text: &str| {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let before = fs::read_to_string(&path).unwrap_or_default();
                fs::write(path, before + text).unwrap();
            };
            let mut last = digest();
            assert_eq!(digest(), last);
            for (path, text, changes) in [
                ("README.md", "more", false),
                ("docs/notes.md", "more", false),
                (".github/workflows/ci.yml", "more", false),
                ("fixture/source/more.txt", "more", false),
                ("build/other", "more", false),
                ("syncmgr.toml", "[fixture.settings]\nmore = \"1\"\n", false),
                ("syncmgr.toml", "[requests.settings]\nmode = \"how\"\n", true),
                ("src/more.c", "int more;", true),
                ("more.py", "more = 1", true),
                ("more.py", "\n", true),
                ("wit/types.wit", "\n", true),
            ] {
                append(path, text);
                assert_eq!(digest() != last, changes, "{language}: {path}");
                last = digest();
            }
            fs::rename(root.join("more.py"), root.join("less.py")).unwrap();
            assert_ne!(digest(), last, "{language}: another name");
        }
    }
}

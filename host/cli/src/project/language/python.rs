//! `componentize-py` builds a component of the Python interpreter and the project's modules.

use std::fs;
use std::path::{Path, PathBuf};

use crate::project::Project;
use crate::project::error::ProjectError;
use crate::project::language::take;
use crate::project::tool::{Tool, in_environment};

const INSTALL: &str = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";

/// Returns the folders of the packages in the project's environment, relative to the project.
fn site_packages(project: &Project) -> Vec<PathBuf> {
    let environment = Path::new(".venv");
    let libraries = fs::read_dir(project.root().join(environment).join("lib"));
    let names = libraries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.file_name()));
    let mut folders: Vec<_> = names.map(|name| environment.join("lib").join(name)).collect();
    folders.push(environment.join("Lib"));
    let folders = folders.into_iter().map(|folder| folder.join("site-packages"));
    folders.filter(|folder| project.root().join(folder).is_dir()).collect()
}

/// Returns the packages of the project's environment, with their versions.
pub(crate) fn tools(project: &Project) -> Vec<u8> {
    let folders = site_packages(project);
    let packages = folders.iter().flat_map(|folder| fs::read_dir(project.root().join(folder)));
    let names = packages.flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".dist-info")).collect();
    names.sort();
    names.join("\n").into_bytes()
}

pub(crate) fn build(project: &Project, module: &str) -> Result<Vec<u8>, ProjectError> {
    let root = project.root();
    let made = project.build_folder().join("plugin.made.wasm");
    let program = in_environment(root, ".venv", "componentize-py");
    let mut tool = Tool::new(program, root, INSTALL);
    // The tool's own backtrace is not helpful. Python's is printed anyway.
    tool.env("RUST_BACKTRACE", "0");
    tool.args(["--quiet", "--wit-path", "wit", "--world", project.manifest().world()]);
    tool.args(["componentize", module]);
    tool.args(["--python-path", "."]);
    for folder in site_packages(project) {
        tool.arg("--python-path").arg(folder);
    }
    tool.arg("--output").arg(&made).run()?;
    take(&made)
}

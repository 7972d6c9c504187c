//! `componentize-py` builds a component of the Python interpreter and the project's modules.

use std::fs;

use crate::project::Project;
use crate::project::error::ProjectError;
use crate::project::language::take;
use crate::project::tool::{Tool, in_environment};

const INSTALL: &str = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";

/// Returns the packages of the project's environment, with their versions.
pub(crate) fn tools(project: &Project) -> Vec<u8> {
    let environment = project.root().join(".venv");
    let libraries = fs::read_dir(environment.join("lib")).into_iter().flatten();
    let mut folders: Vec<_> = libraries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.push(environment.join("Lib"));
    let packages = folders.iter().flat_map(|folder| fs::read_dir(folder.join("site-packages")));
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
    tool.args(["--python-path", ".", "--output"]).arg(&made).run()?;
    take(&made)
}

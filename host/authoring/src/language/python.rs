//! `componentize-py` puts the interpreter and the project's modules into a component.

use crate::error::AuthoringError;
use crate::language::take;
use crate::project::Project;
use crate::tool::{Tool, in_environment};

const INSTALL: &str = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";

pub(crate) fn build(project: &Project, module: &str) -> Result<Vec<u8>, AuthoringError> {
    let root = project.root();
    let made = project.build_folder().join("plugin.made.wasm");
    let program = in_environment(root, ".venv", "componentize-py");
    let mut tool = Tool::new(program, root, INSTALL);
    // Its own stack says nothing about the plugin; Python's is printed all the same.
    tool.env("RUST_BACKTRACE", "0");
    tool.args(["--quiet", "--wit-path", "wit", "--world", "plugin", "componentize", module]);
    tool.args(["--python-path", ".", "--output"]).arg(&made).run()?;
    take(&made)
}

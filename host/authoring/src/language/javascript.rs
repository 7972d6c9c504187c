//! `componentize-js` puts an engine and the project's modules into a component.

use std::path::Path;

use crate::error::AuthoringError;
use crate::language::take;
use crate::project::Project;
use crate::tool::Tool;

const NODE: &str = "sudo apt install nodejs npm";
const INSTALL: &str = "npm install";
/// Calls componentize-js, whose program is not part of its package.
const SCRIPT: &str = include_str!("componentize.mjs");

pub(crate) fn build(project: &Project, entry: &Path) -> Result<Vec<u8>, AuthoringError> {
    let root = project.root();
    let package = root.join("node_modules/@bytecodealliance/componentize-js");
    if !package.is_dir() {
        return Err(Tool::new("@bytecodealliance/componentize-js", root, INSTALL).missing());
    }
    let made = project.build_folder().join("plugin.made.wasm");
    let mut node = Tool::new("node", root, NODE);
    // It finds what is installed in the folder that it starts in.
    node.args(["--input-type=module", "--eval", SCRIPT, "--"]);
    node.arg(entry).args(["wit", "plugin"]).arg(&made).run()?;
    take(&made)
}

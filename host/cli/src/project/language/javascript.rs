//! `componentize-js` builds a component of a JavaScript engine and the project's modules.

use std::fs;
use std::path::Path;

use crate::project::Project;
use crate::project::error::ProjectError;
use crate::project::language::take;
use crate::project::tool::Tool;

const NODE: &str = "sudo apt install nodejs npm";
const INSTALL: &str = "npm install";
/// Generates types of the contract.
const JCO: &str = "@bytecodealliance/jco";
/// Calls componentize-js, whose package has no program.
const SCRIPT: &str = include_str!("componentize.mjs");

/// Returns the packages that npm has installed.
pub(crate) fn tools(project: &Project) -> Vec<u8> {
    fs::read(project.root().join("node_modules/.package-lock.json")).unwrap_or_default()
}

/// Checks that a package is installed in the project.
fn require(project: &Project, package: &str) -> Result<(), ProjectError> {
    match project.root().join("node_modules").join(package).is_dir() {
        true => Ok(()),
        false => Err(Tool::new(package, project.root(), INSTALL).missing()),
    }
}

/// Checks and compiles the sources, with the types of the project's contract, to modules that are
/// built as those in JavaScript are.
pub(crate) fn build_typescript(project: &Project, entry: &Path) -> Result<Vec<u8>, ProjectError> {
    let root = project.root();
    require(project, JCO)?;
    require(project, "typescript")?;
    let mut types = Tool::new("node", root, NODE);
    types.arg(format!("node_modules/{JCO}/src/jco.js"));
    types.args(["guest-types", "wit", "--world-name", project.manifest().world()]);
    types.args(["--out-dir", "types", "--quiet"]);
    types.run()?;
    let mut compile = Tool::new("node", root, NODE);
    compile.args(["node_modules/typescript/bin/tsc", "--outDir", "build/js"]).run()?;
    build(project, &Path::new("build/js").join(entry).with_extension("js"))
}

pub(crate) fn build(project: &Project, entry: &Path) -> Result<Vec<u8>, ProjectError> {
    let root = project.root();
    require(project, "@bytecodealliance/componentize-js")?;
    let made = project.build_folder().join("plugin.made.wasm");
    let mut node = Tool::new("node", root, NODE);
    // Node looks for packages in its working directory, and warns that its WASI is experimental.
    node.args(["--no-warnings", "--input-type=module", "--eval", SCRIPT, "--"]);
    node.arg(entry).args(["wit", project.manifest().world()]).arg(&made).run()?;
    take(&made)
}

//! Cargo builds a component.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::project::Project;
use crate::project::error::ProjectError;
use crate::project::tool::Tool;

const TARGET: &str = "wasm32-wasip2";

/// The relevant fields of Cargo's messages.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Returns the folder with the sources of dependencies.
fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

pub(crate) fn build(project: &Project) -> Result<Vec<u8>, ProjectError> {
    let root = project.root();
    const CARGO: &str = "curl https://sh.rustup.rs -sSf | sh";
    let add_target = format!("rustup target add {TARGET}");
    let mut sysroot = Tool::new("rustc", root, CARGO);
    let sysroot = sysroot.args(["--print", "sysroot"]).output()?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
    if !sysroot.join("lib/rustlib").join(TARGET).exists() {
        return Err(Tool::new(format!("Rust for {TARGET}"), root, &add_target).missing());
    }
    let mut cargo = Tool::new("cargo", root, CARGO);
    cargo.args(["build", "--release", "--target", TARGET]);
    // Panic messages and debug information contain paths. Absolute paths would leak the layout of
    // this machine and make the build irreproducible.
    let registry = cargo_home().map(|home| (home.join("registry/src"), "/cargo"));
    let prefixes = [(root.to_owned(), "."), (sysroot.join("lib/rustlib/src/rust"), "/rust")];
    for (from, to) in prefixes.into_iter().chain(registry) {
        let flag = format!("--remap-path-prefix={}={to}", from.display());
        let flags = toml::Value::from(vec![flag]);
        cargo.arg("--config").arg(format!("target.{TARGET}.rustflags={flags}"));
    }
    let messages = cargo.arg("--message-format=json-render-diagnostics").output()?;
    let lines = messages.split(|byte| *byte == b'\n');
    let artifacts = lines
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .flat_map(|message| message.filenames);
    let mut components = artifacts.filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    // The project's component comes after its dependencies.
    let path = components.next_back().ok_or_else(|| ProjectError::Component {
        what: "find the component that Cargo built",
        message: "the crate has no library of type `cdylib`".to_owned(),
    })?;
    fs::read(&path).map_err(ProjectError::file("read", &path))
}

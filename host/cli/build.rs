//! Builds the built-in plugins, so that they are part of the program.

#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

use build_guests::Guest;

fn main() {
    let folder = build_guests::build(Guest::Package("folder")).join("folder.wasm");
    println!("cargo::rustc-env=PLUGIN_FOLDER={}", folder.display());
}

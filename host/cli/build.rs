//! Builds the built-in plugins, so that they are part of the program.

#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

use build_guests::Guest;

fn main() {
    let folder = build_guests::build(Guest::Package("folder")).join("folder.wasm");
    println!("cargo::rustc-env=PLUGIN_FOLDER={}", folder.display());
    let component = std::fs::read(&folder).expect("it was just built");
    println!("cargo::rustc-env=PLUGIN_FOLDER_DIGEST={}", blake3::hash(&component).to_hex());
}

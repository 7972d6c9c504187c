//! Builds the plugin that `lifecycle` drives.

#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

use build_guests::Guest;

fn main() {
    let script = build_guests::build(Guest::Examples("test-plugins")).join("script.wasm");
    println!("cargo::rustc-env=GUEST_SCRIPT={}", script.display());
}

//! Builds the built-in plugins as components, so that they are part of the program.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
const PLUGINS: [&str; 1] = ["folder"];

fn main() {
    let root = PathBuf::from(var("CARGO_MANIFEST_DIR")).join("../..");
    for watched in ["wit", "guest", "Cargo.lock", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    install_target();
    let target_dir = guest_target_dir(Path::new(&var("OUT_DIR")));
    for plugin in PLUGINS {
        build(&root, plugin, &target_dir);
        let component = target_dir.join(TARGET).join("plugin").join(format!("{plugin}.wasm"));
        println!("cargo::rustc-env=PLUGIN_{}={}", plugin.to_uppercase(), component.display());
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// `target/guests`, beside the folders of the profiles: one for every profile, apart from the
/// one that the outer cargo has locked.
fn guest_target_dir(out_dir: &Path) -> PathBuf {
    let target = out_dir.ancestors().nth(4).unwrap_or(out_dir);
    target.join("guests")
}

/// Where rustup manages the toolchain, it may be told not to install what rust-toolchain.toml
/// names.
fn install_target() {
    let rustc = var("RUSTC");
    let sysroot = Command::new(&rustc).args(["--print", "sysroot"]).output();
    let sysroot = sysroot.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let installed = sysroot
        .is_ok_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir());
    if !installed {
        println!("cargo::warning=adding the target {TARGET} with rustup");
        let added = Command::new("rustup").args(["target", "add", TARGET]).status();
        assert!(
            added.is_ok_and(|status| status.success()),
            "the Rust target {TARGET} is missing; install it with `rustup target add {TARGET}`"
        );
    }
}

fn build(root: &Path, plugin: &str, target_dir: &Path) {
    let status = Command::new(var("CARGO"))
        .args(["build", "--quiet", "--locked", "--profile=plugin", "--target", TARGET])
        .args(["--package", plugin, "--target-dir"])
        .arg(target_dir)
        .current_dir(root)
        // What was meant for the outer build does not fit this one.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "cannot build the plugin {plugin}: {status:?}"
    );
}

//! Builds plugins of this workspace as components, for its build scripts: it writes their output
//! for Cargo, and panics if something is missing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// A guest to build.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "a build script may use only one of them")]
pub(crate) enum Guest<'a> {
    /// The library of a package.
    Package(&'a str),
    /// All examples of a package.
    Examples(&'a str),
}

/// Builds a guest and returns the directory of its components. The calling script runs again when
/// the contract, the SDK or a plugin changes.
///
/// # Panics
/// Panics if the guest cannot be built. Cargo shows the message.
pub(crate) fn build(guest: Guest<'_>) -> PathBuf {
    let root = workspace();
    for watched in ["wit", "guest", "tests/plugins", "Cargo.lock", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let target_dir = target_dir(Path::new(&var("OUT_DIR")));
    let mut cargo = match env::var_os("CARGO_CFG_FUZZING") {
        None => {
            install_target();
            Command::new(var("CARGO"))
        }
        // Fuzzing uses another compiler than the workspace, whose compiler rustup finds.
        Some(_) => {
            let mut cargo = Command::new("cargo");
            for chosen in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC"] {
                cargo.env_remove(chosen);
            }
            cargo
        }
    };
    cargo
        .args([
            "build",
            "--quiet",
            "--locked",
            "--profile=plugin",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target_dir)
        .current_dir(&root)
        // The flags of the outer build do not apply to this one.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    let output = target_dir.join(TARGET).join("plugin");
    let output = match guest {
        Guest::Package(package) => {
            cargo.args(["--package", package, "--lib"]);
            output
        }
        Guest::Examples(package) => {
            cargo.args(["--package", package, "--examples"]);
            output.join("examples")
        }
    };
    let status = cargo.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "cannot build {guest:?}: {status:?}"
    );
    output
}

/// Returns the root of this workspace, by the package whose build script runs. A compiled-in path
/// would be wrong after a checkout is moved together with its target directory.
fn workspace() -> PathBuf {
    let package = PathBuf::from(var("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|folder| folder.join("host/cli/build/guests.rs").is_file());
    root.unwrap_or_else(|| panic!("{} is not in the workspace", package.display())).to_owned()
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns `target/guests`, which all profiles share, and which the outer cargo has not locked.
fn target_dir(out_dir: &Path) -> PathBuf {
    out_dir.ancestors().nth(4).unwrap_or(out_dir).join("guests")
}

/// Installs the target if necessary: rustup may be configured not to install the targets of
/// rust-toolchain.toml.
fn install_target() {
    let sysroot = Command::new(var("RUSTC")).args(["--print", "sysroot"]).output();
    let sysroot = sysroot.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let installed =
        sysroot.is_ok_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir());
    if !installed {
        println!("cargo::warning=adding the target {TARGET} with rustup");
        let added = Command::new("rustup").args(["target", "add", TARGET]).status();
        assert!(
            added.is_ok_and(|status| status.success()),
            "the Rust target {TARGET} is missing; install it with `rustup target add {TARGET}`"
        );
    }
}

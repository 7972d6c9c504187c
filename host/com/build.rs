//! Adds a version resource to the library.

#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

mod version_resource;

fn main() {
    println!("cargo::rerun-if-changed=version_resource.rs");
    let file = version_resource::File {
        name: "syncmgr_com.dll",
        description: "Sync plugins as handlers of Windows' Synchronization Manager",
        // `VFT_DLL`.
        kind: 2,
    };
    if let Some(object) = version_resource::write(&file) {
        println!("cargo::rustc-link-arg-cdylib={}", object.display());
    }
}

//! Builds every guest of the tests, and passes their paths to the tests.

#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

#[path = "../host/cli/build/guests.rs"]
mod guests;

use guests::Guest;

fn main() {
    for (guest, names) in [
        (Guest::Package("hello"), &["hello"][..]),
        (Guest::Package("folder"), &["folder"]),
        (Guest::Package("webdav"), &["webdav"]),
        (Guest::Package("s3"), &["s3"]),
        (
            Guest::Examples("test-plugins"),
            &["script", "fetch", "other_world", "hostile", "nonconforming", "shelf"],
        ),
    ] {
        let folder = guests::build(guest);
        for name in names {
            let component = folder.join(format!("{name}.wasm"));
            println!("cargo::rustc-env=GUEST_{}={}", name.to_uppercase(), component.display());
        }
    }
}

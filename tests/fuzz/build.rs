//! Builds the plugin for `lifecycle`, and the seeds that are WebAssembly files.

#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

#[path = "../../host/cli/build/guests.rs"]
mod guests;

use std::path::Path;
use std::{env, fs};

use guests::Guest;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let built = guests::build(Guest::Examples("test-plugins"));
    println!("cargo::rustc-env=GUEST_SCRIPT={}", built.join("script.wasm").display());

    // Next to the programs, where `run` finds them.
    let out = env::var("OUT_DIR")?;
    let seeds = Path::new(&out).ancestors().nth(3).ok_or("no profile")?.join("seeds/component");
    fs::create_dir_all(&seeds)?;
    println!("cargo::rerun-if-changed=seeds/component");
    for text in fs::read_dir("seeds/component")? {
        let text = text?.path();
        let name = text.file_stem().ok_or("a seed without a name")?;
        fs::write(seeds.join(name), wat::parse_file(&text)?)?;
    }
    fs::copy(built.join("other_world.wasm"), seeds.join("other-world"))?;
    Ok(())
}

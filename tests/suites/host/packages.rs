//! Published packages are complete: `.ci/publish` and `.ci/outside` build them.

use std::fs;

use anyhow::{Context, Result, ensure};
use conformance::workspace;

#[test]
fn copies_for_packages_are_equal() -> Result<()> {
    // A package contains only files of its own directory.
    for (source, copy) in [("host/com/version_resource.rs", "host/cli/build/version_resource.rs")] {
        let read = |path| fs::read_to_string(workspace().join(path)).context(path);
        ensure!(read(source)? == read(copy)?, "{copy} is not a copy of {source}");
    }
    Ok(())
}

#[test]
fn all_packages_have_the_version_of_the_workspace() -> Result<()> {
    let text = fs::read_to_string(workspace().join("guest/templates/packages/npm/package.json"))?;
    let package: serde_json::Value = serde_json::from_str(&text)?;
    ensure!(package["version"] == env!("CARGO_PKG_VERSION"), "{package}");
    Ok(())
}

//! Published packages are complete: `.ci/publish` and `.ci/outside` build them.

use std::fs;

use anyhow::{Context, Result, ensure};
use conformance::workspace;

#[test]
fn copies_for_packages_are_equal() -> Result<()> {
    // A package contains only the files of its directory.
    let (source, copy) = ("host/com/version_resource.rs", "host/cli/build/version_resource.rs");
    let read = |path| fs::read_to_string(workspace().join(path)).context(path);
    ensure!(read(source)? == read(copy)?, "{copy} is not a copy of {source}");
    Ok(())
}

#[test]
fn all_packages_have_the_version_of_the_workspace() -> Result<()> {
    let text = fs::read_to_string(workspace().join("guest/templates/packages/npm/package.json"))?;
    let package: serde_json::Value = serde_json::from_str(&text)?;
    ensure!(package["version"] == env!("CARGO_PKG_VERSION"), "{package}");
    Ok(())
}

#[test]
fn workflows_pin_their_actions() -> Result<()> {
    let mut pinned = 0;
    for file in fs::read_dir(workspace().join(".github/workflows"))? {
        let path = file?.path();
        for line in fs::read_to_string(&path)?.lines() {
            let Some((_, action)) = line.split_once("uses: ") else { continue };
            let commit = action.split_once('@').and_then(|(_, rest)| rest.split_once(" # v"));
            let (commit, _version) =
                commit.with_context(|| format!("{}: {line}", path.display()))?;
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            ensure!(is_commit, "{}: {line}", path.display());
            pinned += 1;
        }
    }
    ensure!(pinned >= 6, "{pinned} actions");
    Ok(())
}

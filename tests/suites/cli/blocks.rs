//! Compiles, executes or parses every code block of the documents.

#[cfg(unix)]
mod carried_out;
mod rows;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use conformance::blocks::{Block, blocks};
use conformance::workspace;
use syncmgr_cli::project::Manifest;

use rows::How::{By, File, Not, Run, Session, Shows, ShowsLine, Workflow};
use rows::{BLOCKS, How, WHOLE_PAGES};

/// Returns every page with code blocks, by its path in the repository.
fn documents() -> Result<BTreeMap<String, Vec<Block>>> {
    fn collect(folder: &Path, pages: &mut Vec<PathBuf>) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            }
            if path.is_dir() {
                collect(&path, pages)?;
            } else if path.extension().is_some_and(|end| end == "md") {
                pages.push(path);
            }
        }
        Ok(())
    }
    let root = workspace().canonicalize()?;
    let mut pages = Vec::new();
    collect(&root, &mut pages)?;
    let mut documents = BTreeMap::new();
    for page in pages {
        let found = blocks(&fs::read_to_string(&page)?);
        let path = page.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
        if !found.is_empty() {
            documents.insert(path, found);
        }
    }
    Ok(documents)
}

/// Returns the blocks of a page that a row of [`BLOCKS`] refers to.
fn named<'a>(page: &'a [Block], start: &'a str) -> impl Iterator<Item = &'a Block> {
    page.iter().filter(move |block| {
        !["rust", "wit"].contains(&block.language()) && block.text.starts_with(start)
    })
}

/// Returns whether a test of this name exists, such as `suite::test`.
fn test_exists(name: &str) -> Result<bool> {
    let (suite, _) = name.split_once("::").context("a suite and a test")?;
    let test = name.rsplit("::").next().context("a test")?;
    Ok(conformance::suite_source(suite)?.contains(&format!("#[test]\nfn {test}(")))
}

#[test]
fn every_block_has_a_test_or_a_reason() -> Result<()> {
    let documents = documents()?;
    let doctests = fs::read_to_string(workspace().join("tests/src/lib.rs"))?;
    for (page, found) in &documents {
        for block in found {
            let place = || format!("{page}:{}, ```{}", block.line, block.info);
            if block.language() == "rust" {
                let included = doctests.contains(&format!("include_str!(\"../../{page}\")"));
                ensure!(included, "{}: tests/src/lib.rs does not have the page", place());
                let compiled = block.info == "rust" || block.info == "rust,no_run";
                ensure!(compiled, "{}: it is not compiled", place());
                continue;
            }
            let rows = BLOCKS.iter().filter(|(of, start, _)| {
                of == page && named(std::slice::from_ref(block), start).next().is_some()
            });
            let mut hows: Vec<_> = rows.map(|(_, _, how)| how).collect();
            let whole = WHOLE_PAGES
                .iter()
                .any(|(of, infos, _)| of == page && infos.contains(&block.info.as_str()));
            ensure!(
                hows.len() + usize::from(whole) == 1,
                "{}: {} rows of this suite say what is done with it:\n{}",
                place(),
                hows.len() + usize::from(whole),
                block.text
            );
            let carried_out = !matches!(hows.pop(), Some(Not(_) | By(_)));
            let ignored = block.info.ends_with(",ignore");
            ensure!(!(carried_out && ignored), "{}: it is not ignored", place());
        }
    }
    for (page, start, how) in BLOCKS {
        let found = documents.get(*page).map(Vec::as_slice).unwrap_or_default();
        ensure!(named(found, start).count() == 1, "{page} has no block {start:?}");
        match how {
            By(test) => ensure!(test_exists(test)?, "there is no test {test}"),
            Not(why) => ensure!(why.contains(' '), "{page}: {start:?} needs a reason"),
            Run(..)
            | File(_)
            | Shows(..)
            | ShowsLine(..)
            | Session(_)
            | Workflow(_)
            | How::Manifest(_) => {}
        }
    }
    for (page, infos, test) in WHOLE_PAGES {
        let found = documents.get(*page).map(Vec::as_slice).unwrap_or_default();
        for info in *infos {
            ensure!(found.iter().any(|block| block.info == *info), "{page} has no {info}");
        }
        ensure!(test_exists(test)?, "there is no test {test}");
    }
    Ok(())
}

/// Returns the arguments of each `syncmgr` command in a block.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let lines = block.text.lines().map(|line| {
        let line = line.trim_start().trim_start_matches("$ ").trim_start_matches("- run: ");
        let command = line.split(" #").next().unwrap_or_default();
        command.replace("cargo demo ", "syncmgr demo ").replace("{{name}}", "mirror")
    });
    lines.filter(|line| line.starts_with("syncmgr ")).map(|line| words(&line)).collect()
}

/// Splits a command at its blanks, except those in `"`.
fn words(line: &str) -> Vec<String> {
    let mut is_quoted = false;
    let parts = line.split(|character: char| {
        is_quoted ^= character == '"';
        character.is_whitespace() && !is_quoted
    });
    parts.filter(|part| !part.is_empty()).map(|part| part.replace('"', "")).collect()
}

#[test]
fn every_command_in_a_block_is_valid() -> Result<()> {
    let mut checked = 0;
    for (page, found) in documents()? {
        for block in found.iter().filter(|block| block.language() != "rust") {
            for command in commands(block) {
                let arguments: Vec<_> = command.iter().map(String::as_str).collect();
                syncmgr_cli::check_arguments(&arguments).map_err(|error| {
                    anyhow::anyhow!("{page}:{}: {}: {error}", block.line, command.join(" "))
                })?;
                checked += 1;
            }
        }
    }
    ensure!(checked > 80, "{checked} commands");
    for wrong in [
        &["syncmgr", "run", "--job", "a.toml", "--dir", "b=c"][..],
        &["syncmgr", "sync"],
        &["syncmgr", "register"],
    ] {
        ensure!(syncmgr_cli::check_arguments(wrong).is_err(), "{wrong:?}");
    }
    Ok(())
}

#[test]
fn every_manifest_in_a_block_is_valid() -> Result<()> {
    let documents = documents()?;
    for (page, start, how) in BLOCKS {
        let How::Manifest(rest) = how else { continue };
        let block = documents.get(*page).and_then(|found| named(found, start).next());
        let part = &block.context("a block")?.text;
        Manifest::parse(&format!("{rest}{part}"))
            .map_err(|error| anyhow::anyhow!("{page}: {error}"))?;
        let misspelt = part.replacen("[requests.", "[requests.x", 1).replacen("version", "ver", 1);
        ensure!(Manifest::parse(&format!("{rest}{misspelt}")).is_err(), "{page} is not checked");
    }
    Ok(())
}

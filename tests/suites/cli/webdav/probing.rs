//! Finding out what a server can do.

use std::fs;

use anyhow::{Result, ensure};

use super::scene::{TOP, each_server};
use crate::home::Ran;

#[test]
fn what_a_server_can_do_is_found_out_once() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        scene.write(local, "a", b"a", 100)?;
        let can = scene.kind.can;
        let says = |ran: &Ran| ran.said().contains(can);
        let ran = scene.sync(&["--dry-run"])?;
        ensure!(!says(&ran) && remote.tree(TOP)?.is_empty(), "a dry run changes nothing: {ran:?}");
        scene.sync(&[])?.expect(0, "1 copied")?.expect(0, can)?;
        for _ in 0..2 {
            scene.sync(&["--dry-run"])?.expect(0, can)?;
        }
        let mut files = Vec::new();
        find(&scene.home.path("state"), ".server", &mut files)?;
        let [file] = &files[..] else { anyhow::bail!("{files:?}") };
        let known = fs::read(file)?;
        fs::write(file, b"damaged")?;
        let ran = scene.sync(&["--dry-run"])?;
        ensure!(!says(&ran), "{ran:?}");
        scene.write(local, "b", b"b", 100)?;
        scene.sync(&[])?.expect(0, "1 copied")?.expect(0, can)?;
        ensure!(fs::read(file)? == known, "the same is found out again");
        Ok(())
    })
}

/// Finds the files whose names end in a text.
fn find(directory: &std::path::Path, end: &str, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), end, found)?;
        } else if entry.file_name().to_string_lossy().ends_with(end) {
            found.push(entry.path());
        }
    }
    Ok(())
}

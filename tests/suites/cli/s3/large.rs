//! Many objects and large ones. The full size takes many minutes.

use std::fs;

use anyhow::{Result, ensure};
use conformance::servers::{self, Files};

use super::scene::{Scene, each_server, expect_same, installed};
use crate::home::Ran;

/// Two-way sync with edits on both sides: 20,000 files at full size.
#[test]
fn what_a_plain_client_downloads_is_equal() -> Result<()> {
    let is_full = std::env::var_os("SYNCMGR_TEST_FULL_SIZE").is_some();
    if !servers::has("rclone")? {
        return Ok(());
    }
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        // moto takes 20 ms for each object.
        let (count, large) = match (is_full, scene.kind.name) {
            (_, "moto") => (60, 1),
            (false, _) => (300, 2),
            (true, _) => (20_000, 10),
        };
        let bytes = if is_full { 50 << 20 } else { 20 << 20 };
        let content = |seed: usize, length: usize| -> Vec<u8> {
            let block = blake3::hash(&seed.to_le_bytes());
            block.as_bytes().iter().copied().cycle().take(length).collect()
        };
        for number in 0..count {
            let on = if number % 2 == 0 { local } else { remote };
            let path = format!("d{}/e{}/{number}", number % 7, number % 10);
            on.write(&path, &content(number, number * 13 % 9_000), 100)?;
        }
        for number in 0..large {
            let on = if number % 2 == 0 { local } else { remote };
            on.write(&format!("large/{number}"), &content(number, bytes), 100)?;
        }
        let begun = std::time::Instant::now();
        scene.sync(&[])?.expect(scene.kind.good, &format!("{} copied", count + large))?;
        let first = begun.elapsed();
        // Sizes stay the same.
        for number in (0..count).step_by(10) {
            let on = if number % 20 == 0 { local } else { remote };
            let path = format!("d{}/e{}/{number}", number % 7, number % 10);
            match number % 50 {
                0 => on.remove(&path)?,
                _ => on.write(&path, &content(number + 1, number * 13 % 9_000), 50)?,
            }
        }
        local.write("large/0", &content(count, bytes), 50)?;
        let removed = count.div_ceil(50);
        let edited = count.div_ceil(10) - removed + 1;
        let begun = std::time::Instant::now();
        scene.sync(&[])?.expect(scene.kind.good, &format!("{edited} copied, {removed} deleted"))?;
        let second = begun.elapsed();
        let begun = std::time::Instant::now();
        scene.sync(&[])?.expect(scene.kind.good, "nothing to do")?;
        println!(
            "{}: synced in {first:.1?}, edits in {second:.1?}, nothing in {:.1?}",
            scene.kind.name,
            begun.elapsed()
        );

        let plain = scene.home.path("plain/files").display().to_string();
        let downloaded = scene
            .rclone(&["copy", "--create-empty-src-dirs", ":s3:bucket/files", &plain])?
            .output()?;
        ensure!(downloaded.status.success(), "{}", String::from_utf8_lossy(&downloaded.stderr));
        let plain = Files::Directory(scene.home.path("plain"));
        expect_same(&local.tree()?, &plain.tree("files")?)?;
        let local = scene.home.path("local/files").display().to_string();
        let mut check = scene.rclone(&["check", &local, ":s3:bucket/files", "--download"])?;
        let checked = check.output()?;
        ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        Ok(())
    })
}

/// One file up and down, in constant memory: 5 GiB at full size.
#[test]
fn a_large_file_is_transferred_in_constant_memory() -> Result<()> {
    /// The maximum memory of the plugin.
    const MEMORY: u64 = 64 << 20;
    let is_full = std::env::var_os("SYNCMGR_TEST_FULL_SIZE").is_some();
    let bytes: u64 = if is_full { 5 << 30 } else { 300 << 20 };
    for kind in installed()? {
        // moto keeps objects in memory.
        if kind.name == "moto" {
            continue;
        }
        let scene = Scene::new(kind)?;
        let file = scene.home.path("local/files/large");
        let mut writer = std::io::BufWriter::new(fs::File::create(&file)?);
        let mut blocks = blake3::Hasher::new().update(b"large").finalize_xof();
        let mut block = vec![0; 1 << 20];
        for _ in 0..bytes >> 20 {
            blocks.fill(&mut block);
            std::io::Write::write_all(&mut writer, &block)?;
        }
        drop(writer);
        let hash = |path: &std::path::Path| -> Result<blake3::Hash> {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(fs::File::open(path)?)?;
            Ok(hasher.finalize())
        };
        let expected = hash(&file)?;
        let peak = |ran: &Ran| -> Result<u64> {
            let lines = ran.json_lines()?;
            let peaks =
                lines.iter().filter_map(|line| line["totals"]["peak-memory-bytes"].as_u64());
            Ok(peaks.max().unwrap_or(u64::MAX))
        };
        let up = scene.sync(&["--json"])?;
        ensure!([0, kind.good].contains(&up.status), "with {}: {up:?}", kind.name);
        // Another directory receives it.
        fs::remove_dir_all(scene.home.path("state"))?;
        fs::remove_file(&file)?;
        let down = scene.sync(&["--json"])?;
        ensure!([0, kind.good].contains(&down.status), "with {}: {down:?}", kind.name);
        ensure!(hash(&file)? == expected, "with {}", kind.name);
        for ran in [&up, &down] {
            ensure!(peak(ran)? < MEMORY, "with {}: {}", kind.name, peak(ran)?);
        }
    }
    Ok(())
}

//! The program is killed at random moments of a real sync, and simply run again.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use conformance::trees::{self, Tree};

/// How often it is killed. `SYNCMGR_KILLS` raises it.
fn kills() -> u32 {
    std::env::var("SYNCMGR_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(25)
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncmgr"));
    command
        .args(["run", "folder", "--dir", "left=left", "--dir", "right=right"])
        .current_dir(home)
        .env("SYNCMGR_STATE_DIR", home.join("state"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A small generator, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Edits, deletes and makes files on both sides, some on both at once.
fn edit(home: &Path, random: &mut Random, round: u32) -> anyhow::Result<()> {
    for side in ["left", "right"] {
        let root = home.join(side);
        for number in 0..12 {
            let name = format!("d{}/f{}", random.next(8), random.next(10));
            let place = root.join(&name);
            if random.next(5) == 0 && place.exists() {
                fs::remove_file(&place)?;
                continue;
            }
            fs::create_dir_all(root.join(name.split('/').next().unwrap_or_default()))?;
            let len = usize::try_from(random.next(40_000)).unwrap_or(0);
            let mut content = format!("{round} {side} {number} {name} ").into_bytes();
            content.resize(content.len() + len, b'.');
            fs::write(&place, content)?;
        }
    }
    Ok(())
}

fn findable(home: &Path) -> anyhow::Result<BTreeSet<Vec<u8>>> {
    let mut all: Tree = trees::read(home)?;
    all.retain(|path, _| !path.ends_with(".state") && !path.ends_with(".state.new"));
    Ok(trees::contents(&all))
}

#[test]
fn killing_it_at_any_moment_loses_nothing_and_the_next_run_converges() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let home = home.path();
    for side in ["left", "right"] {
        fs::create_dir(home.join(side))?;
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    edit(home, &mut random, 0)?;
    let begun = Instant::now();
    assert!(command(home).status()?.code().is_some_and(|code| code <= 1));
    let whole = begun.elapsed();

    let mut killed = 0;
    for round in 1..=kills() {
        edit(home, &mut random, round)?;
        let existed = findable(home)?;
        let mut child = command(home).spawn()?;
        let part = random.next(1000);
        std::thread::sleep(whole.mul_f64(part as f64 / 1000.0) + Duration::from_millis(1));
        child.kill()?;
        killed += u32::from(child.wait()?.code().is_none());

        let now = findable(home)?;
        let lost: Vec<_> = existed.difference(&now).map(|content| show(content)).collect();
        assert!(lost.is_empty(), "round {round}, after the kill: {lost:?}");

        let status = command(home).status()?;
        // 1: conflicts remain, which the edits make.
        assert!(status.code().is_some_and(|code| code <= 1), "round {round}: {status}");
        let left = trees::read(&home.join("left"))?;
        let right = trees::read(&home.join("right"))?;
        assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
        assert!(left == right, "round {round}: the sides differ");
        assert!(!left.keys().any(|path| path.contains(".syncmgr-tmp-")), "round {round}");
        let now = findable(home)?;
        let lost: Vec<_> = existed.difference(&now).map(|content| show(content)).collect();
        assert!(lost.is_empty(), "round {round}, after the next run: {lost:?}");
    }
    assert!(killed > 0, "at least one run was still going on when it was killed");
    Ok(())
}

fn show(content: &[u8]) -> String {
    String::from_utf8_lossy(&content[..content.len().min(60)]).into_owned()
}

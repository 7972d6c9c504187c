//! A week with two pairs of directories, at simulated times (`tests/tour.sh`), and its page.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use conformance::{compare_with_file, workspace};

use super::browser::picture;
use super::client::Page;
use super::driver::{Browser, has_browser};
use crate::home::{Home, Ran};

/// The end of the week.
const SUNDAY: &str = "@2026-11-29 12:00:00";

/// Replaces what differs from run to run: ids, durations, and seconds on a slow machine.
const STEADY: &str = "\
    s/^[0-9a-f]{8}  /RUN       /
    s/  [0-9a-f]{8}  /  RUN       /
    s/\\([0-9.]+ m?s\\)/(7 ms)/
    s/([0-9]{2}:[0-9]{2}):[0-9]{2}/\\1:00/g
    s/(T[0-9]{4})[0-9]{2}\\.[0-9]{9}Z/\\100.000000000Z/g
    s/(conflicted copy [a-z]+ [-0-9]+ [0-9]{4})[0-9]{2}/\\100/g";

fn has_faketime() -> Result<bool> {
    if Command::new("faketime").arg("--version").output().is_ok() {
        return Ok(true);
    }
    ensure!(
        std::env::var_os("SYNCMGR_REQUIRE_BROWSER").is_none(),
        "there is no faketime, and SYNCMGR_REQUIRE_BROWSER wants it: install the Debian package \
         `faketime`"
    );
    // Bypasses the test harness, which hides the output of a passing test.
    writeln!(io::stderr(), "SKIPPED: the tour. Install the Debian package `faketime` to run it.")?;
    Ok(false)
}

/// Lets a program start at the end of the week. `faketime` itself would remain its parent.
fn on_sunday(mut command: Command) -> Result<Command> {
    let library =
        Command::new("faketime").args(["-f", SUNDAY, "printenv", "LD_PRELOAD"]).output()?;
    let library = String::from_utf8(library.stdout)?;
    command
        .env("LD_PRELOAD", library.trim())
        .env("FAKETIME", SUNDAY)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1")
        .env("TZ", "UTC");
    Ok(command)
}

#[test]
fn the_tour_shows_a_week() -> Result<()> {
    if !has_faketime()? {
        return Ok(());
    }
    let script = workspace().join("tests/tour.sh");
    let job = fs::read_to_string(&script)?;
    let job = job.split("<<'EOF'\n").nth(1).and_then(|rest| rest.split("EOF\n").next());
    let page = fs::read_to_string(workspace().join("guest/book/src/tour.md"))?;
    ensure!(page.contains(job.context("a job file")?), "the page has the job file of {script:?}");
    let home = Home::new()?;
    let program = Path::new(env!("CARGO_BIN_EXE_syncmgr"));
    let path = std::env::var("PATH")?;
    let path = format!("{}:{path}", program.parent().context("a directory")?.display());
    let tour = Command::new("sh")
        .args(["-c", "\"$0\" \"$1\" 2>&1 | sed -E \"$2\""])
        .arg(&script)
        .arg(home.path(""))
        .arg(STEADY)
        .env("PATH", &path)
        .output()?;
    let tour = Ran::of(&tour).expect(0, "Sunday")?.stdout;
    let root = home.path("").canonicalize()?;
    let tour = tour.replace(&*root.to_string_lossy(), "/home/me");
    compare_with_file("guest/book/src/tour.txt", &tour)?;
    let once = fs::read_to_string(home.path("status.html"))?;
    ensure!(once.contains("stopped for safety"), "{once}");
    if !has_browser()? {
        return Ok(());
    }
    let page = Page::of(on_sunday(home.command(&["serve"]))?)?;
    let browser = Browser::start()?;
    browser.open(&page.url)?;
    for (path, words, name, height) in [
        ("", "3 hours ago", "week", 560),
        ("history", "stopped for safety", "week-history", 760),
        ("trash", "4 B", "week-trash", 520),
    ] {
        browser.resize(960, height)?;
        browser.open(&format!("http://127.0.0.1:{}/{path}", page.port))?;
        browser.wait_for(words)?;
        picture(&browser, name)?;
    }
    Ok(())
}

//! Hooks, waiting for another run, and standing conflicts in the exit status.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::home::{Home, Ran};

/// Each hook stores its input and its environment.
const HOOKS: &str = r#"
[hooks]
on-failure = ["sh", "-c", "cat > failure.json; echo a hook failed", "x"]
on-conflict = ["sh", "-c", "cat > conflict.json"]
on-success = ["sh", "-c", "cat > success.json; env > environment"]
"#;

const PAIR: &str = "[dirs]\nleft = \"left\"\nright = \"right\"\n";

const RUN: [&str; 3] = ["run", "--job", "sync.toml"];

impl Home {
    /// Creates two directories, and a job file that keeps them in sync.
    pub(crate) fn with_job(head: &str, hooks: &str) -> Result<Self> {
        let home = Self::new()?;
        home.write("left/a.txt", "hello")?;
        fs::create_dir(home.path("right"))?;
        home.write("sync.toml", format!("plugin = \"folder\"\n{head}{PAIR}{hooks}"))?;
        Ok(home)
    }

    /// Returns the inputs of the hooks that have run, and forgets them.
    fn taken(&self) -> Result<Vec<(&'static str, Value)>> {
        let mut taken = Vec::new();
        for name in ["failure", "conflict", "success"] {
            let file = self.path(&format!("{name}.json"));
            if file.exists() {
                taken.push((name, serde_json::from_slice(&fs::read(&file)?)?));
                fs::remove_file(file)?;
            }
        }
        Ok(taken)
    }

    /// Starts a run that holds `left` until it is cancelled.
    fn holder(&self) -> Result<Child> {
        let commands =
            "synchronize=lock dir=left\nwrite path=/left/held text=x\nwait-cancelled item=a";
        let arguments = ["run", conformance::SCRIPT, "--set", "items=a", "--dir", "left=left"];
        let child = self
            .command(&[&arguments[..], &["--set", commands]].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        wait_for(&self.path("left/held"))?;
        Ok(child)
    }
}

/// Waits until a file exists.
pub(crate) fn wait_for(file: &Path) -> Result<()> {
    let begun = Instant::now();
    while !file.exists() {
        ensure!(begun.elapsed() < Duration::from_secs(60), "there is no {}", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Sends a signal to a process.
pub(crate) fn signal(child: &Child, signal: &str) -> Result<()> {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status()?;
    ensure!(sent.success(), "no {signal}");
    Ok(())
}

#[test]
fn each_outcome_has_its_hook() -> Result<()> {
    let home = Home::with_job("", HOOKS)?;
    home.run(&[&RUN[..], &["--dry-run"]].concat())?.expect(0, "a.txt")?;
    assert!(home.taken()?.is_empty(), "a dry run starts no hook");

    let ran = home.run(&[&RUN[..], &["--json"]].concat())?.expect(0, "")?;
    let mut expected = ran.json_lines()?.pop().context("a report")?;
    let mut taken = home.taken()?;
    let (name, input) = taken.first_mut().context("a hook has run")?;
    assert_eq!(*name, "success");
    for report in [&mut expected, input] {
        ensure!(report["time"].take().is_string(), "{report}");
    }
    assert_eq!(*input, expected, "the input is the report");

    home.write("left/a.txt", "left version")?;
    home.write("right/a.txt", "right version!")?;
    for what in ["a new conflict", "a standing conflict"] {
        home.run(&RUN)?.expect(1, "a.txt")?;
        let taken = home.taken()?;
        assert_eq!(taken.len(), 1, "{what}: {taken:?}");
        assert_eq!((taken[0].0, &taken[0].1["exit-code"]), ("conflict", &Value::from(1)), "{what}");
    }

    fs::rename(home.path("right"), home.path("elsewhere"))?;
    let failed = home.run(&RUN)?.expect(4, "does not exist")?;
    assert!(failed.stderr.contains("a hook failed\n"), "the output of a hook: {}", failed.stderr);
    assert!(!failed.stdout.contains("a hook failed"), "{}", failed.stdout);
    let taken = home.taken()?;
    assert_eq!((taken.len(), taken[0].0), (1, "failure"));
    assert_eq!(taken[0].1["items"][0]["code"], "safety-stop");
    Ok(())
}

#[test]
fn skipped_entries_without_conflicts_have_no_hook() -> Result<()> {
    let home = Home::with_job("", HOOKS)?;
    ensure!(Command::new("mkfifo").arg(home.path("left/pipe")).status()?.success());
    home.run(&RUN)?.expect(1, "pipe")?;
    assert!(home.taken()?.is_empty());
    Ok(())
}

#[test]
fn hooks_do_not_receive_secrets() -> Result<()> {
    let home = Home::new()?;
    let job = format!(
        "plugin = {:?}\n[settings]\nitems = \"a\"\nsynchronize = \"progress item=a status=succeeded\"\n\
         [secrets]\ntoken = {{ env = \"LC_TOKEN\" }}\n{HOOKS}",
        conformance::SCRIPT
    );
    home.write("sync.toml", job)?;
    let mut command = home.command(&RUN);
    command.env("LC_TOKEN", "hunter2").env("MY_PASSWORD", "hunter3").env("LC_TIME", "C.UTF-8");
    command.env("DISPLAY", ":7");
    Ran::of(&command.output()?).expect(0, "succeeded: a")?;
    let environment = fs::read_to_string(home.path("environment"))?;
    for (words, is_passed) in
        [("hunter", false), ("LC_TIME=C.UTF-8\n", true), ("DISPLAY=:7\n", true), ("PATH=", true)]
    {
        assert_eq!(environment.contains(words), is_passed, "{words}: {environment}");
    }
    Ok(())
}

#[test]
fn a_failing_hook_is_only_a_note() -> Result<()> {
    for (hook, words) in [
        (r#"["sh", "-c", "exit 9"]"#, "note: hook `on-success` (sh): ended with exit status: 9"),
        (r#"["no such program"]"#, "note: hook `on-success` (no such program): cannot be started"),
        (r#"["true"]"#, ""),
        ("[]", ""),
    ] {
        let home = Home::with_job("", &format!("[hooks]\non-success = {hook}\n"))?;
        let ran = home.run(&RUN)?.expect(0, words)?;
        assert_eq!(ran.stderr.contains("note: hook"), !words.is_empty(), "{}", ran.stderr);
    }
    Ok(())
}

#[test]
fn an_interrupt_terminates_a_hook() -> Result<()> {
    let home =
        Home::with_job("", "[hooks]\non-success = [\"sh\", \"-c\", \"touch began; sleep 50\"]\n")?;
    let child = home.command(&RUN).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    wait_for(&home.path("began"))?;
    signal(&child, "-TERM")?;
    Ran::of(&child.wait_with_output()?)
        .expect(0, "terminated, because the program was interrupted")?;
    Ok(())
}

#[test]
fn a_registration_has_the_hooks_of_its_job_file() -> Result<()> {
    let home = Home::with_job("", "[hooks]\non-success = [\"./tell.sh\", \"a b\"]\n")?;
    let script = home.write("tell.sh", "#!/bin/sh\necho \"told $1\" > told\n")?;
    ensure!(Command::new("chmod").arg("+x").arg(&script).status()?.success());
    home.run(&["register", "folder", "--name", "mine", "--grants", "sync.toml"])?.expect(0, "")?;
    fs::create_dir(home.path("other"))?;
    Ran::of(&home.command_in("other", &["run", "mine"]).output()?).expect(0, "1 copied")?;
    assert_eq!(fs::read_to_string(home.path("other/told"))?, "told a b\n");
    // Options replace what is registered.
    fs::remove_file(home.path("other/told"))?;
    let options = ["run", "mine", "--dir", "left=left", "--dir", "right=right"];
    home.run(&options)?.expect(0, "nothing to do")?;
    assert!(!home.path("told").exists());
    Ok(())
}

#[test]
fn a_plugin_cannot_replace_a_hook() -> Result<()> {
    let home = Home::with_job("", "[hooks]\non-success = [\"left/tell.sh\"]\n")?;
    home.run(&RUN)?.expect(2, "it contains the program of a hook left/tell.sh")?;
    Ok(())
}

#[test]
fn a_run_waits_for_another_one() -> Result<()> {
    let home = Home::with_job("", "")?;
    let mut holder = home.holder()?;
    let held = format!("note: process {} holds the directory `left` (", holder.id());
    let refused = home.run(&RUN)?.expect(6, "another run holds the directory `left`")?;
    if cfg!(target_os = "linux") {
        assert!(refused.stderr.contains(&held), "{}", refused.stderr);
    }
    ensure!(refused.stderr.contains("; the run "), "{}", refused.stderr);
    ensure!(refused.stderr.contains(", has not ended\n"), "{}", refused.stderr);
    let waited = home.run(&[&RUN[..], &["--wait=1s"]].concat())?.expect(6, "note: waiting: ")?;
    assert_eq!(waited.stderr.matches("note: ").count(), 2, "{}", waited.stderr);
    home.run(&[&RUN[..], &["--wait", "1s"]].concat())?.expect(2, "")?;

    let start = || -> Result<(Child, BufReader<std::process::ChildStderr>)> {
        let mut command = home.command(&[&RUN[..], &["--wait"]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut errors = BufReader::new(child.stderr.take().context("it is piped")?);
        let mut line = String::new();
        errors.read_line(&mut line)?;
        ensure!(line.starts_with("note: waiting: "), "{line}");
        Ok((child, errors))
    };
    let (child, _errors) = start()?;
    signal(&child, "-INT")?;
    Ran::of(&child.wait_with_output()?).expect(5, "")?;

    let (child, _errors) = start()?;
    signal(&holder, "-INT")?;
    holder.wait()?;
    Ran::of(&child.wait_with_output()?).expect(0, "copied")?;
    assert!(home.path("right/held").exists());
    Ok(())
}

#[test]
fn a_standing_conflict_may_be_accepted() -> Result<()> {
    let home = Home::with_job("", "")?;
    let accepting = [&RUN[..], &["--accept-standing-conflicts"]].concat();
    home.run(&accepting)?.expect(0, "1 copied")?;
    home.write("left/a.txt", "left version")?;
    home.write("right/a.txt", "right version!")?;
    home.run(&accepting)?.expect(1, "changed on both sides")?;
    home.run(&RUN)?.expect(1, "unresolved conflict")?;
    home.run(&accepting)?.expect(0, "unresolved conflict")?;
    home.write("left/b.txt", "b")?;
    let report = home.run(&[&accepting[..], &["--json"]].concat())?.expect(0, "")?.json_lines()?;
    assert_eq!(report.last().context("a report")?["exit-code"], 0);
    // The state of the item does not depend on the option.
    home.run(&["status"])?.expect(1, "1 conflict")?;
    ensure!(Command::new("mkfifo").arg(home.path("left/pipe")).status()?.success());
    home.run(&accepting)?.expect(1, "pipe")?;
    Ok(())
}

//! The command `watch`.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::home::{Home, Ran};
use crate::hooks::{signal, wait_for};

/// Longer than the time without changes before a run.
const LONG: Duration = Duration::from_secs(6);

/// A running `watch`.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(home: &Home, more: &[&str]) -> Result<Self> {
        let arguments = [&["watch", "sync.toml"], more].concat();
        let mut command = home.command(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (sender, lines) = channel();
        let output = child.stdout.take().context("it is piped")?;
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        Ok(Self { child, lines })
    }

    /// Waits for a line with these words.
    fn expect(&self, words: &str) -> Result<()> {
        let mut said = String::new();
        while !said.contains(words) {
            let line = self.lines.recv_timeout(Duration::from_secs(120));
            said += &line.with_context(|| format!("no {words:?} in:\n{said}"))?;
            said.push('\n');
        }
        Ok(())
    }

    /// Ends it by a signal.
    fn end(self, by: &str) -> Result<Ran> {
        signal(&self.child, by)?;
        Ran::of(&self.child.wait_with_output()?).expect(0, "")
    }
}

impl Home {
    fn recorded_runs(&self) -> Result<usize> {
        Ok(self.run(&["history", "--json"])?.expect(0, "")?.json_lines()?.len())
    }
}

#[test]
fn a_change_starts_a_run_and_a_run_does_not() -> Result<()> {
    let home = Home::with_job("", "")?;
    let watching = Watching::start(&home, &[])?;
    watching.expect("1 copied")?;
    watching.expect("watching for changes")?;
    // The changes of a run may hide those of the user.
    watching.expect("nothing to do")?;
    thread::sleep(LONG);
    assert_eq!(home.recorded_runs()?, 2, "a run without changes starts no other one");

    for (number, side) in ["left", "right/new/directory"].into_iter().enumerate() {
        home.write(&format!("{side}/{number}.txt"), "new")?;
        watching.expect("1 copied")?;
        watching.expect("nothing to do")?;
    }
    assert!(home.path("right/0.txt").exists() && home.path("left/new/directory/1.txt").exists());
    // A directory that was created later is watched, too.
    fs::remove_file(home.path("left/new/directory/1.txt"))?;
    watching.expect("1 deleted")?;
    watching.expect("nothing to do")?;
    thread::sleep(LONG);
    assert_eq!(home.recorded_runs()?, 8);
    watching.end("-TERM")?;
    Ok(())
}

#[test]
fn a_plugin_that_writes_in_each_run_runs_less_and_less_often() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.path("dir"))?;
    let job = format!(
        "plugin = {:?}\n[settings]\nitems = \"a\"\nsynchronize = [\"write path=/dir/x text=x\", \
         \"progress item=a status=succeeded\"]\n[dirs]\ndir = \"dir\"\n",
        conformance::SCRIPT
    );
    home.write("sync.toml", job)?;
    let watching = Watching::start(&home, &[])?;
    watching.expect("watching for changes")?;
    thread::sleep(2 * LONG);
    let runs = home.recorded_runs()?;
    ensure!((2..=4).contains(&runs), "{runs} runs");
    watching.end("-INT")?;
    Ok(())
}

#[test]
fn a_directory_that_is_not_watched_is_synced_after_some_time() -> Result<()> {
    let home = Home::with_job("", "")?;
    fs::remove_dir(home.path("right"))?;
    let watching = Watching::start(&home, &["--every", "1s"])?;
    watching.expect("failed: folder")?;
    watching.expect("failed: folder")?;
    fs::create_dir(home.path("right"))?;
    watching.expect("1 copied")?;
    let ended = watching.end("-TERM")?;
    let note = format!(
        "note: changes of {} are found every 1 s only: it does not exist",
        home.path("right").display()
    );
    assert_eq!(ended.stderr.matches("note: ").count(), 1, "{}", ended.stderr);
    ensure!(ended.stderr.contains(&note), "{}", ended.stderr);
    Ok(())
}

#[test]
fn a_signal_ends_the_run_first() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.path("dir"))?;
    let job = format!(
        "plugin = {:?}\n[settings]\nitems = \"a\"\nsynchronize = [\"write path=/dir/began text=x\", \
         \"wait-cancelled item=a\", \"write path=/dir/tidied text=x\"]\n[dirs]\ndir = \"dir\"\n",
        conformance::SCRIPT
    );
    home.write("sync.toml", job)?;
    let watching = Watching::start(&home, &[])?;
    wait_for(&home.path("dir/began"))?;
    watching.end("-TERM")?;
    assert!(home.path("dir/tidied").exists());
    Ok(())
}

#[test]
fn invalid_jobs_are_not_watched() -> Result<()> {
    let home = Home::with_job("", "")?;
    home.write("wrong.toml", "plugin = \"folder\"\nitem = 1\n")?;
    home.write("misspelt.toml", "plugin = \"folder\"\n[dirs]\nlefd = \"left\"\n")?;
    for (arguments, words) in [
        (&["watch", "nothing"][..], "no plugin `nothing`"),
        (&["watch", "nothing.toml"], "cannot read the job file"),
        (&["watch", "wrong.toml"], "unknown field `item`"),
        (&["watch", "misspelt.toml"], "does not request"),
        (&["watch", "sync.toml", "--every", "0s"], "at least `1s`"),
        (&["watch", "sync.toml", "--every", "often"], "such as `15min`"),
    ] {
        home.run(arguments)?.expect(2, words).with_context(|| arguments.join(" "))?;
    }
    Ok(())
}

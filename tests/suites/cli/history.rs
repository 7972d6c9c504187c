//! The history of runs, as the program shows it.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::home::{Home, Ran};

const PAIR: [&str; 6] = ["run", "folder", "--dir", "left=left", "--dir", "right=right"];

impl Home {
    /// Creates two directories, and syncs two files and a directory from left to right.
    fn with_history() -> Result<Self> {
        let home = Self::new()?;
        home.write("left/a.txt", "hello")?;
        home.write("left/docs/b.txt", "b")?;
        fs::create_dir(home.path("right"))?;
        home.run(&PAIR)?.expect(0, "succeeded")?;
        Ok(home)
    }

    fn history(&self, more: &[&str]) -> Result<Ran> {
        let arguments: Vec<_> = ["history"].into_iter().chain(more.iter().copied()).collect();
        self.run(&arguments)
    }

    /// Returns the id of the last run.
    fn last_run(&self) -> Result<String> {
        let lines = self.history(&["--limit", "1", "--json"])?.expect(0, "")?.json_lines()?;
        let id = lines.first().and_then(|run| run["run"].as_str());
        Ok(id.context("there is a run")?.to_owned())
    }
}

fn with<'a>(command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    command.iter().chain(more).copied().collect()
}

#[test]
fn a_run_is_found_with_each_of_its_changes() -> Result<()> {
    let home = Home::new()?;
    for command in ["history", "status", "conflicts"] {
        let ran = home.run(&[command])?.expect(0, "")?;
        ensure!(ran.said().is_empty(), "{command} without any run: {}", ran.said());
    }
    home.history(&["abc"])?.expect(2, "no run has been recorded yet")?;

    let home = Home::with_history()?;
    fs::rename(home.path("left/docs"), home.path("left/papers"))?;
    home.write("left/a.txt", "hello again")?;
    home.run(&PAIR)?.expect(0, "1 moved")?;
    fs::remove_file(home.path("left/a.txt"))?;
    home.run(&PAIR)?.expect(0, "1 deleted")?;

    let list = home.history(&[])?.expect(0, "in sync")?.stdout;
    let changes: Vec<_> =
        list.lines().map(|line| line.rsplit("  ").next().unwrap_or_default()).collect();
    assert_eq!(changes, ["folder: 1 deleted", "folder: 1 moved, 1 replaced", "folder: 3 created",]);
    let last = home.last_run()?;
    for id in [&last[..8], &last] {
        let shown = home.history(&[id])?.expect(0, "  deleted on right: a.txt (11 B)\n")?.stdout;
        let left = home.path("left").display().to_string();
        for words in [last.as_str(), "trigger: manual", "result: in sync", &left, "took: "] {
            ensure!(shown.contains(words), "{words:?} is not in {shown}");
        }
    }
    home.history(&["zz"])?.expect(2, "no run `zz`")?;
    for (path, expected) in [
        (
            "a.txt",
            &["deleted on right: a.txt", "replaced on right: a.txt", "created on right: a.txt"][..],
        ),
        (
            "docs",
            &[
                "moved on right: docs to papers",
                "created on right: docs",
                "created on right: docs/b.txt",
            ],
        ),
        ("b.txt", &["created on right: docs/b.txt"]),
        ("nowhere", &[]),
    ] {
        let found = home.history(&["--path", path])?.expect(0, "")?.stdout;
        let lines: Vec<_> = found.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{found}");
        for (line, words) in lines.iter().zip(expected) {
            ensure!(line.contains(words), "{words:?} is not in {line}");
        }
    }
    for (more, runs) in [
        (&["--failed"][..], 0),
        (&["--since", "1h"], 3),
        (&["--since", "2999-01-01"], 0),
        (&["--of", "folder"], 3),
        (&["--of", "webdav"], 0),
        (&["--item", "folder"], 3),
        (&["--item", "other"], 0),
        (&["--limit", "2"], 2),
    ] {
        let listed = home.history(more)?.expect(0, "")?.stdout;
        assert_eq!(listed.lines().count(), runs, "{more:?}: {listed}");
    }
    home.history(&["--since", "yesterday"])?.expect(2, "invalid time `yesterday`")?;
    Ok(())
}

#[test]
fn json_has_the_run_and_the_time_of_each_event() -> Result<()> {
    let home = Home::new()?;
    home.write("left/a.txt", "hello")?;
    fs::create_dir(home.path("right"))?;
    let events = home.run(&with(&PAIR, &["--json"]))?.expect(0, "report")?.json_lines()?;
    let run = events[0]["run"].as_str().context("an id")?;
    for event in &events {
        assert_eq!(event["run"], run, "{event}");
        let time = event["time"].as_str().context("a time")?;
        ensure!(time.len() == 24 && time.ends_with('Z') && time.contains('T'), "{time}");
    }
    let actions: Vec<_> = events.iter().filter(|event| event["event"] == "action").collect();
    assert_eq!(actions.len(), 1);
    let expected = |name: &str| &actions[0][name];
    assert_eq!(expected("kind"), "created");
    assert_eq!(
        (expected("side"), expected("path")),
        (&Value::from("right"), &Value::from("a.txt"))
    );
    assert_eq!(expected("size"), 5);
    assert_eq!(home.last_run()?, run);

    let recorded = home.history(&[run, "--json"])?.expect(0, "")?.json_lines()?;
    assert_eq!(recorded.len(), 2, "the run, and its action");
    assert_eq!(recorded[0]["exit-code"], 0);
    assert_eq!(recorded[0]["items"][0]["counts"]["copied"], 1);
    assert_eq!(recorded[0]["directories"]["left"], home.path("left").display().to_string());
    assert_eq!((&recorded[1]["kind"], &recorded[1]["path"]), (expected("kind"), expected("path")));
    Ok(())
}

#[test]
fn a_job_file_is_recorded_by_its_path() -> Result<()> {
    let home = Home::new()?;
    home.write("left/a.txt", "hello")?;
    fs::create_dir(home.path("right"))?;
    let job = "plugin = \"folder\"\n[items.docs]\ndirs = { left = \"left\", right = \"right\" }\n";
    let job = home.write("sync.toml", job)?.canonicalize()?.display().to_string();
    home.run(&["run", "--job", "sync.toml"])?.expect(0, "succeeded: docs")?;
    for of in ["sync.toml", &job] {
        home.history(&["--of", of])?.expect(0, "docs: 1 created")?;
    }
    home.run(&["status"])?.expect(0, &format!("({job})"))?;
    Ok(())
}

#[test]
fn verbose_runs_show_each_change_and_quiet_ones_only_problems() -> Result<()> {
    let home = Home::new()?;
    home.write("left/a.txt", "hello")?;
    fs::create_dir(home.path("right"))?;
    home.run(&with(&PAIR, &["-v"]))?.expect(0, "  created on right: a.txt (5 B)\n")?;
    home.write("left/b.txt", "b")?;
    let quiet = home.run(&with(&PAIR, &["-q"]))?.expect(0, "")?;
    assert_eq!(quiet.said(), "");
    home.write("left/b.txt", "left")?;
    home.write("right/b.txt", "right!")?;
    home.run(&with(&PAIR, &["-q"]))?.expect(1, "b.txt changed on both sides")?;
    home.run(&["run", "folder", "--dir", "left=left", "--dir", "right=gone", "-q"])?
        .expect(4, "does not exist")?;
    Ok(())
}

#[test]
fn previews_and_runs_without_history_are_not_recorded() -> Result<()> {
    let home = Home::with_history()?;
    let last = home.last_run()?;
    home.write("left/c.txt", "c")?;
    home.run(&with(&PAIR, &["--dry-run"]))?.expect(0, "c.txt")?;
    home.run(&with(&PAIR, &["--no-history"]))?.expect(0, "1 copied")?;
    home.run(&["run", "folder", "--dir", "x=left"])?.expect(2, "")?;
    assert_eq!(home.last_run()?, last);
    Ok(())
}

#[test]
fn conflicts_are_listed_until_they_are_settled() -> Result<()> {
    let home = Home::with_history()?;
    home.run(&["status"])?.expect(0, "folder: in sync")?;
    home.write("left/a.txt", "left version")?;
    home.write("right/a.txt", "right version!")?;
    home.run(&PAIR)?.expect(1, "changed on both sides")?;
    for _ in 0..2 {
        let listed = home.run(&["conflicts"])?.expect(1, "folder: a.txt and ")?.stdout;
        assert_eq!(listed.lines().count(), 1, "{listed}");
        home.run(&["status"])?.expect(1, "folder: 1 conflict, last success ")?;
        home.run(&PAIR)?.expect(1, "unresolved conflict")?;
    }
    let conflicts = home.run(&["conflicts", "--json"])?.expect(1, "")?.json_lines()?;
    let copy = conflicts[0]["copy"].as_str().context("a path")?.to_owned();
    let entries = fs::read_dir(home.path("left"))?.collect::<Result<Vec<_>, _>>()?;
    let copies = entries
        .iter()
        .filter(|entry| entry.file_name().to_string_lossy().to_lowercase() == copy.to_lowercase());
    for copy in copies {
        fs::remove_file(copy.path())?;
    }
    home.run(&PAIR)?.expect(0, "1 deleted")?;
    home.run(&["conflicts"])?.expect(0, "")?;
    home.run(&["status"])?.expect(0, "folder: in sync")?;
    Ok(())
}

#[test]
fn the_state_of_an_item_is_that_of_its_last_run() -> Result<()> {
    let home = Home::new()?;
    let script = |commands: &str| {
        home.run(&["run", conformance::SCRIPT, "--set", "items=a", "--set", commands])
    };
    for (commands, ran, status, words) in [
        ("synchronize=progress item=a status=failed", 3, 3, "a: failed, never succeeded"),
        ("synchronize=progress item=a status=succeeded", 0, 0, "a: in sync"),
        ("synchronize=progress item=a status=stopped", 5, 1, "a: cancelled, last success "),
        ("synchronize=fail code=safety-stop", 4, 4, "a: stopped for safety, last success "),
        ("synchronize=panic text=oh_no", 7, 3, "a: failed, last success "),
    ] {
        script(commands)?.expect(ran, "")?;
        home.run(&["status"])?.expect(status, words).with_context(|| commands.to_owned())?;
    }
    let crash = home.history(&["--failed", "--limit", "1"])?.expect(0, "crashed")?.stdout;
    let id = crash.split_whitespace().next().context("an id")?;
    home.history(&[id])?.expect(0, "error[plugin-trap]")?;
    Ok(())
}

#[test]
fn a_history_that_cannot_be_written_does_not_fail_a_run() -> Result<()> {
    let home = Home::with_history()?;
    let database = home.path("state/history.db");
    for (what, content) in [("no database", b"no database ".repeat(900)), ("empty", Vec::new())] {
        fs::write(&database, content)?;
        for journal in ["history.db-wal", "history.db-shm"] {
            let _ = fs::remove_file(home.path("state").join(journal));
        }
        let ran = home.run(&PAIR)?.expect(0, "nothing to do")?;
        let is_noted = ran.stderr.contains("note: the history was damaged; it is now ");
        assert_eq!(is_noted, what == "no database", "{}", ran.stderr);
        home.history(&[])?.expect(0, "in sync")?;
    }
    fs::remove_file(&database)?;
    fs::create_dir(&database)?;
    home.run(&PAIR)?.expect(0, "note: the run is not recorded in the history: ")?;
    home.history(&[])?.expect(7, "error[store-file]")?;
    Ok(())
}

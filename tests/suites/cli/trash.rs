//! The command `trash`: replaced and deleted files are listed, restored and removed.

#[cfg(unix)]
mod attacks;
#[cfg(target_os = "linux")]
mod media;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::home::{Home, Ran};

const PAIR: [&str; 6] = ["run", "folder", "--dir", "left=left", "--dir", "right=right"];

impl Home {
    /// Syncs two directories, and afterwards what `change` does on the left.
    fn with_trash(change: impl FnOnce(&Self) -> Result<()>) -> Result<Self> {
        let home = Self::new()?;
        for (name, content) in
            [("a.txt", "first"), ("docs/b.txt", "b"), ("docs/deep/c.txt", "cc"), ("keep", "k")]
        {
            home.write(&format!("left/{name}"), content)?;
        }
        fs::create_dir(home.path("right"))?;
        home.run(&PAIR)?.expect(0, "succeeded")?;
        home.sync_after(change)?;
        Ok(home)
    }

    fn sync_after(&self, change: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        change(self)?;
        let pair = PAIR.iter().chain(&["--set", "max-delete=any"]).copied();
        self.run(&pair.collect::<Vec<_>>())?.expect(0, "succeeded")?;
        Ok(())
    }

    fn trash(&self, arguments: &[&str]) -> Result<Ran> {
        self.run(&[&["trash"], arguments].concat())
    }

    /// Returns the paths in the trash as `SIDE PATH`, newest runs first.
    fn listed(&self) -> Result<Vec<String>> {
        let lines = self.trash(&["list", "folder", "--json"])?.expect(0, "")?.json_lines()?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        Ok(lines
            .iter()
            .map(|line| format!("{} {}", text(&line["side"]), text(&line["path"])))
            .collect())
    }

    /// Returns the names of the runs in the trash, newest first.
    fn runs(&self) -> Result<Vec<String>> {
        let lines = self.trash(&["du", "folder", "--json"])?.expect(0, "")?.json_lines()?;
        lines.iter().map(|line| Ok(line["run"].as_str().context("a name")?.to_owned())).collect()
    }

    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.path(name)).with_context(|| name.to_owned())
    }
}

fn delete_docs(home: &Home) -> Result<()> {
    fs::remove_dir_all(home.path("left/docs"))?;
    Ok(fs::write(home.path("left/a.txt"), "second")?)
}

#[test]
fn replaced_and_deleted_files_are_listed() -> Result<()> {
    let home = Home::new()?;
    for command in [&["list"][..], &["du"], &["list", "folder"], &["du", "folder"]] {
        let ran = home.trash(command)?.expect(0, "")?;
        ensure!(ran.said().is_empty(), "{command:?} without a trash: {}", ran.said());
    }
    let home = Home::with_trash(delete_docs)?;
    let all = ["right a.txt", "right docs/b.txt", "right docs/deep/c.txt"];
    assert_eq!(home.listed()?, all);
    let right = home.path("right").canonicalize()?.display().to_string();
    for of in [&[][..], &["folder"], &["--dir", "left=left", "--dir", "right=right"]] {
        let arguments = match of.first() {
            Some(&"--dir") => [&["list", "folder"], of].concat(),
            Some(_) | None => [&["list"], of].concat(),
        };
        let listed = home.trash(&arguments)?.expect(0, " (folder), from right, ")?.stdout;
        for words in ["  a.txt (5 B, ", "  docs/b.txt (1 B, ", "  docs/deep/c.txt (2 B, ", &right] {
            ensure!(listed.contains(words), "{words:?} is not in {listed}");
        }
        assert_eq!(listed.lines().count(), 4, "{listed}");
    }
    for (more, lines) in [
        (&["--path", "a.txt"][..], 2),
        (&["--path", "c.txt"], 2),
        (&["--path", "docs"], 3),
        (&["--path", "docs/deep/"], 2),
        (&["--path", "nothing"], 0),
        (&["--run", "20"], 4),
        (&["--run", "1999"], 0),
    ] {
        let listed = home.trash(&[&["list", "folder"], more].concat())?.expect(0, "")?.stdout;
        assert_eq!(listed.lines().count(), lines, "{more:?}: {listed}");
    }
    let used = home.trash(&["du"])?.expect(0, ": 3 files\n")?.stdout;
    ensure!(used.ends_with(" 8 B  folder: 1 run\n"), "{used}");
    let file = home.trash(&["list", "--json", "--path", "a.txt"])?.expect(0, "")?.json()?;
    for (key, expected) in
        [("plugin", "folder"), ("side", "right"), ("kind", "file"), ("directory", right.as_str())]
    {
        assert_eq!(file[key], expected, "{file}");
    }
    assert_eq!(file["size"], 5);
    ensure!(file["time"].as_str().is_some_and(|time| time.len() == 24), "{file}");
    // The trash of a job is that of its pairs.
    let job = "plugin = \"folder\"\ndirs = { left = \"left\", right = \"other\" }\n";
    home.write("other.toml", job)?;
    home.write("same.toml", job.replace("other", "right"))?;
    home.trash(&["list", "--job", "same.toml"])?.expect(0, "a.txt")?;
    let other = home.trash(&["list", "--job", "other.toml"])?.expect(0, "")?;
    assert_eq!(other.said(), "");
    for (wrong, words) in [
        (&["restore", "nothing", "a"][..], "no plugin `nothing`"),
        (&["empty"], "name a plugin, or a job file"),
        (&["list", "folder", "--job", "same.toml"], "give one of them"),
        (&["restore", "folder"], "name a file or directory, or a run"),
    ] {
        home.trash(wrong)?.expect(2, words)?;
    }
    Ok(())
}

#[test]
fn a_file_returns_to_its_place_and_the_next_run_syncs_it() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    let job = "plugin = \"folder\"\ndirs = { left = \"left\", right = \"right\" }\n";
    home.write("sync.toml", job)?;
    home.trash(&["restore", "folder", "docs/deep/c.txt"])?
        .expect(0, "restored docs/deep/c.txt to ")?;
    assert_eq!(home.read("right/docs/deep/c.txt")?, "cc");
    assert_eq!(home.listed()?, ["right a.txt", "right docs/b.txt"]);
    home.trash(&["restore", "--job", "sync.toml", "docs/b.txt"])?.expect(0, "(1 B)")?;
    home.run(&PAIR)?.expect(0, "2 copied")?;
    assert_eq!(home.read("left/docs/deep/c.txt")?, "cc");
    home.trash(&["restore", "folder", "docs/b.txt"])?
        .expect(2, "docs/b.txt is not in the trash")?;
    // A run without files disappears.
    home.trash(&["restore", "folder", "a.txt", "--to", "old.txt"])?.expect(0, "restored a.txt")?;
    assert_eq!(home.read("old.txt")?, "first");
    let runs = fs::read_dir(home.path("state/plugins/folder/storage/trash"))?;
    assert_eq!(runs.count(), 0);
    Ok(())
}

#[test]
fn a_directory_and_a_whole_run_are_restored() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    home.trash(&["restore", "folder", "docs/"])?.expect(0, "restored docs/b.txt")?;
    assert_eq!(
        (home.read("right/docs/b.txt")?, home.read("right/docs/deep/c.txt")?),
        ("b".into(), "cc".into())
    );
    assert_eq!(home.listed()?, ["right a.txt"]);

    let home = Home::with_trash(delete_docs)?;
    let run = home.runs()?.remove(0);
    fs::create_dir(home.path("all"))?;
    home.trash(&["restore", "folder", "docs", "--to", "papers"])?.expect(0, "papers/deep/c.txt")?;
    assert_eq!(home.read("papers/deep/c.txt")?, "cc");
    home.trash(&["restore", "folder", "--run", &run, "--to", "all"])?.expect(0, "all/a.txt")?;
    assert_eq!(home.read("all/a.txt")?, "first");
    assert_eq!(home.listed()?, [""; 0]);

    let home = Home::with_trash(delete_docs)?;
    let ran =
        home.trash(&["restore", "folder", "--run", "20"])?.expect(1, "did not restore a.txt")?;
    ensure!(ran.stdout.lines().count() == 2, "the others are restored: {}", ran.said());
    assert_eq!(
        (home.read("right/docs/b.txt")?, home.read("right/a.txt")?),
        ("b".into(), "second".into())
    );
    Ok(())
}

#[test]
fn nothing_that_exists_is_replaced_without_a_copy_in_the_trash() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    let refused =
        home.trash(&["restore", "folder", "a.txt"])?.expect(1, "did not restore a.txt: ")?;
    for words in ["a newer file, 6 B, ", "that in the trash has 5 B, ", "`--replace`", "`--to`"] {
        ensure!(refused.stderr.contains(words), "{words:?} is not in {}", refused.stderr);
    }
    assert_eq!(home.read("right/a.txt")?, "second");
    home.write("used.txt", "used")?;
    let to = ["restore", "folder", "a.txt", "--to", "used.txt"];
    home.trash(&to)?.expect(1, "did not restore a.txt: used.txt exists in ")?;
    home.trash(&[&to[..], &["--replace"]].concat())?.expect(2, "cannot be used with")?;
    assert_eq!(home.read("used.txt")?, "used");

    home.trash(&["restore", "folder", "a.txt", "--replace"])?.expect(0, "restored a.txt")?;
    assert_eq!(home.read("right/a.txt")?, "first");
    assert_eq!(home.listed()?, ["right a.txt", "right docs/b.txt", "right docs/deep/c.txt"]);
    home.trash(&["restore", "folder", "a.txt", "--to", "second.txt"])?.expect(0, "")?;
    assert_eq!(home.read("second.txt")?, "second", "the replaced file was in the trash");

    // A directory is never replaced.
    fs::create_dir_all(home.path("right/docs/b.txt/in"))?;
    home.trash(&["restore", "folder", "docs/b.txt", "--replace"])?.expect(1, ": a directory; ")?;
    fs::remove_dir_all(home.path("right/docs"))?;
    fs::write(home.path("right/docs"), "a file")?;
    home.trash(&["restore", "folder", "docs/b.txt"])?.expect(1, "docs is not a directory in ")?;
    assert_eq!(home.read("right/docs")?, "a file");
    Ok(())
}

#[test]
fn the_newest_version_is_restored_unless_a_run_is_named() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    home.sync_after(|home| Ok(fs::write(home.path("left/a.txt"), "third")?))?;
    let runs = home.runs()?;
    assert_eq!(runs.len(), 2);
    home.trash(&["restore", "folder", "a.txt", "--to", "newest"])?.expect(0, "")?;
    home.trash(&["restore", "folder", "a.txt", "--to", "older", "--run", &runs[1]])?
        .expect(0, "")?;
    assert_eq!((home.read("newest")?, home.read("older")?), ("second".into(), "first".into()));

    // Both sides, and two pairs.
    let trash = "state/plugins/folder/storage/trash";
    let pair = fs::read_to_string(home.path(&format!("{trash}/{}/pair", runs[1])))?;
    let ids: Vec<_> = pair.lines().map(|line| line.split_once(' ').unwrap_or_default().1).collect();
    let other = format!("left {}\nright {}\n", ids[0], uuid::Uuid::nil());
    for (run, side, content, pair) in [
        ("2026-01-01T000000.000000000Z", "left", "on left", &pair),
        ("2026-01-01T000000.000000000Z", "right", "on right", &pair),
        ("2025-01-01T000000.000000000Z", "right", "of other", &other),
    ] {
        home.write(&format!("{trash}/{run}/pair"), pair)?;
        home.write(&format!("{trash}/{run}/{side}/both"), content)?;
    }
    let both = ["restore", "folder", "both", "--to"];
    let with = |more: &[&'static str]| home.trash(&[&both[..], more].concat());
    with(&["x"])?.expect(2, "choose one with `--side`")?;
    with(&["x", "--side", "right"])?.expect(2, "several pairs have both")?;
    with(&["l", "--side", "left"])?.expect(0, "")?;
    with(&["r", "--run", "2026-01"])?.expect(0, "")?;
    home.trash(&["restore", "folder", "both"])?
        .expect(2, "the files of the run 2025-01-01T000000.000000000Z are from is not granted")?;
    with(&["o"])?.expect(0, "")?;
    let read = |name| home.read(name);
    assert_eq!(
        (read("l")?, read("r")?, read("o")?),
        ("on left".into(), "on right".into(), "of other".into())
    );
    Ok(())
}

#[test]
fn a_run_without_a_pair_is_restored_elsewhere_only() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    let run = home.runs()?.remove(0);
    fs::remove_file(home.path(&format!("state/plugins/folder/storage/trash/{run}/pair")))?;
    home.trash(&["list"])?.expect(0, "from right, a directory that is not granted\n")?;
    home.trash(&["restore", "folder", "docs/b.txt"])?.expect(2, "`--to`")?;
    home.trash(&["restore", "folder", "docs/b.txt", "--to", "b"])?.expect(0, "")?;
    assert_eq!(home.read("b")?, "b");
    Ok(())
}

#[test]
fn the_directories_of_an_installed_plugin_are_those_of_its_registration() -> Result<()> {
    let home = Home::new()?;
    home.write("left/a.txt", "a")?;
    home.write("left/b.txt", "b")?;
    for name in ["right", "other"] {
        fs::create_dir(home.path(name))?;
    }
    let register = |right: &str, more: &[&str]| {
        let right = format!("right={right}");
        let dirs = ["register", "folder", "--name", "mine", "--dir", "left=left", "--dir", &right];
        home.run(&[&dirs[..], more].concat())?.expect(0, "")
    };
    register("right", &[])?;
    home.run(&["run", "mine"])?.expect(0, "2 copied")?;
    fs::remove_file(home.path("left/a.txt"))?;
    home.run(&["run", "mine"])?.expect(0, "1 deleted")?;
    register("other", &[])?;
    home.trash(&["restore", "mine", "a.txt"])?.expect(2, "is not granted")?;
    register("right:ro", &["--set", "mode=mirror"])?;
    home.trash(&["restore", "mine", "a.txt"])?.expect(2, "granted read-only")?;
    register("right", &[])?;
    home.trash(&["restore", "mine", "a.txt"])?.expect(0, "restored a.txt")?;
    assert_eq!(home.read("right/a.txt")?, "a");
    // The trash of a plugin remains when it is removed.
    fs::remove_file(home.path("left/b.txt"))?;
    home.run(&["run", "mine"])?.expect(0, "1 deleted")?;
    home.run(&["unregister", "mine"])?.expect(0, "")?;
    home.trash(&["list"])?.expect(0, " (mine), from right, ")?;
    home.trash(&["empty", "mine", "--yes"])?.expect(0, "removed 1 run with 1 file (1 B)")?;
    Ok(())
}

#[test]
fn only_the_runs_that_are_named_are_removed() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    let own = home.runs()?.remove(0);
    let trash = "state/plugins/folder/storage/trash";
    for run in ["2024-01-01T000000.000000000Z", "2025-01-01T000000.000000000Z", "strange"] {
        home.write(&format!("{trash}/{run}/left/old"), "old")?;
    }
    let empty = |more: &[&str]| home.trash(&[&["empty", "folder"], more].concat());
    empty(&[])?
        .expect(2, "4 runs with 6 files (17 B) would be removed from the trash; confirm with")?;
    empty(&["--older-than", "yesterday", "--yes"])?.expect(2, "invalid time `yesterday`")?;
    empty(&["--run", "1999", "--yes"])?.expect(0, "nothing to remove")?;
    assert_eq!(home.runs()?.len(), 4);
    empty(&["--older-than", "30d", "--run", "2024", "--yes"])?.expect(0, "removed 1 run with")?;
    empty(&["--older-than", "30d", "--yes"])?.expect(0, "removed 1 run with 1 file (3 B)\n")?;
    let left: BTreeSet<_> = home.runs()?.into_iter().collect();
    assert_eq!(left, BTreeSet::from([own, "strange".to_owned()]));
    home.write(
        "same.toml",
        "plugin = \"folder\"\ndirs = { left = \"left\", right = \"right\" }\n",
    )?;
    home.trash(&["empty", "--job", "same.toml", "--yes"])?
        .expect(0, "removed 1 run with 3 files")?;
    assert_eq!(home.runs()?, ["strange"], "it is not known to be of the job");
    empty(&["--yes"])?.expect(0, "removed 1 run")?;
    assert_eq!(fs::read_dir(home.path(trash))?.count(), 0);
    assert_eq!(home.read("right/a.txt")?, "second");
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_directory_that_a_run_holds_is_not_changed() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    for side in ["left", "right"] {
        let held = fs::File::open(home.path(side))?;
        held.lock()?;
        home.trash(&["empty", "folder", "--yes"])?
            .expect(6, "error[busy]: a run holds the directory")?;
        home.trash(&["restore", "folder", "docs/b.txt"])?.expect(6, "a run holds the directory")?;
        home.trash(&["list", "folder"])?.expect(0, "docs/b.txt")?;
    }
    ensure!(!home.path("right/docs").exists());
    assert_eq!(home.listed()?.len(), 3);
    home.trash(&["restore", "folder", "docs/b.txt"])?.expect(0, "")?;
    home.trash(&["empty", "folder", "--yes"])?.expect(0, "removed 1 run with 2 files")?;
    Ok(())
}

#[test]
fn the_setting_removes_old_runs_of_the_plugin() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    let (trash, old) = ("state/plugins/folder/storage/trash", "2024-01-01T000000.000000000Z");
    let own = home.runs()?.remove(0);
    let pair = fs::read_to_string(home.path(&format!("{trash}/{own}/pair")))?;
    home.write(&format!("{trash}/{old}/pair"), &pair)?;
    home.write(&format!("{trash}/{old}/left/old"), "old")?;
    let keep =
        |value: &str| home.run(&[&PAIR[..], &["--set", &format!("trash-keep={value}")]].concat());
    keep("soon")?.expect(2, "such as `30d`")?;
    keep("all")?.expect(0, "")?;
    assert_eq!(home.runs()?.len(), 2);
    keep("30d, 1GiB")?.expect(0, "nothing to do")?;
    assert_eq!(home.runs()?, [own]);
    Ok(())
}

//! `syncmgr resolve`, with real conflicts of `folder`.

mod refused;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use conformance::trees::{self, Entry, Tree};
use serde_json::Value;

use crate::home::{Home, Ran};

const PAIR: [&str; 4] = ["run", "folder", "left", "right"];
const TRASH: &str = ".syncmgr-trash";

impl Home {
    /// Creates two directories in sync.
    fn in_sync() -> Result<Self> {
        let home = Self::new()?;
        for other in ["other.txt", "docs/more.txt", "docs/most.txt"] {
            home.write(&format!("left/{other}"), other)?;
        }
        fs::create_dir(home.path("right"))?;
        home.run(&PAIR)?.expect(0, "succeeded")?;
        Ok(home)
    }

    /// Writes a file that was modified this long ago.
    fn write_old(&self, path: &str, content: impl AsRef<[u8]>, seconds: u64) -> Result<()> {
        let path = self.write(path, content)?;
        let time = SystemTime::now() - Duration::from_secs(seconds);
        Ok(fs::File::options().write(true).open(path)?.set_modified(time)?)
    }

    /// Creates conflicts of files, whose content is `left` and `right`, and returns the paths of
    /// the copies.
    fn conflicts(&self, newer: &str, names: &[&str]) -> Result<Vec<String>> {
        for name in names {
            for side in ["left", "right"] {
                let seconds = if side == newer { 1000 } else { 2000 };
                self.write_old(&format!("{side}/{name}"), format!("{side}\n"), seconds)?;
            }
        }
        self.run(&PAIR)?.expect(1, "changed on both sides")?;
        let standing = self.run(&["conflicts", "--json"])?.expect(1, "")?.json_lines()?;
        let copy = |name: &&str| {
            let mut found = standing.iter().filter(|one| one["path"] == **name);
            let copy = found.next_back().and_then(|one| one["copy"].as_str());
            Ok(copy.with_context(|| format!("no conflict of {name}"))?.to_owned())
        };
        names.iter().map(copy).collect()
    }

    fn resolve(&self, more: &[&str]) -> Result<Ran> {
        let arguments: Vec<_> = ["resolve"].into_iter().chain(more.iter().copied()).collect();
        self.run(&arguments)
    }

    fn content(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.path(path)).with_context(|| path.to_owned())
    }

    /// Returns the entries of a directory without its trash.
    fn tree(&self, name: &str) -> Result<Tree> {
        let mut tree = trees::read(&self.path(name))?;
        tree.retain(|path, _| !path.starts_with(TRASH));
        Ok(tree)
    }

    /// Returns the contents in the trash of a directory.
    fn in_trash(&self, name: &str) -> Result<Vec<String>> {
        let trash = self.path(name).join(TRASH);
        if !trash.exists() {
            return Ok(Vec::new());
        }
        let mut tree = trees::read(&trash)?;
        // The sides of each run.
        tree.retain(|path, _| !path.ends_with(".pair"));
        let content = |entry| match entry {
            Entry::File(content) => Some(String::from_utf8_lossy(&content).into_owned()),
            Entry::Directory | Entry::Link(_) => None,
        };
        Ok(tree.into_values().filter_map(content).collect())
    }

    /// Runs the pair, after which both sides must be equal, without a conflict.
    fn expect_in_sync(&self) -> Result<()> {
        self.run(&PAIR)?.expect(0, "succeeded")?;
        assert_eq!(self.tree("left")?, self.tree("right")?);
        self.run(&["conflicts"])?.expect(0, "")?;
        self.run(&["status"])?.expect(0, "in sync")?;
        Ok(())
    }
}

#[test]
fn each_version_can_be_kept() -> Result<()> {
    const NAME: &str = "docs/a.tar.gz";
    // The newer version has the name before, and the other one is the copy.
    for (newer, keep, kept) in [
        ("left", "left", "left"),
        ("left", "right", "right"),
        ("left", "newer", "left"),
        ("left", "both", "left"),
        ("right", "left", "left"),
        ("right", "right", "right"),
        ("right", "newer", "right"),
        ("right", "both", "right"),
    ] {
        let home = Home::in_sync()?;
        let copy = home.conflicts(newer, &[NAME])?.remove(0);
        let other = if kept == "left" { "right" } else { "left" };
        let before = trees::read(&home.path("left"))?;
        home.resolve(&["folder", NAME, "--keep", keep, "--dry-run"])?
            .expect(0, "folder: would keep ")?;
        assert_eq!(trees::read(&home.path("left"))?, before, "a dry run changes nothing");
        home.run(&["status"])?.expect(1, "folder: 1 conflict")?;

        let done = home.resolve(&["folder", NAME, "--keep", keep])?.expect(0, "folder: kept ")?;
        let left = home.path("left").canonicalize()?;
        let next = format!("the next run of folder syncs {}\n", left.display());
        ensure!(done.stdout.ends_with(&next) && done.stderr.is_empty(), "{}", done.said());
        home.run(&["conflicts"])?.expect(0, "")?;
        home.run(&["status"])?.expect(0, "folder: in sync")?;
        assert_eq!(home.content(&format!("left/{NAME}"))?, format!("{kept}\n"), "{newer} {keep}");
        ensure!(!home.path("left").join(&copy).exists(), "{copy} has another name");
        let second = format!("docs/a.tar ({other}).gz");
        match keep {
            "both" => {
                ensure!(done.stdout.contains(&second), "{}", done.stdout);
                assert_eq!(home.content(&format!("left/{second}"))?, format!("{other}\n"));
                assert_eq!(home.in_trash("left")?, Vec::<String>::new());
            }
            _ => {
                let words = format!("kept the version of {kept} of {NAME}; that of {other} is");
                ensure!(done.stdout.contains(&words), "{words:?} is not in {}", done.stdout);
                assert_eq!(home.in_trash("left")?, [format!("{other}\n")]);
                assert_private(&home.path("left").join(TRASH))?;
                home.run(&["trash", "list", "folder"])?.expect(0, "from left, ")?;
            }
        }
        assert_eq!(trees::read(&home.path("right"))?, before, "the other side changes later");
        home.expect_in_sync()?;
        assert_eq!(home.tree("left")?.contains_key(&second), keep == "both");
        let again = home.resolve(&["folder", NAME, "--keep", keep])?;
        again.expect(2, "item `folder` has no conflict at `docs/a.tar.gz`")?;
    }
    Ok(())
}

#[test]
fn the_trash_has_a_run_for_each_pair_of_a_directory() -> Result<()> {
    let home = Home::new()?;
    let jobs = [("b", "x.txt"), ("c", "y.txt")];
    for (other, name) in jobs {
        home.write(&format!("a/{name}"), "before")?;
        fs::create_dir(home.path(other))?;
        let job = format!("plugin = \"folder\"\n[dirs]\nleft = \"a\"\nright = \"{other}\"\n");
        home.write(&format!("{other}.toml"), job)?;
    }
    let run = |other: &str| home.run(&["run", "--job", &format!("{other}.toml")]);
    for (other, _) in jobs {
        run(other)?.expect(0, "succeeded")?;
    }
    for (other, name) in jobs {
        home.write_old(&format!("a/{name}"), "left", 2000)?;
        home.write_old(&format!("{other}/{name}"), "right", 1000)?;
        run(other)?.expect(1, "changed on both sides")?;
    }
    home.resolve(&["--all", "--keep", "newer"])?.expect(0, "kept")?;
    assert_eq!(home.in_trash("a")?, ["left", "left"]);
    let trash = trees::read(&home.path("a").join(TRASH))?;
    let pairs = trash.into_iter().filter(|(path, _)| path.ends_with(".pair"));
    let pairs: Vec<_> = pairs.map(|(_, entry)| entry).collect();
    ensure!(pairs.len() == 2 && pairs[0] != pairs[1], "{pairs:?}");
    for (other, name) in jobs {
        let listed = home.run(&["trash", "list", "--job", &format!("{other}.toml")])?;
        let copy = format!("{} (conflicted copy left", name.trim_end_matches(".txt"));
        let listed = listed.expect(0, &copy)?.stdout;
        ensure!(listed.matches("from left, ").count() == 1, "{other}: {listed}");
    }
    Ok(())
}

#[cfg(unix)]
fn assert_private(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let stamps = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut stamps = stamps.collect::<std::io::Result<Vec<_>>>()?;
    stamps.retain(|path| path.is_dir());
    assert_eq!(stamps.len(), 1);
    for directory in [directory, &stamps[0]] {
        assert_eq!(directory.metadata()?.permissions().mode() & 0o7777, 0o700);
    }
    Ok(())
}

#[cfg(not(unix))]
fn assert_private(_directory: &Path) -> Result<()> {
    Ok(())
}

#[test]
fn all_conflicts_are_settled_at_once() -> Result<()> {
    let home = Home::in_sync()?;
    home.resolve(&["--all", "--keep", "newer"])?.expect(0, "")?;
    home.conflicts("left", &["a.txt", "docs/b.txt"])?;
    home.conflicts("right", &["c.txt"])?;
    // A version that is newer since.
    let changed = home.run(&["conflicts", "--json"])?.json_lines()?;
    let copy = changed.iter().find(|one| one["path"] == "a.txt").context("a conflict")?;
    home.write(&format!("left/{}", copy["copy"].as_str().unwrap_or_default()), "newest\n")?;
    let gone = changed.iter().find(|one| one["path"] == "c.txt").context("a conflict")?;
    fs::remove_file(home.path("left").join(gone["copy"].as_str().unwrap_or_default()))?;

    let lines =
        home.resolve(&["--all", "--keep", "newer", "--json"])?.expect(1, "")?.json_lines()?;
    let left = home.path("left").canonicalize()?;
    assert_eq!(lines.len(), 3);
    for (line, path, outcome, kept) in [
        (&lines[0], "a.txt", "settled", Value::from("copy")),
        (&lines[1], "c.txt", "refused", Value::Null),
        (&lines[2], "docs/b.txt", "settled", Value::from("path")),
    ] {
        assert_eq!(
            (&line["path"], &line["outcome"], &line["kept"]),
            (&path.into(), &outcome.into(), &kept)
        );
        assert_eq!((&line["job"], &line["item"]), (&"folder".into(), &"folder".into()));
        match outcome {
            "settled" => {
                assert_eq!(line["directory"], left.display().to_string());
                let moved = line["moved-to"].as_str().context("a path")?;
                ensure!(home.path("left").join(moved).is_file(), "{moved}");
            }
            _ => ensure!(line["error"].as_str().is_some_and(|error| error.contains("missing"))),
        }
    }
    assert_eq!(home.content("left/a.txt")?, "newest\n");
    home.expect_in_sync()
}

#[test]
fn conflicts_are_selected_by_item_and_path() -> Result<()> {
    let home = Home::in_sync()?;
    let copies = home.conflicts("left", &["a.txt", "b.txt", "c.txt"])?;
    home.resolve(&["folder", "a.txt", "nowhere", "--keep", "left"])?
        .expect(2, "no conflict at `nowhere`")?;
    home.resolve(&["folders", "a.txt", "--keep", "left"])?.expect(2, "item `folders`")?;
    home.resolve(&["folder", "a.txt", "--keep", "left", "--of", "webdav"])?.expect(2, "")?;
    for wrong in [
        &["folder", "--keep", "left"][..],
        &["folder", "a.txt"],
        &["--keep", "left"],
        &["folder", "a.txt", "--all", "--keep", "left"],
        &["folder", "a.txt", "--keep", "up"],
        &["folder", "a.txt", "--keep", "left", "--diff"],
    ] {
        home.resolve(wrong)?.expect(2, "error: ")?;
    }
    home.resolve(&["folder", "a.txt", "--keep", "remote"])?
        .expect(1, "its versions are those of left and right, not of remote")?;
    home.run(&["conflicts"])?.expect(1, "a.txt")?;
    // By the path of its copy, and by the id of the item.
    let listed = home.run(&["conflicts", "--json"])?.json_lines()?;
    let id = listed[0]["id"].as_str().context("an id")?;
    home.resolve(&[&id.to_uppercase(), &copies[0], "--keep", "left", "--of", "folder"])?
        .expect(0, "kept")?;
    home.resolve(&["folder", "./b.txt", "--keep", "left"])?.expect(0, "kept")?;

    // The same item of other directories.
    home.write("a/c.txt", "a")?;
    home.write_old("b/c.txt", "b", 60)?;
    home.run(&["run", "folder", "a", "b"])?.expect(1, "c.txt changed")?;
    home.resolve(&["folder", "c.txt", "--keep", "left"])?
        .expect(2, "`folder` is the name of several items: ")?;
    home.resolve(&[id, "c.txt", "--keep", "left"])?.expect(0, "kept")?;
    assert_eq!(home.content("a/c.txt")?, "a", "the other item is unchanged");
    home.resolve(&["folder", "c.txt", "--keep", "right"])?.expect(0, "kept")?;
    assert_eq!(home.content("a/c.txt")?, "b");
    home.run(&["conflicts"])?.expect(0, "")?;
    Ok(())
}

#[test]
fn several_copies_of_an_entry_are_settled_one_by_one() -> Result<()> {
    for (keep, expected) in [("newer", "left 2"), ("both", "right 2")] {
        let home = Home::in_sync()?;
        home.conflicts("left", &["a.txt"])?;
        home.write_old("left/a.txt", "left 2", 500)?;
        home.write_old("right/a.txt", "right 2", 400)?;
        home.run(&PAIR)?.expect(1, "changed on both sides")?;
        let listed = home.run(&["conflicts", "--json"])?.expect(1, "")?.json_lines()?;
        assert_eq!(listed.len(), 2, "{listed:?}");
        for selection in [&["folder", "a.txt"][..], &["--all"]] {
            for side in ["left", "right"] {
                let refused = home.resolve(&[selection, &["--keep", side]].concat())?;
                refused.expect(1, "it has several conflicts")?;
            }
        }
        if keep == "newer" {
            let path = format!("left/{}", listed[0]["copy"].as_str().context("a path")?);
            home.write_old(&path, "left 2", 100)?;
            let path = format!("left/{}", listed[1]["copy"].as_str().context("a path")?);
            home.write_old(&path, "first copy", 600)?;
        }
        home.resolve(&["folder", "a.txt", "--keep", keep])?.expect(0, "kept")?;
        assert_eq!(home.content("left/a.txt")?, expected);
        home.expect_in_sync()?;
        let mut contents = home.in_trash("left")?;
        contents.extend(home.tree("left")?.into_values().filter_map(|entry| match entry {
            Entry::File(content) => String::from_utf8(content).ok(),
            Entry::Directory | Entry::Link(_) => None,
        }));
        for version in ["right 2", "left 2"] {
            ensure!(contents.iter().any(|content| content == version), "{version}: {contents:?}");
        }
    }
    Ok(())
}

#[test]
fn differences_are_shown_without_any_change() -> Result<()> {
    let big = "x".repeat(1 << 20);
    let long = format!("{big}x");
    for (left, right, words) in [
        (
            "one\ntwo\tx\nthree\n",
            "one\n2\tx\nthree\n",
            &[
                "\n--- a.txt (right)\n+++ a (conflicted copy left ",
                " one\n-2\tx\n+two\tx\n three\n",
            ][..],
        ),
        ("no newline", "no newline\n", &["-no newline\n+no newline\n\\ No newline"]),
        ("a\u{1b}[2J\n", "b\r\n", &["-b\\u{d}\n", "+a\\u{1b}[2J\n"]),
        (&big, "small", &["\n+xxx"]),
        (&long, "small", &["left: 1.00 MiB, ", "right: 5 B, ", "not both texts"]),
        ("\u{0}", "text\n", &["+\\u{0}\n"]),
    ] {
        let home = Home::in_sync()?;
        home.write_old("left/a.txt", left, 2000)?;
        home.write_old("right/a.txt", right, 1000)?;
        home.run(&PAIR)?.expect(1, "changed on both sides")?;
        let before = trees::read(&home.path("left"))?;
        let shown = home.resolve(&["folder", "a.txt", "--diff"])?.expect(0, "folder: a.txt\n")?;
        for words in words {
            ensure!(shown.stdout.contains(words), "{words:?} is not in {:?}", shown.stdout);
        }
        let line = home.resolve(&["folder", "a.txt", "--diff", "--json"])?.expect(0, "")?.json()?;
        assert_eq!(line["outcome"], "compared");
        assert_eq!(line["versions"][0]["size"], right.len());
        assert_eq!(line["versions"][1]["side"], "left");
        assert_eq!(line["diff"].is_string(), left.len() <= 1 << 20);
        assert_eq!(trees::read(&home.path("left"))?, before);
        home.run(&["status"])?.expect(1, "folder: 1 conflict")?;
    }
    let home = Home::in_sync()?;
    home.conflicts("right", &["a.txt"])?;
    home.write("left/a.txt", "left\n")?;
    home.resolve(&["folder", "a.txt", "--diff"])?.expect(0, "the versions are equal")?;
    home.write("left/a.txt", b"\xff\xfe")?;
    home.resolve(&["folder", "a.txt", "--diff"])?.expect(0, "not both texts")?;
    Ok(())
}

#[test]
fn a_registered_plugin_and_a_job_file_are_named() -> Result<()> {
    let home = Home::new()?;
    for (side, seconds) in [("left", 60), ("right", 30)] {
        for file in ["pair-SIDE/a.txt", "docs-SIDE/a.txt", "photos-SIDE/b.txt"] {
            home.write_old(&file.replace("SIDE", side), side, seconds)?;
        }
    }
    let job = "plugin = \"folder\"\n\
               [items.docs]\nname = \"Documents\"\n\
               dirs = { left = \"docs-left\", right = \"docs-right\" }\n\
               [items.photos]\n\
               dirs = { left = \"photos-left\", right = \"photos-right\" }\n";
    let job = home.write("sync.toml", job)?.canonicalize()?.display().to_string();
    home.run(&["run", "--job", "sync.toml"])?.expect(1, "Documents")?;
    // The name of the item does not say which directory it has, so the files decide.
    let both = fs::read_dir(home.path("docs-left"))?.map(|entry| Ok(entry?.file_name()));
    let both = both.collect::<std::io::Result<Vec<_>>>()?;
    for name in &both {
        fs::copy(home.path("docs-left").join(name), home.path("photos-left").join(name))?;
    }
    home.resolve(&["Documents", "a.txt", "--keep", "left"])?
        .expect(1, "several directories of its last run have both versions")?;
    for name in &both {
        fs::remove_file(home.path("photos-left").join(name))?;
    }
    for (item, file, directory) in
        [("Documents", "a.txt", "docs-left"), ("photos", "b.txt", "photos-left")]
    {
        home.resolve(&[item, file, "--keep", "left", "--of", "sync.toml"])?
            .expect(0, &format!("run `syncmgr run --job {job}` to sync "))?;
        assert_eq!(home.content(&format!("{directory}/{file}"))?, "left");
    }
    home.run(&["run", "--job", "sync.toml"])?.expect(0, "")?;
    assert_eq!(home.content("docs-right/a.txt")?, "left");

    let register = [
        "register",
        "folder",
        "--name",
        "mine",
        "--dir",
        "left=pair-left",
        "--dir",
        "right=pair-right",
    ];
    home.run(&register)?.expect(0, "registered")?;
    home.run(&["run", "mine"])?.expect(1, "changed on both sides")?;
    home.resolve(&["folder", "a.txt", "--keep", "right"])?
        .expect(0, "run `syncmgr run mine` to sync ")?;
    home.run(&["run", "mine"])?.expect(0, "")?;
    assert_eq!(home.content("pair-left/a.txt")?, "right");
    Ok(())
}

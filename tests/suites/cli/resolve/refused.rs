//! Conflicts that are not settled, and hostile names.

use std::fs;

use anyhow::{Context, Result, ensure};
use conformance::trees::{self, Tree};

use super::PAIR;
use crate::home::Home;

/// Changes the directories of a conflict: arguments are the home and the path of the copy.
type Change = fn(&Home, &str) -> Result<()>;

#[test]
fn a_refused_conflict_changes_nothing() -> Result<()> {
    let rows: [(&str, Change, i32, &str); 5] = [
        (
            "copy",
            |home, copy| Ok(fs::remove_file(home.path("left").join(copy))?),
            1,
            "is missing; run the plugin again",
        ),
        (
            "entry",
            |home, _| Ok(fs::remove_file(home.path("left/docs/a.txt"))?),
            1,
            "docs/a.txt in ",
        ),
        (
            "directory",
            |home, _| {
                fs::remove_file(home.path("left/docs/a.txt"))?;
                Ok(fs::create_dir(home.path("left/docs/a.txt"))?)
            },
            1,
            "is not a regular file",
        ),
        (
            "parent",
            |home, _| Ok(fs::rename(home.path("left/docs"), home.path("left/documents"))?),
            1,
            "its directory in ",
        ),
        (
            "root",
            |home, _| Ok(fs::rename(home.path("left"), home.path("away"))?),
            1,
            "does not exist",
        ),
    ];
    for (what, change, status, words) in rows {
        let home = Home::in_sync()?;
        let copy = home.conflicts("right", &["docs/a.txt"])?.remove(0);
        change(&home, &copy)?;
        let before = without_state(trees::read(home.0.path())?);
        for keep in ["left", "right", "newer", "both"] {
            let refused = home.resolve(&["folder", "docs/a.txt", "--keep", keep])?;
            let refused = refused.expect(status, words).with_context(|| what.to_owned())?;
            ensure!(
                refused.stderr.starts_with("error: folder: docs/a.txt: "),
                "{}",
                refused.stderr
            );
            assert_eq!(refused.stdout, "");
            assert_eq!(without_state(trees::read(home.0.path())?), before, "{what}");
            home.run(&["status"])?.expect(1, "folder: 1 conflict")?;
        }
    }
    Ok(())
}

fn without_state(mut tree: Tree) -> Tree {
    tree.retain(|path, _| !path.starts_with("state"));
    tree
}

#[cfg(unix)]
#[test]
fn links_are_refused_and_not_followed() -> Result<()> {
    use std::os::unix::fs::symlink;

    let replace = |home: &Home, path: &str, target: &str| -> Result<()> {
        fs::rename(home.path(path), home.path("moved"))?;
        Ok(symlink(home.path(target), home.path(path))?)
    };
    for (what, target) in [
        ("left/docs/a.txt", "secret"),
        ("left/docs/COPY", "secret"),
        ("left/docs", "outside"),
        ("left/.syncmgr-trash", "outside"),
        ("left", "outside"),
    ] {
        let home = Home::in_sync()?;
        let copy = home.conflicts("right", &["docs/a.txt"])?.remove(0);
        home.write("secret", "top secret\n")?;
        for name in ["docs/a.txt", &copy, "a.txt", &copy["docs/".len()..]] {
            home.write(&format!("outside/{name}"), "top secret\n")?;
        }
        let outside = trees::read(&home.path("outside"))?;
        if what.ends_with("trash") {
            fs::create_dir(home.path(what))?;
        }
        replace(&home, &what.replace("docs/COPY", &copy), target)?;
        for arguments in
            [&["--diff"][..], &["--keep", "left"], &["--keep", "right"], &["--keep", "both"]]
        {
            let ran = home.resolve(&[&["folder", "docs/a.txt"], arguments].concat())?;
            let is_unused = what.ends_with("trash")
                && ["both", "--diff"].contains(arguments.last().context("a word")?);
            ensure!((ran.status == 0) == is_unused, "{what} {arguments:?}: {}", ran.said());
            ensure!(!ran.said().contains("secret\n"), "{what}: {}", ran.said());
            assert_eq!(trees::read(&home.path("outside"))?, outside, "{what} {arguments:?}");
            assert_eq!(home.content("secret")?, "top secret\n");
        }
    }
    Ok(())
}

#[test]
fn a_run_in_progress_is_not_disturbed() -> Result<()> {
    let home = Home::in_sync()?;
    home.conflicts("right", &["a.txt"])?;
    let before = home.tree("left")?;
    // As a run does.
    let lock = fs::File::open(home.path("left"))?;
    lock.lock()?;
    for more in [&[][..], &["--dry-run"]] {
        let arguments = [&["folder", "a.txt", "--keep", "left"], more].concat();
        home.resolve(&arguments)?.expect(6, "another run holds ")?;
    }
    assert_eq!(home.tree("left")?, before);
    home.resolve(&["folder", "a.txt", "--diff"])?.expect(0, "+left")?;
    lock.unlock()?;
    home.resolve(&["folder", "a.txt", "--keep", "left"])?.expect(0, "kept")?;
    home.expect_in_sync()
}

#[cfg(unix)]
#[test]
fn hostile_names_are_escaped_and_settled() -> Result<()> {
    let names = [
        "new\nline.txt",
        "red\u{1b}[31m.txt",
        "exe.\u{202e}txt",
        "'; touch x; '",
        "-rf",
        // This spelling is not the composed one.
        "cafe\u{301}/re\u{301}sume\u{301}.txt",
    ];
    for keep in ["left", "right", "both"] {
        let home = Home::in_sync()?;
        home.conflicts("right", &names[..5])?;
        home.write_old(&format!("left/{}", names[5]), "left\n", 2000)?;
        home.write_old(&format!("right/{}", names[5]), "right\n", 1000)?;
        home.run(&PAIR)?.expect(1, "changed on both sides")?;
        for more in [&["--diff"][..], &["--keep", keep, "--dry-run"], &["--keep", keep]] {
            for json in [&["--json"][..], &[]] {
                if *more == ["--keep", keep] && *json == ["--json"] {
                    continue;
                }
                let ran = home.resolve(&[&["--all"], more, json].concat())?.expect(0, "")?;
                let harmful = |text: &str| text.contains(['\u{1b}', '\u{202e}', '\r']);
                ensure!(!harmful(&ran.said()), "{:?}", ran.said());
                ensure!(!ran.stdout.contains("new\nline"), "{}", ran.stdout);
            }
        }
        let kept = if keep == "both" { "right" } else { keep };
        for name in names {
            assert_eq!(home.content(&format!("left/{name}"))?, format!("{kept}\n"), "{name:?}");
        }
        home.expect_in_sync()?;
    }
    Ok(())
}

#[test]
fn a_plugin_cannot_name_other_files() -> Result<()> {
    let (a, copy) = ("a.txt", "a (conflicted copy left 2026-11-28 175312).txt");
    for (path, other) in [
        (format!("../{a}"), format!("../{copy}")),
        (format!("/{a}"), format!("/{copy}")),
        (format!("inner/../../{a}"), format!("inner/../../{copy}")),
        (format!("./{a}"), format!("./{copy}")),
        (format!("inner/{a}"), format!("../{copy}")),
        (format!("inner/{copy}"), format!("inner/{a}")),
        (format!("inner/{a}"), format!("inner/{a}")),
        (String::new(), String::new()),
    ] {
        let home = Home::new()?;
        for name in [a, copy] {
            home.write(name, "outside")?;
            home.write(&format!("inbox/inner/{name}"), "inside")?;
        }
        home.run(&[
            "run",
            conformance::SCRIPT,
            "--dir",
            "inbox=inbox",
            "--set",
            "items=a",
            "--set",
            "synchronize=progress item=a status=succeeded",
        ])?
        .expect(0, "")?;
        // As if the plugin had reported it.
        let connection = rusqlite::Connection::open(home.path("state/history.db"))?;
        connection.execute(
            "INSERT INTO conflict (job, item, item_name, path, copy, since, seen) \
             SELECT run.job, item.uuid, item.name, ?1, ?2, run.id, run.id FROM item \
             JOIN run ON run.id = item.run",
            [&path, &other],
        )?;
        drop(connection);
        let before = without_state(trees::read(home.0.path())?);
        for keep in ["left", "right", "both"] {
            let refused = home.resolve(&["--all", "--keep", keep])?;
            refused.expect(1, "error: ").with_context(|| path.clone())?;
        }
        assert_eq!(without_state(trees::read(home.0.path())?), before, "{path}");
    }
    Ok(())
}

//! Hostile names, and links in the trash and in the directories.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Result, ensure};

use super::delete_docs;
use crate::home::Home;

const TRASH: &str = "state/plugins/folder/storage/trash";

#[test]
fn hostile_names_are_escaped_and_found() -> Result<()> {
    const NAMES: [&str; 4] = ["two\nlines", "red\u{1b}[31m", "-rf", "exe.\u{202e}gpj"];
    let home = Home::with_trash(|home| {
        NAMES.iter().try_for_each(|name| home.write(&format!("left/n/{name}"), name).map(drop))
    })?;
    home.sync_after(|home| Ok(fs::remove_dir_all(home.path("left/n"))?))?;
    let listed = home.trash(&["list"])?.expect(0, "n/two\\u{a}lines (9 B, ")?.stdout;
    ensure!(
        listed.contains("n/red\\u{1b}[31m (") && listed.contains("exe.\\u{202e}gpj"),
        "{listed}"
    );
    assert_eq!(listed.lines().count(), 1 + NAMES.len(), "{listed}");
    for name in NAMES {
        let restored = home.trash(&["restore", "folder", &format!("n/{name}")])?.expect(0, "n/")?;
        ensure!(!restored.said().contains(['\u{1b}', '\u{202e}']), "{}", restored.said());
        assert_eq!(home.read(&format!("right/n/{name}"))?, name);
    }
    for name in ["gone\u{1b}[2J", "gone\nerror: me"] {
        let missing = home.trash(&["restore", "folder", name])?.expect(2, "is not in the trash")?;
        ensure!(!missing.said().contains('\u{1b}'), "{}", missing.said());
        ensure!(!missing.said().contains("\nerror: me"), "{}", missing.said());
    }
    Ok(())
}

#[test]
fn a_path_never_leads_out() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    home.write("state/plugins/folder/storage/secret", "secret")?;
    for path in ["../secret", "..", ".", "/etc/passwd", "docs/../a.txt", "docs//b.txt", ""] {
        for more in [&[][..], &["--to", "out"]] {
            home.trash(&[&["restore", "folder", path], more].concat())?
                .expect(2, "invalid path")?;
        }
    }
    for run in ["..", "../storage", "/"] {
        home.trash(&["restore", "folder", "--run", run, "--to", "out"])?
            .expect(2, "no such run")?;
        home.trash(&["empty", "folder", "--run", run, "--yes"])?.expect(0, "nothing to remove")?;
    }
    ensure!(!home.path("out").exists());
    assert_eq!(home.listed()?.len(), 3);
    Ok(())
}

/// Returns the content of the directory outside, to which links lead.
fn outside(home: &Home) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(home.path("outside"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push((name, fs::read_to_string(entry.path())?));
    }
    found.sort();
    Ok(found)
}

#[test]
fn links_in_the_trash_are_not_followed() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    let run = home.runs()?.remove(0);
    let files = home.path(TRASH).join(&run).join("right");
    home.write("outside/b.txt", "outside")?;
    let before = outside(&home)?;
    fs::remove_dir_all(files.join("docs"))?;
    symlink(home.path("outside"), files.join("docs"))?;
    symlink(home.path("outside/b.txt"), files.join("file"))?;
    symlink("a.txt", files.join("inside"))?;
    symlink(home.path("outside"), home.path(TRASH).join("2024-01-01T000000.000000000Z"))?;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        files.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )?;
    let kinds = home.trash(&["list"])?.expect(0, "  docs (symbolic link)\n")?.stdout;
    assert_eq!(kinds.lines().count(), 6, "{kinds}");
    home.trash(&["restore", "folder", "docs/b.txt"])?
        .expect(2, "docs/b.txt is not in the trash")?;
    for (path, words) in [
        ("docs", "leads out of the directory"),
        ("file", "leads out of the directory"),
        ("fifo", "neither a file nor a symbolic link"),
    ] {
        home.trash(&["restore", "folder", path])?.expect(3, words)?;
        ensure!(home.path("right").join(path).symlink_metadata().is_err(), "{path}");
    }
    home.trash(&["restore", "folder", "inside"])?.expect(0, "restored inside")?;
    assert_eq!(fs::read_link(home.path("right/inside"))?, Path::new("a.txt"));
    // The pair of the run.
    for pair in ["link", "directory"] {
        let place = home.path(TRASH).join(&run).join("pair");
        let saved = fs::read_to_string(&place)?;
        fs::remove_file(&place)?;
        match pair {
            "link" => symlink(home.write("pair", &saved)?, &place)?,
            _ => fs::create_dir(&place)?,
        }
        home.trash(&["list"])?.expect(0, "a directory that is not granted")?;
        match pair {
            "link" => fs::remove_file(&place)?,
            _ => fs::remove_dir(&place)?,
        }
        fs::write(&place, saved)?;
    }
    home.trash(&["empty", "folder", "--yes"])?.expect(0, "removed 1 run")?;
    assert_eq!(outside(&home)?, before);
    // The trash itself.
    fs::remove_dir_all(home.path(TRASH))?;
    home.write("outside/trash/2024/left/x", "x")?;
    symlink(home.path("outside/trash"), home.path(TRASH))?;
    home.trash(&["list"])?.expect(7, "cannot read the trash in ")?;
    home.trash(&["empty", "folder", "--yes"])?.expect(7, "cannot read the trash in ")?;
    ensure!(home.path("outside/trash/2024/left/x").exists());
    Ok(())
}

#[test]
fn links_in_the_place_are_not_followed() -> Result<()> {
    let home = Home::with_trash(delete_docs)?;
    home.write("outside/a.txt", "outside")?;
    let before = outside(&home)?;
    symlink(home.path("outside"), home.path("right/docs"))?;
    home.trash(&["restore", "folder", "docs/b.txt"])?
        .expect(1, "docs is not a directory in ")?
        .expect(1, "or is a symbolic link")?;
    fs::remove_file(home.path("right/a.txt"))?;
    symlink(home.path("outside/a.txt"), home.path("right/a.txt"))?;
    home.trash(&["restore", "folder", "a.txt"])?.expect(1, ": a symbolic link; ")?;
    symlink(home.path("outside/a.txt"), home.path("link"))?;
    home.trash(&["restore", "folder", "a.txt", "--to", "link"])?.expect(1, "link exists in ")?;
    symlink(home.path("outside/new"), home.path("dangling"))?;
    home.trash(&["restore", "folder", "a.txt", "--to", "dangling"])?
        .expect(1, "dangling exists in ")?;
    home.trash(&["restore", "folder", "a.txt", "--replace"])?.expect(0, "restored a.txt")?;
    assert_eq!(home.read("right/a.txt")?, "first");
    ensure!(!home.path("right/a.txt").is_symlink());
    assert_eq!(home.listed()?[0], "right a.txt", "the link");
    assert_eq!(outside(&home)?, before);
    Ok(())
}

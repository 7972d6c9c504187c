//! The trash of a directory on another file system, which is in that directory.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use super::delete_docs;
use crate::home::Home;

fn on_another_file_system() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.path("right"))?;
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "none"]).arg(home.path("right")).status()?;
    ensure!(mount.success());
    for (name, content) in [("a.txt", "first"), ("docs/b.txt", "b"), ("pair", "p")] {
        home.write(&format!("left/{name}"), content)?;
    }
    home.run(&super::PAIR)?.expect(0, "succeeded")?;
    home.sync_after(|home| {
        fs::remove_file(home.path("left/pair"))?;
        delete_docs(home)
    })?;
    let trash = home.path("right/.syncmgr-trash");
    let names = || -> Result<Vec<String>> {
        let entries = fs::read_dir(&trash)?.map(|entry| Ok(entry?.file_name()));
        let mut names = entries
            .map(|name: Result<_>| Ok(name?.to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let own = names()?;
    ensure!(own.len() == 2 && own[1] == format!("{}.pair", own[0]), "{own:?}");
    ensure!(!home.path("state/plugins/folder/storage/trash").join(&own[0]).exists());
    assert_eq!(home.listed()?, ["right a.txt", "right pair", "right docs/b.txt"]);

    home.trash(&["restore", "folder", "docs/b.txt"])?.expect(0, "restored docs/b.txt")?;
    assert_eq!(home.read("right/docs/b.txt")?, "b");
    home.trash(&["restore", "folder", "a.txt", "--to", "elsewhere"])?
        .expect(0, "it remains in the trash")?;
    assert_eq!(home.read("elsewhere")?, "first");
    ensure!(
        home.path("elsewhere").metadata()?.modified()?
            < home.path("right/a.txt").metadata()?.modified()?
    );
    home.trash(&["restore", "folder", "a.txt", "--replace"])?.expect(0, "restored a.txt")?;
    assert_eq!(home.read("right/a.txt")?, "first");
    assert_eq!(home.listed()?, ["right a.txt", "right pair"]);
    assert_eq!(names()?.len(), 4, "another run, with its pair");
    ensure!(fs::read_dir(home.path(""))?.all(|entry| {
        entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().starts_with(".syncmgr-tmp"))
    }));

    // The trash of other pairs with this directory remains.
    let other = trash.join("2024-01-01T000000.000000000Z");
    fs::create_dir(&other)?;
    fs::write(other.join("x"), "x")?;
    let id = "00000000-0000-0000-0000-000000000001";
    fs::write(trash.join("2024-01-01T000000.000000000Z.pair"), format!("left {id}\nright {id}\n"))?;
    home.write(
        "sync.toml",
        "plugin = \"folder\"\ndirs = { left = \"left\", right = \"right\" }\n",
    )?;
    home.trash(&["empty", "--job", "sync.toml", "--yes"])?
        .expect(0, "removed 2 runs with 2 files")?;
    assert_eq!(names()?, ["2024-01-01T000000.000000000Z", "2024-01-01T000000.000000000Z.pair"]);
    fs::remove_dir_all(&trash)?;

    // The setting removes old runs there, too.
    home.sync_after(|_| Ok(()))?;
    home.sync_after(|home| Ok(fs::remove_file(home.path("left/a.txt"))?))?;
    let old = "2024-01-01T000000.000000000Z";
    let run = names()?.remove(0);
    fs::create_dir(trash.join(old))?;
    fs::copy(trash.join(format!("{run}.pair")), trash.join(format!("{old}.pair")))?;
    let keep = [&super::PAIR[..], &["--set", "trash-keep=30d"]].concat();
    home.run(&keep)?.expect(0, "")?;
    assert_eq!(names()?, [run.clone(), format!("{run}.pair")]);
    ensure!(Command::new("umount").arg(home.path("right")).status()?.success());
    Ok(())
}

#[test]
fn a_directory_on_another_file_system_has_a_trash() -> Result<()> {
    conformance::isolation::with_own_mounts(
        a_directory_on_another_file_system_has_a_trash,
        on_another_file_system,
    )
}

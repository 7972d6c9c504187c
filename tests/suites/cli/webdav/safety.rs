//! Servers that would make a sync lose files.

use anyhow::{Context as _, Result, ensure};
use conformance::hook::Hook;
use conformance::servers;

use super::scene::{Scene, TOP, each_server, installed};

#[test]
fn a_server_that_looks_empty_or_is_none_stops_the_run() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        for number in 0..30 {
            scene.write(local, &format!("{number}"), &[number; 30], 100)?;
        }
        scene.sync(&[])?.expect(0, "30 copied")?;
        let before = scene.local()?;
        remote.rename(TOP, "away")?;
        remote.make_directory(TOP)?;
        scene.sync(&[])?.expect(4, "is empty, but 30 entries were synced there")?;
        remote.remove(TOP)?;
        scene.sync(&[])?.expect(4, scene.kind.missing)?;
        remote.write(TOP, b"not a directory", 100)?;
        scene.sync(&[])?.expect(4, scene.kind.missing)?;
        assert_eq!(scene.local()?, before);
        remote.remove(TOP)?;
        remote.rename("away", TOP)?;
        scene.sync(&[])?.expect(0, "nothing to do")?;
        Ok(())
    })
}

/// The moment at which another client writes a file, as the path of a MOVE and its target.
enum Moment {
    /// Before the file is moved to the trash.
    Captured,
    /// Also before it is moved back.
    AlsoMovedBack,
    /// Before its replacement, or a new file, gets its name.
    Named,
}

#[test]
fn a_version_that_appears_at_the_last_moment_is_not_lost() -> Result<()> {
    for kind in installed()? {
        let Some(plain) = kind.plain else { continue };
        let hook = Hook::start()?;
        let scene = Scene::start(kind, |certificate| servers::hooked(certificate, plain, &hook))?;
        let (local, remote) = (&scene.local, &scene.remote);
        let rows = [
            ("replaced", Moment::Captured),
            ("replaced", Moment::AlsoMovedBack),
            ("replaced", Moment::Named),
            ("deleted", Moment::Captured),
            ("deleted", Moment::AlsoMovedBack),
            ("new", Moment::Named),
        ];
        for (number, (what, moment)) in rows.iter().enumerate() {
            for trash in ["trash=true", "trash=false"] {
                let name = format!("{what} {number} {trash}");
                scene.write(local, &format!("{name} keeps it from being empty"), b"it", 200)?;
                if *what != "new" {
                    scene.write(local, &name, b"first", 200)?;
                }
                scene.sync(&[])?.expect(0, "copied")?;
                match *what {
                    "deleted" => scene.remove(local, &name)?,
                    _ => scene.write(local, &name, b"of local", 50)?,
                }
                let (written, files) = (name.replace([' ', '='], ""), remote.clone());
                let path = format!("{TOP}/{name}");
                let mut late = match moment {
                    Moment::Captured => vec![(false, true)],
                    Moment::AlsoMovedBack => vec![(true, false), (false, true)],
                    Moment::Named => vec![(false, false)],
                };
                let wanted = late.len();
                let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
                let counted = std::sync::Arc::clone(&count);
                hook.set(Some(Box::new(move |method, from, to| {
                    let in_trash = [from, to].map(|path| path.contains(".syncmgr-trash"));
                    let is_file = [from, to]
                        .iter()
                        .any(|path| path.replace("%20", "").replace("%3D", "").ends_with(&written));
                    let is_next = late.last() == Some(&in_trash.into());
                    if method == "MOVE" && is_file && is_next {
                        late.pop();
                        let number = counted.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
                        let content = format!("late version {}", "x".repeat(number));
                        files.write(&path, content.as_bytes(), 20).expect("it is written");
                        // rclone lists directories again after 10 ms.
                        std::thread::sleep(std::time::Duration::from_millis(30));
                    }
                })));
                let ran = scene.sync(&["--set", trash]);
                hook.set(None);
                let ran = ran?;
                let said = ran.said();
                let context = || format!("with {}: {name}: {said}", kind.name);
                ran.expect(1, "1 not done").with_context(context)?;
                ensure!(count.load(std::sync::atomic::Ordering::Acquire) == wanted, context());
                let all = remote.tree(TOP)?;
                for late in (0..wanted).map(|number| format!("late version {}", "x".repeat(number)))
                {
                    let is_kept = all.values().any(|content| *content == late.as_bytes());
                    ensure!(is_kept, "{late:?} is lost, {}", context());
                }
                let last = format!("late version {}", "x".repeat(wanted - 1));
                ensure!(all[&name] == last.as_bytes(), context());
                // Sizes differ, so that the next run decides.
                scene.sync(&[])?;
                scene.sync(&[])?;
                scene.expect_equal().with_context(context)?;
                let all = scene.local()?;
                ensure!(all.values().any(|content| *content == last.as_bytes()), context());
                ensure!(
                    *what == "deleted" || all.values().any(|content| content == b"of local"),
                    context()
                );
                for conflict in all.keys().filter(|path| path.contains("(conflicted copy")) {
                    scene.remove(local, conflict)?;
                    scene.remove(remote, conflict)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_file_that_the_server_does_not_list_is_not_deleted() -> Result<()> {
    each_server(|scene| {
        scene.write(&scene.local, ".hidden", b"of local", 100)?;
        scene.write(&scene.local, "a", b"of local", 100)?;
        match scene.kind.name {
            "nginx" => {
                let why = "the server does not list names that begin with a dot";
                for _ in 0..2 {
                    scene.sync(&[])?.expect(1, why)?;
                }
                let local = scene.local()?.into_keys().collect::<Vec<_>>();
                ensure!(local == [".hidden", "a"], "{local:?}");
            }
            _ => {
                scene.sync(&[])?.expect(0, "2 copied")?;
                scene.sync(&[])?.expect(0, "nothing to do")?;
                scene.expect_equal()?;
            }
        }
        Ok(())
    })
}

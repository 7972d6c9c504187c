//! The built-in plugin `s3` with real servers.

mod large;
mod scene;

use anyhow::{Result, ensure};
use conformance::hook::Hook;
use conformance::servers::{self, Files};

use scene::{Scene, each_server, installed};

#[test]
fn both_sides_become_equal_and_a_rerun_changes_nothing() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        for number in 0..40 {
            local.write(&format!("l/{}/{number}", number % 3), &[number; 30], 100)?;
            remote.write(&format!("r/{}/{number}", number % 3), &[number; 40], 100)?;
        }
        let large: Vec<u8> = (0..20_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        local.write("large", &large, 100)?;
        remote.write("empty", b"", 100)?;
        for name in ["a b", "é", "100%", "semi;colon", "hash#", "plus+and&", "quote'"] {
            local.write(&format!("names/{name}.l"), name.as_bytes(), 100)?;
            remote.write(&format!("names/{name}.r"), name.as_bytes(), 100)?;
        }
        scene.sync(&[])?.expect(scene.kind.good, "96 copied")?;
        scene.expect_equal()?;
        scene.sync(&[])?.expect(scene.kind.good, "nothing to do")?;

        local.write("l/0/0", b"edited on local", 50)?;
        remote.write("r/0/0", b"edited on remote", 50)?;
        local.remove("l/1/1")?;
        remote.remove("r/1/1")?;
        local.remove("l/2")?;
        remote.remove("r/2")?;
        scene
            .sync(&["--set", "max-delete=any"])?
            .expect(scene.kind.good, "2 copied, 28 deleted")?;
        scene.expect_equal()?;
        let all = local.tree()?;
        assert_eq!(all["l/0/0"], b"edited on local");
        assert_eq!(all["r/0/0"], b"edited on remote");
        assert!(!all.contains_key("l/1/1") && !all.contains_key("r/2/"), "{:?}", all.keys());
        scene.sync(&[])?.expect(scene.kind.good, "nothing to do")?;
        Ok(())
    })
}

#[test]
fn an_empty_directory_is_an_object() -> Result<()> {
    each_server(|scene| {
        if !scene.kind.has_markers {
            return Ok(());
        }
        let (local, remote) = (&scene.local, &scene.remote);
        local.write("file", b"it", 100)?;
        local.make_directory("of local")?;
        remote.make_directory("of the remote side")?;
        scene.sync(&[])?;
        scene.expect_equal()?;
        ensure!(local.tree()?.len() == 3, "{:?}", local.tree()?);
        scene.sync(&[])?.expect(scene.kind.good, "nothing to do")?;

        // A directory whose last file is deleted remains.
        local.write("emptied/file", b"it", 100)?;
        scene.sync(&[])?.expect(scene.kind.good, "1 copied")?;
        local.remove("emptied/file")?;
        scene.sync(&[])?.expect(scene.kind.good, "1 deleted")?;
        scene.expect_equal()?;
        ensure!(remote.tree()?.contains_key("emptied/"), "{:?}", remote.tree()?);
        scene.sync(&[])?.expect(scene.kind.good, "nothing to do")?;

        local.remove("of local")?;
        remote.remove("of the remote side")?;
        scene.sync(&[])?;
        scene.expect_equal()?;
        let left: Vec<_> = local.tree()?.into_keys().collect();
        ensure!(left == ["emptied/", "file"], "{left:?}");
        scene.sync(&[])?.expect(scene.kind.good, "nothing to do")?;
        Ok(())
    })
}

#[test]
fn a_conflict_keeps_both_versions_and_the_trash_keeps_replaced_ones() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        local.write("both", b"first", 200)?;
        local.write("replaced", b"old", 200)?;
        scene.sync(&[])?.expect(scene.kind.good, "2 copied")?;
        local.write("both", b"of local", 50)?;
        remote.write("both", b"of the remote side", 100)?;
        local.write("replaced", b"new", 50)?;
        scene.sync(&[])?.expect(1, "1 conflict")?;
        scene.expect_equal()?;
        let all = local.tree()?;
        assert_eq!(all["replaced"], b"new");
        let mut versions: Vec<_> =
            all.iter().filter(|(name, _)| name.starts_with("both")).map(|(_, v)| &**v).collect();
        versions.sort_unstable();
        assert_eq!(versions, [&b"of local"[..], b"of the remote side"]);
        assert_eq!(remote.kept("replaced")?, [b"old"]);
        scene.sync(&[])?.expect(1, "nothing to do")?;
        Ok(())
    })
}

#[test]
fn a_bucket_that_looks_empty_or_is_none_stops_the_run() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        for number in 0..30 {
            local.write(&format!("{number}"), &[number; 30], 100)?;
        }
        scene.sync(&[])?.expect(scene.kind.good, "30 copied")?;
        let before = local.tree()?;
        let away = format!("{}-away", remote.top);
        remote.files.rename(remote.top, &away)?;
        scene.sync(&[])?.expect(4, "is empty, but 30 entries were synced there")?;
        assert_eq!(local.tree()?, before);
        remote.files.rename(&away, remote.top)?;
        let missing = format!("{}/other-bucket/files/", scene.origin());
        let ran = scene.sync_with(&missing, "keys", &[])?;
        ensure!(ran.status == 4, "{ran:?}");
        if scene.kind.name != "moto" {
            scene.home.write("wrong", format!("{}:another\n", servers::ACCESS_KEY))?;
            let url = format!("{}/bucket/files/", scene.origin());
            let ran = scene.sync_with(&url, "wrong", &[])?;
            ensure!(ran.status == 4, "{ran:?}");
        }
        assert_eq!(local.tree()?, before);
        Ok(())
    })
}

#[test]
fn what_a_server_can_do_is_found_out_once() -> Result<()> {
    each_server(|scene| {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let refuses = format!("refuses overwrites: {}", yes(scene.kind.completes));
        let keeps = format!("keeps empty directories: {}", yes(scene.kind.has_markers));
        scene.local.write("a", b"a", 100)?;
        let ran = scene.sync(&["--dry-run"])?;
        ensure!(!ran.said().contains(&refuses), "a dry run changes nothing: {ran:?}");
        // rclone has no directory without an object.
        let is_empty = scene.remote.tree().map_or(true, |tree| tree.is_empty());
        ensure!(is_empty, "a dry run changes nothing: {ran:?}");
        let ran = scene.sync(&[])?.expect(scene.kind.good, "1 copied")?;
        ensure!(ran.said().contains(&refuses) && ran.said().contains(&keeps), "{ran:?}");
        for _ in 0..2 {
            scene.sync(&["--dry-run"])?.expect(scene.kind.good, &refuses)?;
        }
        Ok(())
    })
}

#[test]
fn what_is_outside_of_the_granted_path_stays() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        let outside = |name: &str| format!("{}{name}", remote.top);
        for name in ["-other/file", "x"] {
            remote.files.write(&outside(name), b"not of the pair", 100)?;
        }
        local.write("a", b"of local", 100)?;
        scene.sync(&[])?.expect(scene.kind.good, "1 copied")?;
        remote.remove("a")?;
        remote.write("b", b"of the remote side", 100)?;
        scene.sync(&["--set", "max-delete=any"])?.expect(scene.kind.good, "1 copied, 1 deleted")?;
        let left: Vec<_> = local.tree()?.into_keys().collect();
        ensure!(left == ["b"], "{left:?}");
        let all = remote.files.tree(&outside("-other"))?;
        ensure!(all.get("file").is_some_and(|content| content == b"not of the pair"), "{all:?}");
        Ok(())
    })
}

#[test]
fn keys_that_are_no_paths_are_skipped() -> Result<()> {
    each_server(|scene| {
        let Files::Bucket(bucket) = &scene.remote.files else { return Ok(()) };
        // seaweedfs stores them as other keys.
        let odd: &[&str] = match scene.kind.name {
            "moto" => &["a//b", "/lead", "./c", "d/../e", "f/.", "back\\slash/../g"],
            _ => &[],
        };
        for key in odd {
            bucket.put(&format!("files/{key}"), b"odd")?;
        }
        bucket.put("files/clash", b"an object")?;
        bucket.put("files/clash/below", b"below it")?;
        bucket.put("files/good", b"good")?;
        scene.local.write("of local", b"it", 100)?;
        for _ in 0..2 {
            let ran = scene.sync(&[])?;
            ensure!(ran.said().contains("clash"), "{ran:?}");
            let local: Vec<_> = scene.local.tree()?.into_keys().collect();
            ensure!(local == ["clash/", "clash/below", "good", "of local"], "{local:?} {ran:?}");
        }
        ensure!(bucket.get("files/clash")? == b"an object");
        for key in odd {
            ensure!(bucket.get(&format!("files/{key}"))? == b"odd", "{key} is lost");
        }
        Ok(())
    })
}

#[test]
fn a_job_file_describes_pairs() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        local.write("a", b"of local", 100)?;
        remote.write("photos/b", b"of the remote side", 100)?;
        let url = format!("{}/bucket/files/photos/", scene.origin());
        let kind = format!("aws-sigv4:{}", servers::REGION);
        let job = format!(
            "plugin = \"s3\"\nhttp-ca = \"ca.pem\"\n[items.photos]\ndirs = {{ local = \"local/files\" }}\n\
             [http]\n\"photos.remote\" = {url:?}\n[http-auth.\"photos.remote\"]\nkind = {kind:?}\n\
             secret = {{ file = \"keys\" }}\n"
        );
        scene.home.write("sync.toml", job)?;
        scene
            .home
            .run(&["run", "--job", "sync.toml"])?
            .expect(scene.kind.good, "succeeded: photos, 2 copied")?;
        assert_eq!(remote.tree()?["photos/a"], b"of local");
        assert_eq!(local.tree()?["b"], b"of the remote side");
        Ok(())
    })
}

#[test]
fn a_version_that_appears_at_the_last_moment_is_not_lost() -> Result<()> {
    for kind in installed()? {
        let Some(plain) = kind.conditional else { continue };
        let hook = Hook::start()?;
        let scene = Scene::start(kind, |certificate| servers::hooked(certificate, plain, &hook))?;
        let (local, remote) = (&scene.local, &scene.remote);
        for (number, what) in ["replaced", "new"].iter().enumerate() {
            for bytes in [10, 20 << 20].into_iter().take(if kind.completes { 2 } else { 1 }) {
                let name = format!("{what}{number}-{bytes}");
                local.write(&format!("{name}-keeps-it-from-being-empty"), b"it", 200)?;
                if *what == "replaced" {
                    local.write(&name, b"first", 200)?;
                }
                scene.sync(&[])?.expect(scene.kind.good, "copied")?;
                local.write(&name, &vec![b'l'; bytes], 50)?;
                let (key, files) = (format!("{}/{name}", remote.top), remote.files.clone());
                let end = format!("/bucket/{key}");
                let mut is_late = false;
                hook.set(Some(Box::new(move |method, path, _| {
                    let (path, query) = path.split_once('?').unwrap_or((path, ""));
                    // A large file gets its name at the end of its upload.
                    let is_named = match method {
                        "PUT" => query.is_empty(),
                        "POST" => query.contains("uploadId="),
                        _ => false,
                    };
                    if path == end && is_named && !is_late {
                        is_late = true;
                        files.write(&key, b"late version", 20).expect("it is written");
                    }
                })));
                let ran = scene.sync(&[]);
                hook.set(None);
                let ran = ran?;
                let said = format!("with {}: {name}: {}", kind.name, ran.said());
                ensure!(ran.status == 1 && said.contains("1 not done"), "{said}");
                ensure!(remote.tree()?[&name] == b"late version", "{said}");
                scene.sync(&[])?;
                scene.sync(&[])?;
                scene.expect_equal()?;
                let all = local.tree()?;
                ensure!(all.values().any(|content| content == b"late version"), "{said}");
                ensure!(all.values().any(|content| *content == vec![b'l'; bytes]), "{said}");
                for conflict in all.keys().filter(|path| path.contains("(conflicted copy")) {
                    local.remove(conflict)?;
                    remote.remove(conflict)?;
                }
            }
        }
    }
    Ok(())
}

//! Two-way sync with each server.

use std::process::Command;

use anyhow::{Result, ensure};
use conformance::servers::{self, Files};

use super::scene::{TOP, each_server, expect_same};

#[test]
fn both_sides_become_equal_and_a_rerun_changes_nothing() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        for number in 0..40 {
            scene.write(local, &format!("l/{}/{number}", number % 3), &[number; 30], 100)?;
            scene.write(remote, &format!("r/{}/{number}", number % 3), &[number; 40], 100)?;
        }
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        scene.write(local, "large", &large, 100)?;
        scene.write(remote, "empty", b"", 100)?;
        local.make_directory("files/empty directory")?;
        for name in ["a b", "é", "100%", "semi;colon", "hash#", "plus+and&", "quote'"] {
            scene.write(local, &format!("names/{name}.l"), name.as_bytes(), 100)?;
            scene.write(remote, &format!("names/{name}.r"), name.as_bytes(), 100)?;
        }
        scene.sync(&[])?.expect(0, "96 copied")?;
        scene.expect_equal()?;
        scene.sync(&[])?.expect(0, "nothing to do")?;

        scene.write(local, "l/0/0", b"edited on local", 50)?;
        scene.write(remote, "r/0/0", b"edited on remote", 50)?;
        scene.remove(local, "l/1/1")?;
        scene.remove(remote, "r/1/1")?;
        scene.remove(local, "l/2")?;
        scene.remove(remote, "r/2")?;
        scene.sync(&["--set", "max-delete=any"])?.expect(0, "2 copied, 28 deleted")?;
        scene.expect_equal()?;
        let all = scene.local()?;
        assert_eq!(all["l/0/0"], b"edited on local");
        assert_eq!(all["r/0/0"], b"edited on remote");
        assert!(!all.contains_key("l/1/1") && !all.contains_key("r/2/"), "{:?}", all.keys());
        scene.sync(&[])?.expect(0, "nothing to do")?;
        Ok(())
    })
}

#[test]
fn a_conflict_keeps_both_versions_and_the_trash_keeps_replaced_ones() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        scene.write(local, "both", b"first", 200)?;
        scene.write(local, "replaced", b"old", 200)?;
        scene.sync(&[])?.expect(0, "2 copied")?;
        scene.write(local, "both", b"of local", 50)?;
        scene.write(remote, "both", b"of the remote side", 100)?;
        scene.write(local, "replaced", b"new", 50)?;
        scene.sync(&[])?.expect(1, "1 conflict")?;
        scene.expect_equal()?;
        let all = scene.local()?;
        assert_eq!(all["replaced"], b"new");
        let mut versions: Vec<_> =
            all.iter().filter(|(name, _)| name.starts_with("both")).map(|(_, v)| &**v).collect();
        versions.sort_unstable();
        assert_eq!(versions, [&b"of local"[..], b"of the remote side"]);
        assert_eq!(scene.kept("replaced")?, [b"old"]);
        scene.sync(&[])?.expect(1, "nothing to do")?;
        Ok(())
    })
}

#[test]
fn a_job_file_describes_pairs() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        scene.write(local, "a", b"of local", 100)?;
        scene.write(remote, "docs/b", b"of the remote side", 100)?;
        let url = format!("{}docs/", scene.url());
        let job = format!(
            "plugin = \"webdav\"\nhttp-ca = \"ca.pem\"\n[items.docs]\ndirs = {{ local = \"local/files\" }}\n\
             [http]\n\"docs.remote\" = {url:?}\n[http-auth.\"docs.remote\"]\nkind = \"basic\"\n\
             secret = {{ file = \"login\" }}\n"
        );
        scene.home.write("sync.toml", job)?;
        scene.home.run(&["run", "--job", "sync.toml"])?.expect(0, "succeeded: docs, 2 copied")?;
        assert_eq!(scene.remote()?["docs/a"], b"of local");
        assert_eq!(scene.local()?["b"], b"of the remote side");
        Ok(())
    })
}

/// Two-way sync of many files and of large ones, with edits on both sides. The full size takes
/// minutes: 2,000 files and ten of 50 MiB.
#[test]
fn what_a_plain_client_downloads_is_equal() -> Result<()> {
    let is_full = std::env::var_os("SYNCMGR_TEST_FULL_SIZE").is_some();
    let (count, large, bytes) = if is_full { (2_000, 10, 50 << 20) } else { (300, 2, 8 << 20) };
    if !servers::has("rclone")? {
        return Ok(());
    }
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        let begun = std::time::Instant::now();
        let content = |seed: usize, length: usize| -> Vec<u8> {
            let block = blake3::hash(&seed.to_le_bytes());
            block.as_bytes().iter().copied().cycle().take(length).collect()
        };
        for number in 0..count {
            let on = if number % 2 == 0 { local } else { remote };
            let path = format!("d{}/e{}/{number}", number % 7, number % 10);
            scene.write(on, &path, &content(number, number * 13 % 9_000), 100)?;
        }
        for number in 0..large {
            let on = if number % 2 == 0 { local } else { remote };
            scene.write(on, &format!("large/{number}"), &content(number, bytes), 100)?;
        }
        let created = begun.elapsed();
        scene.sync(&[])?.expect(0, &format!("{} copied", count + large))?;
        let first = begun.elapsed() - created;
        // Sizes stay the same.
        for number in (0..count).step_by(10) {
            let on = if number % 20 == 0 { local } else { remote };
            let path = format!("d{}/e{}/{number}", number % 7, number % 10);
            match number % 50 {
                0 => scene.remove(on, &path)?,
                _ => scene.write(on, &path, &content(number + 1, number * 13 % 9_000), 50)?,
            }
        }
        scene.write(local, "large/0", &content(count, bytes), 50)?;
        let (edited, removed) = (count / 10 - count / 50 + 1, count / 50);
        let before = begun.elapsed();
        scene.sync(&[])?.expect(0, &format!("{edited} copied, {removed} deleted"))?;
        let second = begun.elapsed() - before;
        let before = begun.elapsed();
        scene.sync(&[])?.expect(0, "nothing to do")?;
        let third = begun.elapsed() - before;
        println!(
            "{}: created in {created:.1?}; synced in {first:.1?}, edits in {second:.1?}, nothing in \
             {third:.1?}",
            scene.kind.name
        );

        let obscured = Command::new("rclone").args(["obscure", "hunter2"]).output()?.stdout;
        let password = String::from_utf8(obscured)?;
        let downloaded = Command::new("rclone")
            .args(["copy", "--create-empty-src-dirs", "--exclude", ".syncmgr-trash/**", ":webdav:"])
            .arg(scene.home.path("plain").join(TOP))
            .args(["--webdav-url", &scene.url(), "--webdav-user", "me"])
            .args(["--webdav-pass", password.trim(), "--config", ""])
            // lighttpd requires it for a request with a body.
            .args(["--header", "Content-Type: application/xml"])
            .arg("--ca-cert")
            .arg(scene.home.path("ca.pem"))
            .output()?;
        ensure!(downloaded.status.success(), "{}", String::from_utf8_lossy(&downloaded.stderr));
        let plain = Files::Directory(scene.home.path("plain"));
        expect_same(&scene.local()?, &plain.tree(TOP)?)
    })
}

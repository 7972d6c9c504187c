//! The built-in plugin `webdav` with real servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use conformance::servers::{self, Authority, Certificate, Server};

use crate::home::{Home, Ran};

/// The servers with two-way sync, and the reason to stop if their root is missing.
const SERVERS: [(&str, Start, &str); 2] = [
    ("apache2", servers::apache, "cannot read the server `remote`"),
    ("rclone", servers::rclone_webdav, "the server `remote` is empty"),
];

type Start = fn(&Certificate) -> Result<Server>;

/// A pair of a directory and a collection on a running server.
struct Scene {
    home: Home,
    server: Server,
    /// The reason to stop if the root is missing.
    missing: &'static str,
    /// Has the files of the server's certificate, which it may read after it listens.
    _authority: Authority,
}

impl Scene {
    fn new(start: Start, missing: &'static str) -> Result<Self> {
        let home = Home::new()?;
        let authority = Authority::new()?;
        let server = start(&authority.certificate("localhost")?)?;
        home.write("ca.pem", authority.pem())?;
        home.write("login", "me:hunter2\n")?;
        fs::create_dir(home.path("local"))?;
        Ok(Self { home, server, missing, _authority: authority })
    }

    fn sync(&self, more: &[&str]) -> Result<Ran> {
        let url = format!("remote=https://localhost:{}/", self.server.ports[0]);
        let pair = ["run", "webdav", "--dir", "local=local", "--http", &url];
        let access = ["--http-auth", "remote=basic:file:login", "--http-ca", "ca.pem"];
        self.home.run(&[&pair[..], &access, more].concat())
    }

    fn local(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        tree(&self.home.path("local"))
    }

    fn remote(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        tree(&self.server.files())
    }

    fn expect_equal(&self) -> Result<()> {
        let (local, remote) = (self.local()?, self.remote()?);
        let names = |tree: &BTreeMap<String, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
        ensure!(local == remote, "{:?} and {:?} differ", names(&local), names(&remote));
        Ok(())
    }
}

/// Returns the content of each file by path, without the trash. A directory's path ends with `/`.
fn tree(root: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut rest = vec![String::new()];
    while let Some(path) = rest.pop() {
        for entry in fs::read_dir(root.join(&path))? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("names are Unicode")?;
            if [".syncmgr-trash", ".DAV"].contains(&&*name) {
                continue;
            }
            let path = format!("{path}{name}");
            if entry.file_type()?.is_dir() {
                all.insert(format!("{path}/"), Vec::new());
                rest.push(format!("{path}/"));
            } else {
                all.insert(path, fs::read(entry.path())?);
            }
        }
    }
    Ok(all)
}

/// Writes a file, with a time that no server has seen.
fn write(root: &Path, path: &str, content: &[u8], age: u64) -> Result<()> {
    let file = root.join(path);
    fs::create_dir_all(file.parent().context("it has a parent")?)?;
    fs::write(&file, content)?;
    let time = SystemTime::now() - Duration::from_secs(age);
    fs::File::options().write(true).open(&file)?.set_modified(time)?;
    Ok(())
}

fn each_server(test: impl Fn(&Scene) -> Result<()>) -> Result<()> {
    for (program, start, missing) in SERVERS {
        if servers::has(program)? {
            let scene = Scene::new(start, missing)?;
            test(&scene).with_context(|| format!("with {program}"))?;
        }
    }
    Ok(())
}

#[test]
fn both_sides_become_equal_and_a_rerun_changes_nothing() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (scene.home.path("local"), scene.server.files());
        for number in 0..40 {
            write(&local, &format!("l/{}/{number}", number % 3), &[number; 30], 100)?;
            write(&remote, &format!("r/{}/{number}", number % 3), &[number; 40], 100)?;
        }
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        write(&local, "large", &large, 100)?;
        write(&remote, "empty", b"", 100)?;
        fs::create_dir(local.join("empty directory"))?;
        for name in ["a b", "é", "100%", "semi;colon", "hash#", "plus+and&", "quote'"] {
            write(&local, &format!("names/{name}.l"), name.as_bytes(), 100)?;
            write(&remote, &format!("names/{name}.r"), name.as_bytes(), 100)?;
        }
        scene.sync(&[])?.expect(0, "96 copied")?;
        scene.expect_equal()?;
        scene.sync(&[])?.expect(0, "nothing to do")?;

        write(&local, "l/0/0", b"edited on local", 50)?;
        write(&remote, "r/0/0", b"edited on remote", 50)?;
        fs::remove_file(local.join("l/1/1"))?;
        fs::remove_file(remote.join("r/1/1"))?;
        fs::remove_dir_all(local.join("l/2"))?;
        fs::remove_dir_all(remote.join("r/2"))?;
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
        let (local, remote) = (scene.home.path("local"), scene.server.files());
        write(&local, "both", b"first", 200)?;
        write(&local, "replaced", b"old", 200)?;
        scene.sync(&[])?.expect(0, "2 copied")?;
        write(&local, "both", b"of local", 50)?;
        write(&remote, "both", b"of the remote side", 100)?;
        write(&local, "replaced", b"new", 50)?;
        scene.sync(&[])?.expect(1, "1 conflict")?;
        scene.expect_equal()?;
        let all = scene.local()?;
        assert_eq!(all["replaced"], b"new");
        let mut versions: Vec<_> =
            all.iter().filter(|(name, _)| name.starts_with("both")).map(|(_, v)| &**v).collect();
        versions.sort_unstable();
        assert_eq!(versions, [&b"of local"[..], b"of the remote side"]);
        let mut kept = false;
        for run in fs::read_dir(remote.join(".syncmgr-trash"))? {
            kept |= fs::read(run?.path().join("replaced")).is_ok_and(|old| old == b"old");
        }
        assert!(kept, "the old version is in the trash");
        scene.sync(&[])?.expect(1, "nothing to do")?;
        Ok(())
    })
}

#[test]
fn a_server_that_looks_empty_or_is_none_stops_the_run() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (scene.home.path("local"), scene.server.files());
        for number in 0..30 {
            write(&local, &format!("{number}"), &[number; 30], 100)?;
        }
        scene.sync(&[])?.expect(0, "30 copied")?;
        let before = scene.local()?;
        fs::rename(&remote, remote.with_file_name("away"))?;
        fs::create_dir(&remote)?;
        scene.sync(&[])?.expect(4, "is empty, but 30 entries were synced there")?;
        fs::remove_dir(&remote)?;
        scene.sync(&[])?.expect(4, scene.missing)?;
        fs::write(&remote, "not a directory")?;
        scene.sync(&[])?.expect(4, scene.missing)?;
        assert_eq!(scene.local()?, before);
        fs::remove_file(&remote)?;
        fs::rename(remote.with_file_name("away"), &remote)?;
        scene.sync(&[])?.expect(0, "nothing to do")?;
        Ok(())
    })
}

#[test]
fn a_job_file_describes_pairs() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (scene.home.path("local"), scene.server.files());
        write(&local, "a", b"of local", 100)?;
        write(&remote, "docs/b", b"of the remote side", 100)?;
        let url = format!("https://localhost:{}/docs/", scene.server.ports[0]);
        let job = format!(
            "plugin = \"webdav\"\nhttp-ca = \"ca.pem\"\n[items.docs]\ndirs = {{ local = \"local\" }}\n\
             [http]\n\"docs.remote\" = {url:?}\n[http-auth.\"docs.remote\"]\nkind = \"basic\"\n\
             secret = {{ file = \"login\" }}\n"
        );
        scene.home.write("sync.toml", job)?;
        scene.home.run(&["run", "--job", "sync.toml"])?.expect(0, "succeeded: docs, 2 copied")?;
        assert_eq!(fs::read(remote.join("docs/a"))?, b"of local");
        assert_eq!(fs::read(local.join("b"))?, b"of the remote side");
        Ok(())
    })
}

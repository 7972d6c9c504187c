//! The built-in plugin `webdav` with real servers.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use conformance::hook::Hook;
use conformance::servers::{self, Authority, Certificate, Files, Server};

use crate::home::{Home, Ran};

/// A server with two-way sync.
struct Kind {
    name: &'static str,
    /// The programs that it needs.
    needs: &'static [&'static str],
    start: fn(&Certificate) -> Result<Server>,
    /// Starts it without TLS, if it can be behind a proxy in the tests.
    plain: Option<fn() -> Result<Server>>,
    /// The path of the collection.
    path: &'static str,
    /// The reason to stop if the collection is missing.
    missing: &'static str,
    /// What the log says of it.
    can: &'static str,
}

const EXACT: &str = "refuses overwrites: yes; renames: yes; keeps times: no; tags: exact";
const COARSE: &str =
    "refuses overwrites: yes; renames: yes; keeps times: no; tags: none, or of whole seconds";

const SERVERS: [Kind; 7] = [
    Kind {
        name: "apache2",
        needs: &["apache2"],
        start: servers::apache,
        plain: None,
        path: "",
        missing: "cannot read the server `remote`",
        can: EXACT,
    },
    Kind {
        name: "apache2 with mod_deflate",
        needs: &["apache2"],
        start: servers::apache_with_deflate,
        plain: None,
        path: "",
        missing: "cannot read the server `remote`",
        can: EXACT,
    },
    Kind {
        name: "apache2 behind TLS",
        needs: &["apache2", servers::NGINX_DAV_EXT],
        start: servers::apache_behind_tls,
        plain: Some(servers::plain_apache),
        path: "",
        missing: "cannot read the server `remote`",
        can: EXACT,
    },
    Kind {
        name: "rclone",
        needs: &["rclone"],
        start: servers::rclone_webdav,
        plain: Some(servers::plain_rclone),
        path: "",
        missing: "the server `remote` is empty",
        can: "refuses overwrites: yes; renames: yes; keeps times: yes; tags: exact",
    },
    Kind {
        name: "nginx",
        needs: &["nginx", servers::NGINX_DAV_EXT],
        start: servers::nginx_dav_ext,
        plain: Some(servers::plain_nginx_dav_ext),
        path: "",
        missing: "cannot read the server `remote`",
        can: COARSE,
    },
    Kind {
        name: "lighttpd",
        needs: &["lighttpd", servers::LIGHTTPD_WEBDAV, servers::NGINX_DAV_EXT],
        start: servers::lighttpd,
        plain: Some(servers::plain_lighttpd),
        path: "",
        missing: "cannot read the server `remote`",
        can: EXACT,
    },
    Kind {
        name: "seaweedfs",
        needs: &["weed", servers::NGINX_DAV_EXT],
        start: servers::seaweedfs,
        plain: Some(servers::plain_seaweedfs),
        path: "files/",
        missing: "cannot read the server `remote`",
        can: COARSE,
    },
];

/// The collection is this directory of a server's files.
const TOP: &str = "files";

/// A pair of a directory and a collection on a running server.
struct Scene {
    home: Home,
    kind: &'static Kind,
    server: Server,
    /// The local directory, in which the pair's is `files`.
    local: Files,
    remote: Files,
    /// Has the files of the server's certificate, which it may read after it listens.
    _authority: Authority,
}

impl Scene {
    fn new(kind: &'static Kind) -> Result<Self> {
        Self::start(kind, kind.start)
    }

    fn start(
        kind: &'static Kind,
        start: impl FnOnce(&Certificate) -> Result<Server>,
    ) -> Result<Self> {
        let home = Home::new()?;
        let authority = Authority::new()?;
        let server = start(&authority.certificate("localhost")?)?;
        home.write("ca.pem", authority.pem())?;
        home.write("login", "me:hunter2\n")?;
        let local = Files::Directory(home.path("local"));
        fs::create_dir_all(home.path("local").join(TOP))?;
        let remote = server.all_files();
        Ok(Self { home, kind, server, local, remote, _authority: authority })
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/{}", self.server.ports[0], self.kind.path)
    }

    fn sync(&self, more: &[&str]) -> Result<Ran> {
        let url = format!("remote={}", self.url());
        let pair = ["run", "webdav", "--dir", "local=local/files", "--http", &url];
        let access = ["--http-auth", "remote=basic:file:login", "--http-ca", "ca.pem"];
        self.home.run(&[&pair[..], &access, more].concat())
    }

    /// Writes a file on a side, with a time that no server has seen.
    fn write(&self, on: &Files, path: &str, content: &[u8], age: u64) -> Result<()> {
        on.write(&format!("{TOP}/{path}"), content, age)
    }

    fn remove(&self, on: &Files, path: &str) -> Result<()> {
        on.remove(&format!("{TOP}/{path}"))
    }

    fn local(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        self.local.tree(TOP)
    }

    /// Returns the files of the collection, without the trash.
    fn remote(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut all = self.remote.tree(TOP)?;
        all.retain(|path, _| !path.starts_with(TRASH));
        Ok(all)
    }

    /// Returns the versions of a file in the trash of the server.
    fn kept(&self, path: &str) -> Result<Vec<Vec<u8>>> {
        let all = self.remote.tree(TOP)?.into_iter();
        let is_version = |kept: &str| {
            let kept = kept.strip_prefix(TRASH).and_then(|kept| kept.split_once('/'));
            kept.is_some_and(|(_, kept)| kept == path)
        };
        Ok(all.filter(|(kept, _)| is_version(kept)).map(|(_, content)| content).collect())
    }

    fn expect_equal(&self) -> Result<()> {
        expect_same(&self.local()?, &self.remote()?)
    }
}

const TRASH: &str = ".syncmgr-trash/";

fn expect_same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let only = |these: &BTreeMap<String, Vec<u8>>, those: &BTreeMap<String, Vec<u8>>| {
        let differs = |(path, content): &(&String, &Vec<u8>)| those.get(*path) != Some(*content);
        these.iter().filter(differs).map(|(path, _)| path.clone()).take(20).collect::<Vec<_>>()
    };
    ensure!(one == other, "{:?} and {:?} differ", only(one, other), only(other, one));
    Ok(())
}

fn each_server(test: impl Fn(&Scene) -> Result<()>) -> Result<()> {
    let mut failures = Vec::new();
    for kind in installed()? {
        if let Err(error) = Scene::new(kind).and_then(|scene| test(&scene)) {
            failures.push(format!("with {}: {error:#}", kind.name));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

fn installed() -> Result<Vec<&'static Kind>> {
    let mut installed = Vec::new();
    for kind in &SERVERS {
        let mut is_there = true;
        for program in kind.needs {
            is_there &= servers::has(program)?;
        }
        installed.extend(is_there.then_some(kind));
    }
    Ok(installed)
}

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
            .arg("--ca-cert")
            .arg(scene.home.path("ca.pem"))
            .output()?;
        ensure!(downloaded.status.success(), "{}", String::from_utf8_lossy(&downloaded.stderr));
        let plain = Files::Directory(scene.home.path("plain"));
        expect_same(&scene.local()?, &plain.tree(TOP)?)
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
fn what_a_server_can_do_is_found_out_once() -> Result<()> {
    each_server(|scene| {
        let (local, remote) = (&scene.local, &scene.remote);
        scene.write(local, "a", b"a", 100)?;
        let can = scene.kind.can;
        let says = |ran: &Ran| ran.said().contains(can);
        let ran = scene.sync(&["--dry-run"])?;
        ensure!(!says(&ran) && remote.tree(TOP)?.is_empty(), "a dry run changes nothing: {ran:?}");
        scene.sync(&[])?.expect(0, "1 copied")?.expect(0, can)?;
        for _ in 0..2 {
            scene.sync(&["--dry-run"])?.expect(0, can)?;
        }
        let mut files = Vec::new();
        find(&scene.home.path("state"), ".server", &mut files)?;
        let [file] = &files[..] else { anyhow::bail!("{files:?}") };
        let known = fs::read(file)?;
        fs::write(file, b"damaged")?;
        let ran = scene.sync(&["--dry-run"])?;
        ensure!(!says(&ran), "{ran:?}");
        scene.write(local, "b", b"b", 100)?;
        scene.sync(&[])?.expect(0, "1 copied")?.expect(0, can)?;
        ensure!(fs::read(file)? == known, "the same is found out again");
        Ok(())
    })
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

/// Finds the files whose names end in a text.
fn find(directory: &std::path::Path, end: &str, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), end, found)?;
        } else if entry.file_name().to_string_lossy().ends_with(end) {
            found.push(entry.path());
        }
    }
    Ok(())
}

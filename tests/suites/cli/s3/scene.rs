//! A directory and a part of a bucket, on each server.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use conformance::servers::{self, Authority, Certificate, Files, Server};

use crate::home::{Home, Ran};

/// A server with buckets.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The programs that it needs.
    pub(super) needs: &'static [&'static str],
    pub(super) start: fn(&Certificate) -> Result<Server>,
    /// Starts it without TLS, if it refuses to overwrite objects.
    pub(super) conditional: Option<fn() -> Result<Server>>,
    /// Whether it also refuses that at the end of an upload in parts.
    pub(super) completes: bool,
    /// The exit status of a run without problems: a server that cannot refuse an overwrite has a
    /// warning.
    pub(super) good: i32,
    /// Whether an object whose name ends with `/` is not a file.
    pub(super) has_markers: bool,
    /// The synced directory of the server's files.
    pub(super) top: &'static str,
}

pub(super) const SERVERS: [Kind; 3] = [
    Kind {
        name: "seaweedfs",
        needs: &["weed", servers::NGINX_DAV_EXT],
        start: servers::seaweedfs_s3,
        conditional: Some(servers::plain_seaweedfs_s3),
        completes: true,
        good: 0,
        has_markers: true,
        top: "files",
    },
    Kind {
        name: "rclone",
        needs: &["rclone"],
        start: servers::rclone_s3,
        conditional: None,
        completes: false,
        good: 1,
        has_markers: false,
        top: "files/bucket/files",
    },
    Kind {
        name: "moto",
        needs: &["moto_server", servers::NGINX_DAV_EXT],
        start: servers::moto,
        conditional: Some(servers::plain_moto),
        completes: false,
        good: 1,
        has_markers: true,
        top: "files",
    },
];

pub(super) const TRASH: &str = ".syncmgr-trash/";

/// A pair of a directory and a part of a bucket on a running server.
pub(super) struct Scene {
    pub(super) home: Home,
    pub(super) kind: &'static Kind,
    pub(super) server: Server,
    pub(super) local: Side,
    pub(super) remote: Side,
    /// Has the files of the server's certificate, which it may read after it listens.
    pub(super) _authority: Authority,
}

/// The files of one side, below a directory.
pub(super) struct Side {
    pub(super) files: Files,
    pub(super) top: &'static str,
}

impl Side {
    /// Writes a file, with a time that no server has seen.
    pub(super) fn write(&self, path: &str, content: &[u8], age: u64) -> Result<()> {
        self.files.write(&format!("{}/{path}", self.top), content, age)
    }

    pub(super) fn remove(&self, path: &str) -> Result<()> {
        self.files.remove(&format!("{}/{path}", self.top))
    }

    pub(super) fn make_directory(&self, path: &str) -> Result<()> {
        self.files.make_directory(&format!("{}/{path}", self.top))
    }

    /// Returns all files, without the trash.
    pub(super) fn tree(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut all = self.files.tree(self.top)?;
        all.retain(|path, _| !path.starts_with(TRASH));
        Ok(all)
    }

    /// Returns the versions of a file in the trash.
    pub(super) fn kept(&self, path: &str) -> Result<Vec<Vec<u8>>> {
        let all = self.files.tree(self.top)?.into_iter();
        let is_version = |kept: &str| {
            let kept = kept.strip_prefix(TRASH).and_then(|kept| kept.split_once('/'));
            kept.is_some_and(|(_, kept)| kept == path)
        };
        Ok(all.filter(|(kept, _)| is_version(kept)).map(|(_, content)| content).collect())
    }
}

impl Scene {
    pub(super) fn new(kind: &'static Kind) -> Result<Self> {
        Self::start(kind, kind.start)
    }

    pub(super) fn start(
        kind: &'static Kind,
        start: impl FnOnce(&Certificate) -> Result<Server>,
    ) -> Result<Self> {
        let home = Home::new()?;
        let authority = Authority::new()?;
        let server = start(&authority.certificate("localhost")?)?;
        home.write("ca.pem", authority.pem())?;
        home.write("keys", format!("{}:{}\n", servers::ACCESS_KEY, servers::SECRET_KEY))?;
        fs::create_dir_all(home.path("local/files"))?;
        let local = Side { files: Files::Directory(home.path("local")), top: "files" };
        let remote = Side { files: server.all_files(), top: kind.top };
        Ok(Self { home, kind, server, local, remote, _authority: authority })
    }

    pub(super) fn origin(&self) -> String {
        format!("https://localhost:{}", self.server.ports[0])
    }

    pub(super) fn sync(&self, more: &[&str]) -> Result<Ran> {
        self.sync_with(&format!("{}/bucket/files/", self.origin()), "keys", more)
    }

    pub(super) fn sync_with(&self, url: &str, keys: &str, more: &[&str]) -> Result<Ran> {
        let url = format!("remote={url}");
        let keys = format!("remote=aws-sigv4:{}:file:{keys}", servers::REGION);
        let pair = ["run", "s3", "--dir", "local=local/files", "--http", &url];
        let access = ["--http-auth", &keys, "--http-ca", "ca.pem"];
        self.home.run(&[&pair[..], &access, more].concat())
    }

    pub(super) fn expect_equal(&self) -> Result<()> {
        expect_same(&self.local.tree()?, &self.remote.tree()?)
    }

    /// Returns rclone as another client, with a subcommand for this part of the bucket.
    pub(super) fn rclone(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new("rclone");
        command
            .args(arguments)
            .args(["--config", "", "--exclude", ".syncmgr-trash/**", "--s3-provider", "Other"])
            .args(["--s3-endpoint", &self.origin(), "--s3-region", servers::REGION])
            .args(["--s3-access-key-id", servers::ACCESS_KEY])
            .args(["--s3-secret-access-key", servers::SECRET_KEY])
            .args(["--s3-directory-markers", "--ca-cert"])
            .arg(self.home.path("ca.pem"));
        Ok(command)
    }
}

pub(super) fn expect_same(
    one: &BTreeMap<String, Vec<u8>>,
    other: &BTreeMap<String, Vec<u8>>,
) -> Result<()> {
    let only = |these: &BTreeMap<String, Vec<u8>>, those: &BTreeMap<String, Vec<u8>>| {
        let differs = |(path, content): &(&String, &Vec<u8>)| those.get(*path) != Some(*content);
        these.iter().filter(differs).map(|(path, _)| path.clone()).take(20).collect::<Vec<_>>()
    };
    ensure!(one == other, "{:?} and {:?} differ", only(one, other), only(other, one));
    Ok(())
}

pub(super) fn each_server(test: impl Fn(&Scene) -> Result<()>) -> Result<()> {
    let mut failures = Vec::new();
    for kind in installed()? {
        if let Err(error) = Scene::new(kind).and_then(|scene| test(&scene)) {
            failures.push(format!("with {}: {error:#}", kind.name));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

pub(super) fn installed() -> Result<Vec<&'static Kind>> {
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

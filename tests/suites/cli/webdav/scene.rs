//! A pair of a directory and a collection on a running server, which the program syncs.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Result, ensure};
use conformance::servers::{self, Authority, Certificate, Files, Server};

use crate::home::{Home, Ran};

/// A server with two-way sync.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The programs that it needs.
    needs: &'static [&'static str],
    start: fn(&Certificate) -> Result<Server>,
    /// Starts it without TLS, if it can be behind a proxy in the tests.
    pub(super) plain: Option<fn() -> Result<Server>>,
    /// The path of the collection.
    path: &'static str,
    /// The reason to stop if the collection is missing.
    pub(super) missing: &'static str,
    /// What the log says of it.
    pub(super) can: &'static str,
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
pub(super) const TOP: &str = "files";

/// A pair of a directory and a collection on a running server.
pub(super) struct Scene {
    pub(super) home: Home,
    pub(super) kind: &'static Kind,
    server: Server,
    /// The local directory, in which the pair's is `files`.
    pub(super) local: Files,
    pub(super) remote: Files,
    /// Has the files of the server's certificate, which it may read after it listens.
    _authority: Authority,
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
        home.write("login", "me:hunter2\n")?;
        let local = Files::Directory(home.path("local"));
        fs::create_dir_all(home.path("local").join(TOP))?;
        let remote = server.all_files();
        Ok(Self { home, kind, server, local, remote, _authority: authority })
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}/{}", self.server.ports[0], self.kind.path)
    }

    pub(super) fn sync(&self, more: &[&str]) -> Result<Ran> {
        let url = format!("remote={}", self.url());
        let pair = ["run", "webdav", "--dir", "local=local/files", "--http", &url];
        let access = ["--http-auth", "remote=basic:file:login", "--http-ca", "ca.pem"];
        self.home.run(&[&pair[..], &access, more].concat())
    }

    /// Writes a file on a side, with a time that no server has seen.
    pub(super) fn write(&self, on: &Files, path: &str, content: &[u8], age: u64) -> Result<()> {
        on.write(&format!("{TOP}/{path}"), content, age)
    }

    pub(super) fn remove(&self, on: &Files, path: &str) -> Result<()> {
        on.remove(&format!("{TOP}/{path}"))
    }

    pub(super) fn local(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        self.local.tree(TOP)
    }

    /// Returns the files of the collection, without the trash.
    pub(super) fn remote(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut all = self.remote.tree(TOP)?;
        all.retain(|path, _| !path.starts_with(TRASH));
        Ok(all)
    }

    /// Returns the versions of a file in the trash of the server.
    pub(super) fn kept(&self, path: &str) -> Result<Vec<Vec<u8>>> {
        let all = self.remote.tree(TOP)?.into_iter();
        let is_version = |kept: &str| {
            let kept = kept.strip_prefix(TRASH).and_then(|kept| kept.split_once('/'));
            kept.is_some_and(|(_, kept)| kept == path)
        };
        Ok(all.filter(|(kept, _)| is_version(kept)).map(|(_, content)| content).collect())
    }

    pub(super) fn expect_equal(&self) -> Result<()> {
        expect_same(&self.local()?, &self.remote()?)
    }
}

pub(super) const TRASH: &str = ".syncmgr-trash/";

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

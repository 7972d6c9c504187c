//! Projects that send HTTP requests: `syncmgr new --with http` in each language, against a real
//! server.

#![allow(clippy::print_stdout, reason = "prints a measurement: cargo test -- --nocapture")]

use std::time::Instant;

use conformance::http_server::HttpServer;
use conformance::servers::{self, Authority, Server};

use super::check::checks;
use super::*;

/// The length of a large upload in bytes.
const LARGE: u64 = 100 << 20;

/// The time limit for a cancelled run to end. It needs milliseconds. A plugin that ignores the
/// cancellation ends with another status, after the limit `grace`.
const AT_ONCE: Duration = Duration::from_secs(20);

/// A run of the plugin.
struct Case {
    /// Follows the URL of the server in the grant.
    access: &'static str,
    setting: &'static str,
    exit: i32,
    /// The text that the output contains.
    words: &'static str,
    /// The error code of the item, if it fails.
    code: Option<&'static str>,
}

/// Returns a run that succeeds.
const fn succeeds(setting: &'static str) -> Case {
    Case { access: "", setting, exit: 0, words: "succeeded", code: None }
}

/// Returns a run that fails with this error code.
const fn fails(setting: &'static str, words: &'static str, code: &'static str) -> Case {
    Case { access: "", setting, exit: 3, words, code: Some(code) }
}

/// Settings and results, in this order, in one directory.
const CASES: &[Case] = &[
    succeeds("download=echo"),
    succeeds("download=bytes/3000000"),
    succeeds("download=to?/to?/bytes/7"),
    succeeds("upload=large"),
    Case { access: ":ro", ..fails("upload=large", "is granted for reading only", "access-denied") },
    fails("download=to?http://127.0.0.1:9/other", "is not granted", "access-denied"),
    fails("download=status/404", "/status/404 answered 404: reason", "not-found"),
    // As if another run had it.
    Case { exit: 6, ..fails("download=status/503", "/status/503 answered 503: reason", "busy") },
    fails("download=short/1000", "ncomplete", "input-output"),
    fails("download=raw/nonsense", "", "input-output"),
    fails("upload=missing", "", "not-found"),
];

/// A built project, and a server.
struct Transfers<'a> {
    home: &'a Home,
    project: &'a str,
    /// The URL of the server, and the options for it.
    url: String,
    options: &'a [&'a str],
    memory: &'a str,
}

impl Transfers<'_> {
    /// Returns a run with one setting.
    fn command(&self, access: &str, setting: &str, more: &[&str]) -> Command {
        let component = format!("build/{}.wasm", self.project);
        let grant = format!("remote={}/{access}", self.url);
        let run = ["run", &component, "--dir", "files=files", "--http", &grant, "--set", setting];
        self.home.command_in(self.project, &[&run[..], self.options, more].concat())
    }

    fn check(&self, case: &Case) -> Result<()> {
        let limit = format!("memory-bytes={}", self.memory);
        let mut command = self.command(case.access, case.setting, &["--json", "--limit", &limit]);
        let ran = Ran::of(&command.output()?).expect(case.exit, case.words)?;
        let report = ran.json_lines()?.pop().context("a report")?;
        let item = &report["items"][0];
        ensure!(item["code"].as_str() == case.code, "{item}");
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path(self.project).join("files").join(name)
    }

    fn length(&self, name: &str) -> Result<u64> {
        Ok(fs::metadata(self.file(name))?.len())
    }

    /// Cancels runs that wait for the head of a response, and for its body. The requests end at
    /// `server`, by way of this path.
    fn cancel(&self, path: &str, server: &HttpServer) -> Result<()> {
        let files = fs::read_dir(self.file(""))?.count();
        for what in ["silent", "drip"] {
            let (heads, abandoned) = (server.heads().len(), server.abandoned());
            let mut command = self.command("", &format!("download={path}{what}"), &[]);
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            waits_until(|| server.heads().len() > heads)?;
            let cancelled = Instant::now();
            let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
            ensure!(sent.success());
            Ran::of(&child.wait_with_output()?).expect(5, "stopped")?;
            let took = cancelled.elapsed();
            println!(
                "{} {path}{what}: the run ended {took:?} after the cancellation",
                self.project
            );
            ensure!(took < AT_ONCE, "{path}{what}: it ended after {took:?}");
            // Apache passes it on as soon as it sends something.
            let passes_on = what == "drip" || !self.options.contains(&"--http-auth");
            if passes_on {
                waits_until(|| server.abandoned() > abandoned)?;
            }
        }
        // A failed transfer leaves nothing behind.
        ensure!(fs::read_dir(self.file(""))?.count() == files);
        Ok(())
    }
}

fn waits_until(holds: impl Fn() -> bool) -> Result<()> {
    let started = Instant::now();
    while !holds() {
        ensure!(started.elapsed() < PATIENCE, "nothing happened for {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Creates, builds and tests a project that transfers files, and runs it against several servers.
/// The memory of the plugin is limited.
fn transfer(language: &str, memory: &str) -> Result<()> {
    let home = Home::new()?;
    let project = format!("http-{language}");
    home.run(&["new", &project, "--lang", language, "--with", "http"])?.expect(0, "README.md")?;
    if !ready(&home, &project, language)? {
        return Ok(());
    }
    home.run_in(&project, &["build"])?.expect(0, "built")?;
    let component = fs::read(home.path(&project).join(format!("build/{project}.wasm")))?;
    conformance::fits(&component, "plugin-http")?;
    ensure!(conformance::fits(&component, "plugin").is_err(), "it has no import of HTTP");
    let report = home.run_in(&project, &["test", "--json"])?.expect(0, "")?.json()?;
    for name in ["servers-denied", "servers-fail", "servers-slow"] {
        let checks = checks(&report)?;
        ensure!(checks.contains(&(name, "passed")), "{language}: {name} of {checks:?}");
    }

    let server = HttpServer::start()?;
    let url = server.url();
    let transfers = Transfers { home: &home, project: &project, url, options: &[], memory };
    fs::create_dir(transfers.file(""))?;
    fs::File::create(transfers.file("large"))?.set_len(LARGE)?;
    for case in CASES {
        transfers.check(case).with_context(|| format!("{language}: {}", case.setting))?;
    }
    ensure!(transfers.length("3000000")? == 3_000_000 && transfers.length("7")? == 7);
    ensure!(fs::read_to_string(transfers.file("echo"))?.starts_with("GET /echo HTTP/1.1\r\n"));
    // A failed transfer leaves nothing behind.
    ensure!(fs::read_dir(transfers.file(""))?.count() == 4);
    let heads = server.heads();
    let uploads: Vec<_> = heads.iter().filter(|head| head.starts_with("PUT ")).collect();
    let [upload] = uploads[..] else { bail!("{uploads:?}") };
    ensure!(upload.to_lowercase().contains(&format!("\ncontent-length: {LARGE}\r\n")), "{upload}");
    transfers.cancel("", &server)?;
    transfer_over_tls(&transfers).context(language.to_owned())?;

    let page = fs::read_to_string(home.path(&project).join("README.md"))?;
    let page = page.replace("```sh\nsudo", "```\n").replace("FOLDER", "files");
    let url = format!("{}/", server.url());
    carry_out(&home, &project, &page.replace("=URL", &format!("={url}")).replace("NAME", "echo"))?
        .expect(0, "succeeded")?;
    Ok(())
}

/// Runs a built project against the servers that people run.
fn transfer_over_tls(transfers: &Transfers<'_>) -> Result<()> {
    let project = transfers.home.path(transfers.project);
    let authority = Authority::new()?;
    let certificate = authority.certificate("localhost")?;
    fs::write(project.join("ca.pem"), authority.pem())?;
    fs::write(project.join("login"), "me:hunter2")?;
    let ca = ["--http-ca", "ca.pem"];
    let ca_and_login = [&ca[..], &["--http-auth", "remote=basic:file:login"]].concat();
    let nginx = || servers::nginx(std::slice::from_ref(&certificate));
    let apache = || servers::apache(&certificate);
    type Start<'a> = &'a dyn Fn() -> Result<Server>;
    let rows: [(&str, Start<'_>, &[&str]); 2] =
        [("nginx", &nginx, &ca), ("apache2", &apache, &ca_and_login)];
    for (program, start, options) in rows {
        if !servers::has(program)? {
            continue;
        }
        let server = start()?;
        let url = format!("https://localhost:{}", server.ports[0]);
        let transfers = Transfers { url, options, ..*transfers };
        transfers.check(&succeeds("upload=large")).context(program)?;
        ensure!(fs::metadata(server.files().join("large"))?.len() == LARGE);
        fs::remove_file(transfers.file("large"))?;
        transfers.check(&succeeds("download=large")).context(program)?;
        ensure!(transfers.length("large")? == LARGE);
        transfers.cancel("behind/", &server.behind).context(program)?;
        let untrusted = Transfers { options: &options[2..], ..transfers };
        untrusted.check(&fails("download=large", "ertificate", "not-connected"))?;
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_rust_project_sends_requests() -> Result<()> {
    transfer("rust", "8MiB")
}

#[cfg(unix)]
#[test]
fn a_c_project_sends_requests() -> Result<()> {
    transfer("c", "8MiB")
}

#[cfg(unix)]
#[test]
fn a_python_project_sends_requests() -> Result<()> {
    transfer("python", "64MiB")
}

#[cfg(unix)]
#[test]
fn a_javascript_project_sends_requests() -> Result<()> {
    transfer("javascript", "48MiB")
}

#[cfg(unix)]
#[test]
fn a_typescript_project_sends_requests() -> Result<()> {
    transfer("typescript", "48MiB")
}

#[test]
fn the_tests_of_a_rust_project_that_sends_requests_run_natively() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "mine", "--lang", "rust", "--with", "http"])?.expect(0, "")?;
    let mut cargo = Command::new("cargo");
    cargo.arg("test").current_dir(home.path("mine"));
    for outer in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_MANIFEST_DIR"] {
        cargo.env_remove(outer);
    }
    Ran::of(&cargo.output()?).expect(0, "3 passed")?;
    Ok(())
}

#[test]
fn unknown_features_are_rejected() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "mine", "--lang", "c", "--with", "sockets"])?
        .expect(2, "unknown feature `sockets`; use http")?;
    ensure!(!home.path("mine").exists());
    Ok(())
}

//! Projects that send HTTP requests: `syncmgr new --with http` in each language, against a real
//! server.

use std::process::Child;
use std::time::Instant;

use conformance::http_server::HttpServer;

use super::*;

/// The length of a large upload in bytes.
const LARGE: u64 = 100 << 20;

/// The time limit for a cancelled run to end. It only has to notice.
const AT_ONCE: Duration = Duration::from_secs(5);

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
const fn transfers(setting: &'static str) -> Case {
    Case { access: "", setting, exit: 0, words: "succeeded", code: None }
}

/// Returns a run that fails with this error code.
const fn fails(setting: &'static str, words: &'static str, code: &'static str) -> Case {
    Case { access: "", setting, exit: 3, words, code: Some(code) }
}

/// Settings and results, in this order, in one directory.
const CASES: &[Case] = &[
    transfers("download=echo"),
    transfers("download=bytes/3000000"),
    transfers("download=to?/to?/bytes/7"),
    transfers("upload=large"),
    Case { access: ":ro", ..fails("upload=large", "is granted for reading only", "access-denied") },
    fails("download=to?http://127.0.0.1:9/other", "is not granted", "access-denied"),
    fails("download=status/404", "/status/404 answered 404: reason", "not-found"),
    // As if another run had it.
    Case { exit: 6, ..fails("download=status/503", "/status/503 answered 503: reason", "busy") },
    fails("download=short/1000", "ncomplete", "input-output"),
    fails("download=raw/nonsense", "", "input-output"),
    fails("upload=missing", "", "not-found"),
];

/// A project, a server, and the directory of the plugin.
struct Transfers<'a> {
    home: &'a Home,
    project: &'a str,
    server: HttpServer,
}

impl Transfers<'_> {
    /// Returns a run with one setting.
    fn command(&self, access: &str, setting: &str, more: &[&str]) -> Command {
        let component = format!("build/{}.wasm", self.project);
        let grant = format!("remote={}/{access}", self.server.url());
        let run = ["run", &component, "--dir", "files=files", "--http", &grant, "--set", setting];
        self.home.command_in(self.project, &[&run[..], more].concat())
    }

    fn check(&self, case: &Case, limit: &str) -> Result<()> {
        let mut command = self.command(case.access, case.setting, &["--json", "--limit", limit]);
        let ran = Ran::of(&command.output()?).expect(case.exit, case.words)?;
        let report = ran.json_lines()?.pop().context("a report")?;
        let item = &report["items"][0];
        ensure!(item["code"].as_str() == case.code, "{item}");
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path(self.project).join("files").join(name)
    }

    /// Starts a run whose request is not answered, and returns when the server has it.
    fn start_waiting(&self, path: &str) -> Result<Child> {
        let before = self.server.heads().len();
        let mut command = self.command("", &format!("download={path}"), &[]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let started = Instant::now();
        while self.server.heads().len() == before {
            ensure!(started.elapsed() < PATIENCE, "no request arrived");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(child)
    }
}

/// Creates, builds and runs a project that transfers files. The memory of the plugin is limited.
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
    home.run_in(&project, &["test"])?.expect(0, " 0 failed")?;

    let transfers = Transfers { home: &home, project: &project, server: HttpServer::start()? };
    fs::create_dir(transfers.file(""))?;
    fs::File::create(transfers.file("large"))?.set_len(LARGE)?;
    let limit = format!("memory-bytes={memory}");
    for case in CASES {
        transfers.check(case, &limit).with_context(|| format!("{language}: {}", case.setting))?;
    }
    let length = |name| Ok::<_, anyhow::Error>(fs::metadata(transfers.file(name))?.len());
    ensure!(length("3000000")? == 3_000_000 && length("7")? == 7);
    ensure!(fs::read_to_string(transfers.file("echo"))?.starts_with("GET /echo HTTP/1.1\r\n"));
    // A failed transfer leaves nothing behind.
    ensure!(fs::read_dir(transfers.file(""))?.count() == 4);
    let heads = transfers.server.heads();
    let uploads: Vec<_> = heads.iter().filter(|head| head.starts_with("PUT ")).collect();
    let [upload] = uploads[..] else { bail!("{uploads:?}") };
    ensure!(upload.to_lowercase().contains(&format!("\ncontent-length: {LARGE}\r\n")), "{upload}");

    // The first waits for the head of a response, the second for its body.
    for path in ["silent", "drip"] {
        let child = transfers.start_waiting(path)?;
        let cancelled = Instant::now();
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
        ensure!(sent.success());
        Ran::of(&child.wait_with_output()?).expect(5, "stopped")?;
        ensure!(cancelled.elapsed() < AT_ONCE, "{path}: it ended after {:?}", cancelled.elapsed());
    }
    ensure!(fs::read_dir(transfers.file(""))?.count() == 4);

    let page = fs::read_to_string(home.path(&project).join("README.md"))?;
    let page = page.replace("```sh\nsudo", "```\n").replace("FOLDER", "files");
    let url = format!("{}/", transfers.server.url());
    carry_out(&home, &project, &page.replace("=URL", &format!("={url}")).replace("NAME", "echo"))?
        .expect(0, "succeeded")?;
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

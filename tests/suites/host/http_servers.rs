//! HTTP requests of a plugin, to servers that people run.

use anyhow::{Result, ensure};
use conformance::script::Ran;
use conformance::servers::{self, Authority};
use syncmgr_host::http::{HttpAuth, HttpGrant};
use syncmgr_host::sink::EventLog;
use syncmgr_host::{Access, Host, HostOptions, LogLevel, RunRequest, SessionOptions};

/// The size of a large file.
const LARGE: u64 = 100 << 20;

/// The memory that a plugin may take to transfer it.
const MEMORY: usize = 8 << 20;

fn host(authority: Option<&Authority>) -> Result<Host> {
    let mut options = HostOptions::new();
    if let Some(authority) = authority {
        options = options.http_ca("test", authority.pem().as_bytes())?;
    }
    Ok(Host::with_options(options)?)
}

/// Runs requests, one per line, and returns the logged answers of one item.
fn run(host: &Host, lines: &str, options: SessionOptions) -> Result<(Vec<String>, Ran)> {
    let lines: Vec<_> = lines.lines().map(str::trim).collect();
    let options = options.setting("requests", lines.join("\n"));
    let recorder = EventLog::new();
    let plugin = host.load_file(conformance::FETCH)?;
    let report = plugin.run(options, recorder.clone(), &RunRequest::default())?;
    let logged = report.log.iter().filter(|entry| entry.level == LogLevel::Information);
    let answers = logged.map(|entry| entry.text.clone()).take(lines.len()).collect();
    Ok((answers, Ran { report, recorded: recorder.recorded() }))
}

fn to(port: u16) -> Result<SessionOptions> {
    let url = format!("https://localhost:{port}/");
    Ok(SessionOptions::new().http(HttpGrant::new("remote", &url, Access::ReadWrite)?))
}

#[test]
fn certificates_are_checked() -> Result<()> {
    if !servers::has("nginx")? {
        return Ok(());
    }
    let (authority, unknown) = (Authority::new()?, Authority::new()?);
    let rows = [
        (authority.certificate("localhost")?, "200"),
        (authority.certificate("other.example")?, "ErrorCode::NotConnected"),
        (authority.expired("localhost")?, "ErrorCode::NotConnected"),
        (authority.self_signed("localhost")?, "ErrorCode::NotConnected"),
        (unknown.certificate("localhost")?, "ErrorCode::NotConnected"),
    ];
    let certificates = rows.clone().map(|(certificate, _)| certificate);
    let server = servers::nginx(&certificates)?;
    std::fs::write(server.files().join("a"), "text")?;
    let trusting = host(Some(&authority))?;
    for (port, (certificate, expected)) in server.ports.iter().zip(&rows) {
        let (answers, _) = run(&trusting, "GET remote/a", to(*port)?)?;
        ensure!(answers[0].starts_with(expected), "{certificate:?}: {answers:?}");
    }
    // The system does not trust the test's authority.
    let (answers, _) = run(&host(None)?, "GET remote/a", to(server.ports[0])?)?;
    ensure!(answers[0].contains("TlsCertificateError"), "{answers:?}");
    Ok(())
}

#[test]
fn large_files_are_transferred_in_constant_memory() -> Result<()> {
    let authority = Authority::new()?;
    let certificate = authority.certificate("localhost")?;
    let host = host(Some(&authority))?;
    let lines = format!("PUT remote/large body={LARGE}\nGET remote/large discard");
    let check = |server: &servers::Server, options: SessionOptions| {
        let (answers, ran) = run(&host, &lines, options)?;
        ensure!(answers[0].starts_with("201"), "{answers:?}");
        ensure!(answers[1] == format!("200 {LARGE} bytes"), "{answers:?}");
        ensure!(std::fs::metadata(server.files().join("large"))?.len() == LARGE);
        ensure!(ran.report.peak_memory_bytes < MEMORY, "{}", ran.report.peak_memory_bytes);
        Ok(())
    };
    if servers::has("nginx")? {
        let server = servers::nginx(std::slice::from_ref(&certificate))?;
        check(&server, to(server.ports[0])?)?;
    }
    if servers::has("apache2")? {
        let server = servers::apache(&certificate)?;
        let auth = HttpAuth::new("basic", "me:hunter2")?;
        check(&server, to(server.ports[0])?.http_auth("remote", auth))?;
    }
    Ok(())
}

#[test]
fn webdav_methods_reach_apache() -> Result<()> {
    if !servers::has("apache2")? {
        return Ok(());
    }
    let authority = Authority::new()?;
    let server = servers::apache(&authority.certificate("localhost")?)?;
    let host = host(Some(&authority))?;
    let port = server.ports[0];
    let lines = format!(
        "PUT remote/a body=5
         MKCOL remote/b
         PROPFIND remote/ header=Depth:1
         MOVE remote/a header=Destination:https://localhost:{port}/b/c
         MOVE remote/b/c header=Destination:https://localhost:1/b/c"
    );
    let (answers, _) = run(&host, &lines, to(port)?)?;
    ensure!(answers[0].starts_with("401"), "{answers:?}");
    let auth = HttpAuth::new("basic", "me:hunter2")?;
    let (answers, _) = run(&host, &lines, to(port)?.http_auth("remote", auth))?;
    for (answer, expected) in answers.iter().zip(["201", "201", "207", "201"]) {
        ensure!(answer.starts_with(expected), "{answers:?}");
    }
    ensure!(answers[4].starts_with("ErrorCode::AccessDenied"), "{answers:?}");
    ensure!(std::fs::read(server.files().join("b/c"))? == b"xxxxx");
    Ok(())
}

#[test]
fn requests_to_s3_are_signed() -> Result<()> {
    if !servers::has("rclone")? {
        return Ok(());
    }
    let server = servers::plain_rclone_s3()?;
    let url = format!("http://127.0.0.1:{}/bucket", server.ports[0]);
    let host = host(None)?;
    let lines = "PUT remote/a%20b+(c)/%C3%BC'!* body=70000
                 GET remote/a%20b+(c)/%C3%BC'!* discard
                 GET remote/?list-type=2&prefix=a+b&delimiter=%2F
                 PUT remote/copy header=x-amz-copy-source:/bucket/a%20b%2B%28c%29/%C3%BC%27%21%2A
                 DELETE remote/a%20b+(c)/%C3%BC'!*
                 PUT remote/copy header=x-amz-copy-source:/other/a";
    let run = |secret: &str| {
        let grant = HttpGrant::new("remote", &url, Access::ReadWrite)?;
        let auth = HttpAuth::new(&format!("aws-sigv4:{}", servers::REGION), secret)?;
        let options = SessionOptions::new().http(grant).http_auth("remote", auth);
        run(&host, lines, options)
    };
    let (answers, _) = run(&format!("{}:{}", servers::ACCESS_KEY, servers::SECRET_KEY))?;
    let expected = ["200", "200 70000 bytes", "200", "200", "204", "ErrorCode::AccessDenied"];
    for (answer, expected) in answers.iter().zip(expected) {
        ensure!(answer.starts_with(expected), "{answers:?}");
    }
    ensure!(answers[2].contains("<Prefix>a b"), "{answers:?}");
    let (answers, _) = run(&format!("{}:another", servers::ACCESS_KEY))?;
    ensure!(answers[..5].iter().all(|answer| answer.starts_with("403")), "{answers:?}");
    Ok(())
}

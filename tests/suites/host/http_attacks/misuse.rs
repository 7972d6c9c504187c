//! Plugins that use `wasi:http` as no client does.

use std::time::Instant;

use conformance::http_server::HttpServer;
use syncmgr_host::{CancelHandle, Outcome, SessionError};

use super::*;

/// The time limit for a server to notice something.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs one use of `wasi:http` with small limits. Returns the log without its warnings, and the
/// report.
fn misuse(server: &HttpServer, name: &str, much: u64) -> Result<(Vec<String>, RunReport)> {
    misuse_with(server, name, much, SessionOptions::new().limits(small_limits()))
}

fn misuse_with(
    server: &HttpServer,
    name: &str,
    much: u64,
    options: SessionOptions,
) -> Result<(Vec<String>, RunReport)> {
    let grant = HttpGrant::new("remote", &server.url(), Access::ReadWrite)?;
    let options = options.setting("raw", name).setting("much", much.to_string()).http(grant);
    let report = plugin().run(options, Discard, &RunRequest::default())?;
    let logged = report.log.iter().filter(|entry| entry.level == LogLevel::Information);
    Ok((logged.map(|entry| entry.text.clone()).collect(), report))
}

fn small_limits() -> Limits {
    let mut limits = limits();
    limits.handles = 500;
    limits.idle_time = Duration::from_secs(1);
    limits
}

/// Returns the code of the error of a run.
fn code(report: &RunReport) -> Option<&'static str> {
    report.error().map(SessionError::code)
}

fn waits_until(holds: impl Fn() -> bool) -> Result<()> {
    let since = Instant::now();
    while !holds() {
        ensure!(since.elapsed() < PATIENCE, "nothing happened for {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
fn a_body_has_the_stated_length_or_fails() -> Result<()> {
    // The host needs no answer to refuse a body that is too long or too short.
    for (name, outcome, arrives) in [
        ("body-unfinished", "ErrorCode::HttpProtocolError", true),
        ("body-longer", "", true),
        ("body-shorter", "ErrorCode::HttpRequestBodySize", true),
        ("length-without-body", "ErrorCode::HttpRequestBodySize", false),
        ("two-lengths", "ErrorCode::HttpRequestHeaderSize", false),
    ] {
        let server = HttpServer::start()?;
        let (outcomes, report) = misuse(&server, name, 0)?;
        ensure!(code(&report).is_none(), "{name}: {report:?}");
        ensure!(outcomes.len() == 2, "{name}: {outcomes:?}");
        let refused = |one: &String| one.starts_with(outcome) && one != "done";
        ensure!(outcomes.iter().all(refused), "{name}: {outcomes:?}");
        // No request continues another one. The first five bytes of a longer body are a complete
        // request, after which its connection may serve the next one.
        let heads = server.heads();
        let is_alone = heads.len() as u64 <= server.connections();
        ensure!(is_alone || name == "body-longer", "{name}: {heads:?}");
        ensure!(heads.iter().all(|head| head.starts_with("PUT /echo HTTP/1.1\r\n")), "{heads:?}");
        ensure!(arrives || server.connections() == 0, "{name}: {:?}", server.heads());
    }
    Ok(())
}

#[test]
fn a_plugin_may_send_slowly_but_not_forever() -> Result<()> {
    let server = HttpServer::start()?;
    // Longer than the server may be silent.
    let options = SessionOptions::new().limits(limits());
    let (outcomes, report) = misuse_with(&server, "body-slow", 20, options)?;
    ensure!(outcomes == ["done", "done"], "{outcomes:?} {report:?}");
    let (outcomes, report) = misuse(&server, "body-held", 0)?;
    ensure!(code(&report) == Some("ended-idle-time"), "{outcomes:?} {report:?}");
    waits_until(|| server.abandoned() == 1)
}

#[test]
fn responses_that_are_not_read_take_no_memory() -> Result<()> {
    let server = HttpServer::start()?;
    let (outcomes, report) = misuse(&server, "bodies-unread", 5)?;
    let item = ["true", "true", "true", "true", "false", "done"];
    ensure!(outcomes == [item, item].concat(), "{outcomes:?} {report:?}");
    // The server is ready to send 10 GB.
    let received: u64 = report.http.values().map(|usage| usage.bytes_down).sum();
    ensure!(received < 1 << 20, "{received} bytes");
    waits_until(|| server.abandoned() == 8)
}

#[test]
fn leaked_handles_end_the_plugin() -> Result<()> {
    for name in ["leak-pollables", "leak-requests", "leak-headers"] {
        let server = HttpServer::start()?;
        let (outcomes, report) = misuse(&server, name, 10_000)?;
        ensure!(code(&report) == Some("ended-handles"), "{name}: {outcomes:?} {report:?}");
        let sent: u64 = report.http.values().map(|usage| usage.requests).sum();
        ensure!(sent <= 4, "{name}: {report:?}");
    }
    Ok(())
}

#[test]
fn ten_thousand_requests_in_flight_are_too_many() -> Result<()> {
    let server = HttpServer::start()?;
    let lines = vec!["GET remote/silent"; 10_000].join("\n");
    // The limit on handles, or the one on requests.
    for (handles, ended) in [(10_000, Some("ended-handles")), (100_000, None)] {
        let grant = HttpGrant::new("remote", &server.url(), Access::ReadWrite)?;
        let mut limits = limits();
        limits.handles = handles;
        // A request that times out would make room for another one.
        limits.http_idle_time = Duration::from_secs(10);
        let options = SessionOptions::new().http(grant).limits(limits);
        let options = options.setting("requests", &lines).setting("at-once", "10000");
        let before = server.connections();
        let report = plugin().run(options, Discard, &RunRequest::default())?;
        ensure!(code(&report) == ended, "{handles}: {:?}", report.outcome);
        let items = if ended.is_some() { 1 } else { 2 };
        let sent: u64 = report.http.values().map(|usage| usage.requests).sum();
        ensure!(sent == items * 4, "{handles}: {sent} requests");
        ensure!(server.connections() - before <= sent, "{} connections", server.connections());
    }
    Ok(())
}

#[test]
fn nothing_is_sent_after_a_cancellation() -> Result<()> {
    // The request and the cancellation race.
    (0..10).try_for_each(|_| send_after_cancellation())
}

fn send_after_cancellation() -> Result<()> {
    let server = HttpServer::start()?;
    let cancel = CancelHandle::new();
    let options = SessionOptions::new().limits(small_limits()).cancel_with(cancel.clone());
    let (outcomes, report) = thread::scope(|scope| {
        let run = scope.spawn(|| misuse_with(&server, "after-cancellation", 0, options));
        let waited = waits_until(|| server.heads().len() == 1);
        cancel.cancel_all();
        waited?;
        run.join().expect("the run does not panic")
    })?;
    ensure!(matches!(report.outcome, Outcome::Completed), "{report:?}");
    ensure!(outcomes == ["ErrorCode::ConnectionTerminated"], "{outcomes:?}");
    ensure!(server.heads().len() == 1, "{:?}", server.heads());
    Ok(())
}

#[test]
fn headers_are_bounded() -> Result<()> {
    for (name, much) in [("many-headers", 100_000), ("long-header", 1 << 20)] {
        let server = HttpServer::start()?;
        let (outcomes, report) = misuse(&server, name, much)?;
        ensure!(code(&report) == Some("plugin-trap"), "{name}: {outcomes:?} {report:?}");
        ensure!(server.connections() == 0, "{name}: {:?}", server.heads().len());
    }
    Ok(())
}

#[test]
fn a_request_contains_no_other_request() -> Result<()> {
    let server = HttpServer::start()?;
    let (outcomes, _) = misuse(&server, "invalid-headers", 0)?;
    ensure!(outcomes.len() == 40, "{outcomes:?}");
    ensure!(outcomes.iter().all(|one| one.starts_with("Err(HeaderError::")), "{outcomes:?}");
    let (outcomes, _) = misuse(&server, "targets", 0)?;
    ensure!(outcomes.iter().all(|one| one.starts_with("ErrorCode::")), "{outcomes:#?}");
    ensure!(server.heads().is_empty(), "{:?}", server.heads());
    Ok(())
}

//! HTTP requests of a plugin, to real servers on loopback.

#![allow(clippy::print_stdout, reason = "prints a measurement: cargo test -- --nocapture")]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use conformance::http_server::HttpServer;
use conformance::script::Ran;
use syncmgr_host::http::{HttpAuth, HttpGrant};
use syncmgr_host::sink::{EventLog, JsonLines};
use syncmgr_host::{
    Access, CancelHandle, Host, HostOptions, Limits, LogLevel, Plugin, RunRequest, SessionOptions,
    StartError, Status,
};

const SECRET: &str = "hunter2-and-more";

/// The time limit for a cancellation to reach the server. It needs milliseconds; without it, the
/// server would wait for `http-idle-time`.
const AT_ONCE: Duration = Duration::from_secs(20);

fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    conformance::load(&PLUGIN, conformance::FETCH)
}

fn grant(name: &str, url: &str) -> HttpGrant {
    HttpGrant::new(name, url, Access::ReadWrite).expect("it is valid")
}

/// Returns options with these requests, one per line.
fn requests(lines: &str) -> SessionOptions {
    let lines: Vec<_> = lines.lines().map(str::trim).collect();
    SessionOptions::new().setting("requests", lines.join("\n"))
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

fn run(options: SessionOptions) -> Result<Ran> {
    let recorder = EventLog::new();
    let report = plugin().run(options, recorder.clone(), &RunRequest::default())?;
    Ok(Ran { report, recorded: recorder.recorded() })
}

/// Returns the logged answers, each once: both items make the same requests.
fn answers(ran: &Ran) -> Vec<String> {
    let logged = ran.report.log.iter().filter(|entry| entry.level == LogLevel::Information);
    let logged: Vec<_> = logged.map(|entry| entry.text.clone()).collect();
    logged[..logged.len() / 2].to_vec()
}

fn warnings(ran: &Ran) -> Vec<String> {
    let logged = ran.report.log.iter().filter(|entry| entry.level == LogLevel::Warning);
    logged.map(|entry| entry.text.clone()).collect()
}

#[test]
fn a_granted_server_is_reached_over_kept_connections() -> Result<()> {
    let server = HttpServer::start()?;
    let options = requests(
        "GET remote/echo
         PUT remote/echo body=3000000
         GET remote/bytes/5000000 discard",
    );
    let ran = run(options.http(grant("remote", &server.url())))?;
    ensure!(ran.report.items.iter().all(|item| item.status == Status::Succeeded), "{ran:?}");
    let answers = answers(&ran);
    assert!(answers[0].starts_with("200 GET /echo HTTP/1.1"), "{answers:?}");
    assert!(answers[1].contains("body 3000000"), "{answers:?}");
    assert!(answers[1].to_lowercase().contains("content-length: 3000000"), "{answers:?}");
    assert_eq!(answers[2], "200 5000000 bytes");
    assert_eq!(server.connections(), 1);
    let usage = &ran.report.http[&server.url()];
    assert_eq!((usage.requests, usage.denied, usage.bytes_up), (6, 0, 6_000_000));
    assert!(usage.bytes_down > 10_000_000, "{usage:?}");
    Ok(())
}

#[test]
fn denied_requests_are_logged_once() -> Result<()> {
    let server = HttpServer::start()?;
    let url = server.url();
    let port = url.rsplit(':').next().unwrap_or_default();
    let denied = [
        (format!("GET {url}/other"), "is not granted for this path"),
        (format!("GET {url}/files/me/../you"), "segments"),
        (format!("GET {url}/files/me/%2e%2e/you"), "segments"),
        (format!("GET {url}/files/me//echo"), "segments"),
        (format!("GET http://localhost:{port}/files/me/echo"), "is not granted"),
        (format!("GET http://2130706433:{port}/other"), "for this path"),
        (format!("GET https://127.0.0.1:{port}/files/me/echo"), "is not granted"),
        (format!("GET http://me:pw@127.0.0.1:{port}/files/me/echo"), "user name"),
        (format!("TRACE {url}/files/me/echo"), "never allowed"),
        (format!("track {url}/files/me/echo"), "never allowed"),
    ];
    for (request, why) in denied {
        let ran = run(requests(&request).http(grant("remote", &format!("{url}/files/me/"))))?;
        let answers = answers(&ran);
        assert!(answers[0].starts_with("ErrorCode::AccessDenied"), "{request}: {answers:?}");
        let warnings = warnings(&ran);
        assert_eq!(warnings.len(), 1, "{request}: {warnings:?}");
        assert!(warnings[0].contains(why), "{request}: {warnings:?}");
        assert!(!warnings[0].contains("me:pw") && !warnings[0].contains("/you"), "{warnings:?}");
        assert!(ran.report.items.iter().all(|item| item.status == Status::Succeeded), "{ran:?}");
    }
    assert_eq!(server.heads(), Vec::<String>::new());
    Ok(())
}

#[test]
fn read_access_allows_reading_methods_only() -> Result<()> {
    let server = HttpServer::start()?;
    let lines = "GET reader/echo header=X-HTTP-Method-Override:DELETE
                 PROPFIND reader/echo
                 PUT reader/echo body=1
                 DELETE reader/echo
                 get reader/echo";
    let by_request = requests(lines).http(grant("reader", &server.url()));
    let lines = lines.replace("reader", "remote");
    let by_grant = grant("remote", &server.url()).read_only();
    let by_grant = requests(&lines).http(by_grant);
    let by_run = requests(&lines).http(grant("remote", &server.url())).read_only();
    for options in [by_request, by_grant, by_run] {
        let answers = answers(&run(options)?);
        let allowed: Vec<_> = answers.iter().map(|answer| answer.starts_with("200")).collect();
        assert_eq!(allowed, [true, true, false, false, false], "{answers:?}");
    }
    let heads = server.heads().concat().to_lowercase();
    assert!(!heads.contains("override") && !heads.contains("delete"), "{heads}");
    Ok(())
}

#[test]
fn credentials_reach_only_their_server_and_no_log() -> Result<()> {
    let (server, other) = (HttpServer::start()?, HttpServer::start()?);
    let lines = format!(
        "GET remote/echo header=Authorization:mine
         GET other/echo
         GET remote/to?{}/echo",
        other.url()
    );
    for (kind, sent) in [
        ("basic", "authorization: Basic bWU6aHVudGVyMi1hbmQtbW9yZQ=="),
        ("bearer", "authorization: Bearer me:hunter2-and-more"),
        ("header:X-Token", "x-token: me:hunter2-and-more"),
        ("query:token", "GET /echo?token=me%3Ahunter2-and-more"),
    ] {
        let auth = HttpAuth::new(kind, &format!("me:{SECRET}\n"))?;
        assert!(!format!("{auth:?}").contains(SECRET));
        let options = requests(&lines)
            .http(grant("remote", &server.url()))
            .http(grant("other", &other.url()))
            .http_auth("remote", auth);
        assert!(!format!("{options:?}").contains(SECRET));
        let ran = run(options.clone())?;
        let heads = server.heads().concat();
        assert!(heads.contains(sent), "{kind}: {heads}");
        assert!(!heads.contains("mine"), "{kind}: {heads}");
        let everything = format!("{:?} {:?}", ran.report, ran.recorded);
        let mut json = JsonLines::new(Vec::new());
        json.report(&ran.report, None);
        let json = String::from_utf8(json.finish()?)?;
        for text in [everything, json, other.heads().concat()] {
            for secret in [SECRET, "bWU6aHVudGVyMi1hbmQtbW9yZQ"] {
                assert!(!text.contains(secret), "{kind}: {text}");
            }
        }
        let warnings = warnings(&ran);
        assert!(warnings[0].contains("were replaced"), "{kind}: {warnings:?}");
        assert!(answers(&ran)[2].starts_with("200"), "{kind}: {:?}", answers(&ran));
    }
    Ok(())
}

#[test]
fn credentials_need_encryption_or_loopback() -> Result<()> {
    let auth = || HttpAuth::new("bearer", SECRET);
    for (url, good) in [
        ("https://dav.example.org/", true),
        ("http://localhost:8080/", true),
        ("http://[::1]/", true),
        ("http://dav.example.org/", false),
        ("local:http://nas.example.org/", false),
        ("http://192.168.1.2/", false),
    ] {
        let options = requests("").http(grant("remote", url)).http_auth("remote", auth()?);
        let started =
            conformance::session::DrivenSession::start(&plugin(), options, EventLog::new());
        match started {
            Ok(_) => ensure!(good, "{url}"),
            Err(StartError::Grant(error)) => ensure!(!good, "{url}: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    let ungranted = requests("").http_auth("remote", auth()?);
    let started = conformance::session::DrivenSession::start(&plugin(), ungranted, EventLog::new());
    assert!(matches!(started, Err(StartError::Grant(_))), "{started:?}");
    Ok(())
}

#[test]
fn a_fixed_server_cannot_be_another_one() -> Result<()> {
    for (url, good) in [
        ("https://api.example.com/v1/", true),
        ("https://api.example.com/v1/part", true),
        ("https://api.example.com/", false),
        ("https://example.com/v1/", false),
        ("http://api.example.com/v1/", false),
    ] {
        let options = requests("").http(grant("fixed", url));
        let started =
            conformance::session::DrivenSession::start(&plugin(), options, EventLog::new());
        assert_eq!(started.is_ok(), good, "{url}");
    }
    Ok(())
}

#[test]
fn failures_of_a_server_are_errors_of_the_request() -> Result<()> {
    let server = HttpServer::start()?;
    let closed = HttpServer::start()?.url().replace("127.0.0.1", "127.0.0.2");
    let rows = [
        ("GET remote/short/1000 discard".to_owned(), "ErrorCode::InputOutput"),
        ("GET remote/headers/100000".to_owned(), "ErrorCode::InputOutput"),
        ("GET remote/silent".to_owned(), "ErrorCode::Timeout"),
        ("GET remote/drip discard".to_owned(), "ErrorCode::Timeout"),
        ("GET remote/raw/garbage||".to_owned(), "ErrorCode::InputOutput"),
        ("GET remote/bytes/2000000 discard".to_owned(), "ErrorCode::InputOutput"),
        ("PUT remote/echo body=2000000".to_owned(), "ErrorCode::InputOutput"),
        ("GET remote/echo header=Host:other.example".to_owned(), "ErrorCode::InvalidArgument"),
        (
            "GET remote/echo header=Transfer-Encoding:chunked".to_owned(),
            "ErrorCode::InvalidArgument",
        ),
        (format!("GET remote/to?{}/echo", "https://169.254.169.254"), "ErrorCode::AccessDenied"),
        ("GET other/echo".to_owned(), "ErrorCode::NotConnected"),
        ("GET remote/status/503".to_owned(), "503 reason"),
    ];
    let limits = limits(|limits| {
        limits.http_idle_time = Duration::from_millis(300);
        limits.http_bytes_up = 1 << 20;
        limits.http_bytes_down = 1 << 20;
    });
    for (request, expected) in rows {
        let options = requests(&request)
            .limits(limits.clone())
            .http(grant("remote", &server.url()))
            .http(grant("other", &closed));
        let answers = answers(&run(options)?);
        assert!(answers[0].starts_with(expected), "{request}: {answers:?}");
    }
    Ok(())
}

#[test]
fn a_cancellation_ends_waiting_for_a_server() -> Result<()> {
    let server = HttpServer::start()?;
    let item = conformance::script::item("a");
    for (request, all) in [
        ("GET remote/silent", true),
        ("GET remote/drip discard", true),
        ("GET remote/silent", false),
    ] {
        let cancel = CancelHandle::new();
        let options =
            requests(request).http(grant("remote", &server.url())).cancel_with(cancel.clone());
        let (before, abandoned) = (server.heads().len(), server.abandoned());
        let ran = std::thread::scope(|scope| {
            let run = scope.spawn(|| run(options));
            while server.heads().len() == before {
                std::thread::sleep(Duration::from_millis(5));
            }
            let cancelled = Instant::now();
            match all {
                true => cancel.cancel_all(),
                false => cancel.cancel_item(item),
            }
            while server.abandoned() == abandoned && cancelled.elapsed() < AT_ONCE {
                std::thread::sleep(Duration::from_millis(1));
            }
            let noticed = cancelled.elapsed();
            println!("{request}: the server noticed the cancellation after {noticed:?}");
            // The next item waits as well.
            while !all && server.heads().len() < before + 2 {
                std::thread::sleep(Duration::from_millis(5));
            }
            cancel.cancel_all();
            assert!(noticed < AT_ONCE, "{request}: {noticed:?}");
            run.join()
        });
        let ran = ran.expect("the run does not panic")?;
        let statuses: Vec<_> = ran.report.items.iter().map(|item| item.status).collect();
        let first = if all { Status::Stopped } else { Status::Skipped };
        assert_eq!(statuses, [first, Status::Stopped], "{request}");
        assert!(ran.report.error().is_none(), "{request}: {ran:?}");
    }
    Ok(())
}

#[test]
fn a_proxy_leads_to_public_servers_only() -> Result<()> {
    let (proxy, local) = (HttpServer::start()?, HttpServer::start()?);
    let url = proxy.url().replace("http://", "http://me:hunter2@");
    let host = Host::with_options(HostOptions::new().http_proxy(&url)?)?;
    let plugin = host.load_file(conformance::FETCH)?;
    let options = requests("GET remote/echo\nGET other/echo")
        .http(grant("remote", "http://dav.example.org:8080/"))
        .http(grant("other", &local.url()));
    let recorder = EventLog::new();
    let report = plugin.run(options, recorder.clone(), &RunRequest::default())?;
    let answers = answers(&Ran { report, recorded: recorder.recorded() });
    assert!(answers.iter().all(|answer| answer.starts_with("200")), "{answers:?}");
    let heads = proxy.heads();
    let begins = ["CONNECT dav.example.org:8080 HTTP/1.1", "GET /echo HTTP/1.1"];
    for (head, begin) in heads.iter().zip(begins) {
        assert!(head.starts_with(begin), "{heads:?}");
    }
    // The proxy's password is for the proxy.
    let login = "proxy-authorization: Basic bWU6aHVudGVyMg==";
    assert!(heads[0].to_lowercase().contains(&login.to_lowercase()), "{heads:?}");
    assert!(!heads[1].contains("proxy-authorization"), "{heads:?}");
    assert!(local.heads().iter().all(|head| head.starts_with("GET ")), "{:?}", local.heads());
    Ok(())
}

//! Servers that attack a plugin, its host or other requests, and plugins that attack servers. Each
//! has a real listener on loopback.

mod buckets;
mod misuse;
#[cfg(target_os = "linux")]
mod names;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use syncmgr_host::http::{HttpAuth, HttpGrant};
use syncmgr_host::sink::Discard;
use syncmgr_host::{
    Access, Limits, LogLevel, Plugin, RunReport, RunRequest, SessionOptions, Status,
};

/// How long a server may be silent in these tests.
const IDLE: Duration = Duration::from_millis(300);

fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    conformance::load(&PLUGIN, conformance::FETCH)
}

/// Serves each connection with a function, which receives the head of a request, the number of the
/// connection and the number of the request on it. Returns the port.
fn serve(
    answer: impl Fn(&mut TcpStream, &str, usize, usize) -> std::io::Result<()> + Send + Sync + 'static,
) -> Result<u16> {
    serve_at(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, answer)
}

fn serve_at(
    listener: TcpListener,
    answer: impl Fn(&mut TcpStream, &str, usize, usize) -> std::io::Result<()> + Send + Sync + 'static,
) -> Result<u16> {
    let port = listener.local_addr()?.port();
    let (answer, connections) = (Arc::new(answer), AtomicUsize::new(0));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let connection = connections.fetch_add(1, Ordering::AcqRel);
            let answer = Arc::clone(&answer);
            thread::spawn(move || -> std::io::Result<()> {
                let mut reader = BufReader::new(stream.try_clone()?);
                for request in 0.. {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if reader.read_line(&mut head)? == 0 {
                            return Ok(());
                        }
                    }
                    answer(&mut stream, &head, connection, request)?;
                }
                Ok(())
            });
        }
    });
    Ok(port)
}

fn limits() -> Limits {
    conformance::limits(|limits| {
        limits.http_idle_time = IDLE;
        limits.http_connect_time = IDLE;
        limits.http_requests = 4;
    })
}

fn grant(port: u16) -> Result<HttpGrant> {
    Ok(HttpGrant::new("remote", &format!("http://127.0.0.1:{port}/"), Access::ReadWrite)?)
}

/// Runs requests, and returns the answers of the first item.
fn run(lines: &str, options: SessionOptions) -> Result<(Vec<String>, RunReport)> {
    let lines: Vec<_> = lines.lines().map(str::trim).collect();
    let options = options.setting("requests", lines.join("\n"));
    let report = plugin().run(options, Discard, &RunRequest::default())?;
    ensure!(report.items.iter().all(|item| item.status == Status::Succeeded), "{report:?}");
    let logged = report.log.iter().filter(|entry| entry.level == LogLevel::Information);
    let answers = logged.map(|entry| entry.text.clone()).take(lines.len()).collect();
    Ok((answers, report))
}

#[test]
fn a_hostile_answer_fails_only_its_request() -> Result<()> {
    /// Writes something again and again, until the client leaves.
    fn endlessly(to: &mut TcpStream, text: &[u8], pause: u64) -> std::io::Result<()> {
        loop {
            to.write_all(text)?;
            thread::sleep(Duration::from_millis(pause));
        }
    }
    let port = serve(|to, head, _, _| {
        let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
        match path {
            "interim-flood" => endlessly(to, b"HTTP/1.1 100 Continue\r\n\r\n", 0),
            "slow-head" => {
                to.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
                endlessly(to, b"x", 20)
            }
            "slow-body" => {
                to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
                endlessly(to, b"x", 20)
            }
            "slow-chunks" => {
                to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                endlessly(to, b"1\r\nx\r\n", 20)
            }
            "endless-head" => {
                to.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
                endlessly(to, &[b'x'; 4096], 0)
            }
            "endless-trailers" => {
                to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")?;
                endlessly(to, b"X-Trailer: value\r\n", 0)
            }
            "endless-extension" => {
                to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")?;
                endlessly(to, &[b'x'; 4096], 0)
            }
            text => {
                let text = match text {
                    "no-status" => "HTTP/1.1\r\n\r\n",
                    "status-0" => "HTTP/1.1 000 Zero\r\n\r\n",
                    "status-big" => "HTTP/1.1 99999 Big\r\n\r\n",
                    "tls" => "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
                    "http-2" => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    "two-lengths" => {
                        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
                    }
                    "bad-length" => "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                    "huge-length" => {
                        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"
                    }
                    "bad-chunk" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    "huge-chunk" => {
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"
                    }
                    "bad-header" => "HTTP/1.1 200 OK\r\nX y: z\r\nContent-Length: 0\r\n\r\n",
                    "upgrade" => {
                        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
                    }
                    _ => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
                };
                to.write_all(text.as_bytes())?;
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
        }
    })?;
    for (path, outcomes) in [
        ("interim-flood", "Timeout InputOutput"),
        ("slow-head", "Timeout"),
        ("slow-body", "Timeout"),
        ("slow-chunks", "Timeout"),
        ("endless-head", "InputOutput"),
        ("endless-trailers", "InputOutput Timeout"),
        ("endless-extension", "InputOutput Timeout"),
        ("no-status", "InputOutput"),
        ("status-0", "InputOutput"),
        ("status-big", "InputOutput"),
        ("tls", "InputOutput"),
        ("http-2", "InputOutput"),
        ("two-lengths", "InputOutput"),
        ("bad-length", "InputOutput"),
        ("huge-length", "InputOutput"),
        ("bad-chunk", "InputOutput"),
        ("huge-chunk", "InputOutput"),
        ("bad-header", "InputOutput"),
        ("upgrade", "InputOutput"),
    ] {
        let lines = format!("GET remote/{path} discard\nGET remote/fine");
        let options = SessionOptions::new().limits(limits()).http(grant(port)?);
        let (answers, _) = run(&lines, options)?;
        let found = |outcome| answers[0].starts_with(&format!("ErrorCode::{outcome}"));
        ensure!(outcomes.split(' ').any(found), "{path}: {answers:?}");
        ensure!(answers[1] == "200 fine", "{path}: {answers:?}");
    }
    Ok(())
}

#[test]
fn a_server_that_does_not_read_times_out() -> Result<()> {
    let port = serve(|to, head, _, _| {
        if head.starts_with("PUT /never ") {
            thread::sleep(IDLE * 100);
        }
        // A byte at a time.
        loop {
            to.read_exact(&mut [0])?;
            thread::sleep(IDLE / 10);
        }
    })?;
    let lines = "PUT remote/never body=100000000\nPUT remote/slowly body=100000000";
    let (answers, report) = run(lines, SessionOptions::new().limits(limits()).http(grant(port)?))?;
    for answer in &answers {
        ensure!(answer.starts_with("ErrorCode::Timeout"), "{answers:?}");
    }
    let sent: u64 = report.http.values().map(|usage| usage.bytes_up).sum();
    ensure!(sent < 400_000_000, "{sent} bytes");
    Ok(())
}

#[test]
fn credentials_belong_to_a_path_and_a_session() -> Result<()> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&seen);
    let port = serve(move |to, head, _, _| {
        let (line, rest) = head.split_once("\r\n").unwrap_or((head, ""));
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let location = path.split_once("?to=").map(|(_, to)| format!("Location: {to}\r\n"));
        let status = if location.is_some() { "302 Found" } else { "200 OK" };
        let location = location.unwrap_or_default();
        heads.lock().expect("no panic").push((path, rest.contains("hunter2")));
        to.write_all(format!("HTTP/1.1 {status}\r\n{location}Content-Length: 0\r\n\r\n").as_bytes())
    })?;
    let granted = |name, path| {
        HttpGrant::new(name, &format!("http://127.0.0.1:{port}/{path}"), Access::ReadWrite)
    };
    let options = || -> Result<_> {
        Ok(SessionOptions::new().http(granted("remote", "a/")?).http(granted("other", "")?))
    };
    let lines = "GET remote/1\nGET other/b\nGET other/ab\nGET remote/2?to=/b\nGET other/b?to=/a/3";
    let auth = HttpAuth::new("bearer", "hunter2")?;
    run(lines, options()?.http_auth("remote", auth))?;
    let with_auth = std::mem::take(&mut *seen.lock().expect("no panic"));
    ensure!(with_auth.iter().any(|(_, sent)| *sent), "{with_auth:?}");
    for (path, sent) in &with_auth {
        ensure!(*sent == path.starts_with("/a/"), "{with_auth:?}");
    }
    // Another plugin, on the same host.
    run(lines, options()?)?;
    let without = std::mem::take(&mut *seen.lock().expect("no panic"));
    ensure!(without.len() == with_auth.len(), "{without:?}");
    ensure!(without.iter().all(|(_, sent)| !sent), "{without:?}");
    Ok(())
}

#[test]
fn an_answer_does_not_reach_another_request() -> Result<()> {
    const MORE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    // The first request of each connection has an answer, and an answer without a request.
    let port = serve(|to, head, connection, request| {
        let own = match head.starts_with("HEAD ") {
            true => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".to_owned(),
            false => format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{connection}{request}"),
        };
        to.write_all(format!("{own}{MORE}").as_bytes())
    })?;
    let lines = "GET remote/1\nGET remote/2\nHEAD remote/3\nGET remote/4";
    let (answers, _) = run(lines, SessionOptions::new().limits(limits()).http(grant(port)?))?;
    for answer in &answers {
        ensure!(answer.starts_with("200 ") && !answer.contains("evil"), "{answers:?}");
    }
    Ok(())
}

#[test]
fn a_body_is_passed_on_as_it_is() -> Result<()> {
    let port = serve(|to, _, _, _| {
        to.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bab",
        )
    })?;
    let (answers, _) = run("GET remote/a", SessionOptions::new().http(grant(port)?))?;
    ensure!(answers[0].starts_with("200 \x1f"), "{answers:?}");
    Ok(())
}

#[test]
fn a_plugin_cannot_forge_what_the_host_writes() -> Result<()> {
    let port = serve(|to, head, _, _| {
        let body = head.replace("\r\n", "|");
        let length = body.len();
        to.write_all(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
        )
    })?;
    let other = format!("http://127.0.0.1:{port}");
    for (request, outcome) in [
        ("GET remote/ header=Host:evil.example".to_owned(), "ErrorCode::InvalidArgument"),
        ("GET remote/ header=Transfer-Encoding:chunked".to_owned(), "ErrorCode::InvalidArgument"),
        ("GET remote/ header=Connection:keep-alive".to_owned(), "ErrorCode::InvalidArgument"),
        ("GET remote/ header=Upgrade:h2c".to_owned(), "ErrorCode::InvalidArgument"),
        ("GET remote/ header=Expect:100-continue".to_owned(), "ErrorCode::InvalidArgument"),
        ("GET remote/ header=Proxy-Authorization:x".to_owned(), "ErrorCode::InvalidArgument"),
        ("GET remote/ header=X:a\rb".to_owned(), "ErrorCode::InvalidArgument"),
        ("GET remote/ header=X\u{1}:a".to_owned(), "ErrorCode::InvalidArgument"),
        ("GE\rT remote/".to_owned(), "ErrorCode::InvalidArgument"),
        ("GET remote/a\rb".to_owned(), "ErrorCode::InvalidArgument"),
        (format!("CONNECT {other}/"), "ErrorCode::AccessDenied"),
        ("TRACE remote/".to_owned(), "ErrorCode::AccessDenied"),
        (format!("GET http://user@127.0.0.1:{port}/"), "ErrorCode::AccessDenied"),
        (format!("GET http://evil.example@127.0.0.1:{port}/"), "ErrorCode::AccessDenied"),
        (format!("GET http://127.0.0.1:{port}@evil.example/"), "ErrorCode::AccessDenied"),
        (format!("GET http://[::ffff:127.0.0.1]:{port}/"), "ErrorCode::AccessDenied"),
        (format!("GET http://[::1%25lo]:{port}/"), "ErrorCode::"),
        (format!("GET http://[::1%lo]:{port}/"), "ErrorCode::"),
        (format!("GET http://2130706434:{port}/"), "ErrorCode::AccessDenied"),
        (format!("GET http://0x7f000002:{port}/"), "ErrorCode::AccessDenied"),
        (format!("GET http://0177.0.0.2:{port}/"), "ErrorCode::AccessDenied"),
        ("GET http://2852039166/latest/meta-data/".to_owned(), "ErrorCode::AccessDenied"),
        ("GET http://0251.0376.0251.0376/".to_owned(), "ErrorCode::AccessDenied"),
        (format!("GET http://①27.0.0.1:{port}/"), "ErrorCode::"),
        (format!("GET http://lосalhost:{port}/"), "ErrorCode::"),
        (format!("GET http://localhost:{port}/"), "ErrorCode::AccessDenied"),
        (format!("GET http://127.0.0.2:{port}/"), "ErrorCode::AccessDenied"),
        (
            "GET remote/ header=Accept:text/plain".to_owned(),
            "200 GET / HTTP/1.1|accept: text/plain|",
        ),
        // These spell the granted address.
        (format!("GET http://2130706433:{port}/"), "200 GET / HTTP/1.1|host: 127.0.0.1"),
        (format!("GET http://0177.0.0.1:{port}/"), "200 GET / HTTP/1.1|host: 127.0.0.1"),
    ] {
        let (answers, _) =
            run(&request, SessionOptions::new().limits(limits()).http(grant(port)?))?;
        ensure!(answers[0].starts_with(outcome), "{request:?}: {answers:?}");
    }
    Ok(())
}

#[test]
fn redirects_lead_nowhere_else() -> Result<()> {
    let port = serve(|to, head, _, _| {
        let target = head.split(' ').nth(1).and_then(|path| path.split_once('?'));
        let location = target.map_or("/again", |(_, target)| target);
        to.write_all(
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
                .as_bytes(),
        )
    })?;
    for (to, outcome) in [
        ("http://169.254.169.254/latest/meta-data/", "ErrorCode::AccessDenied"),
        ("http://127.0.0.2/", "ErrorCode::AccessDenied"),
        ("http://[::1]/", "ErrorCode::AccessDenied"),
        ("ftp://127.0.0.1/", "ErrorCode::InvalidArgument"),
        ("file:///etc/passwd", "ErrorCode::InvalidArgument"),
        ("//evil.example/", "ErrorCode::AccessDenied"),
        ("/again", "ErrorCode::InputOutput"),
    ] {
        let auth = HttpAuth::new("bearer", "hunter2")?;
        let options =
            SessionOptions::new().limits(limits()).http(grant(port)?).http_auth("remote", auth);
        let (answers, _) = run(&format!("GET remote/?{to}"), options)?;
        ensure!(answers[0].starts_with(outcome), "{to}: {answers:?}");
    }
    Ok(())
}

#[test]
fn requests_in_flight_are_limited() -> Result<()> {
    let port = serve(|_, _, _, _| {
        thread::sleep(IDLE * 10);
        Ok(())
    })?;
    let lines = vec!["GET remote/"; 100].join("\n");
    let options = SessionOptions::new().limits(limits()).http(grant(port)?);
    let (answers, report) = run(&lines, options.setting("at-once", "100"))?;
    let count = |outcome| answers.iter().filter(|answer| answer.starts_with(outcome)).count();
    let (slow, busy) = (count("ErrorCode::Timeout"), count("ErrorCode::Busy"));
    ensure!(slow == 4 && busy == 96, "{slow} and {busy} of {answers:?}");
    let usage = report.http.values().next().map(|usage| usage.requests);
    ensure!(usage == Some(8), "{report:?}");
    Ok(())
}

#[test]
fn many_requests_are_answered_in_order() -> Result<()> {
    let port = serve(|to, head, _, _| {
        let number = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
        // Later requests are answered earlier.
        let number: u64 = number.parse().unwrap_or(0);
        thread::sleep(Duration::from_millis(5 - number % 5));
        to.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{number:03}").as_bytes())
    })?;
    let lines: Vec<_> = (0..200).map(|number| format!("GET remote/{number}")).collect();
    let options = SessionOptions::new().http(grant(port)?).setting("at-once", "32");
    let (answers, _) = run(&lines.join("\n"), options)?;
    for (at, answer) in answers.iter().enumerate() {
        ensure!(*answer == format!("200 {at:03}"), "{at}: {answers:?}");
    }
    Ok(())
}

//! Recordings of HTTP requests, and their replay.

use super::*;
use anyhow::ensure;
use conformance::http_server::HttpServer;

const REPLAY: [&str; 3] = ["replay", conformance::FETCH, "run.jsonl"];

/// Returns a recorded run of these requests, one per line.
fn recorded<'a>(requests: &'a str, server: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let run = ["run", conformance::FETCH, "--set", requests, "--http", server];
    [&run[..], &["--record", "run.jsonl"], more].concat()
}

#[test]
fn a_replay_needs_no_server() -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = HttpServer::start()?;
    home.write("token", "hunter2-and-more\n")?;
    let remote = format!("remote={}/", server.url());
    let closed = format!("other={}/", server.url().replace("127.0.0.1", "127.0.0.2"));
    let by_name = format!("other={}/", server.url().replace("127.0.0.1", "name.localhost"));
    let at_once = "GET remote/bytes/70000\nPUT remote/echo body=70000\n".repeat(20);
    let auth = ["--http-auth", "remote=bearer:file:token"];
    for (requests, more, status, words) in [
        ("GET remote/echo\nPUT remote/a body=3\nDELETE remote/a", &[][..], 0, "404"),
        ("GET remote/bytes/1000000 discard", &[], 0, "1000000 bytes"),
        ("GET remote/status/503", &[], 0, "503 reason"),
        ("GET remote/status/503 retry=1", &[], 0, "503 reason"),
        ("GET remote/short/1000 discard", &[], 0, "HttpResponseIncomplete"),
        ("GET remote/raw/nonsense||", &[], 0, "HttpProtocolError"),
        ("GET remote/headers/90", &[], 0, "a: 200"),
        ("GET remote/to?/echo", &[], 0, "200 GET /echo"),
        ("GET remote/silent", &["--limit", "http-idle-time=200ms"], 0, "HttpResponseTimeout"),
        ("GET remote/bytes/2000", &["--limit", "http-bytes-down=1000"], 0, "BodySize(Some(1000))"),
        ("GET https://other.example/", &[], 1, "is not granted"),
        ("GET other/a", &["--http", &closed], 0, "ConnectionRefused"),
        ("GET other/a", &["--http", &by_name], 1, "ErrorCode"),
        ("GET remote/echo", &auth, 0, "[secret]"),
        ("GET remote/a header=Authorization:mine", &auth, 1, "were replaced"),
        (&at_once, &["--set", "at-once=8"], 0, "body 70000"),
    ] {
        let requests = format!("requests={requests}");
        let more = [more, &["--record-files"]].concat();
        home.run(&recorded(&requests, &remote, &more))?
            .expect(status, words)
            .with_context(|| format!("{requests} {more:?}"))?;
        let (connections, sent) = (server.connections(), server.heads().len());
        home.run(&REPLAY)?.expect(0, "match the recording").with_context(|| requests.clone())?;
        ensure!((server.connections(), server.heads().len()) == (connections, sent), "{requests}");
    }
    Ok(())
}

#[test]
fn a_recording_contains_no_form_of_the_credentials() -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = HttpServer::start()?;
    let remote = format!("remote={}/", server.url());
    let login = "me:p@ss w/rd+1%~";
    let encoded = "bWU6cEBzcyB3L3JkKzEl";
    let forms =
        ["p@ss w/rd+1%~", "p%40ss", "p@ss%20w", "p@ss+w", "p%40SS", "w%2frd", "w/rd", encoded];
    home.write("login", login)?;
    for kind in ["basic", "bearer", "header:x-token", "query:token"] {
        let auth = format!("remote={kind}:file:login");
        // The server returns what the host adds and what the plugin sends.
        let requests = "requests=GET remote/echo?x=me%3Ap%40ss%20w%2frd%2b1%25~\nPUT remote/echo \
                        text=me:p%40ss+w%2Frd%2B1%25%7E header=x-also:%6de:p%40ss%20w%2frd%2b1%25~";
        let more = ["--http-auth", &auth, "--record-files"];
        home.run(&recorded(requests, &remote, &more))?.expect(0, "200")?;
        let text = fs::read_to_string(home.path("run.jsonl"))?;
        ensure!(text.contains("[secret]"), "{text}");
        // The recording contains the settings, which are no secret.
        let exchanges: Vec<_> = text.lines().filter(|line| line.contains("\"http\"")).collect();
        ensure!(exchanges.len() == 4, "{text}");
        for exchange in exchanges {
            for form in forms {
                ensure!(!exchange.contains(form), "{kind}: {form} in {exchange}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_different_request_is_shown() -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = HttpServer::start()?;
    let remote = format!("remote={}/", server.url());
    let requests = "requests=GET remote/a header=x:1\nPUT remote/b text=abc";
    home.run(&recorded(requests, &remote, &["--record-files"]))?.expect(0, "201")?;
    home.run(&REPLAY)?.expect(0, "match the recording")?;
    let recording = fs::read_to_string(home.path("run.jsonl"))?;
    for (from, to, words) in [
        ("text=abc", "text=abc\\nGET remote/c", "the recording does not contain this request"),
        ("\\nPUT remote/b text=abc", "", "recorded: log-error information"),
        ("remote/a header", "remote/x header", "now:      http GET "),
        ("header=x:1", "header=x:2", "x=\"2\""),
        ("text=abc", "text=abd", "(3 bytes, \"abd\")"),
        ("text=abc", "text=abcd", "(4 bytes, \"abcd\")"),
    ] {
        home.write("run.jsonl", recording.replacen(from, to, 1))?;
        home.run(&REPLAY)?.expect(3, words).with_context(|| format!("{from} {to}"))?;
    }
    let missing = "{\"event\":\"http\",\"number\":9,\"method\":\"GET\",\"url\":\"x\",\"failure\":\"dropped\"}";
    home.write("run.jsonl", format!("{recording}{missing}\n"))?;
    home.run(&REPLAY)?.expect(3, "recorded: http GET \"x\" -> dropped")?;
    // Without bodies, an empty one is known.
    for (requests, status, words) in [
        ("requests=PUT remote/b text=abc", 0, "match the recording"),
        ("requests=GET remote/bytes/3", 3, "record with `--record-files`"),
    ] {
        home.run(&recorded(requests, &remote, &[]))?.expect(0, "succeeded")?;
        let recording = fs::read_to_string(home.path("run.jsonl"))?;
        ensure!(!recording.contains("\"content\""), "{recording}");
        home.run(&REPLAY)?.expect(status, words)?;
    }
    // A body above the bound.
    let large = "requests=GET remote/bytes/1048577 discard";
    home.run(&recorded(large, &remote, &["--record-files"]))?.expect(0, "1048577 bytes")?;
    home.run(&REPLAY)?.expect(3, "which keeps bodies of at most 1 MiB")?;
    Ok(())
}

#[test]
fn a_forged_recording_of_requests_is_refused() -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = HttpServer::start()?;
    let remote = format!("remote={}/", server.url());
    let requests = "requests=GET remote/status/503";
    home.run(&recorded(requests, &remote, &["--record-files"]))?.expect(0, "503")?;
    let recording = fs::read_to_string(home.path("run.jsonl"))?;
    let line = recording.lines().position(|line| line.contains("\"http\"")).context("a line")? + 1;
    let (url, headers) = (format!("{}/", server.url()), "[\"x\",\"y\"],".repeat(1000));
    for (line, from, to, words) in [
        (line, "\"status\":503", "\"status\":99", "invalid HTTP status 99"),
        (line, "\"status\":503", "\"status\":101", "invalid HTTP status 101"),
        (line, "\"status\":503", "\"status\":1000", "invalid HTTP status 1000"),
        (line, "\"status\":503", "\"status\":-1", "invalid value"),
        (line, "\"content-length\"", "\"content length\"", "invalid header \"content length\""),
        (line, "\"6\"", "\"6\\r\\nx: y\"", "invalid header \"content-length\""),
        (line, "\"6\"", "{\"base64\":\"#\"}", "invalid header \"content-length\""),
        (line, "[[\"content", &format!("[{headers}[\"content"), "1001 headers (limit 1000)"),
        (line, "\"6\"", &format!("\"{}\"", "x".repeat(1 << 20)), "exceed 1048576 bytes"),
        (line, "\"method\":\"GET\"", "\"method\":\"G T\"", "invalid HTTP method \"G T\""),
        (line, "/503\",", &format!("/{}\",", "x".repeat(65_535)), "the URL has"),
        (line, "\"response\":", "\"answer\":", "either a `response` or a `failure`"),
        (line, "\"response\":", "\"failure\":\"dropped\",\"response\":", "either a `response`"),
        (line, "\"length\":6", "\"length\":6,\"failure\":\"magic\"", "unknown failure \"magic\""),
        (line, "{\"text\":\"reason\"}", "{\"base64\":\"#\"}", "not valid base64"),
        (line, "\"reason\"", &format!("\"{}\"", "x".repeat((1 << 20) + 1)), "1048577 bytes"),
        (line, "\"length\":6", "\"length\":-6", "invalid value"),
        (1, &url, "ftp://host/", "cannot grant the server `remote`"),
        (1, "\"remote\":{", "\"a b\":{", "cannot grant the server `a b`"),
    ] {
        let mut lines: Vec<_> = recording.lines().map(str::to_owned).collect();
        ensure!(lines[line - 1].contains(from), "{from} in {recording}");
        lines[line - 1] = lines[line - 1].replacen(from, to, 1);
        let changed = lines.join("\n") + "\n";
        home.write("run.jsonl", changed)?;
        let ran = home.run(&REPLAY)?.expect(2, words)?;
        ensure!(ran.stderr.contains(&format!("line {line}: ")), "{words}: {}", ran.stderr);
    }
    // A server that the plugin does not request is not granted, and a folder is not served.
    let other = recording.replacen("\"remote\":{", "\"unknown\":{", 1);
    home.write("run.jsonl", other)?;
    fs::create_dir(home.path("folder"))?;
    home.run(&[&REPLAY[..], &["--dir", "remote=folder"]].concat())?.expect(3, "differs")?;
    Ok(())
}

#[test]
fn recorded_requests_count_against_the_limit() -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = HttpServer::start()?;
    let remote = format!("remote={}/", server.url());
    let requests = format!("requests={}", "GET remote/bytes/50000 discard\n".repeat(50));
    for at_once in ["at-once=1", "at-once=16"] {
        let more = ["--record-files", "--set", at_once, "--limit", "record-bytes=300KiB"];
        home.run(&recorded(&requests, &remote, &more))?.expect(7, "record-bytes")?;
        let size = fs::metadata(home.path("run.jsonl"))?.len();
        ensure!((200 << 10..301 << 10).contains(&size), "{at_once}: {size} bytes");
        let ran = home.run(&REPLAY)?;
        ensure!(matches!(ran.status, 0 | 3), "{ran:?}");
    }
    Ok(())
}

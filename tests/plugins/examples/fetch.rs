//! A plugin that sends the requests of its setting `requests`, one per line: `METHOD URL`, followed
//! by `body=BYTES`, `text=BODY`, `header=NAME:VALUE`, `retry=TIMES`, or last `discard`. It logs
//! each answer or error. With the setting `at-once`, it sends that many at the same time. With the
//! setting `fails`, an error fails the item. With the setting `raw`, it does without the SDK's
//! client.

use std::fmt::Write as _;
use std::io::Read as _;

use syncmgr_plugin::prelude::*;

#[path = "fetch/raw.rs"]
mod raw;

request!(
    r#"
    [http]
    remote = { access = "read-write", why = "the server of the test" }
    other = { access = "read-write", why = "another server" }
    reader = { access = "read-only", why = "a server to read from" }
    fixed = { url = "https://api.example.com/v1/", why = "a server that cannot be chosen" }
    [settings]
    requests = "the requests"
    at-once = "the number of requests in flight"
    fails = "whether errors fail"
    raw = "a use of the network without the SDK"
    much = "its amount"
    "#
);

/// The maximum length of an answer in the log.
const LOGGED_BYTES: u64 = 2_000;

#[derive(Default)]
struct Fetch;

impl Plugin for Fetch {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Fetch"))
    }

    fn items(&mut self) -> Result<ItemList> {
        let item = |name| Item::new(ItemId::from_name(name), name);
        Ok(ItemList::from([item("a"), item("b")]))
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        context.set_status_text("requests")?;
        if let Some(name) = settings::get(None, "raw") {
            let much = settings::get(None, "much").and_then(|text| text.parse().ok());
            for outcome in raw::perform(&name, much.unwrap_or(0)) {
                context.log(LogLevel::Information, &outcome);
            }
            return Ok(());
        }
        let fails = settings::get(None, "fails").is_some();
        let lines = settings::get(None, "requests").unwrap_or_default();
        let at_once = settings::get(None, "at-once").and_then(|text| text.parse().ok());
        let prepared: Vec<_> = lines.lines().map(prepare).collect();
        let discards: Vec<_> = lines.lines().map(|line| line.ends_with(" discard")).collect();
        let log = |at: usize, response: Result<http::Response, Interrupt>| {
            let logged = match response.and_then(|response| read(response, discards[at])) {
                Ok(answer) => answer,
                Err(Interrupt::Failed(error)) if !fails => format!("{:?}: {error}", error.code),
                Err(interrupt) => return Err(interrupt),
            };
            context.log(LogLevel::Information, &logged);
            Ok(())
        };
        match at_once {
            Some(at_once) => http::send_all(prepared, at_once, log),
            None => prepared.into_iter().enumerate().try_for_each(|(at, one)| log(at, one.send())),
        }
    }
}

fn prepare(line: &str) -> http::Request<'static> {
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default();
    let url = words.next().unwrap_or_default();
    // A URL may begin with the name of a server.
    let url = match url.split_once('/') {
        Some((name, rest)) if !name.contains(':') => {
            let server = settings::get(None, name).unwrap_or_default();
            format!("{}/{rest}", server.trim_end_matches('/'))
        }
        Some(_) | None => url.to_owned(),
    };
    let mut request = http::request(method, &url);
    for word in words {
        request = match word.split_once('=') {
            Some(("body", bytes)) => {
                request.body_from(bytes.parse().unwrap_or(0), std::io::repeat(b'x'))
            }
            Some(("text", text)) => request.body(text.to_owned().leak().as_bytes()),
            Some(("retry", times)) => request.retry(times.parse().unwrap_or(0)),
            Some(("header", header)) => {
                let (name, value) = header.split_once(':').unwrap_or((header, ""));
                request.header(name, value)
            }
            Some(_) | None => request,
        };
    }
    request
}

fn read(mut response: http::Response, discard: bool) -> Result<String, Interrupt> {
    let mut text = response.status().to_string();
    if discard {
        let copied = std::io::copy(&mut response, &mut std::io::sink());
        let copied = copied.map_err(http::interrupt)?;
        let _ = write!(text, " {copied} bytes");
        return Ok(text);
    }
    let mut answer = Vec::new();
    let read = (&mut response).take(LOGGED_BYTES).read_to_end(&mut answer);
    read.map_err(http::interrupt)?;
    let _ = write!(text, " {}", String::from_utf8_lossy(&answer));
    Ok(text)
}

export!(Fetch);

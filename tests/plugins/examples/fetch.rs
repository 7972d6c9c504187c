//! A plugin that sends the requests of its setting `requests`, one per line: `METHOD URL`, followed
//! by `body=BYTES`, `header=NAME:VALUE` or `discard`. It logs each answer or error.

use std::fmt::Write as _;
use std::io::Read as _;

use syncmgr_plugin::prelude::*;

request!(
    r#"
    [http]
    remote = { access = "read-write", why = "the server of the test" }
    other = { access = "read-write", why = "another server" }
    reader = { access = "read-only", why = "a server to read from" }
    fixed = { url = "https://api.example.com/v1/", why = "a server that cannot be chosen" }
    [settings]
    requests = "the requests"
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
        for line in settings::get(None, "requests").unwrap_or_default().lines() {
            let logged = match fetch(line) {
                Ok(answer) => answer,
                Err(Interrupt::Failed(error)) => format!("{:?}: {error}", error.code),
                Err(cancelled) => return Err(cancelled),
            };
            context.log(LogLevel::Information, &logged);
        }
        Ok(())
    }
}

fn fetch(line: &str) -> Result<String, Interrupt> {
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
    let (mut body, mut discard) = (None, false);
    for word in words {
        match word.split_once('=') {
            Some(("body", bytes)) => body = bytes.parse().ok(),
            Some(("header", header)) => {
                let (name, value) = header.split_once(':').unwrap_or((header, ""));
                request = request.header(name, value);
            }
            Some(_) | None => discard = word == "discard",
        }
    }
    let mut response = match body {
        Some(bytes) => request.send_reader(bytes, std::io::repeat(b'x'))?,
        None => request.send()?,
    };
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

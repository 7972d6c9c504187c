//! HTTP in tests: the servers of the test answer, and requests to any other are denied.

use std::fmt;
use std::io::{self, Cursor, Read as _};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::session;
use crate::directories::Access;
use crate::error::{Error, ErrorCode, Interrupt};
use crate::http::{Body, Request, Response, split};
use crate::sync_context;

/// The methods that read access allows.
const SAFE_METHODS: [&str; 6] = ["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"];

/// A server of the test.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) access: Access,
    pub(crate) answer: Arc<dyn Fn(&Received) -> Reply + Send + Sync>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({} at {})", self.name, self.url)
    }
}

/// A request that a server of a test received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The method, such as `GET`.
    pub method: String,
    /// The URL, with its query.
    pub url: String,
    /// The headers of the plugin.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

impl Received {
    /// Returns the path and query of the URL.
    pub fn path(&self) -> &str {
        split(&self.url).map_or("", |(_, _, path)| path)
    }

    /// Returns the first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The answer of a server of a test.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) cut: bool,
    pub(crate) lost: bool,
}

impl Reply {
    /// Creates an answer with a status, such as 200, and an empty body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut: false, lost: false }
    }

    /// Creates no answer: the connection is closed, whether or not the server acted.
    pub fn lost() -> Self {
        Self { lost: true, ..Self::new(0) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body. The header `content-length` is added.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Cuts the connection after this many bytes of the body, whose length is announced.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        let length = self.body.len().to_string();
        let mut cut = self.header("content-length", &length).cut();
        cut.body.truncate(bytes);
        cut
    }

    /// Cuts the connection after the body, as if more were to follow.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.cut = true;
        self
    }
}

/// The body of a response.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    rest: Cursor<Vec<u8>>,
    cut: bool,
}

impl ResponseBody {
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Interrupt> {
        sync_context::check_cancelled()?;
        let read = self.rest.read(buffer)?;
        match read == 0 && self.cut && !buffer.is_empty() {
            true => Err(Error::new(ErrorCode::InputOutput, "HTTP-response-incomplete").into()),
            false => Ok(read),
        }
    }
}

/// A time to wait for.
pub(crate) struct Timer(Instant);

impl Timer {
    /// Does not wait: a test should not take as long as a server requires.
    pub(crate) fn new(_wait: Duration) -> Self {
        Self(Instant::now())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0 <= Instant::now()
    }

    pub(crate) fn pollable(&self) -> &Self {
        self
    }
}

/// A request and its response.
pub(crate) struct Exchange<'a> {
    request: Received,
    body: Option<Body<'a>>,
}

impl<'a> Exchange<'a> {
    pub(crate) fn start(request: &Request<'_>, body: Option<Body<'a>>) -> Result<Self, Error> {
        split(&request.url)?;
        let request = Received {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: Vec::new(),
        };
        Ok(Self { request, body })
    }

    pub(crate) fn step(&mut self) -> Option<Result<Response, Interrupt>> {
        Some(self.exchange())
    }

    pub(crate) fn add_pollables<'b>(&'b self, _: &mut Vec<&'b Timer>) {}

    fn exchange(&mut self) -> Result<Response, Interrupt> {
        match self.body.take() {
            Some(Body::Bytes(bytes)) => self.request.body = bytes.to_vec(),
            // The host takes the body of a denied request, too.
            Some(Body::Reader(length, mut reader)) => {
                let read = (&mut reader).take(length).read_to_end(&mut self.request.body)?;
                if (read as u64) < length {
                    let left = length - read as u64;
                    let message = format!("the body ended {left} bytes early");
                    return Err(Error::new(ErrorCode::InputOutput, message).into());
                }
            }
            None => {}
        }
        sync_context::check_cancelled()?;
        let request = &self.request;
        let server = session::try_with(|state| {
            let servers = state.script.servers.iter();
            servers.rev().find(|server| is_below(&request.url, &server.url)).cloned()
        });
        let allowed = server.flatten().filter(|server| {
            server.access == Access::ReadWrite || SAFE_METHODS.contains(&request.method.as_str())
        });
        let Some(server) = allowed else {
            let (scheme, authority, _) = split(&request.url)?;
            let message = format!("{scheme}://{authority}: HTTP-request-denied");
            return Err(Error::new(ErrorCode::AccessDenied, message).into());
        };
        let Reply { status, mut headers, body, cut, lost } = (server.answer)(request);
        if lost {
            let message = format!("{}: connection-terminated", server.url);
            return Err(Error::new(ErrorCode::InputOutput, message).into());
        }
        if !cut {
            headers.push(("content-length".to_owned(), body.len().to_string()));
        }
        let body = ResponseBody { rest: Cursor::new(body), cut };
        Ok(Response { status, headers, url: request.url.clone(), body })
    }
}

/// Returns whether a URL is the granted one, or below it.
fn is_below(url: &str, granted: &str) -> bool {
    let granted = granted.trim_end_matches('/');
    let rest = url.strip_prefix(granted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// Waits a moment.
pub(crate) fn wait(_: &[&Timer]) -> Result<(), Interrupt> {
    thread::sleep(Duration::from_millis(1));
    Ok(())
}

/// Answers the requests of a component on a port of loopback, until the process ends. Returns the
/// URL that takes the place of the server's.
pub(crate) fn listen(server: &Server) -> io::Result<String> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let origin = format!("http://{}", listener.local_addr()?);
    let path = split(&server.url).map_or("", |(_, _, path)| path).to_owned();
    let shown = server.url.strip_suffix(path.as_str()).unwrap_or(&server.url).to_owned();
    let answer = Arc::clone(&server.answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, shown) = (Arc::clone(&answer), shown.clone());
            thread::spawn(move || {
                // The component may leave at any time.
                let _ = serve(&stream, &shown, &*answer);
            });
        }
    });
    Ok(format!("{origin}{path}"))
}

fn serve(
    stream: &std::net::TcpStream,
    origin: &str,
    answer: &dyn Fn(&Received) -> Reply,
) -> io::Result<()> {
    use io::{BufRead as _, Write as _};
    let mut reader = io::BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let mut received = Received {
            method: method.to_owned(),
            url: format!("{origin}{path}"),
            headers,
            body: Vec::new(),
        };
        let length = received.header("content-length").and_then(|length| length.parse().ok());
        (&mut reader).take(length.unwrap_or(0)).read_to_end(&mut received.body)?;
        let Reply { status, headers, body, cut, lost } = answer(&received);
        if lost {
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {status} Answer\r\n");
        for (name, value) in &headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            let length = body.len() + usize::from(cut);
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        let mut to = stream;
        to.write_all(head.as_bytes())?;
        if received.method != "HEAD" {
            to.write_all(&body)?;
        }
        if cut {
            return Ok(());
        }
    }
}

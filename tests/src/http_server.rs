//! An HTTP server on loopback that answers as its clients ask, and records what they sent.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The size of writes.
const BUFFER: usize = 256 << 10;

/// The maximum length of a recorded head.
const HEAD_BYTES: u64 = 1 << 20;

/// A running server. It ends with the process.
///
/// - `/echo` answers with the head of the request, and with the length of its body.
/// - `/bytes/N` answers with N bytes, `/short/N` with one less than it states.
/// - `/to?URL` redirects.
/// - `/silent` never answers, `/drip` answers with one byte each 50 ms.
/// - `/headers/N` answers with N headers, `/status/N` with that status.
/// - `PUT` of anything else succeeds.
/// - `CONNECT` leads to this server.
/// - `/token/NAME` answers with new tokens, as an authorization server does.
/// - `/raw/TEXT` answers with the text, in which `|` is a line break.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicU64,
    abandoned: AtomicU64,
    heads: Mutex<Vec<String>>,
}

impl HttpServer {
    /// Starts a server.
    ///
    /// # Errors
    /// Returns an error if there is no port left.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, seen) = (listener.local_addr()?, Arc::new(Seen::default()));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::AcqRel);
                let seen = Arc::clone(&shared);
                thread::spawn(move || {
                    if serve(&stream, &seen).is_err() {
                        seen.abandoned.fetch_add(1, Ordering::AcqRel);
                    }
                });
            }
        });
        Ok(Self { address, seen })
    }

    /// Returns the origin.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Acquire)
    }

    /// Returns the number of clients that closed a connection during a request or its answer.
    pub fn abandoned(&self) -> u64 {
        self.seen.abandoned.load(Ordering::Acquire)
    }

    /// Returns the heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers the requests of one connection. Returns an error if the client leaves too early.
fn serve(stream: &TcpStream, seen: &Seen) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        loop {
            let before = head.len();
            if (&mut reader).take(HEAD_BYTES).read_line(&mut head).unwrap_or(0) == 0 {
                return Ok(());
            }
            if head[before..].trim().is_empty() {
                break;
            }
        }
        seen.heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
        let headers: BTreeMap<_, _> = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let length = length.unwrap_or(0);
        let received = io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        if received < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if head.starts_with("CONNECT ") {
            (&*stream).write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
            continue;
        }
        let path = head.split(' ').nth(1).unwrap_or_default();
        let mut to = BufWriter::with_capacity(BUFFER, stream);
        if !answer(&mut to, path, &head, received)? {
            return Ok(());
        }
    }
}

/// Answers a request. Returns whether the connection stays open.
fn answer(
    to: &mut BufWriter<&TcpStream>,
    path: &str,
    head: &str,
    received: u64,
) -> io::Result<bool> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (what, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let number: u64 = rest.parse().unwrap_or(0);
    match what {
        "echo" => {
            let body = format!("{head}body {received}\n");
            write!(to, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        }
        "bytes" | "short" => {
            let sent = number - u64::from(what == "short");
            write!(to, "HTTP/1.1 200 OK\r\nContent-Length: {number}\r\n\r\n")?;
            io::copy(&mut io::repeat(b'y').take(sent), to)?;
            to.flush()?;
            return Ok(what == "bytes");
        }
        "to" => {
            let location = query.split('&').next().unwrap_or_default();
            write!(to, "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")?;
        }
        "silent" => {
            let mut stream: &TcpStream = to.get_ref();
            io::copy(&mut stream, &mut io::sink())?;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        "drip" => {
            write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
            loop {
                to.write_all(b"d")?;
                to.flush()?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        "headers" => {
            write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")?;
            for at in 0..number {
                write!(to, "X-Header-{at}: value\r\n")?;
            }
            write!(to, "\r\n")?;
        }
        "status" => {
            write!(to, "HTTP/1.1 {number} Status\r\nContent-Length: 6\r\n\r\nreason")?;
        }
        "token" => {
            let body = format!(
                r#"{{"access_token":"{rest}-access","refresh_token":"{rest}-refresh","expires_in":3600}}"#
            );
            write!(to, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        }
        "raw" => write!(to, "{}", rest.replace('|', "\r\n").replace("%20", " "))?,
        _ if head.starts_with("PUT ") => {
            write!(to, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")?;
        }
        _ => write!(to, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
    }
    to.flush()?;
    Ok(true)
}

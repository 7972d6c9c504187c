//! The server of a test: it has the files of the fixture, or it fails.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use percent_encoding::percent_decode_str;

/// The maximum size of the head of a request, and of the body of one.
const HEAD_BYTES: u64 = 1 << 20;
const BODY_BYTES: u64 = 1 << 30;

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// `GET`, `HEAD`, `PUT` and `DELETE` concern the files of a folder.
    Files,
    /// Every answer has this status, and the header `Retry-After: 0`.
    Fails(u16),
    /// Every answer ends before its end.
    Cuts,
    /// Every answer is no HTTP.
    Garbles,
    /// There is no answer.
    Silent,
}

/// A server on loopback. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    behaviour: Behaviour,
    requests: AtomicU64,
    stopped: AtomicBool,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect(self.address);
    }
}

impl Server {
    /// Starts a server of the files in a folder.
    pub(crate) fn start(folder: PathBuf, behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (requests, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { folder, behaviour, requests, stopped });
        let accepting = Arc::clone(&shared);
        thread::Builder::new().name("syncmgr-test-server".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&accepting);
                // Without a thread, the connection is closed.
                let _ = thread::Builder::new().spawn(move || shared.serve(&stream));
            }
        })?;
        Ok(Self { address, shared })
    }

    /// Returns the URL of a folder.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}/", self.address)
    }

    /// Returns the number of requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Acquire)
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = Vec::new();
            let mut limited = (&mut reader).take(HEAD_BYTES);
            loop {
                let mut line = String::new();
                if limited.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                match line.trim_end() {
                    "" => break,
                    line => head.push(line.to_owned()),
                }
            }
            self.requests.fetch_add(1, Ordering::AcqRel);
            let length = head.iter().filter_map(|line| line.split_once(':'));
            let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = length.filter_map(|(_, value)| value.trim().parse().ok()).next();
            let mut body = Vec::new();
            (&mut reader).take(length.unwrap_or(0).min(BODY_BYTES)).read_to_end(&mut body)?;
            let mut to = stream;
            match self.behaviour {
                Behaviour::Files => {
                    let (status, content) = self.files(head.first().map_or("", |line| line), &body);
                    let is_head = head.first().is_some_and(|line| line.starts_with("HEAD "));
                    write!(
                        to,
                        "HTTP/1.1 {status} Answer\r\nContent-Length: {}\r\n\r\n",
                        content.len()
                    )?;
                    if !is_head {
                        to.write_all(&content)?;
                    }
                }
                Behaviour::Fails(status) => write!(
                    to,
                    "HTTP/1.1 {status} Answer\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
                )?,
                Behaviour::Cuts => {
                    return write!(to, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nstart");
                }
                Behaviour::Garbles => return write!(to, "this is no answer\r\n\r\n"),
                Behaviour::Silent => {
                    while !self.stopped.load(Ordering::Acquire) {
                        thread::sleep(Duration::from_millis(20));
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Carries out a request for a file. Returns the status and the content.
    fn files(&self, line: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let Some(file) = below(&self.folder, path) else { return (400, Vec::new()) };
        let done = match method {
            "GET" | "HEAD" => fs::read(&file).map(|content| (200, content)),
            "PUT" => fs::write(&file, body).map(|()| (201, Vec::new())),
            "DELETE" => fs::remove_file(&file).map(|()| (204, Vec::new())),
            _ => return (405, Vec::new()),
        };
        done.unwrap_or((404, Vec::new()))
    }
}

/// Returns the file that a path of a URL names below a folder.
fn below(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = path.split('?').next().unwrap_or(path);
    let mut file = folder.to_owned();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let name = percent_decode_str(segment).decode_utf8().ok()?;
        let is_name = name != "." && name != ".." && !name.contains(['/', '\\', '\0', ':']);
        file.push(is_name.then_some(name.as_ref())?);
    }
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_its_folder() {
        for (path, file) in [
            ("/", Some("")),
            ("/remote/a%20b", Some("remote/a b")),
            ("/remote/a?b=/../c", Some("remote/a")),
            ("/remote/../a", None),
            ("/remote/%2e%2e/a", None),
            ("/remote/..%2fa", None),
            ("/remote/a%00", None),
            ("/remote/%ff", None),
        ] {
            let expected = file.map(|file| Path::new("/f").join(file));
            let found = below(Path::new("/f"), path);
            assert_eq!(
                found.map(|file| file.join("")),
                expected.map(|file| file.join("")),
                "{path}"
            );
        }
    }
}

//! A plain HTTP client, and the running program.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::home::Home;

/// How long anything may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").context("an answer has a head")?;
        let status = head.split(' ').nth(1).context("an answer has a status")?.parse()?;
        Ok(Self { status, head: head.to_lowercase(), body: body.to_owned() })
    }

    /// Requires a status, and words in the body.
    pub(super) fn expect(self, status: u16, words: &str) -> Result<Self> {
        ensure!(self.status == status && self.body.contains(words), "{status} {words:?}: {self:?}");
        Ok(self)
    }
}

/// Sends the text of a request, and returns the answer.
pub(super) fn send(port: u16, request: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut part) = (Vec::new(), vec![0; 1 << 16]);
    // Not every server closes the connection.
    while !is_complete(&answer) {
        match stream.read(&mut part)? {
            0 => break,
            bytes => answer.extend_from_slice(&part[..bytes]),
        }
    }
    Answer::parse(&answer)
}

/// Returns whether an answer has as many bytes as it states.
fn is_complete(answer: &[u8]) -> bool {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let Some((head, body)) = end.map(|end| answer.split_at(end)) else { return false };
    let head = String::from_utf8_lossy(head).to_lowercase();
    let length = head.split("\r\ncontent-length:").nth(1).and_then(|rest| rest.lines().next());
    let length = length.and_then(|length| length.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length + 4)
}

/// The running program.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) child: Child,
    pub(super) port: u16,
    /// The URL that it printed.
    pub(super) url: String,
    /// The cookie, with its name.
    pub(super) cookie: String,
    /// The token of the forms.
    pub(super) form: String,
}

impl Page {
    pub(super) fn start(home: &Home) -> Result<Self> {
        Self::of(home.command(&["serve"]))
    }

    /// Starts a command that runs the program.
    pub(super) fn of(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().context("an output")?).read_line(&mut url)?;
        let url = url.trim().to_owned();
        let address = url.strip_prefix("http://127.0.0.1:").context("an address")?;
        let (port, path) = address.split_once('/').context("a path")?;
        let mut page = Self {
            child,
            port: port.parse()?,
            cookie: String::new(),
            form: String::new(),
            url: url.clone(),
        };
        let entered = page.request("GET", &format!("/{path}"), "", "")?.expect(303, "")?;
        ensure!(entered.head.contains("\r\nlocation: /\r\n"), "{}", entered.head);
        let cookie = entered.head.split("\r\nset-cookie: ").nth(1).context("a cookie")?;
        let cookie = cookie.split("\r\n").next().unwrap_or_default();
        let (value, flags) = cookie.split_once("; ").context("flags")?;
        assert_eq!(flags, "httponly; samesite=strict; path=/");
        page.cookie = value.to_owned();
        Ok(page)
    }

    /// Sends a request with headers, each ending with a line break.
    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<Answer> {
        let host = match headers.contains("Host: ") {
            true => String::new(),
            false => format!("Host: 127.0.0.1:{}\r\n", self.port),
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n\
             {headers}\r\n{body}"
        );
        send(self.port, &request)
    }

    /// The headers of the browser that has the cookie.
    pub(super) fn headers(&self) -> String {
        format!("Cookie: {}\r\nOrigin: http://127.0.0.1:{}\r\n", self.cookie, self.port)
    }

    pub(super) fn get(&self, path: &str) -> Result<Answer> {
        self.request("GET", path, &self.headers(), "")
    }

    /// Sends the first form of a page that has this field, with more fields.
    pub(super) fn submit(&mut self, page: &str, field: &str, more: &str) -> Result<Answer> {
        let shown = self.get(page)?.body;
        let forms = shown.split("<form").filter(|form| form.contains("method=\"post\""));
        let name = format!("name=\"{field}\"");
        let mut forms = forms.filter(|form| form.contains(&name));
        let form = forms.next().with_context(|| format!("a form with {field}: {shown}"))?;
        let value = |name: &str| {
            let start = format!("name=\"{name}\" value=\"");
            form.split(&*start).nth(1).and_then(|rest| rest.split('"').next())
        };
        let target = form.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
        let target = target.context("a target")?;
        self.form = value("token").context("a token")?.to_owned();
        let value = value(field).context("a value")?;
        let body = format!("token={}&{field}={value}{more}", self.form);
        self.request("POST", target, &self.headers(), &body)
    }

    /// Waits until a page has certain words.
    pub(super) fn wait_for(&self, path: &str, words: &str) -> Result<Answer> {
        let begun = Instant::now();
        loop {
            let shown = self.get(path)?;
            if shown.body.contains(words) {
                return Ok(shown);
            }
            ensure!(begun.elapsed() < PATIENCE, "{path} never has {words:?}: {}", shown.body);
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Logins by OAuth 2.0, with an authorization server and a server of files on loopback.

mod failures;
mod files;
mod sharing;

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use syncmgr_host::http::{HttpAuth, HttpAuthError, HttpGrant};
use syncmgr_host::sink::{EventLog, JsonLines};
use syncmgr_host::{Access, CancelHandle, LogLevel, Plugin, RunReport, RunRequest, SessionOptions};

const SECRET: &str = "client:secret";
const OLD_ACCESS: &str = "old-access-token";
const OLD_REFRESH: &str = "old-refresh-token+/=";
const NEW_ACCESS: &str = "new-access-token";
const NEW_REFRESH: &str = "new-refresh-token+/=";

/// The time limit of a renewal in these tests: twice this.
const IDLE: Duration = Duration::from_millis(500);

fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    conformance::load(&PLUGIN, conformance::FETCH)
}

/// A server that records its requests, each with its body.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server whose answers a function writes. An error closes the connection.
    fn start(
        answer: impl Fn(&mut TcpStream, &str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}", listener.local_addr()?);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&requests));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                thread::spawn(move || -> io::Result<()> {
                    let mut reader = BufReader::new(stream.try_clone()?);
                    loop {
                        let request = read(&mut reader)?;
                        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
                        answer(&mut stream, &request)?;
                    }
                });
            }
        });
        Ok(Self { url, requests })
    }

    /// Starts an authorization server.
    fn tokens(status: u16, answer: impl Into<String>) -> Result<Self> {
        let answer = answer.into();
        Self::start(move |to, _| respond(to, status, &answer))
    }

    /// Starts a server that returns each request.
    fn echo() -> Result<Self> {
        Self::start(|to, request| respond(to, 200, request))
    }

    /// Starts a server that accepts one token only.
    fn accepting(token: &'static str) -> Result<Self> {
        Self::start(move |to, request| match request.contains(&format!("Bearer {token}\r\n")) {
            true => respond(to, 200, "fine"),
            false => respond(to, 401, "rejected"),
        })
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn grant(&self, name: &str) -> Result<HttpGrant> {
        Ok(HttpGrant::new(name, &self.url, Access::ReadWrite)?)
    }
}

/// Reads a request with its body.
fn read(from: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut request = String::new();
    let mut length = 0;
    while !request.ends_with("\r\n\r\n") {
        let before = request.len();
        if from.read_line(&mut request)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(("content-length", value)) = request[before..].split_once(": ") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    request.push_str(&String::from_utf8_lossy(&body));
    Ok(request)
}

fn respond(to: &mut impl Write, status: u16, body: &str) -> io::Result<()> {
    let length = body.len();
    to.write_all(
        format!("HTTP/1.1 {status} S\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
    )
}

/// Returns an answer with new tokens.
fn new_tokens() -> String {
    json!({
        "access_token": NEW_ACCESS, "refresh_token": NEW_REFRESH, "token_type": "bearer",
        "expires_in": 3600,
    })
    .to_string()
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}

/// A folder with a token file.
struct TokenFile {
    folder: tempfile::TempDir,
}

impl TokenFile {
    /// Writes a file with an expired token, and changes it.
    fn new(token_url: &str, change: Value) -> Result<Self> {
        let mut object = json!({
            "token_url": token_url, "client_id": "me", "client_secret": SECRET, "note": "mine",
            "refresh_token": OLD_REFRESH, "access_token": OLD_ACCESS, "expires_at": 1_000,
        });
        let old = object.as_object_mut().context("an object")?;
        old.extend(change.as_object().context("an object")?.clone());
        old.retain(|_, value| !value.is_null());
        let file = Self { folder: tempfile::tempdir()? };
        file.write(object.to_string().as_bytes())?;
        Ok(file)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("token.json")
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        fs::write(self.path(), bytes)?;
        set_mode(&self.path(), 0o600)
    }

    fn read(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.path())?)?)
    }

    fn auth(&self) -> Result<HttpAuth> {
        Ok(HttpAuth::oauth2(self.path())?)
    }

    /// Runs requests, one per line.
    fn run(&self, server: &Server, lines: &str) -> Result<Ran> {
        Ran::new(SessionOptions::new().http(server.grant("remote")?), self.auth()?, lines)
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> Result<()> {
    Ok(())
}

struct Ran {
    report: RunReport,
    recorded: Vec<syncmgr_host::sink::Recorded>,
}

impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.report.log, self.report.outcome)
    }
}

impl Ran {
    fn new(options: SessionOptions, auth: HttpAuth, lines: &str) -> Result<Self> {
        let limits = conformance::limits(|limits| {
            limits.http_idle_time = IDLE;
            limits.http_connect_time = IDLE;
        });
        let lines: Vec<_> = lines.lines().map(str::trim).collect();
        let options = options.limits(limits).http_auth("remote", auth);
        let recorder = EventLog::new();
        let options = options.setting("requests", lines.join("\n"));
        let report = plugin().run(options, recorder.clone(), &RunRequest::default())?;
        Ok(Self { report, recorded: recorder.recorded() })
    }

    /// Returns the logged answers of both items.
    fn answers(&self) -> Vec<&str> {
        self.logged(LogLevel::Information)
    }

    fn warnings(&self) -> Vec<&str> {
        self.logged(LogLevel::Warning)
    }

    fn logged(&self, level: LogLevel) -> Vec<&str> {
        let logged = self.report.log.iter().filter(|entry| entry.level == level);
        logged.map(|entry| &*entry.text).collect()
    }

    /// Returns everything that leaves the host.
    fn everything(&self) -> Result<String> {
        let mut json = JsonLines::new(Vec::new());
        json.report(&self.report, None);
        let json = String::from_utf8(json.finish()?)?;
        Ok(format!("{:?} {:?} {json}", self.report, self.recorded))
    }
}

/// Checks that a text contains none of the secrets.
fn check_secrets(text: &str) -> Result<()> {
    let secrets = [SECRET, OLD_ACCESS, OLD_REFRESH, NEW_ACCESS, NEW_REFRESH, "bWU6Y2xpZW50"];
    for secret in secrets.into_iter().chain(["refresh-token%2B", "client%3Asecret"]) {
        ensure!(!text.contains(secret), "{secret} is in {text}");
    }
    Ok(())
}

#[test]
fn a_token_is_renewed_if_it_is_not_valid() -> Result<()> {
    for (change, renewed) in [
        (json!({ "expires_at": now()? + 3600 }), false),
        (json!({ "expires_at": null }), false),
        (json!({ "expires_at": now()? + 30 }), true),
        (json!({ "expires_at": now()? }), true),
        (json!({ "access_token": null }), true),
        (json!({ "access_token": null, "expires_at": now()? + 3600 }), true),
        (json!({ "client_secret": null }), true),
        (json!({ "scope": "files read" }), true),
    ] {
        let (tokens, server) = (Server::tokens(200, new_tokens())?, Server::echo()?);
        let file = TokenFile::new(&format!("{}/token?tenant=a", tokens.url), change.clone())?;
        let ran =
            file.run(&server, "GET remote/a header=Authorization:mine\nPUT remote/a body=9")?;
        ensure!(ran.answers().iter().all(|answer| answer.starts_with("200")), "{ran:?}");
        let token = if renewed { NEW_ACCESS } else { OLD_ACCESS };
        for request in server.requests() {
            ensure!(request.contains(&format!("Bearer {token}\r\n")), "{change}: {request}");
            ensure!(!request.contains("mine"), "{change}: {request}");
        }
        let requests = tokens.requests();
        ensure!(requests.len() == usize::from(renewed), "{change}: {requests:?}");
        let Some(request) = requests.first() else { continue };
        let has_secret = change.get("client_secret").is_none();
        let basic = "authorization: Basic bWU6Y2xpZW50JTNBc2VjcmV0\r\n";
        ensure!(request.contains(basic) == has_secret, "{request}");
        ensure!(request.ends_with("&client_id=me") != has_secret, "{request}");
        let scope = change.get("scope").is_some();
        ensure!(request.ends_with("&scope=files+read") == scope, "{request}");
        ensure!(request.starts_with("POST /token?tenant=a HTTP/1.1\r\n"), "{request}");
        let form = "grant_type=refresh_token&refresh_token=old-refresh-token%2B%2F%3D";
        ensure!(request.contains(form), "{request}");
    }
    Ok(())
}

#[test]
fn new_tokens_are_stored_before_they_are_used() -> Result<()> {
    let tokens = Server::tokens(200, new_tokens())?;
    let file = TokenFile::new(&tokens.url, json!({}))?;
    // An interrupted process may leave these.
    let sibling = |name| file.folder.path().join(name);
    fs::write(sibling("token.json.new"), "junk")?;
    fs::write(sibling("token.json.lock"), "")?;
    let path = file.path();
    let server = Server::start(move |to, _| respond(to, 200, &fs::read_to_string(&path)?))?;
    let begun = now()?;
    file.run(&server, "GET remote/a")?;
    let seen = file.read()?;
    for (key, value) in [
        ("access_token", NEW_ACCESS),
        ("refresh_token", NEW_REFRESH),
        ("client_secret", SECRET),
        ("client_id", "me"),
        ("note", "mine"),
    ] {
        ensure!(seen[key] == value, "{key}: {seen}");
    }
    let expires_at = seen["expires_at"].as_u64().context("a number")?;
    ensure!((begun + 3600..now()? + 3601).contains(&expires_at), "{seen}");
    ensure!(!sibling("token.json.new").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        ensure!(fs::metadata(file.path())?.permissions().mode() & 0o777 == 0o600);
    }
    // The next run uses them.
    file.run(&server, "GET remote/a")?;
    ensure!(tokens.requests().len() == 1, "{:?}", tokens.requests());
    Ok(())
}

#[test]
fn the_file_has_the_new_tokens_when_a_request_arrives() -> Result<()> {
    let tokens = Server::tokens(200, new_tokens())?;
    let file = TokenFile::new(&tokens.url, json!({}))?;
    let path = file.path();
    let server = Server::start(move |to, request| {
        let stored: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let token = stored["access_token"].as_str().unwrap_or_default();
        let is_stored = request.contains(&format!("Bearer {token}\r\n"))
            && stored["refresh_token"] == NEW_REFRESH;
        respond(to, if is_stored { 200 } else { 500 }, "")
    })?;
    let ran = file.run(&server, "GET remote/a")?;
    ensure!(ran.answers().iter().all(|answer| answer.starts_with("200")), "{ran:?}");
    Ok(())
}

#[test]
fn a_refresh_token_that_is_not_replaced_is_kept() -> Result<()> {
    let answer = json!({ "access_token": NEW_ACCESS, "expires_in": "3600" }).to_string();
    let (tokens, server) = (Server::tokens(200, answer)?, Server::echo()?);
    let file = TokenFile::new(&tokens.url, json!({}))?;
    file.run(&server, "GET remote/a")?;
    let seen = file.read()?;
    ensure!(seen["refresh_token"] == OLD_REFRESH && seen["access_token"] == NEW_ACCESS, "{seen}");
    ensure!(seen["expires_at"].as_u64() > Some(now()?), "{seen}");
    Ok(())
}

#[test]
fn a_rejected_token_is_renewed_once() -> Result<()> {
    let fresh = json!({ "expires_at": now()? + 3600 });
    for (accepted, lines, answers, renewals) in [
        (NEW_ACCESS, "GET remote/a\nGET remote/b", "200 200 200 200", 1),
        (NEW_ACCESS, "PUT remote/a body=5\nPUT remote/a body=5", "401 200 200 200", 1),
        ("none", "GET remote/a\nGET remote/b", "401 401 401 401", 1),
        (OLD_ACCESS, "GET remote/a\nGET remote/b", "200 200 200 200", 0),
    ] {
        let (tokens, server) = (Server::tokens(200, new_tokens())?, Server::accepting(accepted)?);
        let file = TokenFile::new(&tokens.url, fresh.clone())?;
        let ran = file.run(&server, lines)?;
        let found: Vec<_> = ran.answers().iter().map(|answer| &answer[..3]).collect();
        ensure!(found.join(" ") == answers, "{lines}: {ran:?}");
        ensure!(tokens.requests().len() == renewals, "{lines}: {:?}", tokens.requests());
    }
    Ok(())
}

#[test]
fn tokens_are_in_no_output() -> Result<()> {
    let (tokens, server) = (Server::tokens(200, new_tokens())?, Server::echo()?);
    let other = Server::echo()?;
    let file = TokenFile::new(&tokens.url, json!({}))?;
    // The answers contain the token, and the plugin returns every secret that it is given.
    let lines = format!(
        "GET remote/a header=X-Copy:{OLD_ACCESS},{OLD_REFRESH},{NEW_ACCESS},{NEW_REFRESH},{SECRET}
         GET remote/{NEW_REFRESH}
         GET other/a
         POST {}/token
         GET {}/",
        tokens.url, tokens.url
    );
    let options = SessionOptions::new().http(server.grant("remote")?).http(other.grant("other")?);
    let auth = file.auth()?;
    check_secrets(&format!("{auth:?}"))?;
    let ran = Ran::new(options, auth, &lines)?;
    ensure!(ran.answers()[0].contains("[secret]"), "{ran:?}");
    for at in [3, 4] {
        ensure!(ran.answers()[at].starts_with("ErrorCode::AccessDenied"), "{ran:?}");
    }
    check_secrets(&ran.everything()?)?;
    check_secrets(&other.requests().concat())?;
    ensure!(tokens.requests().len() == 1, "{:?}", tokens.requests());
    ensure!(!server.requests().concat().contains("client_id"));
    Ok(())
}

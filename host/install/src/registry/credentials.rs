//! The credentials that docker stores: `config.json`, and the helpers that it names.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::error::OciError;
use crate::text_file;

/// The key of Docker Hub in the file.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";

/// The most bytes of a helper's answer.
const MAX_ANSWER: u64 = 64 << 10;

/// The time in which a helper must answer.
const HELPER_TIME: Duration = Duration::from_secs(60);

/// A login at a registry. Shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// A user and a password.
    Password { user: String, password: String },
    /// A token that another token can be requested with.
    Identity(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password",
            Self::Identity(_) => "Identity",
        })
    }
}

impl Login {
    /// Returns the value of the header `Authorization` with the user and the password.
    pub(crate) fn basic(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => {
                Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
            }
            Self::Identity(_) => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The answer of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// Where the credentials of docker are.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    file: Option<PathBuf>,
}

impl DockerConfig {
    /// Finds the file as docker does: in the directory of the variable `DOCKER_CONFIG`, or in
    /// `.docker` of the home directory.
    pub fn find() -> Self {
        let directory = match std::env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()) {
            Some(directory) => Some(PathBuf::from(directory)),
            None => etcetera::home_dir().ok().map(|home| home.join(".docker")),
        };
        let directory = directory.filter(|directory| directory.is_absolute());
        Self { file: directory.map(|directory| directory.join("config.json")) }
    }

    /// Returns the login at a registry, if there is one.
    pub(crate) fn login(&self, registry: &str) -> Result<Option<Login>, OciError> {
        let Some(file) = &self.file else { return Ok(None) };
        let fail = |why: String| OciError::Credentials { registry: registry.to_owned(), why };
        let text = match text_file::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(format!("{}: {error}", file.display()))),
        };
        let invalid = |why: String| fail(format!("{}: {why}", file.display()));
        // The parser takes a list for an object with its fields in order.
        if !text.trim_start().starts_with('{') {
            return Err(invalid("it is not a JSON object".to_owned()));
        }
        // The message of the parser could contain a part of the file.
        let config: Config = serde_json::from_str(&text).map_err(|error| {
            invalid(format!("line {} is not valid JSON, or has another type", error.line()))
        })?;
        let key = if is_docker_hub(registry) { DOCKER_HUB } else { registry };
        if let Some(helper) = config.cred_helpers.get(key).or(config.creds_store.as_ref())
            && let Some(login) = ask(helper, key).map_err(fail)?
        {
            return Ok(Some(login));
        }
        let spelled = |known: &&String| spelling(known) == spelling(key);
        let Some(auth) = config.auths.keys().find(spelled).and_then(|key| config.auths.get(key))
        else {
            return Ok(None);
        };
        auth.login().map_err(|why| invalid(format!("`auths` for {registry}: {why}")))
    }
}

/// Returns whether a registry is Docker Hub, by one of its names.
pub(crate) fn is_docker_hub(registry: &str) -> bool {
    matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

/// Returns a key of the file without its scheme and path.
fn spelling(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
    rest.split('/').next().unwrap_or(rest)
}

impl Auth {
    fn login(&self) -> Result<Option<Login>, &'static str> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Login::Identity(token)));
        }
        if let Some(auth) = given(&self.auth) {
            let decoded = BASE64_STANDARD.decode(auth.trim()).ok();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let decoded = decoded.ok_or("`auth` is not Base64")?;
            let (user, password) = decoded.split_once(':').ok_or("`auth` has no password")?;
            // Old versions of docker pad it.
            let (user, password) = (user.to_owned(), password.trim_end_matches('\0').to_owned());
            return Ok(Some(Login::Password { user, password }));
        }
        Ok(match (given(&self.username), given(&self.password)) {
            (Some(user), Some(password)) => Some(Login::Password { user, password }),
            (_, _) => None,
        })
    }
}

/// Asks a helper. Returns `None` if it does not know the registry.
fn ask(helper: &str, registry: &str) -> Result<Option<Login>, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if helper.is_empty() || helper.starts_with('.') || !helper.bytes().all(is_plain) {
        return Err("the name of the credential helper is invalid".to_owned());
    }
    let program = format!("docker-credential-{helper}");
    ask_program(Path::new(&program), registry)
}

fn ask_program(program: &Path, registry: &str) -> Result<Option<Login>, String> {
    let name = program.display();
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // It may ask on the terminal.
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| format!("the credential helper `{name}` does not start: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that has ended is found below.
        let _ = input.write_all(registry.as_bytes());
    }
    let output = child.stdout.take();
    let (answered, answer) = mpsc::channel();
    thread::spawn(move || {
        let mut answer = Vec::new();
        // An error ends the answer. Sending fails if the time limit has passed.
        let _ = output.map(|output| output.take(MAX_ANSWER).read_to_end(&mut answer));
        let _ = answered.send(answer);
    });
    let since = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| format!("`{name}`: {error}"))? {
            Some(status) => break status,
            None if since.elapsed() > HELPER_TIME => {
                // It may have ended in the meantime.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the credential helper `{name}` did not answer in time"));
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    // A process that the helper has started may keep its output open.
    let left = HELPER_TIME.saturating_sub(since.elapsed());
    let answer = answer
        .recv_timeout(left)
        .map_err(|_| format!("the output of the credential helper `{name}` did not end in time"))?;
    if !status.success() {
        // This is how a helper says that it has no credentials; on standard output.
        let unknown = String::from_utf8_lossy(&answer).contains("credentials not found");
        return match unknown {
            true => Ok(None),
            false => Err(format!("the credential helper `{name}` failed")),
        };
    }
    let answer: Helped = serde_json::from_slice(&answer)
        .map_err(|_| format!("the answer of the credential helper `{name}` is invalid"))?;
    Ok(Some(match answer.username == TOKEN_USER {
        true => Login::Identity(answer.secret),
        false => Login::Password { user: answer.username, password: answer.secret },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Login {
        Login::Password { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn a_login_is_read_from_the_file_of_docker() {
        let folder = tempfile::tempdir().unwrap();
        let config = DockerConfig { file: Some(folder.path().join("config.json")) };
        assert_eq!(config.login("r.example").unwrap(), None);
        let auth = BASE64_STANDARD.encode("me:a:b");
        let hub = BASE64_STANDARD.encode("hub:x\0\0");
        let text = format!(
            r#"{{"HttpHeaders": {{}}, "auths": {{
                "r.example": {{"auth": "{auth}"}},
                "https://old.example/v1/": {{"auth": "{auth}"}},
                "https://index.docker.io/v1/": {{"auth": "{hub}"}},
                "p.example:5000": {{"username": "u", "password": "p"}},
                "t.example": {{"auth": "{auth}", "identitytoken": "token"}},
                "empty.example": {{}},
                "bad.example": {{"auth": "!"}},
                "no-password.example": {{"auth": "bWU="}}
            }}}}"#
        );
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        for (registry, expected) in [
            ("r.example", Ok(Some(password("me", "a:b")))),
            ("old.example", Ok(Some(password("me", "a:b")))),
            ("docker.io", Ok(Some(password("hub", "x")))),
            ("p.example:5000", Ok(Some(password("u", "p")))),
            ("t.example", Ok(Some(Login::Identity("token".to_owned())))),
            ("empty.example", Ok(None)),
            ("p.example", Ok(None)),
            ("other.example", Ok(None)),
            ("bad.example", Err("`auth` is not Base64")),
            ("no-password.example", Err("`auth` has no password")),
        ] {
            let found = config.login(registry);
            match expected {
                Ok(expected) => assert_eq!(found.unwrap(), expected, "{registry}"),
                Err(words) => {
                    let error = found.unwrap_err();
                    assert_eq!(error.code(), "oci-credentials");
                    assert!(error.to_string().contains(words), "{error}");
                }
            }
        }
        for text in ["", "[]", "{\"auths\": 1}", "{\"credsStore\": \"../x\"}"] {
            std::fs::write(folder.path().join("config.json"), text).unwrap();
            assert_eq!(config.login("r.example").unwrap_err().code(), "oci-credentials", "{text}");
        }
    }

    #[test]
    fn a_login_shows_no_secret() {
        for login in [password("me", "hunter2"), Login::Identity("hunter2".to_owned())] {
            assert!(!format!("{login:?}").contains("hunter2"));
        }
        assert_eq!(password("me", "x").basic().as_deref(), Some("Basic bWU6eA=="));
    }

    #[cfg(unix)]
    #[test]
    fn helpers_are_asked() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        for (script, expected) in [
            (
                r#"read h; echo "{\"Username\": \"$h\", \"Secret\": \"s\"}""#,
                Ok(Some(password("r", "s"))),
            ),
            (
                r#"echo '{"Username": "<token>", "Secret": "t"}'"#,
                Ok(Some(Login::Identity("t".to_owned()))),
            ),
            ("echo 'credentials not found in native keychain'; exit 1", Ok(None)),
            ("exit 1", Err("failed")),
            ("echo no", Err("is invalid")),
        ] {
            let file = folder.path().join("docker-credential-test");
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
            match expected {
                Ok(expected) => assert_eq!(ask_program(&file, "r").unwrap(), expected, "{script}"),
                Err(words) => assert!(ask_program(&file, "r").unwrap_err().contains(words)),
            }
        }
    }
}

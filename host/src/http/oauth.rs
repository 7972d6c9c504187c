//! Logins by OAuth 2.0, whose access tokens the host renews: RFC 6749, section 6.
//!
//! A renewal runs on a thread that the network's thread starts: the thread of a session may be
//! confined to the plugin's files. It is never interrupted, because the server may replace the
//! refresh token: it continues when the plugin drops its request.

mod endpoint;
mod login;
mod token_file;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

pub(super) use self::endpoint::Transport;
use self::login::Login;
use self::token_file::TokenFile;
use super::auth_error::HttpAuthError;
use super::network::Network;
use super::spellings::spellings;
use crate::redact::Secrets;

/// A token that is valid for less than this many seconds is renewed.
const MARGIN: u64 = 60;

/// The minimum time between two renewals. A failure is remembered for this long.
const INTERVAL: Duration = Duration::from_secs(30);

/// A login, shared by all sessions with the same credentials. At most one renewal is in flight.
#[derive(Clone)]
pub(super) struct OAuth(Arc<Mutex<State>>);

struct State {
    file: TokenFile,
    login: Login,
    /// Whether a server has rejected the access token.
    is_rejected: bool,
    /// The time of the last renewal, and its failure.
    renewal: Option<(Instant, Option<HttpAuthError>)>,
}

impl OAuth {
    /// Reads a token file. Returns also what to redact.
    pub(super) fn read(path: &Path) -> Result<(Self, Vec<String>), HttpAuthError> {
        let file = TokenFile::new(path)?;
        let login = file.read()?;
        let secrets = login.secrets();
        let state = State { file, login, is_rejected: false, renewal: None };
        Ok((Self(Arc::new(Mutex::new(state))), secrets))
    }

    /// Returns the value of the header `Authorization`, with a renewed token if necessary. Adds the
    /// tokens to the redacted ones. Must be called on the network's thread.
    pub(super) async fn authorization(
        &self,
        transport: Transport,
        secrets: &Secrets,
    ) -> Result<HeaderValue, HttpAuthError> {
        let mut state = Arc::clone(&self.0).lock_owned().await;
        if state.login.needs_renewal(state.is_rejected, now() + MARGIN) && !state.is_recent() {
            let network = Handle::current();
            let renewal = tokio::task::spawn_blocking(move || {
                let failure = state.renew(&network, &transport).err();
                state.renewal = Some((Instant::now(), failure));
                state
            });
            let stopped = |_| HttpAuthError::Renewal { why: "the host is stopping".to_owned() };
            state = renewal.await.map_err(stopped)?;
        }
        let known = state.login.secrets();
        if known.iter().any(|secret| !secrets.contains(secret)) {
            secrets.add(spellings(&known));
        }
        state.authorization()
    }

    /// Records that the server has rejected a token.
    pub(super) async fn reject(&self, rejected: &HeaderValue) {
        let mut state = self.0.lock().await;
        if state.login.authorization().as_ref() == Some(rejected) {
            state.is_rejected = true;
        }
    }

    /// Waits for a limited time until no renewal is in flight. The process may end afterwards.
    pub(super) fn settle(&self, network: &Network) {
        if self.0.try_lock().is_ok() {
            return;
        }
        let Ok((network, _)) = network.get() else { return };
        let (settles, settled) = mpsc::channel();
        let state = Arc::clone(&self.0);
        network.spawn(async move {
            drop(state.lock().await);
            // The receiver no longer waits.
            let _ = settles.send(());
        });
        let _ = settled.recv_timeout(Transport::MAX_WAIT);
    }
}

impl State {
    fn is_recent(&self) -> bool {
        self.renewal.as_ref().is_some_and(|(at, _)| at.elapsed() < INTERVAL)
    }

    /// Returns the header, or the failure of the last renewal if the token cannot be used.
    fn authorization(&self) -> Result<HeaderValue, HttpAuthError> {
        match (&self.renewal, self.login.authorization()) {
            (Some((_, Some(failure))), _) if self.login.needs_renewal(self.is_rejected, now()) => {
                Err(failure.clone())
            }
            (_, Some(authorization)) => Ok(authorization),
            (_, None) => Err(HttpAuthError::Renewal { why: "there is no token".to_owned() }),
        }
    }

    /// Renews the access token, unless another process has done so.
    fn renew(&mut self, network: &Handle, transport: &Transport) -> Result<(), HttpAuthError> {
        let _lock = self.file.lock(transport.limit)?;
        let login = self.file.read()?;
        self.is_rejected &= login.authorization() == self.login.authorization();
        self.login = login;
        if !self.login.needs_renewal(self.is_rejected, now() + MARGIN) {
            return Ok(());
        }
        // Before the request: the server may replace the refresh token, which must be stored.
        let replacement = self.file.replacement()?;
        let tokens = network.block_on(endpoint::request(&self.login, transport));
        let login = self.login.renewed(tokens.map_err(|error| error.of(&self.file))?, now());
        replacement.commit(&login)?;
        self.login = login;
        self.is_rejected = false;
        Ok(())
    }
}

/// Returns the content of a token file after an answer of its token endpoint, or the problem.
#[cfg(fuzzing)]
pub(crate) fn renewed(file: &[u8], status: u16, answer: &[u8]) -> Result<Vec<u8>, String> {
    let login = Login::parse(file)?;
    let tokens = endpoint::tokens(status, answer).map_err(|error| format!("{error:?}"))?;
    Ok(login.renewed(tokens, now()).to_json())
}

/// Returns the seconds since 1970-01-01T00:00:00Z.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

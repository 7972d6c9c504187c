//! The data of the server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use syncmgr_host::{Description, LoadLimits};
use syncmgr_install::{History, Registrations};

use super::children::Children;
use super::secret::Secret;
use crate::command::inspect::{RequestLine, requests};
use crate::plugin_source::PluginSource;

/// The requests of a plugin, or why they are unknown.
type Requested = Arc<Result<Vec<RequestLine>, String>>;

/// The data of the server.
pub(super) struct Server {
    pub(super) registrations: Registrations,
    /// The port on 127.0.0.1.
    pub(super) port: u16,
    /// The token in the URL.
    pub(super) token: Secret,
    /// The value of the cookie.
    pub(super) cookie: Secret,
    /// The token in each form.
    pub(super) form: Secret,
    pub(super) children: Children,
    /// What plugins request, by the digest of the component.
    requested: Mutex<HashMap<String, Requested>>,
}

impl Server {
    pub(super) fn new(registrations: Registrations, port: u16) -> Self {
        Self {
            registrations,
            port,
            token: Secret::new(),
            cookie: Secret::new(),
            form: Secret::new(),
            children: Children::default(),
            requested: Mutex::default(),
        }
    }

    /// Returns the URL of the page, which is a secret.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/?token={}", self.port, self.token.text())
    }

    /// Opens the history; `None`: nothing has been recorded yet.
    pub(super) fn history(&self) -> anyhow::Result<Option<History>> {
        Ok(History::open(self.registrations.state_dir())?)
    }

    /// Returns what a plugin requests. Runs none of its code.
    pub(super) fn requested(&self, plugin: &PluginSource) -> Requested {
        let limits = LoadLimits::default();
        let describe = |plugin: &PluginSource| -> anyhow::Result<Vec<RequestLine>> {
            Ok(requests(&Description::of(&plugin.bytes(&limits)?)?))
        };
        let digest = match plugin.digest(&limits) {
            Ok(digest) => digest.into_owned(),
            Err(error) => return Arc::new(Err(error.to_string())),
        };
        let mut known = self.requested.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.entry(digest);
        let described = || Arc::new(describe(plugin).map_err(|error| format!("{error:#}")));
        Arc::clone(found.or_insert_with(described))
    }
}

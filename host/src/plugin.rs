use std::sync::Arc;

use crate::component::description::Description;
use crate::grants::Grant;
use crate::http::HttpGrant;
use crate::http::network::Network;
use crate::imports::linker::LinkedPlugin;
use crate::limits::ticker::Ticker;
use crate::session_options::{ExcessGrant, SessionOptions};

/// A compiled plugin, checked against the contract and ready for any number of sessions. Clones
/// share everything.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) name: Arc<str>,
    pub(crate) linked: Arc<LinkedPlugin>,
    pub(crate) description: Arc<Description>,
    pub(crate) ticker: Ticker,
    pub(crate) network: Network,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Plugin {
    pub(crate) fn new(
        name: &str,
        linked: LinkedPlugin,
        description: Description,
        ticker: Ticker,
        network: Network,
    ) -> Self {
        Self {
            name: name.into(),
            linked: Arc::new(linked),
            description: Arc::new(description),
            ticker,
            network,
        }
    }

    /// Returns the engine that compiled the plugin, for stores and linkers of the embedder.
    pub fn engine(&self) -> &wasmtime::Engine {
        self.linked.engine()
    }

    /// Returns the name that messages use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the description of the plugin, from its file.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Returns the grants in the options that the plugin does not request and therefore does not
    /// receive.
    pub fn excess_grants(&self, options: &SessionOptions) -> Vec<ExcessGrant> {
        let requests = &self.description.requests;
        let grants = options.grants.iter().map(Grant::name);
        let directories = grants.filter(|name| requests.directory(name).is_none());
        let settings = options.settings.iter().map(|(name, _)| name);
        let settings = settings.filter(|name| !requests.setting(name));
        let secrets = options.secrets.iter().map(|(name, _)| name);
        let secrets = secrets.filter(|name| !requests.secret(name));
        let servers = options.http.iter().map(HttpGrant::name);
        let servers = servers.filter(|name| requests.server(name).is_none());
        let capabilities = options.capabilities.iter().copied();
        let capabilities = capabilities.filter(|&capability| !requests.capability(capability));
        directories
            .map(|name| ExcessGrant::Directory(name.to_owned()))
            .chain(settings.cloned().map(ExcessGrant::Setting))
            .chain(secrets.cloned().map(ExcessGrant::Secret))
            .chain(servers.map(|name| ExcessGrant::Server(name.to_owned())))
            .chain(capabilities.map(ExcessGrant::Capability))
            .collect()
    }
}

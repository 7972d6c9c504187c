use std::sync::Arc;

use crate::component::description::Description;
use crate::error::GrantError;
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

    /// Checks that the plugin has the settings in the options, and that each can have its value. A
    /// start does the same.
    ///
    /// # Errors
    /// [`GrantError::UnknownSetting`] and [`GrantError::SettingValue`].
    pub fn check_settings(&self, options: &SessionOptions) -> Result<(), GrantError> {
        let requests = &self.description.requests;
        for (name, value) in &options.settings {
            let Some(setting) = requests.setting(name) else {
                let similar = requests.similar_setting(name).map(str::to_owned);
                return Err(GrantError::UnknownSetting { name: name.clone(), similar });
            };
            if !setting.values.accept(value) {
                let (name, value) = (name.clone(), value.clone());
                let values = setting.values.to_string();
                return Err(GrantError::SettingValue { name, value, values });
            }
        }
        Ok(())
    }

    /// Returns the grants in the options that the plugin does not request and therefore does not
    /// receive.
    pub fn excess_grants(&self, options: &SessionOptions) -> Vec<ExcessGrant> {
        let requests = &self.description.requests;
        let grants = options.grants.iter().map(Grant::name);
        let directories = grants.filter(|name| requests.directory(name).is_none());
        let secrets = options.secrets.iter().map(|(name, _)| name);
        let secrets = secrets.filter(|name| !requests.secret(name));
        let servers = options.http.iter().map(HttpGrant::name);
        let servers = servers.filter(|name| requests.server(name).is_none());
        let capabilities = options.capabilities.iter().copied();
        let capabilities = capabilities.filter(|&capability| !requests.capability(capability));
        directories
            .map(|name| ExcessGrant::Directory(name.to_owned()))
            .chain(secrets.cloned().map(ExcessGrant::Secret))
            .chain(servers.map(|name| ExcessGrant::Server(name.to_owned())))
            .chain(capabilities.map(ExcessGrant::Capability))
            .collect()
    }
}

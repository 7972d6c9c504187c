//! The registry of Docker, for plugins.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;

use super::{Certificate, Server, start};

/// The program.
pub const DOCKER_REGISTRY: &str = "docker-registry";

/// Starts a registry without a login; with TLS if there is a certificate.
///
/// # Errors
/// Returns an error if it cannot be started.
pub fn docker_registry(certificate: Option<&Certificate>) -> Result<Server> {
    start(DOCKER_REGISTRY, 1, |place, ports, _| {
        let mut config = format!(
            "version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {}}}}}
http:
  addr: 127.0.0.1:{}
  secret: for-tests
",
            place.join("files").display(),
            ports[0]
        );
        if let Some(Certificate { file, key }) = certificate {
            let (file, key) = (file.display(), key.display());
            writeln!(config, "  tls: {{certificate: {file}, key: {key}}}")?;
        }
        let file = place.join("config.yml");
        fs::write(&file, config)?;
        Ok(vec!["serve".to_owned(), file.display().to_string()])
    })
}

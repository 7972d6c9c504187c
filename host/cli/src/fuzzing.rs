//! The ways in for `tests/fuzz`. No API.

use std::path::Path;

use syncmgr_host::{Capability, Grant, Limits, LoadLimits};

use crate::job;

/// What a job file says.
#[derive(Debug)]
pub struct Job {
    /// The name of the plugin.
    pub plugin: String,
    /// The directories.
    pub grants: Vec<Grant>,
    /// The settings.
    pub settings: Vec<(String, String)>,
    /// The names of the secrets.
    pub secrets: Vec<String>,
    /// What else is allowed.
    pub allow: Vec<Capability>,
    /// The limits of loading and of running.
    pub limits: (LoadLimits, Limits),
}

/// Reads a job file that lies in the directory `base`; `Err`: the whole message.
pub fn job(text: &str, base: &Path) -> Result<Job, String> {
    let none = syncmgr_install::Registrations::new(base);
    let (plugin, granted) = job::parse(text, base, &none).map_err(|error| format!("{error:#}"))?;
    let limits = granted.limits();
    Ok(Job {
        plugin: plugin.name(),
        grants: granted.directories,
        settings: granted.settings,
        secrets: granted.secrets.into_iter().map(|(name, _)| name).collect(),
        allow: granted.allow,
        limits: (limits.load, limits.session),
    })
}

/// What of a text reaches a terminal.
pub fn escaped(text: &str) -> String {
    crate::escape::escape(text).into_owned()
}

/// Reads a project's manifest; `Err`: the whole message.
pub fn manifest(text: &str) -> Result<crate::project::Manifest, String> {
    crate::project::Manifest::parse(text)
}

/// Reads a recording; `Err`: the line, and the message.
pub fn recording(text: &str) -> Result<crate::check::Recording, (usize, String)> {
    crate::check::Recording::parse(text)
}

//! Entry points for `tests/fuzz`. This is not an API.

use std::path::Path;

use syncmgr_host::{Capability, Grant, Limits, LoadLimits};

use crate::job;

/// A parsed job file.
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
    /// The capabilities.
    pub allow: Vec<Capability>,
    /// The limits on loading and running.
    pub limits: (LoadLimits, Limits),
}

/// Parses a job file in the directory `base`.
///
/// # Errors
/// The message.
pub fn job(text: &str, base: &Path) -> Result<Job, String> {
    let none = syncmgr_install::Registrations::new(base);
    let (plugin, grants) = job::parse(text, base, &none).map_err(|error| format!("{error:#}"))?;
    let limits = grants.limits();
    Ok(Job {
        plugin: plugin.name(),
        grants: grants.directories,
        settings: grants.settings,
        secrets: grants.secrets.into_iter().map(|(name, _)| name).collect(),
        allow: grants.allow,
        limits: (limits.load, limits.session),
    })
}

/// Escapes a text for a terminal.
pub fn escaped(text: &str) -> String {
    crate::escape::escape(text).into_owned()
}

/// Parses a project's manifest.
///
/// # Errors
/// The message.
pub fn manifest(text: &str) -> Result<crate::project::Manifest, String> {
    crate::project::Manifest::parse(text)
}

/// Parses a recording.
///
/// # Errors
/// The number of the line and the message.
pub fn recording(text: &str) -> Result<crate::check::Recording, (usize, String)> {
    crate::check::Recording::parse(text)
}

//! Installed sync plugins: their components, precompiled code, grants and storage.
//!
//! - `paths`: the folders. `permissions`: their permissions on Windows.
//! - `folder`: [`PrivateFolder`], a folder that is writable by its user only.
//! - `grants`: [`Grants`], the grants, settings and limits of a plugin. `job_file`: [`JobFile`].
//! - `hooks`: [`Hooks`], the commands after a run.
//! - `keyring`: secrets in the keyring of the system.
//! - `protected`, `registered_directory`: directories that cannot be granted.
//! - `registration`: [`Registration`], an installed plugin. `registrations`: [`Registrations`], all
//!   of
//!   them. `installation`: installing a plugin.
//! - `origin`: [`Origin`], where an installed plugin is from. `registry`: plugins from registries.
//! - `history`: [`History`], what runs did.
//! - `code_cache`: [`CodeCache`], precompiled code of plugins that are not installed.
//!
//! **Precompiled code is trusted.** It is loaded only from folders that are writable solely by
//! users who can also replace the program.

#![deny(missing_docs)]
#![cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "only installing writes files"))]

#[cfg(feature = "compiler")]
mod code_cache;
mod error;
mod folder;
mod grants;
#[cfg(feature = "history")]
mod history;
mod hooks;
#[cfg(feature = "compiler")]
mod installation;
mod job_file;
mod keyring;
mod origin;
mod paths;
#[cfg(windows)]
mod permissions;
mod protected;
mod registered_directory;
mod registration;
mod registrations;
#[cfg(feature = "registry")]
pub mod registry;
mod scope;
mod text_file;

#[cfg(feature = "compiler")]
pub use code_cache::{CacheEntry, CodeCache};
pub use error::InstallError;
pub use folder::{PrivateFolder, replace_file};
pub use grants::{AllLimits, Grants, Secret, Server, ServerAuth};
#[cfg(feature = "history")]
pub use history::{
    ActionFilter, ActionPlace, History, HistoryAction, HistoryConflict, HistoryError, HistoryItem,
    HistoryRecorder, HistoryRun, HistorySink, ItemRun, ItemState, NewRun, RunFilter,
};
pub use hooks::Hooks;
#[cfg(feature = "compiler")]
pub use installation::Installation;
pub use job_file::{JobFile, parse_directory};
pub use keyring::{
    KeyringError, MAX_SECRET_BYTES, SecretName, is_keyring_supported, read_secret, remove_secret,
    secret_names, store_secret,
};
pub use origin::Origin;
#[cfg(windows)]
pub use paths::is_administrators;
pub use paths::{create_private, default_state_dir};
pub use registration::Registration;
pub use registrations::{Registrations, host_options};
pub use scope::Scope;

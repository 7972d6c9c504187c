//! What is kept on a machine about sync plugins: which ones are installed, what each of them is
//! granted, its compiled form, and where it keeps its own files.
//!
//! - `paths`: where things are kept. `permissions`: who may write there on Windows.
//! - `folder`: [`PrivateFolder`], which only its user can write to.
//! - `protected`, `registered_directory`: which directories cannot be granted.
//! - `granted`: [`Granted`], what a plugin is given, and the files that say so.
//! - `registration`: [`Registration`], one installed plugin.
//! - `registrations`: [`Registrations`], all of them. `installation`: installing one.
//! - `code_cache`: what other plugins were compiled to.
//!
//! **What is compiled is trusted.** It is loaded only from folders in which nobody can write who
//! could not as well replace the program that loads it.

#![deny(missing_docs)]
#![cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "installing is what writes"))]

#[cfg(feature = "compiler")]
mod code_cache;
mod error;
mod folder;
mod granted;
#[cfg(feature = "compiler")]
mod installation;
mod paths;
#[cfg(windows)]
mod permissions;
mod protected;
mod registered_directory;
mod registration;
mod registrations;
mod scope;

#[cfg(feature = "compiler")]
pub use code_cache::{CacheEntry, CodeCache};
pub use error::StoreError;
pub use folder::{PrivateFolder, replace_file};
pub use granted::{AllLimits, Granted, Secret, grant, grants_file_plugin, read_grants_file};
#[cfg(feature = "compiler")]
pub use installation::Installation;
#[cfg(windows)]
pub use paths::is_administrators;
pub use paths::{create_private, default_state_dir};
pub use registration::Registration;
pub use registrations::{Registrations, host_options};
pub use scope::Scope;

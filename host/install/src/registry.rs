//! Plugins from registries: CNCF's layout of WebAssembly components over the OCI distribution
//! protocol, by hand on the host's own sender. The crate `oci-client` would add `reqwest` and a
//! second TLS configuration, whose redirects and addresses this library could not decide about.
//!
//! - `reference`: [`Reference`]. `digest`: [`Digest`]. `manifest`: the JSON of a plugin.
//! - `transport` decides to which hosts requests go, and checks what it receives. `client` makes the
//!   requests to one repository, with a login by `challenge` and `credentials`.
//! - `pull`, `push`, `download`: plugins as a whole.
//! - `signature`, `trusted_keys`: signatures, and the keys that the user trusts.
//! - `update`: what a new version may change without being asked.
//!
//! Everything that a registry sends is bounded and checked before it is used.

mod challenge;
mod client;
mod credentials;
mod digest;
mod download;
mod error;
mod manifest;
mod pull;
mod push;
mod reference;
mod signature;
mod transport;
mod trusted_keys;
mod update;

#[cfg(fuzzing)]
pub mod fuzzing;

pub use client::RegistryOptions;
pub use credentials::DockerConfig;
pub use digest::{Digest, InvalidDigest};
pub use download::download;
pub use error::OciError;
pub use pull::{Pulled, pull, resolve, tags};
pub use push::{Package, push};
pub use reference::{Reference, Selector};
pub use signature::{MAX_SIGNATURE_BYTES, PluginSignature, TrustedKey, verify};
pub use trusted_keys::{TrustedKeys, read_key};
pub use update::{Candidate, additional_requests, followed, has_version_tag};

//! A two-way synchronization engine for plugins: an author writes *how to reach a service*, as an
//! [`Endpoint`], and the engine keeps it in sync with a local directory, or with another service.
//!
//! [`scan`] lists both sides, [`plan`] compares them with the baseline ([`state`]) and decides, and
//! [`apply`] carries the plan out. [`sync`](sync()) is one run of one pair.
//!
//! # Guarantees
//! - A version of a file is lost only if the trash is switched off. A conflict keeps both versions.
//! - A side is compared with its own past, never with the clock or the ids of the other one.
//! - Nothing is deleted that was not seen in sync before, and a run that would delete too much, or
//!   that finds a side empty or replaced, stops before its first change.
//! - A name always has the old or the new content, and the baseline records a change only after
//!   it is permanent. A run can be interrupted anywhere.
#![deny(missing_docs)]

pub mod apply;
pub mod endpoint;
pub mod filter;
pub mod local;
pub mod names;
pub mod options;
mod outage;
pub mod pair;
pub mod plan;
pub mod scan;
pub mod spelling;
pub mod state;
mod sync;
pub mod tree;

pub use apply::Endpoints;
pub use endpoint::{Capabilities, Content, Endpoint, Entry, Identity, Metadata, Received, Rename};
pub use endpoint::{OpenRequest, Run, Transfer};
pub use local::Local;
pub use options::Options;
pub use pair::{Pair, SideGrant};
pub use sync::sync;

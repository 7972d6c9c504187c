use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The HTTP requests of a run to one origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct HttpUsage {
    /// The number of requests that were sent.
    pub requests: u64,
    /// The number of requests that were denied.
    pub denied: u64,
    /// The bytes of the bodies that were sent.
    pub bytes_up: u64,
    /// The bytes of the bodies that were received.
    pub bytes_down: u64,
}

impl HttpUsage {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.denied += other.denied;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
    }
}

/// The usage by origin.
pub(crate) type UsageByOrigin = BTreeMap<String, HttpUsage>;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::limits::monitor::Monitor;

/// The HTTP requests of a run to one origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
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

/// The maximum number of origins that are counted without having been granted. A plugin can make up
/// any number.
const MAX_DENIED_ORIGINS: usize = 64;

/// Counts the requests and bytes of a session, and enforces their limits.
pub(super) struct Meter {
    pub(super) monitor: Arc<Monitor>,
    in_flight: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    max_in_flight: u64,
    max_up: u64,
    max_down: u64,
    usage: Mutex<UsageByOrigin>,
}

/// A request in flight, until this is dropped.
pub(super) struct InFlight(Arc<Meter>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Meter {
    pub(super) fn new(monitor: Arc<Monitor>, limits: &Limits) -> Self {
        Self {
            monitor,
            in_flight: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            max_in_flight: limits.http_requests,
            max_up: limits.http_bytes_up,
            max_down: limits.http_bytes_down,
            usage: Mutex::default(),
        }
    }

    /// Returns the number of requests and bytes so far, by origin.
    pub(super) fn usage(&self) -> UsageByOrigin {
        self.lock().clone()
    }

    /// Begins a request, unless too many are in flight.
    pub(super) fn begin(self: &Arc<Self>, origin: &str) -> Option<InFlight> {
        let before = self.in_flight.fetch_add(1, Ordering::AcqRel);
        let begun = InFlight(Arc::clone(self));
        if before >= self.max_in_flight {
            return None;
        }
        self.lock().entry(origin.to_owned()).or_default().requests += 1;
        Some(begun)
    }

    /// Counts a request that was denied.
    pub(super) fn count_denied(&self, origin: &str) {
        let mut usage = self.lock();
        if usage.contains_key(origin) || usage.len() < MAX_DENIED_ORIGINS {
            usage.entry(origin.to_owned()).or_default().denied += 1;
        }
    }

    /// Counts bytes that are sent. Returns the limit if it is exceeded.
    pub(super) fn count_up(&self, origin: &str, bytes: u64) -> Result<(), u64> {
        // `begin` created the entry.
        if let Some(usage) = self.lock().get_mut(origin) {
            usage.bytes_up += bytes;
        }
        count(&self.up, bytes, self.max_up)
    }

    /// Counts bytes that were received. Returns the limit if it is exceeded.
    pub(super) fn count_down(&self, origin: &str, bytes: u64) -> Result<(), u64> {
        if let Some(usage) = self.lock().get_mut(origin) {
            usage.bytes_down += bytes;
        }
        count(&self.down, bytes, self.max_down)
    }

    /// Excuses silence of the plugin for this time from now on.
    pub(super) fn wait_for_network(&self, limit: Duration) {
        self.monitor.wait_for_network(limit);
    }

    fn lock(&self) -> MutexGuard<'_, UsageByOrigin> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(total: &AtomicU64, bytes: u64, limit: u64) -> Result<(), u64> {
    match total.fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes) > limit {
        true => Err(limit),
        false => Ok(()),
    }
}

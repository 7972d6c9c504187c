//! The time that limits are measured by: nanoseconds since this process first asked, never 0.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Now, exactly.
pub(crate) fn now() -> u64 {
    nanoseconds(START.elapsed()).max(1)
}

/// A time as nanoseconds; one that is too long is as good as endless.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Now as of the last tick, for one load.
#[derive(Debug)]
pub(crate) struct Coarse(AtomicU64);

impl Coarse {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(now()))
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self) -> u64 {
        let now = now();
        self.0.store(now, Ordering::Relaxed);
        now
    }
}

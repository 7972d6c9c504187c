//! The clocks of the limits: nanoseconds since the first use in this process, never 0; and the
//! processor time of a thread.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns the exact time.
pub(crate) fn now() -> u64 {
    nanoseconds(START.elapsed()).max(1)
}

thread_local! {
    /// The processor time of other threads on behalf of this one.
    static ON_BEHALF: Cell<u64> = const { Cell::new(0) };
}

/// Returns the processor time of this thread so far, including that of other threads on its behalf.
pub(crate) fn thread_time() -> u64 {
    own_thread_time().saturating_add(ON_BEHALF.get())
}

/// Adds processor time that another thread used for this one.
#[cfg(target_os = "linux")]
pub(crate) fn computed_on_behalf(nanoseconds: u64) {
    ON_BEHALF.set(ON_BEHALF.get().saturating_add(nanoseconds));
}

#[cfg(unix)]
#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
fn own_thread_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(i64::from(time.tv_sec)).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(i64::from(time.tv_nsec)).unwrap_or(0)
}

#[cfg(not(unix))]
fn own_thread_time() -> u64 {
    cpu_time::ThreadTime::try_now().map_or(0, |time| nanoseconds(time.as_duration()))
}

/// Converts a duration to nanoseconds, saturating.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The time of the last tick, which is read with one load.
#[derive(Debug)]
pub(crate) struct CoarseClock(AtomicU64);

impl CoarseClock {
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

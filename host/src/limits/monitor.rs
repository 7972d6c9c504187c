//! Monitors one session: its usage, its limits, and the reason for its termination.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cancel::CancelHandle;
use crate::error::{Call, Denial, SessionError, TerminationReason};
use crate::limits::Limits;
use crate::limits::clock::{self, CoarseClock};

/// Monitors one session. The session, the imports of its plugin and the ticker share it.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) cancel: CancelHandle,
    pub(crate) clock: Arc<CoarseClock>,
    terminated: AtomicU8,
    ended_at: AtomicU64,
    denial: Mutex<Option<Denial>>,
    /// The index in [`Call::ALL`] of the last call.
    call: AtomicUsize,
    /// The start of the call in progress; 0 if there is none.
    call_since: AtomicU64,
    /// The time of the last call of a contract interface by the plugin.
    sign: AtomicU64,
    /// The time until which a server may take to answer the plugin.
    network_until: AtomicU64,
    /// Whether the user is being asked. This time does not count against any limit.
    asking: AtomicBool,
    /// The time of the user's last answer; 0 if there was none.
    answered: AtomicU64,
    /// The start of the current call of the sink, by the coarse clock; 0 if there is none.
    in_sink: AtomicU64,
    /// The time of the ticker's last check.
    looked: AtomicU64,
    /// The grace periods after everything was cancelled, and after an item was cancelled.
    grace_all: Grace,
    grace_item: Grace,
    /// The processor time of calls, including the host's work for them, up to the last measurement.
    computed: AtomicU64,
    /// Whether a call runs on a thread, and the processor time of that thread at the last
    /// measurement. Only that thread measures.
    running: AtomicBool,
    looked_at: AtomicU64,
    /// The processor time of all earlier calls.
    computed_before: AtomicU64,
    grace: u64,
    wall_time: u64,
    idle_time: u64,
    compute_time: u64,
    limits: Limits,
}

impl Monitor {
    pub(crate) fn new(cancel: CancelHandle, clock: Arc<CoarseClock>, limits: &Limits) -> Self {
        Self {
            cancel,
            clock,
            terminated: AtomicU8::new(0),
            ended_at: AtomicU64::new(0),
            denial: Mutex::default(),
            call: AtomicUsize::new(0),
            call_since: AtomicU64::new(0),
            sign: AtomicU64::new(0),
            network_until: AtomicU64::new(0),
            asking: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            in_sink: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            grace_all: Grace::default(),
            grace_item: Grace::default(),
            computed: AtomicU64::new(0),
            running: AtomicBool::new(false),
            looked_at: AtomicU64::new(0),
            computed_before: AtomicU64::new(0),
            grace: clock::nanoseconds(limits.grace),
            wall_time: clock::nanoseconds(limits.wall_time),
            idle_time: clock::nanoseconds(limits.idle_time),
            compute_time: clock::nanoseconds(limits.compute_time),
            limits: limits.clone(),
        }
    }

    /// Returns the grace period in nanoseconds.
    pub(crate) const fn grace(&self) -> u64 {
        self.grace
    }

    /// Returns the value of a limit for display.
    pub(crate) fn limit(&self, name: &str) -> Option<String> {
        self.limits.value(name)
    }

    /// Returns the error of a plugin that was terminated for a reason.
    pub(crate) fn error(
        &self,
        plugin: String,
        call: Call,
        reason: TerminationReason,
    ) -> SessionError {
        let limit = reason.limit().and_then(|name| self.limit(name));
        SessionError::Terminated { plugin, call, reason, limit }
    }

    /// Terminates the plugin for a reason. The first reason is kept.
    pub(crate) fn terminate(&self, reason: TerminationReason) {
        let code = reason.number();
        let first = self.terminated.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.ended_at.store(clock::now(), Ordering::Release);
        }
        self.cancel.notify();
    }

    /// Terminates the plugin because it used something that was not granted.
    pub(crate) fn deny(&self, denial: Denial) {
        let mut first = self.denial.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(denial);
        drop(first);
        self.terminate(TerminationReason::Denied);
    }

    #[inline]
    pub(crate) fn terminated(&self) -> Option<TerminationReason> {
        let reason = TerminationReason::from_number(self.terminated.load(Ordering::Acquire));
        match (reason, self.cancel.is_killed()) {
            (None, true) => Some(TerminationReason::Killed),
            (reason, _) => reason,
        }
    }

    pub(crate) fn denial(&self) -> Option<Denial> {
        self.denial.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the plugin must terminate.
    pub(crate) async fn wait_terminated(&self) -> TerminationReason {
        self.cancel.wait(|| self.terminated()).await
    }

    /// Returns the time since the plugin had to terminate; 0 if it does not have to.
    pub(crate) fn overdue(&self) -> u64 {
        if self.cancel.is_killed() {
            self.terminate(TerminationReason::Killed);
        }
        match self.ended_at.load(Ordering::Acquire) {
            0 => 0,
            at => clock::now().saturating_sub(at).max(1),
        }
    }

    /// Begins a call of an export.
    pub(crate) fn begin_call(&self, call: Call) {
        let now = clock::now();
        let place = Call::ALL.iter().position(|known| *known == call);
        self.call.store(place.unwrap_or(0), Ordering::Relaxed);
        self.sign.store(now, Ordering::Relaxed);
        self.computed_before.store(self.computed(), Ordering::Relaxed);
        self.call_since.store(now, Ordering::Release);
    }

    /// Returns the last call.
    pub(crate) fn call(&self) -> Option<Call> {
        Call::ALL.get(self.call.load(Ordering::Relaxed)).copied()
    }

    pub(crate) fn end_call(&self) {
        self.call_since.store(0, Ordering::Release);
    }

    /// Marks the plugin as running on this thread until [`Monitor::stop_running`].
    pub(crate) fn start_running(&self) {
        self.looked_at.store(clock::thread_time(), Ordering::Relaxed);
        self.running.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stop_running(&self) {
        self.look();
        self.running.store(false, Ordering::Relaxed);
    }

    /// Adds the processor time of this thread since the last measurement.
    fn look(&self) {
        if self.running.load(Ordering::Relaxed) {
            let now = clock::thread_time();
            let before = self.looked_at.swap(now, Ordering::Relaxed);
            self.computed.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
        }
    }

    /// Returns the processor time of the session up to the last measurement, in nanoseconds.
    pub(crate) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Checks the compute time from the plugin's thread, in every tick during which it computes.
    pub(crate) fn check_computing(&self) {
        self.look();
        self.check_computed();
    }

    fn check_computed(&self) {
        let before = self.computed_before.load(Ordering::Relaxed);
        if self.computed().saturating_sub(before) > self.compute_time {
            self.terminate(TerminationReason::ComputeTime);
        }
    }

    /// Counts the work of this thread only through [`Piecework`], until the returned guard is
    /// dropped.
    pub(crate) fn apart(&self) -> Apart<'_> {
        self.look();
        Apart(self)
    }

    /// Starts to measure pieces of work that the host does for the plugin, on any thread.
    pub(crate) fn piecework(&self) -> Piecework<'_> {
        Piecework { monitor: self, looked_at: clock::thread_time() }
    }

    /// Records that the plugin called an interface of the contract: it is not silent.
    #[inline]
    pub(crate) fn touch(&self) {
        self.sign.store(self.clock.now(), Ordering::Relaxed);
    }

    /// Excuses silence for this time from now on: a server may take it to answer.
    pub(crate) fn wait_for_network(&self, limit: Duration) {
        let until = clock::now().saturating_add(clock::nanoseconds(limit));
        self.network_until.fetch_max(until, Ordering::Relaxed);
    }

    /// Returns how long the plugin has been silent in the call in progress.
    pub(crate) fn silent_for(&self, now: u64) -> u64 {
        match self.call_since.load(Ordering::Acquire) {
            0 => 0,
            _ => {
                let network = self.network_until.load(Ordering::Relaxed).min(now);
                now.saturating_sub(self.sign.load(Ordering::Relaxed).max(network))
            }
        }
    }

    /// Asks the user. The time does not count.
    pub(crate) fn asking<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.asking.store(true, Ordering::Release);
        let since = clock::now();
        let answer = ask();
        let took = clock::now().saturating_sub(since);
        self.call_since.fetch_add(took, Ordering::AcqRel);
        let now = clock::now();
        self.sign.store(now, Ordering::Relaxed);
        self.answered.store(now, Ordering::Relaxed);
        self.asking.store(false, Ordering::Release);
        answer
    }

    /// Calls the sink. The plugin waits until it returns, so the time counts neither as silence nor
    /// against a grace period.
    #[inline]
    pub(crate) fn in_sink<T>(&self, call: impl FnOnce() -> T) -> T {
        self.in_sink.store(self.clock.now(), Ordering::Relaxed);
        let answer = call();
        self.in_sink.store(0, Ordering::Relaxed);
        answer
    }

    /// Checks the limits from the ticker.
    pub(crate) fn tick(&self, now: u64) {
        let looked = self.looked.swap(now, Ordering::Relaxed);
        // The order matters: while the user is not being asked, the start of the call is exact.
        let asking = self.asking.load(Ordering::Acquire);
        let answered = self.answered.load(Ordering::Acquire);
        let call = self.call_since.load(Ordering::Acquire);
        if call == 0 || asking || self.terminated.load(Ordering::Acquire) != 0 {
            return;
        }
        // One call of the sink has lasted at least since the last check. Shorter calls count for
        // the plugin; otherwise, continuous reports would gain it time.
        let in_sink = self.in_sink.load(Ordering::Relaxed);
        let held = if in_sink != 0 && in_sink < looked { now.saturating_sub(looked) } else { 0 };
        if held > 0 {
            self.sign.store(now, Ordering::Relaxed);
        }
        let passed = |since: u64, limit: u64| now.saturating_sub(since.max(call)) >= limit;
        // A plugin that waits for an answer cannot receive a cancellation.
        let used = |grace: &Grace, since: u64| grace.used(since.max(answered).max(call), now, held);
        let all = self.cancel.all_since();
        let item = self.cancel.overdue_since();
        let network = self.network_until.load(Ordering::Relaxed).min(now);
        let sign = self.sign.load(Ordering::Relaxed).max(network);
        if all != 0 && used(&self.grace_all, all) >= self.grace {
            self.terminate(TerminationReason::CancelledAll);
        } else if item != 0 && used(&self.grace_item, item) >= self.grace {
            self.terminate(TerminationReason::CancelledItem);
        } else if passed(call, self.wall_time) {
            self.terminate(TerminationReason::WallTime);
        } else if passed(sign, self.idle_time) {
            self.terminate(TerminationReason::IdleTime);
        }
    }
}

/// While it exists, the processor time of the session's thread does not count.
pub(crate) struct Apart<'a>(&'a Monitor);

impl Drop for Apart<'_> {
    fn drop(&mut self) {
        self.0.looked_at.store(clock::thread_time(), Ordering::Relaxed);
    }
}

/// The error with which a host call terminates the plugin. The session's [`Monitor`] holds the
/// reason.
#[derive(Debug, thiserror::Error)]
#[error("the host terminated the plugin")]
pub(crate) struct Terminated;

/// Measures a thread's work for a plugin, one piece at a time.
pub(crate) struct Piecework<'a> {
    monitor: &'a Monitor,
    looked_at: u64,
}

impl Piecework<'_> {
    /// Ends a piece. It counts as computing unless it is `free`.
    pub(crate) fn piece(&mut self, free: bool) {
        let now = clock::thread_time();
        let took = now.saturating_sub(std::mem::replace(&mut self.looked_at, now));
        if !free {
            self.monitor.computed.fetch_add(took, Ordering::Relaxed);
            self.monitor.check_computed();
        }
    }
}

/// A grace period, and how much of it the plugin could not use. Only the ticker accesses it.
#[derive(Debug, Default)]
struct Grace {
    start: AtomicU64,
    /// The time since its start that the plugin could not use.
    held: AtomicU64,
}

impl Grace {
    /// Returns how much of a period that began at `start` is used, if the plugin could not use the
    /// last `held` of it.
    fn used(&self, start: u64, now: u64, held: u64) -> u64 {
        if self.start.swap(start, Ordering::Relaxed) != start {
            self.held.store(0, Ordering::Relaxed);
        }
        let passed = now.saturating_sub(start);
        // The period may have begun after the last check.
        let held = self.held.fetch_add(held.min(passed), Ordering::Relaxed) + held.min(passed);
        passed.saturating_sub(held)
    }
}

#[cfg(test)]
mod tests;

//! One thread per engine, which advances the engine's epoch and checks the limits of every session.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::limits::clock::CoarseClock;
use crate::limits::monitor::Monitor;

/// The interval at which a running plugin checks whether it must terminate. It is also the
/// precision of time limits.
pub const TICK: Duration = Duration::from_millis(10);

/// The monitored sessions, and the time of the last tick.
#[derive(Clone, Debug)]
pub(crate) struct Ticker {
    pub(crate) clock: Arc<CoarseClock>,
    monitored: Arc<Mutex<Vec<Arc<Monitor>>>>,
}

impl Ticker {
    /// Starts the thread, which ends with the engine.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let ticker = Self { clock: Arc::new(CoarseClock::new()), monitored: Arc::default() };
        let (engine, inner) = (engine.weak(), ticker.clone());
        thread::Builder::new().name("syncmgr-ticker".to_owned()).spawn(move || {
            let mut next = Instant::now();
            loop {
                next += TICK;
                match next.checked_duration_since(Instant::now()) {
                    Some(rest) => thread::sleep(rest),
                    // Missed ticks are skipped.
                    None => next = Instant::now(),
                }
                let Some(engine) = engine.upgrade() else { return };
                inner.look();
                engine.increment_epoch();
            }
        })?;
        Ok(ticker)
    }

    pub(crate) fn monitor(&self, monitor: Arc<Monitor>) {
        self.monitored.lock().unwrap_or_else(PoisonError::into_inner).push(monitor);
    }

    fn look(&self) {
        let now = self.clock.advance();
        let mut monitored = self.monitored.lock().unwrap_or_else(PoisonError::into_inner);
        monitored.retain(|monitor| {
            monitor.tick(now);
            // Only the ticker has a reference: the session is gone.
            Arc::strong_count(monitor) > 1
        });
    }
}

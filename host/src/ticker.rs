//! One thread per engine: it advances the engine's clock, and looks after every session.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::clock::Coarse;
use crate::watch::Watch;

/// How often a running plugin looks whether it is to end. Also how exact time limits are.
pub const TICK: Duration = Duration::from_millis(10);

/// The sessions that the thread looks after, and the time as it knows it.
#[derive(Clone, Debug)]
pub(crate) struct Ticker {
    pub(crate) clock: Arc<Coarse>,
    watched: Arc<Mutex<Vec<Arc<Watch>>>>,
}

impl Ticker {
    /// Starts the thread, which ends with the engine.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let ticker = Self { clock: Arc::new(Coarse::new()), watched: Arc::default() };
        let (engine, inner) = (engine.weak(), ticker.clone());
        thread::Builder::new().name("syncmgr-ticker".to_owned()).spawn(move || {
            let mut next = Instant::now();
            loop {
                next += TICK;
                match next.checked_duration_since(Instant::now()) {
                    Some(rest) => thread::sleep(rest),
                    // Late: ticks that were missed are not made up for.
                    None => next = Instant::now(),
                }
                let Some(engine) = engine.upgrade() else { return };
                inner.look();
                engine.increment_epoch();
            }
        })?;
        Ok(ticker)
    }

    pub(crate) fn watch(&self, watch: Arc<Watch>) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).push(watch);
    }

    fn look(&self) {
        let now = self.clock.advance();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|watch| {
            watch.tick(now);
            // Nobody else has it: the session is gone.
            Arc::strong_count(watch) > 1
        });
    }
}

//! Ctrl-C, SIGTERM and SIGHUP.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use syncmgr_host::CancelHandle;

/// The first interrupt cancels the run, the second one terminates the plugin, and the third one the
/// program. A plugin that is blocked in a system call is abandoned.
pub(crate) struct Interrupts(Arc<State>);

#[derive(Default)]
struct State {
    count: AtomicUsize,
    /// The handle of the current run.
    current: Mutex<Option<CancelHandle>>,
}

/// The action of the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Wait for the run to end.
    Wait,
    /// Terminate the program.
    Terminate,
}

impl State {
    fn current(&self) -> MutexGuard<'_, Option<CancelHandle>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interrupt(&self) -> Next {
        let current = self.current();
        match (self.count.fetch_add(1, Ordering::SeqCst), current.as_ref()) {
            (0, None) => Next::Wait,
            (0, Some(run)) => {
                run.cancel_all();
                Next::Wait
            }
            (1, Some(run)) => {
                run.kill();
                Next::Wait
            }
            (_, _) => Next::Terminate,
        }
    }
}

impl Interrupts {
    /// Starts to listen. May be called once per process.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let state = Arc::new(State::default());
        listen(Arc::clone(&state)).context("cannot listen for Ctrl-C")?;
        Ok(Self(state))
    }

    /// Returns whether there was an interrupt.
    pub(crate) fn came(&self) -> bool {
        self.count() > 0
    }

    /// Returns the number of interrupts.
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::SeqCst)
    }

    /// Returns a handle for the next run, which replaces that of the previous run.
    pub(crate) fn cancel_handle(&self) -> CancelHandle {
        let handle = CancelHandle::new();
        *self.0.current() = Some(handle.clone());
        if self.came() {
            handle.cancel_all();
        }
        handle
    }
}

#[cfg(unix)]
fn listen(state: Arc<State>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !hangups_are_ignored() {
        signals.add_signal(SIGHUP)?;
    }
    std::thread::Builder::new().name("syncmgr-signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            match state.interrupt() {
                Next::Wait => {}
                // If it fails, the next signal tries again.
                Next::Terminate => {
                    let _ = emulate_default_handler(signal);
                }
            }
        }
    })?;
    Ok(())
}

/// Returns whether the program was started with `nohup` or similar and must continue without a
/// terminal.
#[cfg(target_os = "linux")]
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal_hook::consts::SIGHUP - 1)) != 0)
}

/// Returns whether the program was started with `nohup` or similar, which redirects the output.
/// There is no safe function for the signal's state.
#[cfg(all(unix, not(target_os = "linux")))]
fn hangups_are_ignored() -> bool {
    use std::io::IsTerminal as _;
    !std::io::stdout().is_terminal() && !std::io::stderr().is_terminal()
}

#[cfg(not(unix))]
fn listen(state: Arc<State>) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(move || match state.interrupt() {
        Next::Wait => {}
        #[expect(clippy::exit, reason = "the third Ctrl-C terminates the program")]
        Next::Terminate => std::process::exit(i32::from(crate::exit::Exit::Cancelled as u8)),
    })
}

/// Makes a write beyond `ulimit -f` fail, instead of terminating the program.
pub(crate) fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        // If it fails, the signal keeps its default.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_escalate() {
        let idle = Interrupts(Arc::default());
        assert_eq!(idle.0.interrupt(), Next::Wait, "nothing is running yet");
        assert!(idle.came());
        assert_eq!(idle.0.interrupt(), Next::Terminate);

        let running = Interrupts(Arc::default());
        let _handle = running.cancel_handle();
        for expected in [Next::Wait, Next::Wait, Next::Terminate, Next::Terminate] {
            assert_eq!(running.0.interrupt(), expected);
        }
    }
}

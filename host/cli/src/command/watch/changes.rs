//! Changes of the directories of a job.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::escape::escape;
use crate::interrupt::Interrupts;
use crate::job::Job;
use crate::output::print_to_stderr;

/// The time without changes after which a run starts.
const QUIET: Duration = Duration::from_secs(2);

/// The time after a run in which its last changes are reported.
const SETTLE: Duration = Duration::from_millis(500);

/// The interval at which Ctrl-C is polled.
const POLL: Duration = Duration::from_millis(200);

/// The reason for another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A directory changed.
    Change,
    /// A directory changed only during the last run, which is probably the cause.
    Echo,
    /// The time has passed.
    Time,
}

/// A granted directory.
struct Root {
    path: PathBuf,
    /// The directory that is watched, or `None`.
    watched: Option<Identity>,
}

/// The identity of a directory, which is another one after it was replaced or mounted.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = ();

fn identity(path: &Path) -> Option<Identity> {
    let metadata = path.metadata().ok()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Some((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    metadata.is_dir().then_some(())
}

/// The directories of a job, and their changes.
pub(super) struct Changes {
    watcher: Option<RecommendedWatcher>,
    events: Receiver<notify::Result<Event>>,
    roots: Vec<Root>,
    /// The state directory, which changes in each run and may be inside a read-only grant.
    state: PathBuf,
    /// Whether the user knows that a directory is not watched.
    is_noted: bool,
}

impl Changes {
    pub(super) fn new(job: &Job) -> Self {
        let (sender, events) = mpsc::channel();
        let send = move |event| {
            // The receiver is dropped at the end of the command.
            let _ = sender.send(event);
        };
        // A link may lead out of the directory.
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(send, config).ok();
        let mut paths: Vec<_> =
            job.grants.directories.iter().map(|grant| grant.path().to_owned()).collect();
        paths.sort();
        paths.dedup();
        let roots = paths.into_iter().map(|path| Root { path, watched: None }).collect();
        let state = job.state_dir();
        let state = state.canonicalize().unwrap_or_else(|_| state.to_owned());
        Self { watcher, events, roots, state, is_noted: false }
    }

    /// Watches each directory that is not watched yet, or is another one now. Prints a note if that
    /// is not possible: `every` is the time until the next run.
    pub(super) fn watch(&mut self, every: Duration) {
        for root in &mut self.roots {
            let identity = identity(&root.path);
            if root.watched.is_some() && root.watched == identity {
                continue;
            }
            let watched = match (&mut self.watcher, identity) {
                (Some(watcher), Some(_)) => {
                    // Fails if it is not watched.
                    let _ = watcher.unwatch(&root.path);
                    watcher
                        .watch(&root.path, RecursiveMode::Recursive)
                        .map_err(|error| error.to_string())
                }
                (None, _) => Err("the system does not report changes".to_owned()),
                (Some(_), None) => Err("it does not exist".to_owned()),
            };
            root.watched = identity.filter(|_| watched.is_ok());
            if let Err(why) = watched
                && !std::mem::replace(&mut self.is_noted, true)
            {
                let path = root.path.display().to_string();
                print_to_stderr(&format!(
                    "note: changes of {} are found every {} s only: {}",
                    escape(&path),
                    every.as_secs(),
                    escape(&why)
                ));
            }
        }
    }

    /// Forgets the changes before a run, which finds them.
    pub(super) fn forget(&self) {
        while self.events.try_recv().is_ok() {}
    }

    /// Waits for the reason of the next run; `None`: an interrupt. Echoes are delayed more with each
    /// one, so that a plugin which writes in each run does not run all the time.
    pub(super) fn wait(
        &self,
        every: Duration,
        echoes: u32,
        interrupts: &Interrupts,
    ) -> Option<Cause> {
        let ended = Instant::now();
        let echo_quiet = QUIET.saturating_mul(2_u32.saturating_pow(echoes));
        let mut last: Option<(Instant, Cause)> = None;
        loop {
            if interrupts.came() {
                return None;
            }
            if ended.elapsed() >= every {
                return Some(Cause::Time);
            }
            if let Some((at, cause)) = last {
                let quiet = if cause == Cause::Echo { echo_quiet } else { QUIET };
                if at.elapsed() >= quiet {
                    return Some(cause);
                }
            }
            let event = match self.events.recv_timeout(POLL) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    // Without a watcher.
                    std::thread::sleep(POLL);
                    continue;
                }
            };
            if self.is_change(&event) {
                let is_echo = ended.elapsed() < SETTLE;
                last = Some((Instant::now(), if is_echo { Cause::Echo } else { Cause::Change }));
            }
        }
    }

    fn is_change(&self, event: &notify::Result<Event>) -> bool {
        match event {
            Ok(event) => {
                let is_outside = |path: &PathBuf| !path.starts_with(&self.state);
                !event.kind.is_access()
                    && (event.need_rescan() || event.paths.iter().any(is_outside))
            }
            // It may have missed changes.
            Err(_) => true,
        }
    }
}

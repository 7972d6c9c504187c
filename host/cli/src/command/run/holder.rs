//! Other runs that hold the directories of a job.

use std::thread::sleep;
use std::time::{Duration, Instant};

use syncmgr_host::Grant;
use syncmgr_install::{History, HistoryRun, RunFilter};

use crate::escape::escape;
use crate::interrupt::Interrupts;
use crate::job::Job;
use crate::output::{local_time, print_to_stderr};

/// The interval at which a held directory is checked.
const POLL: Duration = Duration::from_millis(100);

/// How many unfinished runs are searched for the one that holds a directory.
const RUNS: u32 = 20;

/// How long a run waits for others.
pub(super) struct Patience {
    /// `Some(None)`: without a limit.
    wait: Option<Option<Duration>>,
    since: Instant,
}

impl Patience {
    pub(super) fn new(wait: Option<Option<Duration>>) -> Self {
        Self { wait, since: Instant::now() }
    }

    /// Returns whether the run does not wait any longer.
    pub(super) fn is_over(&self) -> bool {
        match self.wait {
            None => true,
            Some(None) => false,
            Some(Some(most)) => self.since.elapsed() >= most,
        }
    }

    /// Waits until no other run holds a directory of the job. Returns `false` after an interrupt.
    pub(super) fn wait_for(&self, job: &Job, interrupts: &Interrupts) -> bool {
        let mut is_noted = false;
        loop {
            if interrupts.came() {
                return false;
            }
            let Some(grant) = (!self.is_over()).then(|| held(job)).flatten() else { return true };
            if !is_noted {
                print_to_stderr(&format!("note: waiting: {}", holder(job, grant)));
                is_noted = true;
            }
            // Checking a directory that is not held would lock it for an instant.
            while grant.is_held() && !self.is_over() && !interrupts.came() {
                sleep(POLL);
            }
        }
    }
}

/// Returns a directory of the job that another run holds.
pub(super) fn held(job: &Job) -> Option<&Grant> {
    job.grants.directories.iter().find(|grant| grant.is_held())
}

/// Prints which run holds a directory of the job, if it still does.
pub(super) fn note(job: &Job) {
    if let Some(grant) = held(job) {
        print_to_stderr(&format!("note: {}", holder(job, grant)));
    }
}

/// Describes the run that holds a directory.
fn holder(job: &Job, grant: &Grant) -> String {
    let process = process(grant.path());
    let process = process.map_or("another run".to_owned(), |id| format!("process {id}"));
    let path = grant.path().display().to_string();
    let text = format!("{process} holds the directory `{}` ({})", grant.name(), escape(&path));
    match unfinished_run(job, &path) {
        Some(run) => {
            let (id, started) = (run.id.get(..8).unwrap_or(&run.id), local_time(run.started));
            format!("{text}; the run {id}, started at {started}, has not ended")
        }
        None => text,
    }
}

/// Returns the last run with a directory that has not ended.
fn unfinished_run(job: &Job, path: &str) -> Option<HistoryRun> {
    let history = History::open(job.state_dir()).ok()??;
    let filter = RunFilter { failed: true, limit: Some(RUNS), ..RunFilter::default() };
    let mut runs = history.runs(&filter).ok()?.into_iter();
    runs.find(|run| run.ended.is_none() && run.directories.iter().any(|(_, other)| other == path))
}

/// Returns the id of the process that has locked a directory.
#[cfg(target_os = "linux")]
fn process(path: &std::path::Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = path.metadata().ok()?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    owner(&locks, &format!("{major:02x}:{minor:02x}:{inode}"))
}

#[cfg(not(target_os = "linux"))]
fn process(_path: &std::path::Path) -> Option<u32> {
    None
}

/// Finds the process that holds the lock on a place in the text of `/proc/locks`.
#[cfg(target_os = "linux")]
fn owner(locks: &str, place: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields.as_slice() {
            // A process of another container has the id 0.
            [_, "FLOCK", _, _, id, at, ..] if *at == place => id.parse().ok().filter(|id| *id > 0),
            _ => None,
        }
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_lock_is_found() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fd:00:7 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 fd:00:7 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 fd:00:8 0 EOF\n\
                     3: FLOCK  ADVISORY  READ  0 fd:00:9 0 EOF\n\
                     garbage\n4: FLOCK\n";
        for (place, expected) in
            [("fd:00:7", Some(12)), ("fd:00:8", None), ("fd:00:9", None), ("fd:00:70", None)]
        {
            assert_eq!(owner(locks, place), expected, "{place}");
        }
    }
}

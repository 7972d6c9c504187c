//! The runs that the page started: processes of this program.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::sync::watch;

use super::job::Job;
use super::progress::Progress;
use crate::command::schedule::WAIT;
use crate::exit::Exit;
use crate::output::now;

/// The maximum number of runs at the same time.
const MAX_RUNNING: usize = 4;

/// The maximum number of runs that have ended and are still shown.
const MAX_ENDED: usize = 20;

/// The maximum length of a line in bytes. The rest of a longer line is skipped.
const MAX_LINE: u64 = 1 << 20;

/// The maximum length of the errors that a run prints, in bytes.
const MAX_ERRORS: u64 = 16 << 10;

/// The time for a run to end after a cancellation, and again after the plugin was terminated.
const GRACE: Duration = Duration::from_secs(10);

/// The interval of checks whether a run has ended.
const END_CHECK: Duration = Duration::from_millis(20);

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Run,
    /// Its time has come. It waits for other runs.
    Scheduled,
    /// It only reports changes.
    Preview,
    /// It may delete as many files as a preview that stopped for safety.
    Once {
        /// The number of files on a side of an item.
        deletions: u64,
    },
}

impl Mode {
    fn arguments(self) -> Vec<String> {
        match self {
            Self::Run => Vec::new(),
            Self::Scheduled => ["--trigger=scheduled", WAIT].map(str::to_owned).to_vec(),
            Self::Preview => vec!["--dry-run".to_owned()],
            Self::Once { deletions } => {
                vec![format!("--max-delete={deletions}")]
            }
        }
    }
}

/// A run that the page started.
pub(super) struct Run {
    pub(super) number: u64,
    /// The name of the job.
    pub(super) job: String,
    /// The key of the job.
    pub(super) key: String,
    pub(super) mode: Mode,
    /// The start, in ms since 1970.
    pub(super) started: i64,
    progress: Mutex<Progress>,
    /// The process, until its end was observed. Its id may belong to another process after that.
    process: Mutex<Option<Process>>,
}

struct Process {
    child: Child,
    /// The number of cancellations.
    cancelled: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    pub(super) fn is_preview(&self) -> bool {
        self.mode == Mode::Preview
    }

    /// Returns the number of deletions of a preview that stopped for safety, on the side of an item
    /// with most of them.
    pub(super) fn stopped_deletions(&self) -> Option<u64> {
        let progress = self.progress();
        let exit = progress.end.as_ref()?.exit;
        let has_stopped = self.is_preview() && exit == Some(Exit::SafetyStop as u8);
        has_stopped.then(|| progress.deletions()).filter(|deletions| *deletions > 0)
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    pub(super) fn is_running(&self) -> bool {
        lock(&self.process).is_some()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        lock(&self.process).as_ref().is_some_and(|process| process.cancelled > 0)
    }

    /// Cancels the run, as Ctrl-C does; a second time, terminates the plugin. Returns whether the
    /// run has not ended.
    fn cancel(&self) -> bool {
        let mut process = lock(&self.process);
        let Some(process) = process.as_mut() else { return false };
        interrupt(process);
        process.cancelled += 1;
        true
    }

    fn wait(&self) -> std::io::Result<ExitStatus> {
        loop {
            let mut process = lock(&self.process);
            if let Some(running) = process.as_mut()
                && let Some(status) = running.child.try_wait()?
            {
                *process = None;
                return Ok(status);
            }
            drop(process);
            thread::sleep(END_CHECK);
        }
    }

    /// Reads the output of the process until its end.
    fn read(&self, output: impl Read, errors: impl Read + Send, changed: &watch::Sender<u64>) {
        let changed = || changed.send_modify(|version| *version = version.wrapping_add(1));
        thread::scope(|scope| {
            let errors = scope.spawn(|| first_bytes(errors));
            each_line(output, |line| {
                self.progress().read(line);
                changed();
            });
            let errors = errors.join().unwrap_or_default();
            let status = self.wait();
            let exit = status.ok().and_then(|status| status.code());
            self.progress().end(exit, &errors);
            changed();
        });
    }
}

/// Sends the first or a later interrupt, see [`Interrupts`](crate::interrupt::Interrupts).
#[cfg(unix)]
fn interrupt(process: &mut Process) {
    use rustix::process::{Pid, Signal, kill_process};
    let signal = if process.cancelled == 0 { Signal::INT } else { Signal::TERM };
    if let Some(id) = i32::try_from(process.child.id()).ok().and_then(Pid::from_raw) {
        // If it fails, the run is ending.
        let _ = kill_process(id, signal);
    }
}

/// Terminates the process: there is no safe function to send it Ctrl-C. The next run continues its
/// work.
#[cfg(not(unix))]
fn interrupt(process: &mut Process) {
    // If it fails, the run is ending.
    let _ = process.child.kill();
}

/// Passes each line to `each`, without the rest of lines that are too long.
fn each_line(from: impl Read, mut each: impl FnMut(&[u8])) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    let mut is_rest = false;
    // An error ends the output, as the end of the process does.
    while let Ok(1..) = (&mut from).take(MAX_LINE).read_until(b'\n', &mut line) {
        let is_end = line.ends_with(b"\n");
        if is_end && !is_rest {
            each(&line);
        }
        is_rest = !is_end;
        line.clear();
    }
}

/// Returns the beginning of a stream, and reads the rest, so that its writer never waits.
fn first_bytes(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    // An error ends the stream.
    let _ = from.by_ref().take(MAX_ERRORS).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut from, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All runs that the page started.
pub(super) struct Children {
    runs: Mutex<Vec<Arc<Run>>>,
    /// No run may start after the program has begun to end.
    stopped: AtomicBool,
    /// Changes whenever a run does.
    changed: watch::Sender<u64>,
}

impl Default for Children {
    fn default() -> Self {
        Self {
            runs: Mutex::default(),
            stopped: AtomicBool::new(false),
            changed: watch::Sender::new(0),
        }
    }
}

impl Children {
    /// Starts a run of a job.
    pub(super) fn start(&self, job: &Job, mode: Mode, state: &Path) -> anyhow::Result<()> {
        let mut runs = lock(&self.runs);
        ensure!(!self.stopped.load(Ordering::SeqCst), "the program ends");
        let running = runs.iter().filter(|run| run.is_running()).count();
        ensure!(running < MAX_RUNNING, "{running} runs are in progress; wait for one of them");
        let program = std::env::current_exe().context("cannot find the program")?;
        let mut command = Command::new(program);
        command.args(["run", "--json"]).args(mode.arguments());
        command.arg("--state-dir").arg(std::path::absolute(state)?).args(&job.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C reaches this program, which then cancels its runs once.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().context("cannot start the run")?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let run = Arc::new(Run {
            number: runs.last().map_or(1, |last| last.number + 1),
            job: job.name.clone(),
            key: job.key.clone(),
            mode,
            started: now(),
            progress: Mutex::default(),
            process: Mutex::new(Some(Process { child, cancelled: 0 })),
        });
        runs.push(Arc::clone(&run));
        let ended = runs.iter().filter(|run| !run.is_running()).count();
        if ended > MAX_ENDED
            && let Some(oldest) = runs.iter().position(|run| !run.is_running())
        {
            runs.remove(oldest);
        }
        let changed = self.changed.clone();
        thread::spawn(move || {
            if let (Some(output), Some(errors)) = (output, errors) {
                run.read(output, errors, &changed);
            }
        });
        Ok(())
    }

    /// Returns all runs, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Run>> {
        lock(&self.runs).clone()
    }

    /// Returns a receiver that is notified of each change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Returns whether a job is running.
    pub(super) fn runs(&self, key: &str) -> bool {
        self.all().iter().any(|run| run.key == key && run.is_running())
    }

    /// Returns the number of deletions of a preview of a job that stopped for safety.
    pub(super) fn stopped_deletions(&self, number: u64, key: &str) -> Option<u64> {
        let runs = self.all();
        let preview = runs.iter().find(|run| run.number == number && run.key == key)?;
        preview.stopped_deletions()
    }

    /// Cancels a run. Returns whether there is one.
    pub(super) fn cancel(&self, number: u64) -> bool {
        let run = self.all().into_iter().find(|run| run.number == number);
        let cancelled = run.is_some_and(|run| run.cancel());
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
        cancelled
    }

    /// Ends all runs: cancels them, terminates their plugins, and finally the processes.
    pub(super) fn stop(&self) {
        let runs = lock(&self.runs);
        self.stopped.store(true, Ordering::SeqCst);
        drop(runs);
        for _ in 0..2 {
            let running: Vec<_> = self.all().into_iter().filter(|run| run.is_running()).collect();
            running.iter().for_each(|run| {
                run.cancel();
            });
            let until = Instant::now() + GRACE;
            while running.iter().any(|run| run.is_running()) && Instant::now() < until {
                thread::sleep(END_CHECK);
            }
        }
        for run in self.all() {
            if let Some(process) = lock(&run.process).as_mut() {
                // If it fails, the run has ended.
                let _ = process.child.kill();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded() {
        let long = "x".repeat(usize::try_from(MAX_LINE).unwrap() * 2 + 5);
        let text = format!("one\n{long}\ntwo\n\nunfinished");
        let mut lines = Vec::new();
        each_line(text.as_bytes(), |line| lines.push(String::from_utf8_lossy(line).into_owned()));
        assert_eq!(lines, ["one\n", "two\n", "\n"]);
        let errors = first_bytes("e".repeat(100_000).as_bytes());
        assert_eq!(errors.len() as u64, MAX_ERRORS);
    }
}

//! The latency of cancellation: `cargo bench -p conformance --bench cancel`, with the number of
//! runs of each kind as an argument (1,000 by default).
//!
//! *Asked* is the time from the request to the terminal status of the item, for plugins that react.
//! *Forced* is the time from the request to the end of the run, for plugins that do not, without
//! the grace period, in ticks of the engine's epoch. Four concurrent sessions must not be affected.

#![allow(clippy::print_stdout, reason = "the table is what this is for")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use conformance::limits;
use conformance::script::{Script, item};
use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{Access, CancelHandle, Capability, Grant, ProgressResponse, SessionError, TICK};

const GRACE: Duration = Duration::from_millis(50);
const SIBLINGS: usize = 4;

/// Sends the times of the first and the last report of the item.
#[derive(Clone)]
struct Watch {
    first: mpsc::SyncSender<()>,
    ended: Arc<Mutex<Option<Instant>>>,
}

impl Sink for Watch {
    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let _ = self.first.try_send(());
        if progress.current.status_type.is_some_and(|status| status.is_terminal()) {
            *self.ended.lock().expect("the lock is not poisoned") = Some(Instant::now());
        }
        ProgressResponse::Continue
    }
}

struct Outcome {
    took: Duration,
    code: Option<&'static str>,
}

/// Cancels a plugin after its first report.
fn cancelled(commands: &str, fifo: &Grant, everything: bool) -> anyhow::Result<Outcome> {
    let (first, heard) = mpsc::sync_channel(1);
    let watch = Watch { first, ended: Arc::default() };
    let ended = Arc::clone(&watch.ended);
    let cancel = CancelHandle::new();
    let handle = cancel.clone();
    let script = Script::new("a")
        .on("synchronize", &format!("progress item=a status=updating\n{commands}"))
        .options(|options| {
            options
                .cancel_with(handle)
                .allow(Capability::WallClock)
                .grant(fifo.clone())
                .limits(limits(|limits| limits.grace = GRACE))
        });
    let run = thread::spawn(move || script.report(watch));
    heard.recv().context("it reports")?;
    // Requests must not always fall on the same point of a tick.
    thread::sleep(Duration::from_micros(u64::from(std::process::id() % 10) * 700));
    let asked = Instant::now();
    match everything {
        true => cancel.cancel_all(),
        false => cancel.cancel_item(item("a")),
    }
    let report = run.join().ok().context("it returns")??;
    let ended = ended.lock().expect("the lock is not poisoned").context("the item ended")?;
    Ok(Outcome { took: ended.duration_since(asked), code: report.error().map(SessionError::code) })
}

/// Counts reports until it is stopped.
struct Sibling(Arc<AtomicU64>, Arc<AtomicBool>);

impl Sink for Sibling {
    fn progress(&mut self, _progress: &Progress<'_>) -> ProgressResponse {
        self.0.fetch_add(1, Ordering::Relaxed);
        // A sibling that uses a complete core would distort the measurement.
        thread::sleep(Duration::from_millis(1));
        match self.1.load(Ordering::Relaxed) {
            true => ProgressResponse::CancelAll,
            false => ProgressResponse::Continue,
        }
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

fn main() -> anyhow::Result<()> {
    let runs = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1000);
    let home = tempfile::tempdir()?;
    let fifo = home.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    ensure!(made.is_ok_and(|status| status.success()), "mkfifo is missing");
    let fifo = Grant::new("reading", home.path(), Access::ReadOnly)?;

    let stop = Arc::new(AtomicBool::new(false));
    let siblings: Vec<_> = (0..SIBLINGS)
        .map(|_| {
            let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::clone(&stop));
            let sink = Sibling(Arc::clone(&count), stop);
            let script = Script::new("a").on("synchronize", "work item=a");
            (count, thread::spawn(move || script.report(sink)))
        })
        .collect();

    println!("| cancelled | what it does | runs | p50 | p99 | most | outcome |");
    println!("|---|---|---|---|---|---|---|");
    for (what, commands, everything, code) in [
        ("one item", "work item=a", false, None),
        ("everything", "work item=a", true, None),
        ("everything", "wait-cancelled item=a\nprogress item=a status=stopped", true, None),
        ("one item", "spin", false, Some("ended-cancelled-item")),
        ("everything", "spin", true, Some("ended-cancelled-all")),
        ("everything", "sleep ms=600000", true, Some("ended-cancelled-all")),
        (
            "everything",
            "progress item=a times=999999999 quiet=1",
            true,
            Some("ended-cancelled-all"),
        ),
        ("everything", "read path=/reading/fifo", true, Some("ended-cancelled-all")),
    ] {
        // A thread that waits for a FIFO is never released.
        let runs = if commands.contains("fifo") { runs / 10 } else { runs };
        let before: Vec<_> =
            siblings.iter().map(|(count, _)| count.load(Ordering::Relaxed)).collect();
        let mut took = Vec::with_capacity(runs);
        for _ in 0..runs {
            let outcome = cancelled(commands, &fifo, everything)?;
            ensure!(outcome.code == code, "{commands}: {:?}", outcome.code);
            took.push(outcome.took);
        }
        for ((count, _), before) in siblings.iter().zip(before) {
            ensure!(count.load(Ordering::Relaxed) > before, "{commands}: a sibling stood still");
        }
        took.sort();
        let show = |time: Duration| match code {
            None => format!("{:.1} us", time.as_secs_f64() * 1e6),
            Some(_) => {
                let late = time.as_secs_f64() - GRACE.as_secs_f64();
                format!("grace {:+.2} ticks", late / TICK.as_secs_f64())
            }
        };
        let name = commands.split(['\n', ' ']).next().unwrap_or(commands);
        println!(
            "| {what} | `{name}` | {runs} | {} | {} | {} | {} |",
            show(percentile(&took, 50)),
            show(percentile(&took, 99)),
            show(percentile(&took, 100)),
            code.unwrap_or("listened"),
        );
    }
    stop.store(true, Ordering::Relaxed);
    for (_, sibling) in siblings {
        let report = sibling.join().ok().context("a sibling panicked")??;
        ensure!(report.error().is_none(), "a sibling failed: {:?}", report.error());
    }
    Ok(())
}

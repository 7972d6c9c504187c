//! Many concurrent sessions on two threads, each of which reports and then waits.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use conformance::{SCRIPT, limits, script};
use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{Allocation, Host, HostOptions, ProgressResponse, SessionOptions, Trigger};

use crate::Options;
use crate::bare::{Bare, Text, plain};
use crate::report::{Figure, Row, median};

/// The reports of a session between two waits, and the length of a wait in milliseconds.
const BURST: u32 = 10;
const PAUSE: u32 = 20;

/// Counts the reports of one session until all sessions stop.
struct Count {
    reports: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Sink for Count {
    fn reads_text(&self) -> bool {
        false
    }

    fn progress(&mut self, _progress: &Progress<'_>) -> ProgressResponse {
        self.reports.fetch_add(1, Ordering::Relaxed);
        match self.stop.load(Ordering::Relaxed) {
            true => ProgressResponse::CancelAll,
            false => ProgressResponse::Continue,
        }
    }
}

/// The resident memory of this process, in bytes.
fn memory() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    let kibibytes: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kibibytes * 1024.0)
}

/// The argument that makes this program measure the memory in a separate process: this process has
/// already used and freed memory.
pub(crate) const BARE: &str = "memory-of-bare-sessions";

fn bare_elsewhere(count: u32) -> Result<f64> {
    let output =
        Command::new(std::env::current_exe()?).args([BARE, &count.to_string()]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The lower bound for a session: a store and an instance, in bytes.
pub(crate) fn bare(count: usize) -> Result<f64> {
    let bare = Bare::new(Text::Left).map_err(plain)?;
    let first = bare.open().map_err(plain)?;
    let before = memory()?;
    let open = (0..count).map(|_| bare.open().map_err(plain)).collect::<Result<Vec<_>>>()?;
    let after = memory()?;
    drop((open, first));
    Ok((after - before) / count as f64)
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    if !Path::new("/proc/self/status").exists() {
        println!("not many at once: memory is read from /proc");
        return Ok(Vec::new());
    }
    let count: u32 = if options.small { 20 } else { 10_000 };
    let window = Duration::from_secs(if options.small { 1 } else { 10 });
    let bare = bare_elsewhere(count.min(5_000))?;
    let host = Host::with_options(HostOptions::new().pooled(count))?;
    if let Allocation::PoolRefused { reason, .. } = host.allocation() {
        println!("no pool: {reason}");
    }
    let plugin = host.load_file(SCRIPT)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut counts = Vec::new();
    let mut sessions = Vec::new();
    let before = memory()?;
    let opening = Instant::now();
    for _ in 0..count {
        let reports = Arc::new(AtomicU64::new(0));
        let sink = Count { reports: Arc::clone(&reports), stop: Arc::clone(&stop) };
        counts.push(reports);
        let options = SessionOptions::new()
            .limits(limits(|limits| limits.progress_per_second = u64::MAX))
            .setting("items", "a")
            .setting("synchronize", format!("work item=a burst={BURST} pause={PAUSE}"));
        let session = runtime.block_on(async {
            let mut session = plugin.start(options, sink).await?;
            session.initialize(Trigger::MANUAL, None).await?;
            session.enum_items().await?;
            session.prepare_for_sync(&[script::item("a")]).await?;
            anyhow::Ok(session)
        })?;
        sessions.push(session);
    }
    let opened = opening.elapsed().as_secs_f64();
    let each = (memory()? - before) / f64::from(count);
    let running: Vec<_> = sessions
        .into_iter()
        .map(|mut session| runtime.spawn(async move { session.synchronize().await }))
        .collect();
    // Every session has started.
    thread::sleep(window / 5);
    let heard = || counts.iter().map(|one| one.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let (since, first) = (Instant::now(), heard());
    thread::sleep(window);
    let (seconds, last) = (since.elapsed().as_secs_f64(), heard());
    stop.store(true, Ordering::Relaxed);
    for one in running {
        runtime.block_on(one)??;
    }
    let mut reports: Vec<f64> =
        last.iter().zip(first).map(|(last, first)| (last - first) as f64).collect();
    reports.sort_by(f64::total_cmp);
    let (total, middle) = (reports.iter().sum::<f64>(), median(reports.clone()));
    let slowest = reports.first().context("some")?;
    Ok(vec![
        Row::new(format!("{count} open sessions, memory of each"), Figure::Memory(each))
            .limit("bare store and instance, on demand", Figure::Memory(bare)),
        Row::new(
            format!("{count} open sessions, opening and preparing each"),
            Figure::Time(opened / f64::from(count)),
        ),
        Row::new(format!("{count} open sessions, reports"), Figure::Rate(total / seconds)),
        Row::new(
            format!("{count} open sessions, reports of the slowest / of the median"),
            Figure::Ratio(slowest / middle),
        ),
    ])
}

//! Runs each nonconforming guest concurrently with eight conforming ones, and compares the result
//! with the table.

#![allow(clippy::print_stdout, reason = "prints the table: cargo test -- --nocapture")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use conformance::HOSTILE;
use conformance::corpus::workdir::Workdir;
use conformance::corpus::{Act, Expected, Guest, Ran, Row, SECRET, first_item, load_limits, rows};
use conformance::session::DrivenSession;
use syncmgr_host::sink::{Discard, EventLog, JsonLines, Progress, Sink};
use syncmgr_host::{
    Access, CancelHandle, Grant, Host, HostError, HostOptions, Item, LoadLimits, LogEntry, Outcome,
    Plugin, ProgressResponse, PropertyValue, Question, RunReport, RunRequest, SessionOptions,
    Status, TerminationReason, Trigger, full_message,
};

/// The number of conforming sessions that run concurrently with each guest.
const NEIGHBOURS: usize = 8;

/// The memory that the host may need in addition to the memory of a guest: for compiling, the
/// concurrent sessions, and the recorded events.
const SLACK: u64 = 128 << 20;

/// All rows have lower limits; the remainder is for busy machines.
const LONGEST: Duration = Duration::from_secs(30);

/// The time limit for an operation that takes milliseconds, on busy machines.
const PATIENCE: Duration = Duration::from_secs(20);

/// A conforming session on a separate thread, which reports all the time.
struct Sibling {
    cancel: CancelHandle,
    reports: Arc<AtomicU64>,
    thread: JoinHandle<Result<RunReport>>,
}

struct Counter(Arc<AtomicU64>);

impl Sink for Counter {
    fn progress(&mut self, _progress: &Progress<'_>) -> ProgressResponse {
        self.0.fetch_add(1, Ordering::Relaxed);
        ProgressResponse::Continue
    }
}

impl Sibling {
    fn start(plugin: &Plugin) -> Self {
        let (cancel, reports) = (CancelHandle::new(), Arc::new(AtomicU64::new(0)));
        let options =
            SessionOptions::new().setting("behavior", "neighbour").cancel_with(cancel.clone());
        let (plugin, sink) = (plugin.clone(), Counter(Arc::clone(&reports)));
        let thread =
            thread::spawn(move || Ok(plugin.run(options, sink, &RunRequest::default())?));
        Self { cancel, reports, thread }
    }

    fn reports(&self) -> u64 {
        self.reports.load(Ordering::Relaxed)
    }

    /// Waits until it has sent more than this number of reports.
    fn continues(&self, before: u64) -> Result<()> {
        let since = Instant::now();
        while self.reports() == before {
            ensure!(since.elapsed() < PATIENCE, "a concurrent session hangs");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        self.cancel.cancel_all();
        let report =
            self.thread.join().map_err(|_| anyhow::anyhow!("a concurrent session panicked"))??;
        let stopped = report.items.iter().all(|item| item.status == Status::Stopped);
        let completed = matches!(report.outcome, Outcome::Completed);
        ensure!(completed && stopped, "a concurrent session ended with {:?}", report.outcome);
        Ok(())
    }
}

/// A buffer that can be read while it is written.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_| std::io::ErrorKind::Other)?.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Records everything twice.
struct Both(EventLog, JsonLines<Shared>);

impl Sink for Both {
    fn started(&mut self, items: &[Item]) {
        self.0.started(items);
        self.1.started(items);
    }

    fn recorded_bytes(&self) -> Option<u64> {
        self.0.recorded_bytes()
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        self.0.progress(progress);
        self.1.progress(progress)
    }

    fn log(&mut self, entry: &LogEntry) {
        self.0.log(entry);
        self.1.log(entry);
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        self.0.question(question);
        self.1.question(question)
    }
}

fn host_with(limits: LoadLimits) -> Result<Host, HostError> {
    Host::with_options(HostOptions::new().limits(limits))
}

/// Returns a value of `/proc/self/status` in bytes; `None` if the file does not exist.
fn memory(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// Returns the number of threads and open files of this process; `None` if unknown.
fn held() -> Option<(usize, usize)> {
    let count = |of: &str| fs::read_dir(Path::new("/proc/self").join(of)).ok().map(Iterator::count);
    count("task").zip(count("fd"))
}

/// Waits until the numbers of threads and open files are as before.
fn wait_for_less(before: Option<(usize, usize)>) -> Result<()> {
    let since = Instant::now();
    while let (Some(now), Some(before)) = (held(), before)
        && (now.0 > before.0 || now.1 > before.1)
    {
        ensure!(
            since.elapsed() < PATIENCE,
            "(threads, files) left behind: {now:?}, not {before:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The result of a row.
enum Came {
    NotLoaded(&'static str, String),
    Ran(Box<Ran>),
}

impl Came {
    fn outcome(&self) -> String {
        match self {
            Self::NotLoaded(code, _) => (*code).to_owned(),
            Self::Ran(ran) => match ran.report.error() {
                Some(error) => error.code().to_owned(),
                None => ran.report.outcome.name().to_owned(),
            },
        }
    }

    fn hresult(&self) -> String {
        match self {
            Self::NotLoaded(..) => String::new(),
            Self::Ran(ran) => ran.report.hresult().to_string(),
        }
    }
}

fn load(
    host: &Host,
    hostile: &Plugin,
    row: &Row,
) -> Result<Result<Plugin, (&'static str, String)>> {
    let bytes = match &row.guest {
        Guest::Behavior(_) => return Ok(Ok(hostile.clone())),
        Guest::Made(make) => make()?,
        Guest::Core(core) => core.component().context("the guest cannot be made")?,
    };
    let own = row.load.clone().map(host_with).transpose()?;
    let loaded = own.as_ref().unwrap_or(host).load("guest", &bytes);
    Ok(loaded.map_err(|error| (error.code(), full_message(&error))))
}

fn options(row: &Row, workdir: &Workdir, cancel: &CancelHandle) -> Result<SessionOptions> {
    let mut options = SessionOptions::new()
        .secret("token", SECRET)
        .limits(row.limits.clone())
        .cancel_with(cancel.clone());
    if let Guest::Behavior(behavior) = row.guest {
        options = options.setting("behavior", behavior);
    }
    for (name, value) in &row.settings {
        options = options.setting(*name, value);
    }
    if row.files {
        // `reading` is requested read-only, and `locked` is granted read-only.
        for (name, access) in [
            ("left", Access::ReadWrite),
            ("reading", Access::ReadWrite),
            ("locked", Access::ReadOnly),
        ] {
            options = options.grant(Grant::new(name, workdir.path(name), access)?);
        }
    }
    if row.storage {
        options = options.storage(workdir.path("storage"));
    }
    Ok(options)
}

fn act(cancel: &CancelHandle, act: Act) {
    match act {
        Act::CancelAll => cancel.cancel_all(),
        Act::CancelItem => cancel.cancel_item(first_item()),
        Act::Kill => cancel.kill(),
    }
}

fn run(plugin: &Plugin, row: &Row, workdir: &Workdir) -> Result<Ran> {
    let cancel = CancelHandle::new();
    let options = options(row, workdir, &cancel)?;
    let (recorder, written) = (EventLog::new(), Shared::default());
    let sink = Both(recorder.clone(), JsonLines::new(written.clone()));
    if let Some((Duration::ZERO, what)) = row.act {
        act(&cancel, what);
    }
    let report = thread::scope(|scope| {
        if let Some((after, what)) = row.act.filter(|(after, _)| !after.is_zero()) {
            scope.spawn(move || {
                thread::sleep(after);
                act(&cancel, what);
            });
        }
        if let Some(concurrently) = row.concurrently {
            scope.spawn(move || concurrently(workdir));
        }
        match row.properties {
            false => {
                let mut request = RunRequest::default();
                request.retries = row.retries;
                plugin.run(options, sink, &request).map_err(anyhow::Error::from)
            }
            true => properties(plugin, options, sink),
        }
    })?;
    JsonLines::new(written.clone()).report(&report, None);
    let json = written.0.lock().map_err(|_| anyhow::anyhow!("a sink panicked"))?.clone();
    Ok(Ran { report, recorded: recorder.recorded(), json: String::from_utf8(json)? })
}

fn properties(plugin: &Plugin, options: SessionOptions, sink: Both) -> Result<RunReport> {
    let mut session = DrivenSession::start(plugin, options, sink)?;
    let shown = session.block_on(async |session| {
        session.initialize(Trigger::MANUAL, None).await?;
        let properties = session.properties(None).await?;
        session.set_properties(None, &[("token", PropertyValue::Boolean(true))]).await?;
        Ok(properties)
    });
    Ok(match shown {
        Ok(properties) => {
            ensure!(!format!("{properties:?}").contains(SECRET), "{properties:?}");
            session.report(Outcome::Completed)
        }
        Err(error) => session.report(Outcome::Failed(error)),
    })
}

fn compare(row: &Row, came: &Came) -> Result<()> {
    match (&row.expected, came) {
        (Expected::NotLoaded(code), Came::NotLoaded(came, message)) => {
            ensure!(came == code, "it is not loaded for {came}, not {code}: {message}");
        }
        (Expected::NotLoaded(code), Came::Ran(ran)) => {
            bail!("it is loaded, and not refused as {code}: {:?}", ran.report.outcome);
        }
        (Expected::Ran { .. }, Came::NotLoaded(code, message)) => {
            bail!("it is not loaded, for {code}: {message}");
        }
        (Expected::Ran { error, hresult, ends }, Came::Ran(ran)) => {
            let report = &ran.report;
            let came = report.error().map(syncmgr_host::SessionError::code);
            let more = || {
                let log: Vec<_> = ran.texts().take(20).collect();
                format!("{:?} {log:#?}", report.outcome)
            };
            ensure!(came == *error, "it ends with {came:?}, not {error:?}: {}", more());
            ensure!(report.hresult() == *hresult, "{} is not {hresult}", report.hresult());
            let came: Vec<_> = report.items.iter().map(|item| item.status).collect();
            ensure!(came == *ends, "its items end as {came:?}, not {ends:?}: {}", more());
            if let Some(text) = ran.texts().find(|text| text.starts_with("SUCCEEDED")) {
                bail!("an attack: {text}");
            }
            for seen in [format!("{:?} {:?}", report, ran.recorded), ran.json.clone()] {
                ensure!(!seen.contains(SECRET), "the secret shows up: {seen}");
            }
            for check in &row.checks {
                check(ran)?;
            }
        }
    }
    Ok(())
}

/// The resources that a row used.
struct Took {
    outcome: String,
    hresult: String,
    memory: Option<u64>,
    time: Duration,
}

fn try_row(host: &Host, hostile: &Plugin, row: &Row) -> (Option<Took>, Result<()>) {
    let mut took = None;
    let result = try_row_inner(host, hostile, row, &mut took);
    (took, result)
}

fn try_row_inner(host: &Host, hostile: &Plugin, row: &Row, took: &mut Option<Took>) -> Result<()> {
    let held_before = held();
    let workdir = Workdir::new()?;
    let before = workdir.snapshot()?;
    let siblings: Vec<_> = (0..NEIGHBOURS).map(|_| Sibling::start(hostile)).collect();
    for sibling in &siblings {
        sibling.continues(0)?;
    }
    let reports: Vec<_> = siblings.iter().map(Sibling::reports).collect();
    // Resets the peak memory.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (resident, since) = (memory("VmRSS"), Instant::now());
    let came = match load(host, hostile, row)? {
        Ok(plugin) => Came::Ran(Box::new(run(&plugin, row, &workdir)?)),
        Err((code, message)) => Came::NotLoaded(code, message),
    };
    let time = since.elapsed();
    let grown = memory("VmHWM").zip(resident).map(|(peak, before)| peak.saturating_sub(before));
    *took = Some(Took { outcome: came.outcome(), hresult: came.hresult(), memory: grown, time });
    for (sibling, before) in siblings.iter().zip(reports) {
        let is_stalled = time > Duration::from_millis(200) && sibling.reports() == before;
        ensure!(!is_stalled, "a concurrent session made no progress for {time:?}");
        sibling.continues(before)?;
    }
    siblings.iter().for_each(|sibling| sibling.cancel.cancel_all());
    for sibling in siblings {
        sibling.end()?;
    }
    compare(row, &came)?;
    ensure!(workdir.snapshot()? == before, "files without write access have changed");
    ensure!(time < LONGEST, "it took {time:?}");
    let bound = row.limits.memory_bytes + SLACK;
    ensure!(grown.is_none_or(|grown| grown <= bound), "the host grew by {grown:?} bytes");
    let after = hostile.run(SessionOptions::new(), Discard, &RunRequest::default())?;
    let succeeded = after.items.iter().filter(|item| item.status == Status::Succeeded).count();
    ensure!(succeeded == 2, "afterwards, a good session ends with {:?}", after.outcome);
    wait_for_less(held_before)?;
    Ok(())
}

#[test]
fn hostile_plugins_affect_only_themselves() -> anyhow::Result<()> {
    conformance::isolation::alone(hostile_plugins_affect_only_themselves, try_every_row)
}

fn try_every_row() -> anyhow::Result<()> {
    let host = host_with(load_limits())?;
    let hostile = host.load_file(HOSTILE)?;
    // Permanent one-time allocations do not count for a row.
    Sibling::start(&hostile).end()?;
    // Selects rows during development.
    let only = std::env::var("CORPUS_ROWS").unwrap_or_default();
    let rows: Vec<_> = rows().into_iter().filter(|row| row.name.contains(&only)).collect();
    ensure!(!only.is_empty() || rows.len() >= 50, "there are only {} rows", rows.len());
    println!("{:<68} {:<24} {:<46} {:>8} {:>8}", "guest", "outcome", "HRESULT", "MiB", "ms");
    let mut failures = Vec::new();
    for row in &rows {
        let (took, result) = try_row(&host, &hostile, row);
        if let Some(took) = took {
            let memory = took.memory.map_or("?".to_owned(), |grown| (grown >> 20).to_string());
            println!(
                "{:<68} {:<24} {:<46} {memory:>8} {:>8}",
                row.name,
                took.outcome,
                took.hresult,
                took.time.as_millis()
            );
        }
        if let Err(error) = result {
            failures.push(format!("{}: {error:#}", row.name));
        }
    }
    println!("{} guests", rows.len());
    if only.is_empty() {
        let hit = |reason: &&TerminationReason| {
            !rows.iter().any(|row| {
                matches!(row.expected, Expected::Ran { error: Some(code), .. }
                    if code == reason.code())
            })
        };
        let missed: Vec<_> = TerminationReason::ALL.iter().filter(hit).collect();
        ensure!(missed.is_empty(), "no guest is terminated for {missed:?}");
    }
    ensure!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

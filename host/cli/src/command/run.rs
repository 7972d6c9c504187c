use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use syncmgr_host::sink::{JsonLines, Progress, Sink};
use syncmgr_host::{
    CancelHandle, ErrorId, Host, Item, LogEntry, ProgressResponse, Question, Report, RunRequest,
    Selection, SyncEvent, Trigger,
};

use crate::args::{OnDeath, Run};
use crate::exit::Exit;
use crate::job::Job;
use crate::quarantine::Quarantine;
use crate::sink::{Bars, Lines, summary};

/// How long to wait before starting a plugin again.
const BACKOFF: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &Run) -> anyhow::Result<Exit> {
    let job = Job::new(&args.given)?;
    let quarantine = Quarantine::new(&job.home);
    if args.release {
        quarantine.release()?;
    }
    quarantine.check(&job.plugin.name())?;
    let host = Host::with_limits(job.limits.load.clone())?;
    let plugin = job.plugin.load(&host)?;
    let mut options = job.session_options(&plugin)?;
    if args.dry_run {
        options = options.read_only();
        if plugin.description().requests.setting("dry-run") {
            options = options.setting("dry-run", "true");
        }
    }
    let cancel = CancelHandle::new();
    on_ctrl_c(cancel.clone())?;
    let options = options.cancel_handle(cancel);
    let on_terminal = std::io::stderr().is_terminal();
    let request = request(args, on_terminal);

    let report = if args.json {
        let json = SharedJson(Arc::new(Mutex::new(JsonLines::new(std::io::stdout()))));
        let report = plugin.run_blocking(options, json.clone(), &request)?;
        let exit = Exit::of_report(&report);
        json.lock().report(&report, Some(exit as u8));
        json.finish().context("cannot write to standard output")?;
        report
    } else {
        let sink: Box<dyn Sink> = match on_terminal {
            true => Box::new(Bars::new()),
            false => Box::new(Lines::new(std::io::stdout())),
        };
        let report = plugin.run_blocking(options, sink, &request)?;
        print(&report).context("cannot write to standard output")?;
        report
    };
    if args.on_death == OnDeath::Quarantine
        && let Some(death) = report.error().filter(|error| error.may_be_retried())
    {
        quarantine.set(&death.to_string())?;
    }
    Ok(Exit::of_report(&report))
}

fn request(args: &Run, on_terminal: bool) -> RunRequest {
    RunRequest {
        trigger: Trigger {
            event: SyncEvent::Manual,
            settings: false,
            may_bother_user: on_terminal
                && !args.batch
                && !args.json
                && std::io::stdin().is_terminal(),
        },
        cookie: None,
        selection: match args.items.is_empty() {
            true => Selection::Checked,
            false => Selection::Only(args.items.clone()),
        },
        retries: args.retries,
        on_death: match args.on_death {
            OnDeath::Fail | OnDeath::Quarantine => syncmgr_host::OnDeath::Fail,
            OnDeath::Restart => {
                syncmgr_host::OnDeath::Restart { attempts: args.restarts, backoff: BACKOFF }
            }
        },
    }
}

fn print(report: &Report) -> std::io::Result<()> {
    let mut to = std::io::stdout().lock();
    to.write_all(summary(report).as_bytes())?;
    to.flush()
}

/// The first Ctrl-C cancels everything, the second one ends the plugin. A run ends without its
/// plugin where that sits in a system call.
fn on_ctrl_c(cancel: CancelHandle) -> anyhow::Result<()> {
    let count = AtomicUsize::new(0);
    ctrlc::set_handler(move || match count.fetch_add(1, Ordering::SeqCst) {
        0 => cancel.cancel_all(),
        _ => cancel.kill(),
    })
    .context("cannot listen for Ctrl-C")
}

/// The session has the sink while it runs; the report comes after it.
#[derive(Clone)]
struct SharedJson(Arc<Mutex<JsonLines<std::io::Stdout>>>);

impl SharedJson {
    fn lock(&self) -> std::sync::MutexGuard<'_, JsonLines<std::io::Stdout>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what went wrong with writing. A session that was given up on may still hold a clone.
    fn finish(self) -> std::io::Result<()> {
        let done = JsonLines::new(std::io::stdout());
        std::mem::replace(&mut *self.lock(), done).finish().map(|_| ())
    }
}

impl Sink for SharedJson {
    fn started(&mut self, items: &[Item]) {
        self.lock().started(items);
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        self.lock().progress(progress)
    }

    fn log(&mut self, entry: &LogEntry) {
        self.lock().log(entry);
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        self.lock().log_deleted(id);
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        self.lock().question(question)
    }
}

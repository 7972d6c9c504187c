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

use crate::args::Run;
use crate::exit::Exit;
use crate::job::Job;
use crate::sink::{Bars, Lines, summary};

/// How long a plugin that was told to end at once may sit in a system call.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &Run) -> anyhow::Result<Exit> {
    let job = Job::new(&args.given)?;
    let host = Host::new()?;
    let plugin = job.plugin.load(&host)?;
    let mut options = job.session_options();
    if args.dry_run {
        options = options.read_only().setting("dry-run", "true");
    }
    let on_terminal = std::io::stderr().is_terminal();
    let request = RunRequest {
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
    };

    if args.json {
        let json = SharedJson(Arc::new(Mutex::new(JsonLines::new(std::io::stdout()))));
        let mut session = plugin.start_blocking(options, json.clone())?;
        on_ctrl_c(session.cancel_handle())?;
        let report = session.run_blocking(&request)?;
        drop(session);
        let exit = Exit::of_report(&report);
        json.lock().report(&report, Some(exit as u8));
        json.finish().context("cannot write to standard output")?;
        return Ok(exit);
    }
    let sink: Box<dyn Sink> = match on_terminal {
        true => Box::new(Bars::new()),
        false => Box::new(Lines::new(std::io::stdout())),
    };
    let mut session = plugin.start_blocking(options, sink)?;
    on_ctrl_c(session.cancel_handle())?;
    let report = session.run_blocking(&request)?;
    drop(session);
    print(&report).context("cannot write to standard output")?;
    Ok(Exit::of_report(&report))
}

fn print(report: &Report) -> std::io::Result<()> {
    let mut to = std::io::stdout().lock();
    to.write_all(summary(report).as_bytes())?;
    to.flush()
}

/// The first Ctrl-C cancels everything, the second one ends the plugin.
fn on_ctrl_c(cancel: CancelHandle) -> anyhow::Result<()> {
    let count = AtomicUsize::new(0);
    ctrlc::set_handler(move || match count.fetch_add(1, Ordering::SeqCst) {
        0 => cancel.cancel_all(),
        _ => {
            cancel.kill();
            std::thread::sleep(LAST_PATIENCE);
            #[allow(clippy::exit, reason = "a blocked system call holds the main thread")]
            std::process::exit(Exit::Cancelled as i32);
        }
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

    fn finish(self) -> std::io::Result<()> {
        match Arc::into_inner(self.0) {
            Some(json) => {
                json.into_inner().unwrap_or_else(PoisonError::into_inner).finish().map(|_| ())
            }
            None => Ok(()),
        }
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

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(windows)]
use syncmgr_com::native::NativeOptions;
use syncmgr_host::sink::{JsonLines, Progress, Sink};
use syncmgr_host::{
    Description, ErrorDetail, ErrorId, Item, Limits, LogEntry, OutputHook, ProgressResponse,
    Question, RunReport, RunRequest, Selection, SessionOptions, SyncEvent, Trigger,
};
#[cfg(windows)]
use syncmgr_host::{Outcome, SessionError};
use syncmgr_kit::{Recorder, RecordingHead};

use crate::args::{self, OnDeath, Run};
use crate::builtin::Named;
use crate::escape::escape;
use crate::exit::{self, Exit, UsageError};
use crate::interrupt::Interrupts;
use crate::job::{Job, registrations, selected};
#[cfg(windows)]
use crate::native::Ended;
use crate::output;
use crate::quarantine::Quarantine;
use crate::second_line::confined;
use crate::sink::{Bars, Lines, View, print_to_stderr, show_output, summary};

/// How long to wait before starting a plugin again.
const BACKOFF: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &Run) -> anyhow::Result<Exit> {
    let interrupts = Interrupts::listen()?;
    if args.all {
        return run_all(args, &interrupts);
    }
    match &args.clsid {
        Some(clsid) => run_native(clsid, args, &interrupts),
        None => run_job(&mut Job::new(&args.given)?, args, &interrupts),
    }
}

fn run_job(job: &mut Job, args: &Run, interrupts: &Interrupts) -> anyhow::Result<Exit> {
    if args.dry_run {
        job.granted.make_read_only();
    }
    if let Some(recording) = &args.record {
        job.granted.protect("the recording", recording);
    }
    let quarantine = Quarantine::new(job);
    let request = request(args, &job.granted.settings)?;
    if args.release {
        quarantine.release()?;
    }
    quarantine.check()?;
    let plugin = job.load()?;
    job.note_denied(&plugin);
    let mut options = job.session_options(&plugin)?;
    if args.dry_run {
        options = options.read_only();
        if plugin.description().requests.setting("dry-run") {
            options = options.setting("dry-run", "true");
        } else {
            // Otherwise it would look as if something were wrong with its directories.
            let name = escape(&job.plugin.name()).into_owned();
            let _ = writeln!(
                std::io::stderr(),
                "note: {name} knows no dry runs; what it would change, it is denied"
            );
        }
    }
    let options = options.cancel_handle(interrupts.cancel_handle());
    let json_bytes = job.granted.limits().session.json_bytes;
    let places = job.places(args.dry_run);
    let view = View::new(args.verbose, &job.granted.directories);
    let report = match &args.record {
        None => watch(args, json_bytes, view, |sink, hook| {
            let options = with_hook(options, hook);
            Ok(confined(&places, || plugin.run(options, sink, &request))??)
        })?,
        Some(path) => {
            // Each report is one of its own in a recording.
            let limits = Limits { progress_per_second: u64::MAX, ..job.granted.limits().session };
            let options = options.limits(limits);
            let head = head(job, args, &request, plugin.description())?;
            watch(args, json_bytes, view, |sink, hook| {
                let recorder = Recorder::new(path, &head, sink)?;
                let options = with_hook(options, hook);
                Ok(confined(&places, || plugin.run(options, recorder, &request))??)
            })?
        }
    };
    if args.on_death == OnDeath::Quarantine
        && let Some(death) = report.error().filter(|error| error.may_be_retried())
    {
        quarantine.set(&death.to_string())?;
    }
    Ok(Exit::of_report(&report))
}

fn with_hook(options: SessionOptions, hook: Option<OutputHook>) -> SessionOptions {
    match hook {
        Some(hook) => options.output_hook(hook),
        None => options,
    }
}

/// What a recording says of what there was before the run.
fn head(
    job: &Job,
    args: &Run,
    request: &RunRequest,
    description: &Description,
) -> anyhow::Result<RecordingHead> {
    let component = job.plugin.bytes(&job.granted.limits().load)?;
    let granted = &job.granted.directories;
    let mut allowed = job.granted.allow.clone();
    if job.plugin.is_built_in() {
        allowed = description.requests.capabilities.iter().map(|(one, _)| *one).collect();
    }
    let mut head = RecordingHead {
        version: 1,
        plugin: job.plugin.name(),
        component: blake3::hash(&component).to_string(),
        selection: match &request.selection {
            Selection::Checked => None,
            Selection::Only(items) => Some(items.clone()),
        },
        settings: job.granted.settings.iter().cloned().collect(),
        allowed: allowed.iter().map(|one| one.name().to_owned()).collect(),
        directory_ids: granted.iter().map(|one| (one.name().to_owned(), one.id())).collect(),
        ..RecordingHead::default()
    };
    head.set_trigger(request.trigger, request.cookie.as_deref());
    if args.record_files {
        for grant in granted {
            let limit = job.granted.limits().session.record_bytes;
            head.record_directory(grant.name(), grant.path(), limit)?;
        }
    }
    Ok(head)
}

/// Runs every registered plugin. One that cannot be run does not keep the others from it.
fn run_all(args: &Run, interrupts: &Interrupts) -> anyhow::Result<Exit> {
    let registrations = registrations(args.given.state_dir.as_deref())?;
    let mut exits = Vec::new();
    for registration in registrations.list() {
        if interrupts.came() {
            break;
        }
        let ran = registration.map_err(anyhow::Error::from).and_then(|registration| {
            if !args.json {
                writeln!(output::stdout(), "plugin: {}", registration.name)?;
            }
            let granted = registration.granted.clone();
            let plugin = Named::Installed(Box::new(registration));
            run_job(&mut Job::of(plugin, granted, registrations.clone())?, args, interrupts)
        });
        exits.push(ran.unwrap_or_else(|error| {
            exit::print_error(&error);
            Exit::of_error(&error)
        }));
    }
    Ok(Exit::of_all(&exits))
}

#[cfg(windows)]
fn run_native(clsid: &str, args: &Run, interrupts: &Interrupts) -> anyhow::Result<Exit> {
    let clsid = uuid::Uuid::try_parse(clsid)
        .map_err(|error| UsageError(format!("`{clsid}` is not a class id: {error}")))?;
    let limits = crate::native::limits(&args.given.limits)?;
    let (request, json_bytes) = (request(args, &[])?, limits.json_bytes);
    let view = View::new(args.verbose, &[]);
    if args.supervised {
        let options = NativeOptions {
            cancel: interrupts.cancel_handle(),
            limits,
            ..NativeOptions::default()
        };
        let report = watch(args, json_bytes, view, |sink, _hook| {
            crate::native::run(clsid, options, sink, &request)
        });
        crate::native::leave(Exit::settle(report.map(|report| Exit::of_report(&report))));
    }
    match crate::native::supervise()? {
        Ended::Finished(exit) => Ok(exit),
        Ended::ByHandler(status) => {
            let plugin = crate::native::class_name(clsid);
            let error = SessionError::NativeExit { plugin: plugin.clone(), status };
            let report = RunReport::without_items(&plugin, Outcome::Failed(error));
            Ok(Exit::of_report(&watch(args, json_bytes, view, |_sink, _hook| Ok(report))?))
        }
    }
}

#[cfg(not(windows))]
fn run_native(_clsid: &str, _args: &Run, _interrupts: &Interrupts) -> anyhow::Result<Exit> {
    Err(UsageError("there are native handlers on Windows only".to_owned()).into())
}

/// Runs something, and shows what it reports and what came of it.
fn watch(
    args: &Run,
    json_bytes: u64,
    view: View,
    run: impl FnOnce(Box<dyn Sink>, Option<OutputHook>) -> anyhow::Result<RunReport>,
) -> anyhow::Result<RunReport> {
    let plain_hook = || args.verbose.then(|| show_output(print_to_stderr));
    if args.json {
        let json = SharedJson(Arc::new(Mutex::new(
            JsonLines::new(output::stdout()).with_limit(json_bytes),
        )));
        let report = run(Box::new(json.clone()), plain_hook())?;
        json.lock().report(&report, Some(Exit::of_report(&report) as u8));
        json.finish()?;
        return Ok(report);
    }
    let (sink, hook) = match std::io::stderr().is_terminal() {
        true => {
            let bars = Bars::new(view.clone());
            let hook = args.verbose.then(|| show_output(bars.printer()));
            (Box::new(bars) as Box<dyn Sink>, hook)
        }
        false => {
            let lines: Box<dyn Sink> = Box::new(Lines::new(output::stdout(), view.clone()));
            (lines, plain_hook())
        }
    };
    let report = run(sink, hook)?;
    print(&report, &view)?;
    Ok(report)
}

fn request(args: &Run, settings: &[(String, String)]) -> anyhow::Result<RunRequest> {
    let cookie = args.cookie.as_deref().map(bytes).transpose()?;
    let event = match (&cookie, args.trigger) {
        (Some(_), _) | (None, args::Trigger::Invoke) => SyncEvent::Invoke,
        (None, args::Trigger::Manual) => SyncEvent::Manual,
        (None, args::Trigger::Connect) => SyncEvent::Connect,
        (None, args::Trigger::PendingDisconnect) => SyncEvent::PendingDisconnect,
        (None, args::Trigger::Idle) => SyncEvent::Idle,
        (None, args::Trigger::Scheduled) => SyncEvent::Scheduled,
    };
    let on_terminal = std::io::stderr().is_terminal() && std::io::stdin().is_terminal();
    Ok(RunRequest {
        trigger: Trigger {
            event,
            settings: false,
            may_bother_user: on_terminal && !args.batch && !args.json,
        },
        cookie,
        selection: match args.items.is_empty() {
            true => Selection::Checked,
            false => Selection::Only(selected(&args.items, settings)?),
        },
        retries: args.retries,
        restart_policy: match args.on_death {
            OnDeath::Fail | OnDeath::Quarantine => syncmgr_host::RestartPolicy::Fail,
            OnDeath::Restart => {
                syncmgr_host::RestartPolicy::Restart { attempts: args.restarts, backoff: BACKOFF }
            }
        },
    })
}

/// What pairs of hexadecimal digits stand for.
fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some((digit(high)? << 4) | digit(low)?));
    let bytes = bytes.collect::<Option<_>>().filter(|_| rest.is_empty());
    bytes.ok_or_else(|| {
        UsageError(format!("the cookie `{hex}` is not pairs of the digits 0-9 and a-f")).into()
    })
}

fn print(report: &RunReport, view: &View) -> std::io::Result<()> {
    let mut to = output::stdout();
    to.write_all(summary(report, view).as_bytes())?;
    to.flush()
}

/// The session has the sink while it runs; the report comes after it.
#[derive(Clone)]
struct SharedJson(Arc<Mutex<JsonLines<output::Stdout>>>);

impl SharedJson {
    fn lock(&self) -> std::sync::MutexGuard<'_, JsonLines<output::Stdout>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what went wrong with writing. A session that was given up on may still hold a clone.
    fn finish(self) -> std::io::Result<()> {
        let done = JsonLines::new(output::stdout());
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

    fn error_shown(&mut self, id: ErrorId, detail: &ErrorDetail) {
        self.lock().error_shown(id, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_pairs_of_digits() {
        for (hex, expected) in [
            ("", Some(vec![])),
            ("00ff", Some(vec![0, 255])),
            ("AbCd", Some(vec![0xAB, 0xCD])),
            ("0", None),
            ("0x", None),
            ("ä", None),
        ] {
            assert_eq!(bytes(hex).ok(), expected, "{hex:?}");
        }
    }
}

//! The command `run`: one plugin, all registered plugins, or a native handler.

mod history;
mod holder;
mod hooks;
mod record;
mod request;

use std::io::{IsTerminal as _, Write as _};

#[cfg(windows)]
use syncmgr_com::native::NativeOptions;
use syncmgr_host::sink::Sink;
#[cfg(windows)]
use syncmgr_host::{Outcome, SessionError};
use syncmgr_host::{OutputHook, RunReport, SessionOptions};
use uuid::Uuid;

use crate::args::{RestartPolicy, Run};
use crate::check::RecordingSink;
use crate::confine::confined;
use crate::escape::escape;
use crate::exit::{self, Exit, UsageError};
use crate::interrupt::Interrupts;
use crate::job::Job;
#[cfg(windows)]
use crate::native::Ended;
use crate::output::{self, Bars, Json, Lines, View, print_to_stderr, show_output, summary};
use crate::plugin_source::{PluginSource, registrations};
use crate::quarantine::Quarantine;
use holder::Patience;

pub(crate) fn run(args: &Run) -> anyhow::Result<Exit> {
    let interrupts = Interrupts::listen()?;
    if args.all {
        return run_all(args, &interrupts);
    }
    match &args.clsid {
        Some(clsid) => run_native(clsid, args, &interrupts),
        None => {
            let mut job = Job::with_places(&args.target, &args.places)?;
            run_job(&mut job, args, &interrupts)
        }
    }
}

/// Runs a job, and then its hook.
pub(crate) fn run_job(job: &mut Job, args: &Run, interrupts: &Interrupts) -> anyhow::Result<Exit> {
    if args.dry_run {
        job.grants.make_read_only();
    }
    if let Some(limit) = &args.max_delete {
        job.set("max-delete", limit);
    }
    if let Some(recording) = &args.record {
        job.grants.protect("the recording", recording);
    }
    let patience = Patience::new(args.wait);
    loop {
        if !patience.wait_for(job, interrupts) {
            return Ok(Exit::Cancelled);
        }
        let id = Uuid::new_v4();
        let report = run_once(job, args, interrupts, id)?;
        let exit = exit_of(&report, args);
        if exit == Exit::Held {
            // A third run may have begun before this one.
            if !patience.is_over() && holder::held(job).is_some() {
                continue;
            }
            holder::note(job);
        }
        if !args.dry_run {
            hooks::run(&job.grants, &report, exit, id, interrupts);
        }
        return Ok(exit);
    }
}

fn exit_of(report: &RunReport, args: &Run) -> Exit {
    match args.accept_standing_conflicts {
        true => Exit::of_new_in(report),
        false => Exit::of_report(report),
    }
}

fn run_once(job: &Job, args: &Run, interrupts: &Interrupts, id: Uuid) -> anyhow::Result<RunReport> {
    let quarantine = Quarantine::new(job);
    let request = request::request(args, &job.grants.settings)?;
    if args.release {
        quarantine.release()?;
    }
    quarantine.check()?;
    let plugin = job.load()?;
    job.note_denied(&plugin);
    let mut options = job.session_options(&plugin)?;
    if args.dry_run {
        options = options.read_only();
        if plugin.description().requests.setting("dry-run").is_some() {
            options = options.setting("dry-run", "true");
        } else {
            // Without the note, the errors look like a problem of its directories.
            let name = escape(&job.plugin.name()).into_owned();
            let _ = writeln!(
                std::io::stderr(),
                "note: plugin `{name}` does not support dry runs; its writes will be denied"
            );
        }
    }
    let options = options.cancel_with(interrupts.cancel_handle());
    let json_bytes = job.grants.limits().session.json_bytes;
    let directories = job.directories(args.dry_run);
    let view = View::new(args.verbose, &job.grants.directories);
    let view = view.quiet(args.quiet).preview(args.dry_run);
    let recorder = match args.dry_run || args.no_history {
        true => None,
        false => history::begin(job, args, &plugin, &request, id),
    };
    let recorded = |sink: Box<dyn Sink>| -> Box<dyn Sink> {
        match &recorder {
            Some(recorder) => Box::new(recorder.sink(sink)),
            None => sink,
        }
    };
    let ran = match &args.record {
        None => show(args, json_bytes, id, view, |sink, hook| {
            let sink = recorded(sink);
            let options = with_hook(options, hook);
            Ok(confined(&directories, || plugin.run(options, sink, &request))??)
        }),
        Some(path) => {
            // A recording contains every report.
            let mut limits = job.grants.limits().session;
            limits.progress_per_second = u64::MAX;
            let record_bytes = limits.record_bytes;
            let options = options.limits(limits);
            let head = record::head(job, &request, &plugin, args.record_files)?;
            show(args, json_bytes, id, view, |sink, hook| {
                let recording = RecordingSink::new(path, &head, record_bytes, recorded(sink))?;
                let http = recording.http(args.record_files);
                let options = with_hook(options, hook).http_observer(http);
                Ok(confined(&directories, || plugin.run(options, recording, &request))??)
            })
        }
    };
    history::end(recorder, ran.as_ref().ok());
    let report = ran?;
    if args.on_crash == RestartPolicy::Quarantine
        && let Some(crash) = report.error().filter(|error| error.may_be_retried())
    {
        quarantine.set(&crash.to_string())?;
    }
    Ok(report)
}

fn with_hook(options: SessionOptions, hook: Option<OutputHook>) -> SessionOptions {
    match hook {
        Some(hook) => options.output_hook(hook),
        None => options,
    }
}

/// Runs all registered plugins. If one of them cannot run, the others still do.
fn run_all(args: &Run, interrupts: &Interrupts) -> anyhow::Result<Exit> {
    let registrations = registrations(args.target.state_dir.path.as_deref())?;
    let mut exits = Vec::new();
    for registration in registrations.list() {
        if interrupts.came() {
            break;
        }
        let ran = registration.map_err(anyhow::Error::from).and_then(|registration| {
            if !args.json {
                writeln!(output::stdout(), "plugin: {}", registration.name)?;
            }
            let grants = registration.grants.clone();
            let plugin = PluginSource::Installed(Box::new(registration));
            run_job(&mut Job::of(plugin, grants, registrations.clone())?, args, interrupts)
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
        .map_err(|error| UsageError(format!("invalid class id `{clsid}`: {error}")))?;
    let limits = crate::native::limits(&args.target.limits)?;
    let (request, json_bytes) = (request::request(args, &[])?, limits.json_bytes);
    let view = View::new(args.verbose, &[]).quiet(args.quiet);
    let id = Uuid::new_v4();
    if args.supervised {
        let options = NativeOptions {
            cancel: interrupts.cancel_handle(),
            limits,
            ..NativeOptions::default()
        };
        let report = show(args, json_bytes, id, view, |sink, _hook| {
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
            Ok(Exit::of_report(&show(args, json_bytes, id, view, |_sink, _hook| Ok(report))?))
        }
    }
}

#[cfg(not(windows))]
fn run_native(_clsid: &str, _args: &Run, _interrupts: &Interrupts) -> anyhow::Result<Exit> {
    Err(UsageError("native handlers run on Windows only".to_owned()).into())
}

/// Runs something, and shows its events and its report.
fn show(
    args: &Run,
    json_bytes: u64,
    id: Uuid,
    view: View,
    run: impl FnOnce(Box<dyn Sink>, Option<OutputHook>) -> anyhow::Result<RunReport>,
) -> anyhow::Result<RunReport> {
    let plain_hook = || args.verbose.then(|| show_output(print_to_stderr));
    if args.json {
        let json = Json::new(json_bytes, id);
        let report = run(Box::new(json.clone()), plain_hook())?;
        json.finish(&report, exit_of(&report, args) as u8)?;
        return Ok(report);
    }
    let (sink, hook) = match std::io::stderr().is_terminal() && !args.quiet {
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

fn print(report: &RunReport, view: &View) -> std::io::Result<()> {
    let mut to = output::stdout();
    to.write_all(summary(report, view).as_bytes())?;
    to.flush()
}

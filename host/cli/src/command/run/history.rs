//! Records runs in the history. A run goes on without it.

use std::io::Write as _;

use syncmgr_host::{Access, Plugin, RunReport, RunRequest};
use syncmgr_install::{HistoryRecorder, NewRun};
use uuid::Uuid;

use crate::args::{GrantArgs, PluginArgs, Run};
use crate::command::history::job_name;
use crate::escape::escape;
use crate::exit::Exit;
use crate::job::Job;
use crate::plugin_source::PluginSource;

/// Begins to record a run.
pub(super) fn begin(
    job: &Job,
    args: &Run,
    plugin: &Plugin,
    request: &RunRequest,
    id: Uuid,
) -> Option<HistoryRecorder> {
    let name = match (&args.target.job, &job.plugin) {
        (Some(file), _) | (None, PluginSource::File(file)) => job_name(&file.to_string_lossy()),
        (None, PluginSource::BuiltIn(_) | PluginSource::Installed(_)) => job.plugin.name(),
    };
    let directories = job.grants.directories.iter();
    let run = NewRun {
        id,
        job: name,
        plugin: plugin.name().to_owned(),
        trigger: request.trigger.event.name().to_owned(),
        directories: directories
            .map(|grant| (grant.name().to_owned(), grant.path().to_owned()))
            .collect(),
        repeatable: is_repeatable(job, args),
    };
    match HistoryRecorder::start(job.state_dir(), run) {
        Ok(recorder) => {
            if let Some(aside) = recorder.damaged() {
                let aside = aside.display().to_string();
                note(&format!("the history was damaged; it is now {}", escape(&aside)));
            }
            Some(recorder)
        }
        Err(error) => {
            not_recorded(&error);
            None
        }
    }
}

/// Returns whether a run of a built-in plugin has no other arguments than directories. Without its
/// settings, or with more access, another run could change other files.
fn is_repeatable(job: &Job, args: &Run) -> bool {
    let PluginArgs { plugin: _, job: file, grants, limits, state_dir: _ } = &args.target;
    let only_directories = GrantArgs { dirs: grants.dirs.clone(), ..GrantArgs::default() };
    let grants = GrantArgs { http_proxy: None, ..grants.clone() };
    matches!(job.plugin, PluginSource::BuiltIn(_))
        && (file, limits.is_empty(), args.items.is_empty(), &args.cookie)
            == (&None, true, true, &None)
        && grants == only_directories
        && job.grants.http.is_empty()
        && job.grants.directories.iter().all(|grant| grant.access() == Access::ReadWrite)
}

/// Records the end of a run; `None`: it could not begin.
pub(super) fn end(recorder: Option<HistoryRecorder>, report: Option<&RunReport>) {
    let Some(recorder) = recorder else { return };
    match report {
        Some(report) => {
            let ended = recorder.finish(report, Exit::of_report(report) as u8);
            ended.unwrap_or_else(|error| not_recorded(&error));
        }
        None => recorder.discard(),
    }
}

fn not_recorded(error: &syncmgr_install::HistoryError) {
    let message = syncmgr_host::full_message(error);
    note(&format!("the run is not recorded in the history: {}", escape(&message)));
}

fn note(text: &str) {
    // The run does not depend on the note.
    let _ = writeln!(std::io::stderr(), "note: {text}");
}

//! The log entries and counters of a run.

use syncmgr_plugin::{Action, ActionKind, Error, ErrorCode, Interrupt, LogLevel, SyncContext};

use crate::apply::Done;
use crate::filter::Filter;
use crate::pair::Pair;
use crate::plan::{Plan, SafetyStop};
use crate::state::{BaseChildren, ConflictRecord, State};
use crate::tree::Side;

/// Log entries of one kind; one more entry counts the rest.
const MAX_ENTRIES: usize = 100;

/// Explains a safety stop, with the setting that lifts it.
pub(super) fn explain(stop: &SafetyStop, pair: &Pair, before: &State) -> Error {
    let message = match stop {
        SafetyStop::Emptied(side) => format!(
            "{directory} is empty, but {} entries were synced there; if that is right, run once \
             with the setting `max-delete=any` (`--max-delete any`)",
            before.entries.len(),
            directory = pair.description(*side),
        ),
        SafetyStop::EmptySource { files } => format!(
            "{left} is empty, and mode=mirror would delete all {files} files in {right}; if that is \
             right, run once with the setting `max-delete=any` (`--max-delete any`)",
            left = pair.description(Side::Left),
            right = pair.description(Side::Right),
        ),
        SafetyStop::Replaced(side) => format!(
            "{directory} has none of the {} entries that were synced there, as if something else \
             were in its place; if that is right, run once with the setting `max-delete=any` \
             (`--max-delete any`)",
            before.entries.len(),
            directory = pair.description(*side),
        ),
        SafetyStop::Deletions { side, deleted, files, examples } => format!(
            "{deleted} of {files} files would be deleted in {directory}, such as {}; if that is \
             right, run once with the setting `max-delete={deleted}` \
             (`--max-delete {deleted}`)",
            examples.join(", "),
            directory = pair.description(*side),
        ),
    };
    Error::new(ErrorCode::SafetyStop, message)
}

/// Logs at most a hundred entries of one kind.
pub(super) fn log_all(
    context: &SyncContext,
    level: LogLevel,
    entries: impl ExactSizeIterator<Item = String>,
) {
    let more = entries.len().saturating_sub(MAX_ENTRIES);
    for entry in entries.take(MAX_ENTRIES) {
        context.log(level, &entry);
    }
    if more > 0 {
        context.log(level, &format!("and {more} more"));
    }
}

pub(super) fn report_hints(filter: &Filter, context: &SyncContext) {
    log_all(context, LogLevel::Information, filter.hints().iter().cloned());
}

pub(super) fn report_skipped(plan: &Plan, context: &SyncContext) {
    let entries = plan.skipped.iter().map(|(path, why)| format!("{path}: {why}"));
    log_all(context, LogLevel::Warning, entries);
    context.set_counter("left-alone", plan.skipped.len() as u64);
}

/// Reports the entries that were skipped, and the conflicts of this and of earlier runs.
pub(super) fn report_actions(after: &State, plan: &Plan, context: &mut SyncContext) {
    let report = |kind, path: &str, detail: &str| Action {
        kind,
        side: None,
        path: path.to_owned(),
        size: None,
        detail: Some(detail.to_owned()),
    };
    for (path, why) in &plan.skipped {
        context.report_action(report(ActionKind::Skipped, path, why));
    }
    for conflict in &after.conflicts {
        let kind = match plan.conflicts.contains(conflict) {
            true => ActionKind::ConflictKept,
            false => ActionKind::ConflictStanding,
        };
        context.report_action(report(kind, &conflict.path, &conflict.copy));
    }
}

/// Returns the conflicts whose copy still exists.
pub(super) fn standing_conflicts(
    before: &State,
    entries: &BaseChildren,
    new: Vec<ConflictRecord>,
) -> Vec<ConflictRecord> {
    let old = before.conflicts.iter().filter(|conflict| exists(entries, &conflict.copy));
    old.cloned().chain(new).collect()
}

fn exists(mut entries: &BaseChildren, key: &str) -> bool {
    let mut parts = key.split('/').peekable();
    while let Some(base) = parts.next().and_then(|part| entries.get(part)) {
        match base.children() {
            _ if parts.peek().is_none() => return true,
            Some(children) => entries = children,
            None => return false,
        }
    }
    false
}

pub(super) fn report_conflicts(after: &State, plan: &Plan, context: &SyncContext) {
    let entries = after.conflicts.iter().map(|conflict| {
        let new = plan.conflicts.contains(conflict);
        let what = if new { "changed on both sides" } else { "has an unresolved conflict" };
        format!("{} {what}; compare it with {:?} and delete one", conflict.path, conflict.copy)
    });
    log_all(context, LogLevel::Warning, entries);
}

/// Reports the changes, also those of a run that did not complete.
pub(super) fn finish(
    plan: &Plan,
    done: &Done,
    after: &State,
    ended: &Result<(), Interrupt>,
    context: &mut SyncContext,
) -> Result<(), Interrupt> {
    let conflicts = plan.conflicts.len() as u64;
    let not_done = done.failed.len() as u64;
    context.set_counter("copied", done.copied);
    context.set_counter("deleted", done.removed);
    context.set_counter("conflicts", conflicts);
    context.set_counter("not-done", not_done);
    context.set_counter("bytes-copied", done.bytes);
    context.set_counter("directories", done.directories);
    context.set_counter("permissions", done.modes);
    context.set_counter("times", done.times);
    context.set_counter("moved", done.moved);
    context.set_counter("renamed", done.renamed);
    context.set_counter("unchanged", plan.unchanged);
    context.set_counter("conflicts-standing", after.conflicts.len() as u64);
    let counts = [
        (done.moved, ["moved", "moved"]),
        (done.copied, ["copied", "copied"]),
        (done.removed, ["deleted", "deleted"]),
        (conflicts, ["conflict", "conflicts"]),
        (done.directories, ["directory", "directories"]),
        (done.modes, ["permission", "permissions"]),
        (done.times, ["time", "times"]),
        (done.renamed, ["renamed", "renamed"]),
        (not_done, ["not done", "not done"]),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0).map(counted);
    let counts = counts.collect::<Vec<_>>().join(", ");
    let text = match (ended, counts.is_empty()) {
        (Err(Interrupt::Item | Interrupt::All), true) => "nothing was changed".to_owned(),
        (Err(Interrupt::Item | Interrupt::All), false) => {
            format!("{counts}, {} left for the next run", done.left)
        }
        (Ok(()) | Err(Interrupt::Failed(_)), true) => "nothing to do".to_owned(),
        (Ok(()) | Err(Interrupt::Failed(_)), false) => counts,
    };
    // The caller decides the outcome of the item, and a cancellation has been handled.
    match context.set_status_text(text) {
        Err(Interrupt::Failed(error)) => Err(Interrupt::Failed(error)),
        Ok(()) | Err(Interrupt::Item | Interrupt::All) => Ok(()),
    }
}

/// Formats a number with its noun.
pub(super) fn counted((count, [one, many]): (u64, [&str; 2])) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

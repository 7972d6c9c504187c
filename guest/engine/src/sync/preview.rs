//! The preview of a dry run.

use syncmgr_plugin::{Interrupt, LogLevel, SyncContext};

use super::summary::counted;
use crate::apply::report_of;
use crate::plan::{Action, Operation, Plan};
use crate::tree::{Side, split};

/// Logs the planned changes, one line per step, and reports them as if they were made.
pub(super) fn preview(
    plan: &Plan,
    labels: [&str; 2],
    context: &mut SyncContext,
) -> Result<(), Interrupt> {
    let steps: Vec<&Operation> = plan.all().collect();
    for step in &steps {
        context.log(LogLevel::Information, &describe(step, labels));
        if let Some(report) = report_of(step, labels[step.side().index()]) {
            context.report_action(report);
        }
    }
    for conflict in &plan.conflicts {
        context.log(LogLevel::Warning, &format!("{} changed on both sides", conflict.path));
    }
    let bytes: u64 = steps.iter().filter_map(|step| step.copied_bytes()).sum();
    context.set_counter("steps", steps.len() as u64);
    context.set_counter("bytes-to-copy", bytes);
    context.set_status_text(match steps.len() as u64 {
        0 => "nothing to do".to_owned(),
        count => format!(
            "{} and {} to copy; nothing was changed",
            counted((count, ["step", "steps"])),
            counted((bytes, ["byte", "bytes"]))
        ),
    })
}

fn describe(step: &Operation, [left, right]: [&str; 2]) -> String {
    let on = step.side();
    let arrow = match on {
        Side::Left => format!("{left} <- {right}"),
        Side::Right => format!("{left} -> {right}"),
    };
    let side = [left, right][on.index()];
    let path = &step.paths[on.index()];
    let reason = &step.reason;
    match &step.action {
        Action::Copy { source, replaces, .. } => {
            let verb = if replaces.is_some() { "replace" } else { "copy" };
            format!("{verb}  {arrow}  {path}  ({reason}, {} bytes)", source.size)
        }
        Action::MakeLink { .. } => format!("link  {arrow}  {path}  ({reason})"),
        Action::MakeDirectory { .. } => format!("make directory  {arrow}  {path}  ({reason})"),
        Action::Rename { to, .. } => {
            format!("rename  {side}  {path} to {to}  ({reason})")
        }
        Action::Move { to, before: None, .. } => {
            let (_, to) = split(to);
            format!("rename  {arrow}  {path} to {to}  ({reason})")
        }
        Action::Move { to, before: Some(_), .. } => {
            format!("move  {arrow}  {path} to {to}  ({reason})")
        }
        Action::Remove { target, .. } => {
            format!("delete  {arrow}  {path}  ({reason}, {} bytes)", target.size)
        }
        Action::RemoveDirectory { .. } => {
            format!("delete directory  {arrow}  {path}  ({reason})")
        }
        Action::SetMode { mode, .. } => {
            format!("set permissions  {arrow}  {path}  ({reason}, to {mode:o})")
        }
        Action::SetModified { .. } => format!("set time  {arrow}  {path}  ({reason})"),
    }
}

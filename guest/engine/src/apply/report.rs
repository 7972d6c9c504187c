//! Reports what was done to each entry.

use syncmgr_plugin::{Action as Report, ActionKind, Error};

use super::Applier;
use crate::plan::{Action, Operation};

/// Returns the report of an operation on a side with a label; `None`: its conflict is reported.
pub fn report_of(operation: &Operation, label: &str) -> Option<Report> {
    let (kind, size, detail) = match &operation.action {
        Action::Copy { source, replaces, .. } => {
            (created(replaces.is_some()), Some(source.size), None)
        }
        Action::MakeDirectory { .. } => (ActionKind::Created, None, None),
        Action::MakeLink { replaces, .. } => (created(replaces.is_some()), None, None),
        Action::Move { to, .. } => (ActionKind::Moved, None, Some(to.to_string())),
        Action::Remove { target, .. } => (ActionKind::Deleted, Some(target.size), None),
        Action::RemoveDirectory { .. } => (ActionKind::Deleted, None, None),
        Action::SetMode { .. } | Action::SetModified { .. } => {
            (ActionKind::AttributesSet, None, None)
        }
        Action::Rename { .. } => return None,
    };
    Some(report(kind, operation, label, size, detail))
}

impl Applier<'_> {
    /// Reports an operation that was performed.
    pub(super) fn report(&mut self, operation: &Operation) {
        if let Some(report) = report_of(operation, self.pair.label(operation.side())) {
            self.context.report_action(report);
        }
    }

    /// Reports an operation that failed.
    pub(super) fn report_failure(&mut self, operation: &Operation, error: &Error) {
        let label = self.pair.label(operation.side());
        let error = Some(error.to_string());
        let report = report(ActionKind::Skipped, operation, label, None, error);
        self.context.report_action(report);
    }
}

fn report(
    kind: ActionKind,
    operation: &Operation,
    label: &str,
    size: Option<u64>,
    detail: Option<String>,
) -> Report {
    let path = operation.paths[operation.side().index()].to_string();
    Report { kind, side: Some(label.to_owned()), path, size, detail }
}

const fn created(is_replaced: bool) -> ActionKind {
    match is_replaced {
        true => ActionKind::Replaced,
        false => ActionKind::Created,
    }
}

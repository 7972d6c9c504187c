//! Reports what was done to each entry.

use syncmgr_plugin::{Action as Report, ActionKind, Error};

use super::Applier;
use crate::plan::{Action, Operation};

impl Applier<'_> {
    /// Reports an operation that was performed.
    pub(super) fn report(&mut self, operation: &Operation) {
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
            // The conflict is reported.
            Action::Rename { .. } => return,
        };
        self.send(kind, operation, size, detail);
    }

    /// Reports an operation that failed.
    pub(super) fn report_failure(&mut self, operation: &Operation, error: &Error) {
        self.send(ActionKind::Skipped, operation, None, Some(error.to_string()));
    }

    fn send(
        &mut self,
        kind: ActionKind,
        operation: &Operation,
        size: Option<u64>,
        detail: Option<String>,
    ) {
        let on = operation.side();
        let side = Some(self.pair.label(on).to_owned());
        let path = operation.paths[on.index()].to_string();
        self.context.report_action(Report { kind, side, path, size, detail });
    }
}

const fn created(is_replaced: bool) -> ActionKind {
    match is_replaced {
        true => ActionKind::Replaced,
        false => ActionKind::Created,
    }
}

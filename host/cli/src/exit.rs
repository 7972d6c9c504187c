use std::io::Write;
use std::process::ExitCode;

use syncmgr_host::hresult::to_error_code;
use syncmgr_host::{
    ActionKind, ErrorCode, ErrorKind, GrantError, ItemReport, LoadError, Outcome, RunReport,
    SessionError, StartError, Status,
};
use syncmgr_install::{HistoryError, InstallError};

use crate::check::CheckError;
use crate::escape::escape_lines;
use crate::output::{OutputError, error_word, grant_option};
use crate::project::ProjectError;

/// A plugin crashed in an earlier run, and must not start again.
#[derive(Debug, thiserror::Error)]
#[error(
    "plugin `{plugin}` is in quarantine after a crash: {crash}; once it is fixed, release it with \
     `syncmgr run --release`"
)]
pub(crate) struct Quarantined {
    pub(crate) plugin: String,
    pub(crate) crash: String,
}

impl Quarantined {
    /// Returns the stable code of the error.
    pub(crate) const fn code(&self) -> &'static str {
        "plugin-quarantined"
    }
}

/// A run holds a directory.
#[derive(Debug, thiserror::Error)]
#[error("a run holds the directory {directory}; try again after it ends")]
pub(crate) struct Held {
    pub(crate) directory: String,
}

impl Held {
    /// Returns the stable code of the error.
    pub(crate) const fn code(&self) -> &'static str {
        "busy"
    }
}

/// The exit status. The discriminants are the documented numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// In sync.
    InSync = 0,
    /// Done, but conflicts or skipped entries remain.
    Remaining = 1,
    /// Invalid usage, or not a valid plugin.
    Usage = 2,
    /// Some items failed.
    Failed = 3,
    /// Stopped for safety without any change.
    SafetyStop = 4,
    /// Cancelled.
    Cancelled = 5,
    /// Another run holds the item.
    Held = 6,
    /// The plugin crashed, or the host failed.
    Crashed = 7,
    /// The reader closed the output, as for a program terminated by SIGPIPE.
    ClosedPipe = 141,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// Returns the status with this number.
    #[cfg(windows)]
    pub(crate) fn of_number(number: u32) -> Option<Self> {
        let all = [
            Self::InSync,
            Self::Remaining,
            Self::Usage,
            Self::Failed,
            Self::SafetyStop,
            Self::Cancelled,
            Self::Held,
            Self::Crashed,
            Self::ClosedPipe,
        ];
        all.into_iter().find(|exit| *exit as u32 == number)
    }

    /// Returns the status of a command, and prints its error.
    pub(crate) fn settle(result: anyhow::Result<Self>) -> Self {
        result.unwrap_or_else(|error| {
            print_error(&error);
            Self::of_error(&error)
        })
    }

    /// Returns the status for an error.
    pub(crate) fn of_error(error: &anyhow::Error) -> Self {
        if OutputError::is_closed_pipe(error) {
            return Self::ClosedPipe;
        }
        if let Some(error) = error.downcast_ref::<SessionError>() {
            return Self::of_kind(error.kind());
        }
        if let Some(error) = error.downcast_ref::<StartError>() {
            return Self::of_kind(error.kind());
        }
        if error.is::<Quarantined>() {
            return Self::Crashed;
        }
        if error.is::<Held>() {
            return Self::Held;
        }
        if let Some(error) = error.downcast_ref::<InstallError>() {
            return if error.is_usage() { Self::Usage } else { Self::Crashed };
        }
        if error.is::<ProjectError>() {
            return Self::Usage;
        }
        if let Some(error) = error.downcast_ref::<CheckError>() {
            return match error {
                CheckError::UnknownCheck { .. }
                | CheckError::Recording { .. }
                | CheckError::RecordingFull { .. }
                | CheckError::Grant(_) => Self::Usage,
                CheckError::Start(error) => Self::of_kind(error.kind()),
                CheckError::File { .. } => Self::Crashed,
            };
        }
        if error.is::<LoadError>() || error.is::<GrantError>() {
            return Self::Usage;
        }
        match error.downcast_ref::<UsageError>() {
            Some(_) => Self::Usage,
            None => Self::Crashed,
        }
    }

    /// Returns the status of a run.
    pub(crate) fn of_report(report: &RunReport) -> Self {
        match &report.outcome {
            Outcome::Declined | Outcome::NothingSelected => Self::InSync,
            Outcome::NeedsUser => Self::Remaining,
            Outcome::Failed(error) => Self::of_kind(error.kind()),
            Outcome::Completed => {
                let items = report.items.iter().map(|item| (item.status, item.code));
                Self::of_items(&items.collect::<Vec<_>>(), report.warnings + report.errors)
            }
            // An outcome of a later version of the library.
            _other => match report.hresult() {
                success if success.is_success() => Self::Remaining,
                failure => Self::of_code(to_error_code(failure)),
            },
        }
    }

    /// Returns the status of a run, which is [`Exit::InSync`] if nothing but conflicts of earlier
    /// runs remain.
    pub(crate) fn of_new_in(report: &RunReport) -> Self {
        let count = |kind| report.actions.get(&kind).copied().unwrap_or(0);
        let is_done =
            |item: &ItemReport| [Status::Succeeded, Status::Deleted].contains(&item.status);
        let is_old = report.items.iter().all(is_done)
            && count(ActionKind::ConflictKept) + count(ActionKind::Skipped) == 0
            // Anything else that is logged remains, too.
            && report.warnings <= count(ActionKind::ConflictStanding)
            && report.errors + report.dropped_actions == 0;
        match (Self::of_report(report), &report.outcome) {
            (Self::Remaining, Outcome::Completed) if is_old => Self::InSync,
            (exit, _) => exit,
        }
    }

    /// Returns the most severe status of several runs.
    pub(crate) fn of_all(exits: &[Self]) -> Self {
        let rank = |exit: &Self| match exit {
            Self::InSync => 0,
            Self::Remaining => 1,
            Self::Held => 2,
            Self::SafetyStop => 3,
            Self::Failed => 4,
            Self::Usage => 5,
            Self::Crashed => 6,
            // The user caused these two.
            Self::Cancelled => 7,
            Self::ClosedPipe => 8,
        };
        exits.iter().copied().max_by_key(rank).unwrap_or(Self::InSync)
    }

    fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Returned(code) => Self::of_code(code),
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::InvalidOptions => Self::Usage,
            ErrorKind::Failed => Self::Crashed,
        }
    }

    fn of_code(code: Option<ErrorCode>) -> Self {
        match code {
            Some(ErrorCode::SafetyStop) => Self::SafetyStop,
            Some(ErrorCode::Busy) => Self::Held,
            Some(ErrorCode::InvalidArgument) => Self::Usage,
            Some(ErrorCode::Cancelled) => Self::Cancelled,
            Some(
                ErrorCode::Failed
                | ErrorCode::Unexpected
                | ErrorCode::NotImplemented
                | ErrorCode::OutOfMemory
                | ErrorCode::AccessDenied
                | ErrorCode::NotFound
                | ErrorCode::AlreadyExists
                | ErrorCode::Changed
                | ErrorCode::NoSpace
                | ErrorCode::InputOutput
                | ErrorCode::NotConnected
                | ErrorCode::Timeout,
            )
            | None => Self::Failed,
        }
    }

    /// Cancellation outranks failures, and failures outrank the rest. If all items failed in the
    /// same way, returns its status.
    fn of_items(items: &[(Status, Option<ErrorCode>)], log_entries: u64) -> Self {
        let with = |status: Status| items.iter().filter(move |item| item.0 == status);
        if with(Status::Stopped).next().is_some() {
            return Self::Cancelled;
        }
        let mut failures = with(Status::Failed).map(|&(_, code)| Self::of_code(code));
        if let Some(first) = failures.next() {
            let same = failures.all(|other| other == first);
            let others_succeeded = with(Status::Succeeded).next().is_some();
            return if same && !others_succeeded { first } else { Self::Failed };
        }
        if with(Status::Skipped).next().is_some() || log_entries > 0 {
            return Self::Remaining;
        }
        Self::InSync
    }
}

/// An error of the command line or of a job file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Returns the code of an error for `syncmgr explain`, if it has one.
fn code_of(error: &anyhow::Error) -> Option<&'static str> {
    let codes = [
        error.downcast_ref().map(SessionError::code),
        error.downcast_ref().map(LoadError::code),
        error.downcast_ref().map(InstallError::code),
        error.downcast_ref().map(HistoryError::code),
        error.downcast_ref().map(ProjectError::code),
        error.downcast_ref().map(CheckError::code),
        error.downcast_ref().map(StartError::code),
        error.downcast_ref().map(Quarantined::code),
        error.downcast_ref().map(Held::code),
    ];
    codes.into_iter().flatten().next()
}

/// Returns the text of an error with its code and its causes.
pub fn error_text(error: &anyhow::Error) -> String {
    let option = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(error), _) | (None, Some(StartError::Session(error))) => grant_option(error),
        (None, Some(_) | None) => String::new(),
    };
    let mut messages: Vec<_> = error.chain().map(ToString::to_string).collect();
    // Some errors of other libraries repeat their cause.
    messages.dedup();
    let message = messages.join(": ") + &option;
    format!("{}: {}\n", error_word(code_of(error)), escape_lines(&message))
}

/// Prints an error and its causes to standard error, unless the reader closed the output.
pub(crate) fn print_error(error: &anyhow::Error) {
    if OutputError::is_closed_pipe(error) {
        return;
    }
    // There is no other output for an error.
    let _ = std::io::stderr().write_all(error_text(error).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_severe_run_decides() {
        for (exits, expected) in [
            (vec![], Exit::InSync),
            (vec![Exit::InSync, Exit::Remaining, Exit::InSync], Exit::Remaining),
            (vec![Exit::Failed, Exit::Held], Exit::Failed),
            (vec![Exit::Crashed, Exit::Usage], Exit::Crashed),
            (vec![Exit::Cancelled, Exit::Crashed], Exit::Cancelled),
            (vec![Exit::ClosedPipe, Exit::Cancelled], Exit::ClosedPipe),
        ] {
            assert_eq!(Exit::of_all(&exits), expected, "{exits:?}");
        }
    }

    #[test]
    fn a_standing_conflict_is_not_a_new_one() {
        use ActionKind::{ConflictKept, ConflictStanding, Created, Skipped};
        for (actions, warnings, errors, dropped, expected) in [
            (&[][..], 0, 0, 0, Exit::InSync),
            (&[(ConflictStanding, 2), (Created, 1)], 2, 0, 0, Exit::InSync),
            // A plugin may log many conflicts together.
            (&[(ConflictStanding, 900)], 101, 0, 0, Exit::InSync),
            (&[(ConflictStanding, 1)], 2, 0, 0, Exit::Remaining),
            (&[(ConflictStanding, 1)], 1, 1, 0, Exit::Remaining),
            (&[(ConflictStanding, 1)], 1, 0, 1, Exit::Remaining),
            (&[(ConflictStanding, 5), (ConflictKept, 1)], 1, 0, 0, Exit::Remaining),
            (&[(ConflictStanding, 5), (Skipped, 1)], 1, 0, 0, Exit::Remaining),
            (&[], 1, 0, 0, Exit::Remaining),
        ] {
            let mut report = RunReport::without_items("x", Outcome::Completed);
            report.actions = actions.iter().copied().collect();
            (report.warnings, report.errors, report.dropped_actions) = (warnings, errors, dropped);
            assert_eq!(Exit::of_new_in(&report), expected, "{actions:?} {warnings} {errors}");
        }
        let mut report = RunReport::without_items("x", Outcome::NeedsUser);
        report.actions = [(ConflictStanding, 1)].into();
        assert_eq!(Exit::of_new_in(&report), Exit::Remaining);
    }

    #[test]
    fn items_decide_the_exit_status() {
        use ErrorCode::{Busy, InputOutput, InvalidArgument, SafetyStop};
        use Status::{Failed, Skipped, Stopped, Succeeded};
        for (items, log_entries, expected) in [
            (vec![(Succeeded, None)], 0, Exit::InSync),
            (vec![(Succeeded, None)], 1, Exit::Remaining),
            (vec![(Succeeded, None), (Skipped, None)], 0, Exit::Remaining),
            (vec![(Failed, Some(InputOutput))], 1, Exit::Failed),
            (vec![(Failed, None)], 0, Exit::Failed),
            (vec![(Failed, Some(SafetyStop))], 1, Exit::SafetyStop),
            (vec![(Failed, Some(SafetyStop)), (Failed, Some(SafetyStop))], 2, Exit::SafetyStop),
            (vec![(Failed, Some(SafetyStop)), (Failed, Some(Busy))], 2, Exit::Failed),
            (vec![(Failed, Some(SafetyStop)), (Succeeded, None)], 1, Exit::Failed),
            (vec![(Failed, Some(Busy))], 1, Exit::Held),
            (vec![(Failed, Some(InvalidArgument))], 1, Exit::Usage),
            (vec![(Failed, Some(InputOutput)), (Stopped, None)], 1, Exit::Cancelled),
            (vec![(Stopped, None)], 0, Exit::Cancelled),
        ] {
            assert_eq!(Exit::of_items(&items, log_entries), expected, "{items:?}");
        }
    }
}

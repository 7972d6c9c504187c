//! Messages of failed operations: the operation, the path and the reason.

use syncmgr_plugin::{Error, ErrorCode};

use crate::names;
use crate::pair::Pair;
use crate::plan::{Action, Operation};
use crate::tree::Side;
use crate::walker::split;

/// The start of a message that is complete.
const CANNOT: &str = "cannot ";

/// Returns the message of a failed operation.
pub(super) fn explain(operation: &Operation, pair: &Pair, error: &Error) -> String {
    if error.message.starts_with(CANNOT) {
        return error.message.clone();
    }
    let on = operation.side();
    let (path, side) = (&operation.paths[on.index()], pair.directory(on));
    let what = match &operation.action {
        Action::Copy { replaces: None, .. } => format!("copy {path} to {side}"),
        Action::Copy { replaces: Some(_), .. } => format!("replace {path} in {side}"),
        Action::MakeLink { .. } => format!("create the link {path} in {side}"),
        Action::MakeDirectory { .. } => format!("create the directory {path} in {side}"),
        Action::Rename { to, .. } => format!("rename {path} to {to} in {side}"),
        Action::Respell { to, .. } => format!("rename {path} to {to} in {side}"),
        Action::SetModified { .. } => format!("set the time of {path} in {side}"),
        Action::Remove { .. } => format!("delete {path} in {side}"),
        Action::RemoveDirectory { .. } => format!("delete the directory {path} in {side}"),
        Action::SetMode { .. } => format!("set the permissions of {path} in {side}"),
    };
    format!("{CANNOT}{what}: {}", reason(error, path))
}

/// Completes the message of an error: `what` is the operation on a path of a side.
pub(super) fn cannot(what: &str, path: &str, side: Side, pair: &Pair, error: &Error) -> Error {
    let side = pair.directory(side);
    let reason = reason(error, path);
    Error::new(error.code, format!("{CANNOT}{what} {path} in {side}: {reason}"))
}

/// Returns the host's message without a leading name: the path names the entry already, and a
/// temporary name is meaningless to users.
fn reason(error: &Error, path: &str) -> String {
    let (_, name) = split(path);
    let text = error.to_string();
    match text.split_once(": ") {
        Some((lead, rest)) if names::is_temp(lead) || lead == name => rest.to_owned(),
        Some(_) | None => text,
    }
}

/// Returns the error for a directory that is not writable.
pub(super) fn not_writable(path: &str, mode: u16, error: &Error) -> Error {
    let reason = reason(error, path);
    let message = format!(
        "its directory {path} is not writable (mode {mode:o}), and its mode cannot be changed: \
         {reason}"
    );
    Error::new(ErrorCode::AccessDenied, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use syncmgr_plugin::directories::{Access, Grant};
    use uuid::Uuid;

    use super::*;
    use crate::plan::CopyModes;
    use crate::tree::Fingerprint;

    fn pair() -> Pair {
        let grant = |side: Side| Grant {
            name: format!("docs.{}", side.name()),
            access: Access::ReadWrite,
            id: Uuid::nil(),
        };
        Pair { key: Some("docs".to_owned()), grants: Side::BOTH.map(grant) }
    }

    fn operation(action: Action) -> Operation {
        let path = Arc::from("d/victim");
        let paths = [Arc::clone(&path), Arc::clone(&path)];
        Operation { action, paths, key: path, reason: Arc::from("a reason") }
    }

    #[test]
    fn a_failure_names_the_operation_the_path_the_side_and_the_reason() {
        let (source, on) = (Fingerprint::default(), Side::Right);
        let copy = |replaces| Action::Copy {
            from: Side::Left,
            source,
            digest: None,
            replaces,
            modes: CopyModes::default(),
        };
        for (action, expected) in [
            (copy(None), "cannot copy d/victim to the directory `docs.right`: permission denied"),
            (
                copy(Some(Box::default())),
                "cannot replace d/victim in the directory `docs.right`: permission denied",
            ),
            (
                Action::MakeDirectory { on, mode: None },
                "cannot create the directory d/victim in the directory `docs.right`: permission denied",
            ),
            (
                Action::MakeLink { on, text: "x".into(), replaces: None },
                "cannot create the link d/victim in the directory `docs.right`: permission denied",
            ),
            (
                Action::Rename { on, source, to: "new".into() },
                "cannot rename d/victim to new in the directory `docs.right`: permission denied",
            ),
            (
                Action::Remove { on, target: source },
                "cannot delete d/victim in the directory `docs.right`: permission denied",
            ),
            (
                Action::RemoveDirectory { on },
                "cannot delete the directory d/victim in the directory `docs.right`: permission denied",
            ),
            (
                Action::SetMode { on, mode: 0o600 },
                "cannot set the permissions of d/victim in the directory `docs.right`: permission denied",
            ),
        ] {
            let operation = operation(action);
            for lead in ["", "victim: ", &format!("{}: ", names::temp(1, 2))] {
                let message = format!("{lead}permission denied");
                let error = Error::new(ErrorCode::AccessDenied, message);
                assert_eq!(explain(&operation, &pair(), &error), expected);
            }
        }
    }

    #[test]
    fn an_error_is_not_explained_twice() {
        let error = Error::new(ErrorCode::AccessDenied, "victim: permission denied");
        let error = cannot("read", "d/victim", Side::Left, &pair(), &error);
        assert_eq!(
            error.message,
            "cannot read d/victim in the directory `docs.left`: permission denied"
        );
        let remove = operation(Action::Remove { on: Side::Right, target: Fingerprint::default() });
        assert_eq!(explain(&remove, &pair(), &error), error.message);
    }
}

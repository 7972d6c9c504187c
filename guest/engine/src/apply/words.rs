//! Messages of failed operations: the operation, the path and the reason.

use syncmgr_plugin::Error;

use crate::names::{CANNOT, reason};
use crate::pair::Pair;
use crate::plan::{Action, Operation};
use crate::tree::split;

/// Returns the message of a failed operation.
pub(super) fn explain(operation: &Operation, pair: &Pair, error: &Error) -> String {
    if error.message.starts_with(CANNOT) {
        return error.message.clone();
    }
    let on = operation.side();
    let (path, side) = (&operation.paths[on.index()], pair.description(on));
    let what = match &operation.action {
        Action::Copy { replaces: None, .. } => format!("copy {path} to {side}"),
        Action::Copy { replaces: Some(_), .. } => format!("replace {path} in {side}"),
        Action::MakeLink { .. } => format!("create the link {path} in {side}"),
        Action::MakeDirectory { .. } => format!("create the directory {path} in {side}"),
        Action::Rename { to, .. } => format!("rename {path} to {to} in {side}"),
        Action::Move { to, before: None, .. } => {
            format!("rename {path} to {} in {side}", split(to).1)
        }
        Action::Move { to, before: Some(_), .. } => format!("move {path} to {to} in {side}"),
        Action::SetModified { .. } => format!("set the time of {path} in {side}"),
        Action::Remove { .. } => format!("delete {path} in {side}"),
        Action::RemoveDirectory { .. } => format!("delete the directory {path} in {side}"),
        Action::SetMode { .. } => format!("set the permissions of {path} in {side}"),
    };
    format!("{CANNOT}{what}: {}", reason(error, path))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use syncmgr_plugin::ErrorCode;
    use uuid::Uuid;

    use super::*;
    use crate::names;
    use crate::pair::SideGrant;
    use crate::plan::CopyModes;
    use crate::tree::{Fingerprint, Side};

    fn pair() -> Pair {
        let side = |side: Side| SideGrant {
            label: side.name(),
            description: format!("the directory `docs.{}`", side.name()),
            is_writable: true,
            id: Uuid::nil(),
        };
        Pair { sides: Side::BOTH.map(side) }
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
        let side = pair().description(Side::Left).to_owned();
        let error = names::cannot("read", "d/victim", &side, &error);
        assert_eq!(
            error.message,
            "cannot read d/victim in the directory `docs.left`: permission denied"
        );
        let remove = operation(Action::Remove { on: Side::Right, target: Fingerprint::default() });
        assert_eq!(explain(&remove, &pair(), &error), error.message);
    }
}

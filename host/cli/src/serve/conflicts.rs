//! The conflicts on the page: which one a form selects, and settling it.

use clap::ValueEnum as _;
use syncmgr_install::HistoryConflict;

use super::form::Form;
use super::key::key;
use super::outcome::{Outcome, Refusals};
use super::server::Server;
use crate::args::Keep;
use crate::resolve::Resolver;

/// The page in the navigation.
const PAGE: &str = "/conflicts";

/// Identifies a conflict in a form and in a path.
pub(super) fn conflict_key(conflict: &HistoryConflict) -> String {
    let HistoryConflict { job, id, path, copy, .. } = conflict;
    key([job, id, path, copy].map(String::as_bytes))
}

/// Returns all conflicts that are not settled, and what settles them.
pub(super) fn standing(
    server: &Server,
) -> anyhow::Result<Option<(Vec<HistoryConflict>, Resolver)>> {
    let Some(history) = server.history()? else { return Ok(None) };
    let conflicts = history.conflicts()?;
    let resolver = Resolver::new(history, &conflicts);
    Ok(Some((conflicts, resolver)))
}

/// Settles the conflicts that a form selects: that of the button, or the selected ones.
pub(super) fn settle(server: &Server, form: &Form) -> anyhow::Result<Outcome> {
    let (chosen, keep): (Vec<_>, _) = match form.get("one").and_then(|one| one.split_once(':')) {
        Some((keep, key)) => (vec![key], Some(keep)),
        None => (form.all("conflict").collect(), form.get("keep")),
    };
    let keep = keep.and_then(|keep| Keep::from_str(keep, false).ok());
    let (Some(keep), Some((mut conflicts, mut resolver))) = (keep, standing(server)?) else {
        return Ok(Outcome::NothingChosen);
    };
    conflicts.retain(|conflict| chosen.contains(&&*conflict_key(conflict)));
    if conflicts.is_empty() {
        return Ok(Outcome::NothingChosen);
    }
    let mut refused = Vec::new();
    for conflict in &conflicts {
        if let Err(refusal) = resolver.settle(conflict, keep, false) {
            refused.push((conflict.path.clone(), refusal.message));
        }
    }
    let back = PAGE.to_owned();
    Ok(match refused.is_empty() {
        true => Outcome::Done(back),
        false => Outcome::Refused(Refusals {
            title: "Conflicts that are not settled",
            page: PAGE,
            back,
            reasons: refused,
        }),
    })
}

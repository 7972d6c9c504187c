//! The conflicts on the page: which one a form selects, and settling it.

use clap::ValueEnum as _;
use syncmgr_install::HistoryConflict;

use super::form::Form;
use super::server::Server;
use crate::args::Keep;
use crate::resolve::Resolver;

/// The number of digits of a key.
const KEY_DIGITS: usize = 32;

/// Identifies a conflict in a form and in a path.
pub(super) fn key(conflict: &HistoryConflict) -> String {
    let HistoryConflict { job, id, path, copy, .. } = conflict;
    let mut hasher = blake3::Hasher::new();
    for part in [job, id, path, copy] {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    hasher.finalize().to_hex()[..KEY_DIGITS].to_owned()
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

/// The outcome of a form.
pub(super) enum Settled {
    All,
    /// The form selects no conflict of the history.
    NothingChosen,
    /// Some of them are not settled: their paths and the reasons.
    Refused(Vec<(String, String)>),
}

/// Settles the conflicts that a form selects: that of the button, or the selected ones.
pub(super) fn settle(server: &Server, form: &Form) -> anyhow::Result<Settled> {
    let (chosen, keep): (Vec<_>, _) = match form.get("one").and_then(|one| one.split_once(':')) {
        Some((keep, key)) => (vec![key], Some(keep)),
        None => (form.all("conflict").collect(), form.get("keep")),
    };
    let keep = keep.and_then(|keep| Keep::from_str(keep, false).ok());
    let (Some(keep), Some((mut conflicts, mut resolver))) = (keep, standing(server)?) else {
        return Ok(Settled::NothingChosen);
    };
    conflicts.retain(|conflict| chosen.contains(&&*key(conflict)));
    if conflicts.is_empty() {
        return Ok(Settled::NothingChosen);
    }
    let mut refused = Vec::new();
    for conflict in &conflicts {
        if let Err(refusal) = resolver.settle(conflict, keep, false) {
            refused.push((conflict.path.clone(), refusal.message));
        }
    }
    Ok(if refused.is_empty() { Settled::All } else { Settled::Refused(refused) })
}

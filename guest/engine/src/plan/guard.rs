//! Safety stops: prevent a run that would delete too much, before its first operation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::options::{DeleteLimit, Mode};
use crate::plan::content::Content;
use crate::plan::{Cancelled, Hash, Input, MOVED, Operation, Plan};
use crate::state::{self, BaseKind};
use crate::tree::{Digest, Kind, Node, Side, join};

/// The reason why a plan must not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SafetyStop {
    /// A side that had entries is empty.
    Emptied(Side),
    /// The source of a mirror is empty, and its target is not.
    EmptySource {
        /// The files of the target.
        files: u64,
    },
    /// A side has other entries, and none of those that were synced at its top.
    Replaced(Side),
    /// Too many files of a side would be deleted.
    Deletions {
        /// The side.
        side: Side,
        /// The number of files to delete.
        deleted: u64,
        /// The number of files of the side.
        files: u64,
        /// Examples of paths to delete.
        examples: Vec<String>,
    },
}

/// Checks a plan before its first operation. `files` are the numbers of files of each side.
///
/// A moved file is not a deletion, even if it is copied and deleted because the side cannot move
/// it. Files are read to recognize that only if the run would stop otherwise.
///
/// # Errors
/// Fails if the user cancels. The inner error is the safety stop.
pub fn check(
    plan: &mut Plan,
    input: &Input<'_>,
    files: [u64; 2],
    hash: &mut Hash<'_>,
) -> Result<Result<(), SafetyStop>, Cancelled> {
    let limit = input.options.max_delete;
    if limit == DeleteLimit::Any {
        return Ok(Ok(()));
    }
    let mode = input.options.mode;
    // Ignored files that the system creates in an empty directory do not count.
    let is_empty = |side: Side| {
        input.sides[side.index()]
            .values()
            .all(|node| matches!(node.kind, Kind::Blocked(_) | Kind::Junk))
    };
    let has_synced = |side: Side| input.before.has_synced[side.index()];
    let target = Side::Right.index();
    let is_target_filled = files[target] >= 2 || input.sides[target].len() >= 2;
    if mode == Mode::Mirror
        && is_target_filled
        && is_empty(Side::Left)
        && !is_empty(Side::Right)
        && !has_synced(Side::Left)
    {
        return Ok(Err(match input.base.is_empty() {
            true => SafetyStop::EmptySource { files: files[target] },
            false => SafetyStop::Emptied(Side::Left),
        }));
    }
    // Whether none of two or more top-level entries of the baseline is left.
    let is_bare =
        |side: Side| input.before.entries >= 2 && !has_synced(side) && has_synced(side.other());
    // In one-way modes, the right side is filled again.
    let is_one_way = matches!(mode, Mode::OneWaySafe | Mode::Mirror);
    let emptied =
        |side: &Side| is_bare(*side) && is_empty(*side) && !(is_one_way && *side == Side::Right);
    if let Some(side) = Side::BOTH.into_iter().find(emptied) {
        return Ok(Err(SafetyStop::Emptied(side)));
    }
    let baseline = state::count_files(input.base);
    for side in Side::BOTH {
        let from = side.other();
        let files = baseline.max(files[side.index()]);
        let all = deletions(plan, side).count() as u64;
        let is_suspicious = limit.is_exceeded(all, files) || all > 0 && is_bare(from);
        if !is_suspicious {
            continue;
        }
        find_moves(plan, input, side, hash)?;
        let deleted = deletions(plan, side).count() as u64;
        if limit.is_exceeded(deleted, files) {
            let path = |operation: &Operation| operation.paths[side.index()].to_string();
            let examples = deletions(plan, side).take(5).map(path).collect();
            return Ok(Err(SafetyStop::Deletions { side, deleted, files, examples }));
        }
        let moved = all - deleted + input.before.moved[side.index()];
        if is_bare(from) && deleted > moved {
            return Ok(Err(SafetyStop::Replaced(from)));
        }
    }
    Ok(Ok(()))
}

/// Returns the removals that count as deletions of a side.
fn deletions(plan: &Plan, side: Side) -> impl Iterator<Item = &Operation> {
    let all = plan.operations.iter().chain(&plan.removals);
    all.filter(move |operation| operation.counts_as_deletion_on(side))
}

/// Marks the deletions of a side whose content is moved there under another name.
fn find_moves(
    plan: &mut Plan,
    input: &Input<'_>,
    side: Side,
    hash: &mut Hash<'_>,
) -> Result<(), Cancelled> {
    let node = |operation: &Operation| input.sides[side.index()].at(&operation.key);
    let gone: Vec<(Operation, &Node)> = deletions(plan, side)
        .filter_map(|operation| Some((operation.clone(), node(operation)?)))
        .collect();
    let sizes = gone.iter().map(|(_, node)| node.fingerprint.size).collect();
    let mut new = new_contents(plan, input, side.other(), &sizes, hash)?;
    let mut moved = HashSet::new();
    for (operation, node) in gone {
        let Some(content) = content_of(&operation, node, input, side, hash)? else { continue };
        // Each new file matches one deleted file.
        if let Some(count) = new.get_mut(&content).filter(|count| **count > 0) {
            *count -= 1;
            moved.insert(operation.key);
        }
    }
    let reason = Arc::from(MOVED);
    for operation in plan.operations.iter_mut().chain(&mut plan.removals) {
        if operation.counts_as_deletion_on(side) && moved.contains(&operation.key) {
            operation.reason = Arc::clone(&reason);
        }
    }
    Ok(())
}

/// Returns the content of a file or link to delete; `None`: unknown.
fn content_of(
    operation: &Operation,
    node: &Node,
    input: &Input<'_>,
    side: Side,
    hash: &mut Hash<'_>,
) -> Result<Option<Content>, Cancelled> {
    if let Kind::Link(text) = &node.kind {
        return Ok(Some(Content::Link(text.clone())));
    }
    let base = state::entry(input.base, &operation.key);
    let Some((base, BaseKind::File(baseline))) = base.map(|base| (base, &base.kind)) else {
        return Ok(None);
    };
    if node.fingerprint.size == 0 {
        return Ok(Content::empty(&base.seen(side.other()).fingerprint));
    }
    let seen = base.seen(side);
    match !seen.racy && seen.fingerprint == node.fingerprint {
        true => Ok(Some(Content::File(*baseline))),
        false if !input.capabilities[side.index()].hashes_cheaply => Ok(None),
        false => Ok(digest(hash, side, &operation.paths[side.index()])?.map(Content::File)),
    }
}

/// Counts the new files and links of a side that are copied to the other one, by content. Files of
/// other sizes are omitted.
fn new_contents(
    plan: &Plan,
    input: &Input<'_>,
    side: Side,
    sizes: &HashSet<u64>,
    hash: &mut Hash<'_>,
) -> Result<HashMap<Content, u64>, Cancelled> {
    let mut new = HashMap::new();
    let children = input.sides[side.index()];
    let mut rest = vec![(String::new(), children, Some(input.base), &plan.next)];
    while let Some((parent, children, before, next)) = rest.pop() {
        for (key, node) in children.iter() {
            let before = before.and_then(|before| before.get(key));
            let Some(after) = next.get(key) else { continue };
            if let (Kind::Directory(children), Some(next)) = (&node.kind, after.children()) {
                let before = before.and_then(|before| before.children());
                rest.push((join(&parent, &node.name), children, before, next));
                continue;
            }
            let is_new = before.is_none_or(|before| before.children().is_some());
            // A different fingerprint belongs to the version of the other side, which replaces this
            // one.
            if !is_new || after.seen(side).fingerprint != node.fingerprint {
                continue;
            }
            let content = match (&node.kind, &after.kind) {
                (Kind::Link(text), BaseKind::Link(_)) => Some(Content::Link(text.clone())),
                (Kind::File, BaseKind::File(_)) if node.fingerprint.size == 0 => {
                    Content::empty(&node.fingerprint)
                }
                (Kind::File, BaseKind::File(known)) if sizes.contains(&node.fingerprint.size) => {
                    let known = Some(*known).filter(|known| *known != Digest::default());
                    let digest = match known {
                        Some(known) => Some(known),
                        None if !input.capabilities[side.index()].hashes_cheaply => None,
                        None => digest(hash, side, &join(&parent, &node.name))?,
                    };
                    digest.map(Content::File)
                }
                (
                    Kind::File | Kind::Link(_) | Kind::Directory(_) | Kind::Blocked(_) | Kind::Junk,
                    BaseKind::File(_) | BaseKind::Link(_) | BaseKind::Directory(_),
                ) => None,
            };
            if let Some(content) = content {
                *new.entry(content).or_insert(0) += 1;
            }
        }
    }
    Ok(new)
}

/// Returns the digest of a file; `None`: it cannot be read.
fn digest(hash: &mut Hash<'_>, side: Side, path: &str) -> Result<Option<Digest>, Cancelled> {
    match hash(side, path) {
        Ok(digest) => Ok(Some(digest)),
        Err(Some(_)) => Ok(None),
        Err(None) => Err(Cancelled),
    }
}

//! Recognizes moved directories by the files and links in them.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::contents::{Contents, Matches};
use super::places::{Place, Places, is_another, is_same_type};
use crate::plan::Cancelled;
use crate::plan::merge::{Merge, children};
use crate::state::Base;
use crate::tree::{Kind, Node, Side, join};

/// A directory and the one that it may have become, by their indexes.
type Pair = (usize, usize);

/// Pairs of directories, and how many files and links are in the same place of both.
#[derive(Default)]
struct Votes {
    pairs: Vec<Pair>,
    votes: Vec<u64>,
    /// The pair of the directories above.
    above: Vec<Option<usize>>,
    index: HashMap<Pair, usize>,
}

/// Finds directories that were moved as a whole. A directory in a moved directory is listed only if
/// it was moved out of its place there.
pub(super) fn find(
    places: &Places<'_>,
    matches: &Matches,
    contents: &mut Contents<'_, '_>,
) -> Result<Vec<Pair>, Cancelled> {
    let from = contents.from;
    let mut votes = Votes::default();
    for pair in &matches.pairs {
        let [gone, fresh] = [pair.gone, pair.fresh].map(|at| places.get(at));
        let parents = (gone.parent, fresh.parent);
        if gone.key == fresh.key && is_pair(places, parents, from) {
            let index = votes.index_of(places, parents, from);
            votes.votes[index] += 1;
        }
    }
    let Votes { pairs, mut votes, above, .. } = votes;
    let depth = |index: usize| places.get(pairs[index].0).depth;
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|index| Reverse(depth(*index)));
    for index in order.iter().copied() {
        if let Some(above) = above[index] {
            votes[above] += votes[index];
        }
    }
    let sizes = sizes(places, &matches.gone, from.other());
    // From the top. Of several new places, the one with most files is right.
    order.sort_by_key(|index| (depth(*index), Reverse(votes[*index]), pairs[*index]));
    let (mut moved, mut refused) = (HashMap::new(), HashSet::new());
    let mut is_covered = vec![false; pairs.len()];
    for index in order {
        let (old, new) = pairs[index];
        if above[index].is_some_and(|above| is_covered[above]) {
            is_covered[index] = true;
            continue;
        }
        let is_refused = places.get(old).nodes[from.other().index()]
            .is_none_or(|node| refused.contains(&std::ptr::from_ref(node)));
        let is_inside = places.upwards(new).any(|above| above == old);
        if moved.contains_key(&old) || is_refused || is_inside || votes[index] * 2 < sizes[old] {
            continue;
        }
        if is_movable(places, (old, new), contents, &mut refused)? {
            is_covered[index] = true;
            moved.insert(old, new);
        }
    }
    let mut moved: Vec<_> = moved.into_iter().collect();
    moved.sort_by_key(|(old, _)| (places.get(*old).depth, *old));
    Ok(moved)
}

impl Votes {
    /// Returns the index of a pair, and lists the pairs above it.
    fn index_of(&mut self, places: &Places<'_>, pair: Pair, from: Side) -> usize {
        let (mut pair, mut first, mut below) = (pair, None, None::<usize>);
        loop {
            let known = self.index.get(&pair).copied();
            let index = known.unwrap_or_else(|| {
                self.pairs.push(pair);
                self.votes.push(0);
                self.above.push(None);
                self.index.insert(pair, self.pairs.len() - 1);
                self.pairs.len() - 1
            });
            if let Some(below) = below {
                self.above[below] = Some(index);
            }
            let first = *first.get_or_insert(index);
            let [old, new] = [pair.0, pair.1].map(|at| places.get(at));
            let parents = (old.parent, new.parent);
            if known.is_some() || old.key != new.key || !is_pair(places, parents, from) {
                return first;
            }
            below = Some(index);
            pair = parents;
        }
    }
}

/// Returns whether a directory may have become another one: a side does not have the first one, and
/// the second one is new. If both have other directories in their place, the file ids decide.
fn is_pair(places: &Places<'_>, (old, new): Pair, from: Side) -> bool {
    if old == 0 || new == 0 || old == new {
        return false;
    }
    let [old, new] = [old, new].map(|at| places.get(at));
    let (here, there) = (from.index(), from.other().index());
    let (Some(base), Some(after)) = (old.base, new.nodes[here]) else { return false };
    if !is_same_type(old.nodes[there], old.base) || after.children().is_none() {
        return false;
    }
    let is_gone = old.nodes[here].is_none_or(|node| node.children().is_none());
    let is_new = new.base.is_none() && new.nodes[there].is_none();
    if is_gone && is_new {
        return true;
    }
    let is_free = |place: &Place<'_>| match (place.nodes[here], place.base) {
        (Some(node), Some(base)) => is_another(node, base, from),
        (_, _) => true,
    };
    let file_id = after.fingerprint.file_id;
    let is_same = file_id != 0 && file_id == base.seen(from).fingerprint.file_id;
    is_same && (is_gone || is_free(old)) && (is_new || is_free(new))
}

/// Counts the files and links that are gone in each directory, without empty files.
fn sizes(places: &Places<'_>, gone: &[usize], there: Side) -> Vec<u64> {
    let mut sizes = vec![0; places.len()];
    for at in gone {
        let counts = places.get(*at).nodes[there.index()]
            .is_some_and(|node| node.kind != Kind::File || node.fingerprint.size > 0);
        sizes[*at] = u64::from(counts);
    }
    // Directories come before their entries.
    for at in (1..sizes.len()).rev() {
        let parent = places.get(at).parent;
        sizes[parent] += sizes[at];
    }
    sizes
}

/// A directory on the other side, in the baseline, and at its new place.
struct Level<'t> {
    /// The index of the directory above.
    above: usize,
    node: &'t Node,
    base: Option<&'t Base>,
    after: Option<&'t Node>,
}

/// Returns whether the other side can move a whole directory: everything in it is as it was synced,
/// or ignored by default, and nothing that is not synced is at its new place. Otherwise, records
/// which directories cannot be moved.
fn is_movable(
    places: &Places<'_>,
    (old, new): Pair,
    contents: &mut Contents<'_, '_>,
    refused: &mut HashSet<*const Node>,
) -> Result<bool, Cancelled> {
    let (here, there) = (contents.from.index(), contents.from.other());
    let Place { nodes, base, .. } = *places.get(old);
    let Some(node) = nodes[there.index()] else { return Ok(false) };
    let after = places.get(new).nodes[here];
    let mut levels = vec![Level { above: 0, node, base, after }];
    let mut next = 0;
    while let Some(Level { node, base, after, .. }) = levels.get(next) {
        let (sides, base) = ([Some(*node), None], *base);
        let after = children(*after);
        for entry in Merge::of(sides, base) {
            let (Some(node), base) = (entry.nodes[0], entry.base.map(|base| &**base)) else {
                continue;
            };
            let after = after.get(entry.key);
            let is_ignored =
                after.is_some_and(|after| matches!(after.kind, Kind::Blocked(_) | Kind::Junk));
            let is_fine = match (&node.kind, base) {
                (Kind::Junk, None) => true,
                (_, Some(base)) if !is_ignored && is_same_type(Some(node), Some(base)) => {
                    let path = || path(places, (old, there), &levels, next, &node.name);
                    match node.kind {
                        Kind::Directory(_) => {
                            levels.push(Level { above: next, node, base: Some(base), after });
                            true
                        }
                        Kind::File | Kind::Link(_) | Kind::Blocked(_) | Kind::Junk => {
                            contents.is_unchanged(node, base, path)?
                        }
                    }
                }
                (_, _) => false,
            };
            let mut at = next;
            while !is_fine && refused.insert(levels[at].node) && at != 0 {
                at = levels[at].above;
            }
        }
        next += 1;
    }
    Ok(!refused.contains(&std::ptr::from_ref(node)))
}

/// Returns the path of an entry in a directory that is being visited.
fn path(
    places: &Places<'_>,
    (top, side): (usize, Side),
    levels: &[Level<'_>],
    mut at: usize,
    name: &str,
) -> String {
    let mut names = vec![name];
    while at != 0 {
        names.push(&levels[at].node.name);
        at = levels[at].above;
    }
    names.reverse();
    join(&places.path(top, side), &names.join("/"))
}

//! Makes moves in the trees, in an order in which each one is possible.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::Finder;
use super::contents::Matches;
use super::places::Places;
use crate::plan::merge::children;
use crate::plan::{Action, Operation};
use crate::state::{self, Base, BaseChildren, BaseKind, Seen};
use crate::tree::{Children, Kind, Node, Side, join, split};

/// A move, by keys, in the trees before all moves.
struct Step {
    from: String,
    to: String,
    /// The next directory above that is moved, too, by its index.
    inside: Option<usize>,
}

/// The moves of a side.
pub(super) struct Steps {
    directories: Vec<Step>,
    leaves: Vec<Step>,
}

impl Steps {
    /// Lists moves. Moves of directories are pairs of old and new places.
    pub(super) fn new(
        places: &Places<'_>,
        matches: &Matches,
        directories: &[(usize, usize)],
    ) -> Self {
        let index: HashMap<usize, usize> =
            directories.iter().enumerate().map(|(index, (old, _))| (*old, index)).collect();
        let step = |old: usize, new: usize| Step {
            from: places.key(old),
            to: places.key(new),
            inside: places.upwards(old).skip(1).find_map(|above| index.get(&above).copied()),
        };
        Self {
            directories: directories.iter().map(|(old, new)| step(*old, *new)).collect(),
            leaves: matches.pairs.iter().map(|pair| step(pair.gone, pair.fresh)).collect(),
        }
    }
}

/// Makes the moves of a side on the other one.
pub(super) struct Mover<'a> {
    finder: &'a Finder<'a>,
    from: Side,
    source: &'a Children,
    target: &'a mut Children,
    base: &'a mut BaseChildren,
    /// The new places of directories that are still to be moved.
    pending: HashSet<String>,
    operations: Vec<Operation>,
    /// The reasons of a move and of a new directory.
    reasons: [Arc<str>; 2],
}

/// The result of an attempt.
enum Outcome {
    Done,
    /// Another move must come first: of the entry at this key, or to it.
    Waits(String),
    Impossible,
}

impl<'a> Mover<'a> {
    pub(super) fn new(
        finder: &'a Finder<'a>,
        from: Side,
        source: &'a Children,
        target: &'a mut Children,
        base: &'a mut BaseChildren,
    ) -> Self {
        let label = finder.labels[from.index()];
        let reasons = ["moved", "new"].map(|what| format!("{what} on {label}").into());
        let (pending, operations) = (HashSet::new(), Vec::new());
        Self { finder, from, source, target, base, pending, operations, reasons }
    }

    /// Makes as many moves as possible. Returns the operations, and the number of files and links
    /// that were moved.
    pub(super) fn make(mut self, steps: Steps) -> (Vec<Operation>, u64) {
        let Steps { directories, leaves } = steps;
        self.pending = directories.iter().map(|step| step.to.clone()).collect();
        let mut is_done = vec![false; directories.len()];
        let all = (0..directories.len()).collect();
        self.run(all, |mover, index| {
            let step = &directories[index];
            let from = current(step, &directories, &is_done);
            let outcome = mover.attempt(&from, &step.to);
            if let Outcome::Done = outcome {
                is_done[index] = true;
                mover.pending.remove(&step.to);
            }
            (from, outcome)
        });
        self.pending.clear();
        let now: Vec<_> = leaves.iter().map(|step| current(step, &directories, &is_done)).collect();
        let mut is_moved: Vec<_> =
            leaves.iter().zip(&now).map(|(step, now)| step.to == *now).collect();
        let rest = (0..leaves.len()).filter(|index| !is_moved[*index]).collect();
        self.run(rest, |mover, index| {
            let outcome = mover.attempt(&now[index], &leaves[index].to);
            is_moved[index] = matches!(outcome, Outcome::Done);
            (now[index].clone(), outcome)
        });
        let mut moved = 0;
        for (step, _) in leaves.iter().zip(&is_moved).filter(|(_, is_moved)| **is_moved) {
            self.settle(&step.to);
            moved += 1;
        }
        (self.operations, moved)
    }

    /// Attempts steps until none of the rest is possible. `attempt` returns the key from which a
    /// step moves, too.
    fn run(
        &mut self,
        mut ready: VecDeque<usize>,
        mut attempt: impl FnMut(&mut Self, usize) -> (String, Outcome),
    ) {
        let mut waiting: HashMap<String, Vec<usize>> = HashMap::new();
        while let Some(index) = ready.pop_front() {
            let count = self.operations.len();
            match attempt(self, index) {
                (_, Outcome::Waits(key)) => waiting.entry(key).or_default().push(index),
                (_, Outcome::Impossible) => {}
                (from, Outcome::Done) => {
                    let made = self.operations[count..].iter().map(|one| &*one.key);
                    for key in made.chain([&*from]) {
                        ready.extend(waiting.remove(key).unwrap_or_default());
                    }
                }
            }
        }
    }

    /// Moves an entry, if its new place is free and in a directory that exists or can be created.
    fn attempt(&mut self, from: &str, to: &str) -> Outcome {
        let alike = self.finder.alike;
        let (mut here, mut base) = (Some(&*self.target), Some(&*self.base));
        let mut missing = Vec::new();
        let mut start = 0;
        for (end, _) in to.match_indices('/') {
            let (part, key) = (&to[start..end], &to[..end]);
            start = end + 1;
            let known = base.and_then(|base| base.get(part));
            match here.and_then(|here| here.get(part)) {
                Some(node) => match node.children() {
                    Some(children) => here = Some(children),
                    None => return Outcome::Waits(key.to_owned()),
                },
                // The other side deleted it.
                None if known.is_some() => return Outcome::Impossible,
                None if alike.contains_key(key) => return Outcome::Impossible,
                None if self.pending.contains(key) => return Outcome::Waits(key.to_owned()),
                None => {
                    missing.push(key.to_owned());
                    here = None;
                }
            }
            if known.is_some_and(|known| known.children().is_none()) {
                return Outcome::Waits(key.to_owned());
            }
            base = known.and_then(|known| known.children());
        }
        let is_used = here.is_some_and(|here| here.contains_key(&to[start..]))
            || base.is_some_and(|base| base.contains_key(&to[start..]));
        let exists = self.target.at(from).is_some() && state::entry(self.base, from).is_some();
        let is_inside = to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'));
        if is_used {
            return Outcome::Waits(to.to_owned());
        }
        if !exists || is_inside || alike.contains_key(to) || self.source.at(to).is_none() {
            return Outcome::Impossible;
        }
        for key in missing {
            self.create(&key);
        }
        self.rename(from, to);
        Outcome::Done
    }

    /// Creates a directory of the source.
    fn create(&mut self, key: &str) {
        let Some(like) = self.source.at(key) else { return };
        // Its owner must be able to write into it; the planner sets the right permissions later.
        let mode = like.mode.map(|mode| mode | 0o700);
        let kind = Kind::Directory(Children::new());
        let name = Arc::clone(&like.name);
        let node = Node { name, kind, mode, fingerprint: Default::default() };
        let on = self.from.other();
        let (parent, last) = split(key);
        let path = join(&self.target.spelled(parent), &like.name);
        self.push(Action::MakeDirectory { on, mode }, path, key);
        if let Some(children) = self.target.directory_mut(parent) {
            children.insert(last.into(), node);
        }
        let sides = [Seen { mode, ..Seen::default() }; 2];
        let base = Base { kind: BaseKind::Directory(BaseChildren::new()), mode, sides };
        state::insert(self.base, key, Arc::new(base));
    }

    /// Moves an entry whose new place is free.
    fn rename(&mut self, from: &str, to: &str) {
        let on = self.from.other();
        let Some(name) = self.source.at(to).map(|node| Arc::clone(&node.name)) else { return };
        let path = self.target.spelled(from);
        let (old_parent, old) = split(from);
        let (new_parent, new) = split(to);
        let new_path = join(&self.target.spelled(new_parent), &name);
        let node = self.target.directory_mut(old_parent).and_then(|children| children.remove(old));
        let base = state::remove(self.base, from);
        let (Some(mut node), Some(base)) = (node, base) else { return };
        let expected = node.children().is_none().then(|| Box::new(node.fingerprint));
        let before = Some(Arc::clone(&base));
        let action =
            Action::Move { on, to: new_path.into(), old_key: from.into(), expected, before };
        self.push(action, path, to);
        node.name = name;
        if node.children().is_none() {
            // A rename changes only the time of the last status change.
            node.fingerprint.changed = None;
        }
        let mut base = base;
        adapt(&mut base, &node, self.from, true);
        if let Some(children) = self.target.directory_mut(new_parent) {
            children.insert(new.into(), node);
        }
        state::insert(self.base, to, base);
    }

    /// Records that the source has the version of the baseline at its new place. If its time
    /// changed, the planner finds that.
    fn settle(&mut self, key: &str) {
        let Some(node) = self.source.at(key) else { return };
        let (parent, last) = split(key);
        let entries = state::directory_mut(self.base, parent);
        let Some(base) = entries.and_then(|entries| entries.get_mut(last)) else { return };
        let seen = &mut Arc::make_mut(base).sides[self.from.index()];
        if seen.fingerprint.modified == node.fingerprint.modified {
            (seen.fingerprint, seen.racy) = (node.fingerprint, false);
        }
    }

    fn push(&mut self, action: Action, path: String, key: &str) {
        let mut paths = [self.source.spelled(key).into(), path.into()];
        if self.from == Side::Right {
            paths.swap(0, 1);
        }
        let is_new = matches!(action, Action::MakeDirectory { .. });
        let reason = Arc::clone(&self.reasons[usize::from(is_new)]);
        self.operations.push(Operation { action, paths, key: key.into(), reason });
    }
}

/// Adapts the baseline of an entry that is moved to that of the side that moves it, `node`. Whether
/// the source, `from`, still has the version of the baseline is not known yet; the other side has
/// it if it was compared (`is_compared`). An entry that the other side deleted is new at its new
/// place.
pub(crate) fn adapt(base: &mut Arc<Base>, node: &Node, from: Side, is_compared: bool) {
    let mut rest = vec![(base, node)];
    while let Some((base, node)) = rest.pop() {
        let base = Arc::make_mut(base);
        match &mut base.kind {
            BaseKind::Directory(entries) => {
                let children = children(Some(node));
                entries.retain(|key, _| children.contains_key(key));
                let inside = entries.iter_mut();
                rest.extend(inside.filter_map(|(key, base)| Some((base, children.get(key)?))));
            }
            BaseKind::File(_) | BaseKind::Link(_) => {
                if is_compared {
                    let seen = &mut base.sides[from.other().index()];
                    (seen.fingerprint, seen.racy) = (node.fingerprint, false);
                }
                base.sides[from.index()].racy = true;
            }
        }
    }
}

/// Returns the key of an entry after the moves that are done.
fn current(step: &Step, directories: &[Step], is_done: &[bool]) -> String {
    let mut inside = step.inside;
    while let Some(index) = inside {
        let above = &directories[index];
        if is_done[index] {
            return format!("{}{}", above.to, &step.from[above.from.len()..]);
        }
        inside = above.inside;
    }
    step.from.clone()
}

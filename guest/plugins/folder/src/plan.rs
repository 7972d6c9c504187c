//! Decides what to do. Reads nothing itself: it asks for the digest of a file where only the
//! content can tell.

mod decide;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::names;
use crate::options::{DeleteLimit, Mode, Options};
use crate::scan::join;
use crate::state::{self, Base, BaseChildren, BaseKind, ConflictRecord, Seen};
use crate::tree::{Children, Digest, Fingerprint, Kind, Name, Node, Side};

pub use decide::{Change, Verdict, decide};

/// A file that was written less than this before it was looked at may be written again without
/// a change of its times: those of some file systems are no finer.
const RACY_NS: i64 = 2_000_000_000;

/// Everything that is to be done, and what is agreed on when it has been.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is done first, in this order: everything that makes or replaces.
    pub operations: Vec<Operation>,
    /// What is done after that, in this order: everything that only removes, and the permissions
    /// of directories that keep their owner from working in them.
    pub removals: Vec<Operation>,
    /// What the two sides agree on once all of it is done.
    pub next: BaseChildren,
    /// Conflicts that are settled by keeping both versions.
    pub conflicts: Vec<ConflictRecord>,
    /// What is left alone, as path and reason.
    pub left_alone: Vec<(String, String)>,
    /// Entries that need nothing.
    pub unchanged: u64,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What.
    pub action: Action,
    /// The entry, as each side spells its path.
    pub paths: [Name; 2],
    /// The path by keys.
    pub key: Name,
    /// Why, in a few words.
    pub reason: Arc<str>,
}

/// What to do with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a directory.
    MakeDirectory {
        /// Where.
        on: Side,
        /// With which permission bits.
        mode: Option<u16>,
    },
    /// Copy a file to the other side.
    Copy {
        /// From where.
        from: Side,
        /// What it must still be.
        source: Fingerprint,
        /// The content it must have, if that is known.
        digest: Option<Box<Digest>>,
        /// What it replaces; `None`: nothing may be there.
        replaces: Option<Box<Fingerprint>>,
    },
    /// Make a link.
    MakeLink {
        /// Where.
        on: Side,
        /// Its text.
        text: Box<str>,
        /// What it replaces; `None`: nothing may be there.
        replaces: Option<Box<Fingerprint>>,
    },
    /// Rename a file or link, in its directory.
    Rename {
        /// Where.
        on: Side,
        /// What it must still be.
        source: Fingerprint,
        /// The new name.
        to: Box<str>,
    },
    /// Remove a file or link.
    Remove {
        /// Where.
        on: Side,
        /// What it must still be.
        target: Fingerprint,
    },
    /// Remove a directory, if it is empty.
    RemoveDirectory {
        /// Where.
        on: Side,
    },
    /// Set permission bits.
    SetMode {
        /// Where.
        on: Side,
        /// To what.
        mode: u16,
    },
}

/// Why a plan must not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Danger {
    /// A side that had entries is empty.
    Emptied(Side),
    /// Too many files of a side would be deleted.
    Deletions {
        /// Of which side.
        side: Side,
        /// How many.
        deleted: u64,
        /// Of how many.
        files: u64,
        /// A few of them.
        examples: Vec<String>,
    },
}

/// Tells the digest of a file by side and path; an error says why it cannot be told. `Err(None)`:
/// the user cancelled.
pub type Hash<'a> = dyn FnMut(Side, &str) -> Result<Digest, Option<String>> + 'a;

/// The user cancelled while the plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// What a plan is made from.
pub struct Input<'a> {
    /// The entries of each side's root.
    pub sides: [&'a Children; 2],
    /// What was agreed on.
    pub base: &'a BaseChildren,
    /// The settings.
    pub options: &'a Options,
    /// When the scan began, in ns since 1970.
    pub now: i64,
    /// The same for people, for conflict names.
    pub when: &'a str,
}

/// Makes the plan.
pub fn plan(input: &Input<'_>, hash: &mut Hash<'_>) -> Result<Plan, Cancelled> {
    let mut planner =
        Planner { input, hash, plan: Plan::default(), moved_here: None, reasons: BTreeSet::new() };
    let dirs = Place::root();
    let [left, right] = input.sides;
    let one_way = matches!(input.options.mode, Mode::OneWaySafe | Mode::Mirror);
    if input.base.is_empty() && (right.is_empty() || !one_way) {
        // There is much to do, and what has room for all of it need not be moved.
        planner.plan.operations.reserve_exact(on_one_side(Some(left), Some(right)));
    }
    let merged = planner.children(&dirs, Some(left), Some(right), Some(input.base))?;
    planner.plan.next = merged.next;
    Ok(planner.plan)
}

/// Files by their identity and length.
type NewFiles = HashSet<(u64, u64)>;

fn note_new_files(children: &Children, base: Option<&BaseChildren>, found: &mut NewFiles) {
    for (key, node) in children {
        let known = base.and_then(|base| base.get(key));
        match &node.kind {
            Kind::File if known.is_none() && node.fingerprint.file_id != 0 => {
                found.insert((node.fingerprint.file_id, node.fingerprint.size));
            }
            Kind::Directory(children) => {
                note_new_files(children, known.and_then(|base| base.children()), found);
            }
            Kind::File | Kind::Link(_) | Kind::Blocked(_) => {}
        }
    }
}

/// How many entries are on one side only.
fn on_one_side(left: Option<&Children>, right: Option<&Children>) -> usize {
    let from_left = left.into_iter().flatten().map(|(key, node)| {
        match right.and_then(|right| right.get(key)) {
            Some(other) => on_one_side(node.children(), other.children()),
            None => 1 + on_one_side(node.children(), None),
        }
    });
    let from_right = right
        .into_iter()
        .flatten()
        .filter(|(key, _)| left.is_none_or(|left| !left.contains_key(*key)))
        .map(|(_, node)| 1 + on_one_side(None, node.children()));
    from_left.sum::<usize>() + from_right.sum::<usize>()
}

/// Checks a plan before its first step.
pub fn check(plan: &Plan, input: &Input<'_>, files: [u64; 2]) -> Result<(), Danger> {
    let limit = input.options.max_delete;
    if limit == DeleteLimit::Any {
        return Ok(());
    }
    // What the system drops into an empty directory, and a filter hides, does not fill it.
    let emptied = |side: Side| {
        let [here, other] = [side, side.other()].map(|side| input.sides[side.index()]);
        here.values().all(|node| matches!(node.kind, Kind::Blocked(_)))
            && !input.base.keys().any(|key| here.contains_key(key))
            && input.base.keys().any(|key| other.contains_key(key))
    };
    if let Some(side) = Side::BOTH.into_iter().find(|&side| emptied(side))
        && input.base.len() >= 2
        // One way, the right side is filled again.
        && !(side == Side::Right
            && matches!(input.options.mode, Mode::OneWaySafe | Mode::Mirror))
    {
        return Err(Danger::Emptied(side));
    }
    let agreed = state::count_files(input.base);
    for side in Side::BOTH {
        let removed: Vec<&str> = plan
            .operations
            .iter()
            .chain(&plan.removals)
            .filter(|operation| operation.counts_as_deletion_on(side))
            .map(|operation| &*operation.paths[side.index()])
            .collect();
        let deleted = removed.len() as u64;
        let files = agreed.max(files[side.index()]);
        if limit.is_exceeded(deleted, files) {
            let examples = removed.into_iter().take(5).map(str::to_owned).collect();
            return Err(Danger::Deletions { side, deleted, files, examples });
        }
    }
    Ok(())
}

impl Operation {
    /// Whether a file of this side is gone afterwards, also under any other name.
    pub fn counts_as_deletion_on(&self, side: Side) -> bool {
        match &self.action {
            Action::Remove { on, .. } => *on == side && *self.reason != *MOVED,
            Action::MakeDirectory { .. }
            | Action::Copy { .. }
            | Action::MakeLink { .. }
            | Action::Rename { .. }
            | Action::RemoveDirectory { .. }
            | Action::SetMode { .. } => false,
        }
    }

    /// The bytes that it copies.
    pub fn bytes(&self) -> u64 {
        match &self.action {
            Action::Copy { source, .. } => source.size,
            Action::MakeDirectory { .. }
            | Action::MakeLink { .. }
            | Action::Rename { .. }
            | Action::Remove { .. }
            | Action::RemoveDirectory { .. }
            | Action::SetMode { .. } => 0,
        }
    }
}

/// The reason of a removal whose file is elsewhere on the other side now.
const MOVED: &str = "moved";

/// Where an entry is.
#[derive(Clone, Debug)]
struct Place {
    paths: [Name; 2],
    key: Name,
}

impl Place {
    fn root() -> Self {
        let path = Name::from("");
        Self { paths: [Name::clone(&path), Name::clone(&path)], key: path }
    }

    /// An entry in here. A side that does not have it will spell it as the other one does.
    fn child(&self, key: &str, left: Option<&Node>, right: Option<&Node>) -> Self {
        let name = |one: Option<&Node>, other: Option<&Node>| {
            one.or(other).map_or_else(|| key.into(), |node| Name::clone(&node.name))
        };
        self.inner([&name(left, right), &name(right, left)], key)
    }

    fn named(&self, name: &str) -> Self {
        self.inner([name, name], &names::key(name))
    }

    /// Paths that are the same text are the same one.
    fn inner(&self, [left, right]: [&str; 2], key: &str) -> Self {
        let path = Name::from(join(&self.paths[0], left));
        let or_joined = |parent: &Name, name: &str| match *parent == self.paths[0] && name == left {
            true => Name::clone(&path),
            false => join(parent, name).into(),
        };
        let (right, key) = (or_joined(&self.paths[1], right), or_joined(&self.key, key));
        Self { paths: [path, right], key }
    }
}

/// What becomes of an entry.
#[derive(Debug, Default)]
struct Merged {
    /// What is agreed on then; `None`: nothing.
    next: Option<Arc<Base>>,
    /// Whether it will exist on each side.
    exists: [bool; 2],
}

#[derive(Debug, Default)]
struct MergedChildren {
    next: BaseChildren,
    exist: [bool; 2],
}

struct Planner<'a, 'b> {
    input: &'a Input<'a>,
    hash: &'a mut Hash<'b>,
    plan: Plan,
    /// The files that are new on each side: where a file is gone, it may be one of these. `None`:
    /// none was missed yet.
    moved_here: Option<[NewFiles; 2]>,
    /// The same few words, again and again.
    reasons: BTreeSet<Arc<str>>,
}

/// One leaf of a side, looked at.
struct Looked {
    change: Change,
    digest: Option<Digest>,
}

impl Planner<'_, '_> {
    fn mode(&self) -> Mode {
        self.input.options.mode
    }

    fn children(
        &mut self,
        place: &Place,
        left: Option<&Children>,
        right: Option<&Children>,
        base: Option<&BaseChildren>,
    ) -> Result<MergedChildren, Cancelled> {
        static EMPTY: Children = Children::new();
        let (left, right) = (left.unwrap_or(&EMPTY), right.unwrap_or(&EMPTY));
        let mut nodes = [left.iter().peekable(), right.iter().peekable()];
        let mut agreed = base.into_iter().flatten().peekable();
        let mut merged = MergedChildren::default();
        let mut taken: HashSet<String> = HashSet::new();
        loop {
            let keys = nodes.each_mut().map(|nodes| nodes.peek().map(|(key, _)| *key));
            let agreed_key = agreed.peek().map(|(key, _)| *key);
            let Some(key) = [agreed_key].into_iter().chain(keys).flatten().min() else { break };
            let b = agreed.next_if(|(next, _)| *next == key).map(|(_, base)| base);
            let [l, r] = nodes
                .each_mut()
                .map(|nodes| nodes.next_if(|(next, _)| *next == key).map(|(_, node)| node));
            let here = place.child(key, l, r);
            let mut is_taken = |name: &str| {
                let key = names::key(name);
                left.contains_key(&*key)
                    || right.contains_key(&*key)
                    || !taken.insert(key.into_owned())
            };
            let entry = self.entry(place, &here, [l, r], b, &mut is_taken, &mut merged.next)?;
            merged.exist[0] |= entry.exists[0];
            merged.exist[1] |= entry.exists[1];
            if let Some(next) = entry.next {
                merged.next.insert(Name::clone(key), next);
            }
        }
        Ok(merged)
    }

    /// Whether a file that is gone from a side is elsewhere on it now.
    fn was_moved(&mut self, side: Side, gone: &Fingerprint) -> bool {
        let input = self.input;
        let moved_here = self.moved_here.get_or_insert_with(|| {
            input.sides.map(|children| {
                let mut found = NewFiles::new();
                note_new_files(children, Some(input.base), &mut found);
                found
            })
        });
        moved_here[side.index()].contains(&(gone.file_id, gone.size))
    }

    fn entry(
        &mut self,
        parent: &Place,
        place: &Place,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
        is_taken: &mut dyn FnMut(&str) -> bool,
        siblings: &mut BaseChildren,
    ) -> Result<Merged, Cancelled> {
        let exists = nodes.map(|node| node.is_some());
        for (side, node) in Side::BOTH.into_iter().zip(nodes) {
            if let Some(Node { kind: Kind::Blocked(why), .. }) = node {
                if let Some(why) = why {
                    self.leave(&place.paths[side.index()], why.to_string());
                }
                // What a filter hides is forgotten, so that it is new, and never deleted, once
                // it is seen again.
                let next = why.as_ref().and(base).cloned();
                return Ok(Merged { next, exists });
            }
        }
        let is_directory = |node: &Node| node.children().is_some();
        let directories = nodes.map(|node| node.is_some_and(is_directory));
        let leaves = nodes.map(|node| node.is_some_and(|node| !is_directory(node)));
        match (directories, leaves) {
            (_, [false, false]) if exists == [false, false] => Ok(Merged::default()),
            (_, [false, false]) => self.directory(place, nodes, base),
            ([false, false], _) => self.leaf(parent, place, nodes, base, is_taken, siblings),
            ([true, _], _) => {
                self.clash(parent, place, nodes, Side::Left, base, is_taken, siblings)
            }
            ([_, true], _) => {
                self.clash(parent, place, nodes, Side::Right, base, is_taken, siblings)
            }
        }
    }

    fn leave(&mut self, path: &str, why: String) {
        self.plan.left_alone.push((path.to_owned(), why));
    }

    fn push(&mut self, action: Action, place: &Place, reason: &str) {
        let operation = self.operation(action, place, reason);
        self.plan.operations.push(operation);
    }

    fn push_removal(&mut self, action: Action, place: &Place, reason: &str) {
        let operation = self.operation(action, place, reason);
        self.plan.removals.push(operation);
    }

    fn operation(&mut self, action: Action, place: &Place, reason: &str) -> Operation {
        let reason = self.reason(reason);
        Operation { action, paths: place.paths.clone(), key: Name::clone(&place.key), reason }
    }

    fn reason(&mut self, words: &str) -> Arc<str> {
        if let Some(reason) = self.reasons.get(words) {
            return Arc::clone(reason);
        }
        let reason = Arc::from(words);
        self.reasons.insert(Arc::clone(&reason));
        reason
    }

    /// A directory on one side or both, and on neither anything else.
    fn directory(
        &mut self,
        place: &Place,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
    ) -> Result<Merged, Cancelled> {
        let base_children = base.and_then(|base| base.children());
        let [left, right] = nodes;
        let missing = match (left, right) {
            (Some(_), Some(_)) => None,
            (Some(_), None) => Some(Side::Right),
            (None, _) => Some(Side::Left),
        };
        let mode = self.mode();
        // Whether the directory is missing because it is to go on the other side, too.
        let removed = match (missing, mode) {
            (None, _) => false,
            (Some(Side::Left), Mode::Mirror) => true,
            (Some(Side::Right), Mode::Mirror | Mode::OneWaySafe) => false,
            (Some(_), _) => base_children.is_some(),
        };
        if missing == Some(Side::Left) && !removed && mode == Mode::OneWaySafe {
            // Made on the right, and none of our business.
            return Ok(Merged { next: None, exists: [false, true] });
        }
        let at = self.plan.operations.len();
        if let Some(on) = missing {
            let mode = nodes[on.other().index()].and_then(|node| node.mode);
            // Its owner must be able to write into it.
            let action = Action::MakeDirectory { on, mode: mode.map(|mode| mode | 0o700) };
            self.push(action, place, &format!("new on {}", on.other().name()));
        }
        let inner = self.children(
            place,
            left.and_then(Node::children),
            right.and_then(Node::children),
            base_children,
        )?;
        let mut exists = [true, true];
        if let Some(on) = missing {
            let kept = on.other();
            let needed = !removed || inner.exist[on.index()];
            if !needed {
                self.plan.operations.remove(at);
                exists[on.index()] = false;
                if inner.exist[kept.index()] {
                    self.leave(
                        &place.paths[kept.index()],
                        format!(
                            "was deleted on {}, but has entries here that are not synced",
                            on.name()
                        ),
                    );
                } else {
                    exists[kept.index()] = false;
                    let action = Action::RemoveDirectory { on: kept };
                    let reason = format!("deleted on {}", on.name());
                    self.push_removal(action, place, &reason);
                    return Ok(Merged { next: None, exists });
                }
            } else if removed {
                self.plan.operations[at].reason =
                    self.reason(&format!("has changes on {}", kept.name()));
            }
        }
        let mode = match missing {
            None => self.settle_directory_mode(place, nodes, base, at),
            Some(on) => {
                let mode = nodes[on.other().index()].and_then(|node| node.mode);
                if let Some(mode) = mode.filter(|mode| mode & 0o700 != 0o700)
                    && exists[on.index()]
                {
                    self.shut(on, mode, place);
                }
                mode
            }
        };
        let sides = nodes.map(|node| self.seen(node));
        let next = Base { kind: BaseKind::Directory(inner.next), mode, sides };
        Ok(Merged { next: Some(Arc::new(next)), exists })
    }

    /// Brings the permission bits of two directories together. What lets their owner work in them
    /// comes before that work, which begins at the operation `at`, and what does not, after it.
    fn settle_directory_mode(
        &mut self,
        place: &Place,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
        at: usize,
    ) -> Option<u16> {
        let end = self.plan.operations.len();
        let mode = self.settle_mode(place, nodes, base);
        for operation in self.plan.operations.split_off(end) {
            if let Action::SetMode { on, mode } = operation.action
                && mode & 0o700 != 0o700
            {
                self.shut(on, mode, place);
            } else {
                self.plan.operations.insert(at, operation);
            }
        }
        mode
    }

    /// Sets the permissions of a directory when all is done in it.
    fn shut(&mut self, on: Side, mode: u16, place: &Place) {
        self.push_removal(Action::SetMode { on, mode }, place, "permissions changed");
    }

    /// A file or link on one side or both, and on neither a directory.
    fn leaf(
        &mut self,
        parent: &Place,
        place: &Place,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
        is_taken: &mut dyn FnMut(&str) -> bool,
        siblings: &mut BaseChildren,
    ) -> Result<Merged, Cancelled> {
        let mut looked = Vec::with_capacity(2);
        for (side, node) in Side::BOTH.into_iter().zip(nodes) {
            match self.look(side, place, node, base)? {
                Ok(one) => looked.push(one),
                Err(why) => {
                    self.leave(&place.paths[side.index()], why);
                    return Ok(Merged {
                        next: base.cloned(),
                        exists: nodes.map(|node| node.is_some()),
                    });
                }
            }
        }
        let changes = [looked[0].change, looked[1].change];
        if let [Some(left), Some(right)] = nodes
            && changes != [Change::Same, Change::Same]
        {
            match self.equal(place, [left, right], &mut looked)? {
                Ok(true) => {
                    self.plan.unchanged += 1;
                    return Ok(self.agree(place, [left, right], looked[0].digest, base));
                }
                Ok(false) => {}
                Err((side, why)) => {
                    self.leave(&place.paths[side.index()], why);
                    return Ok(Merged { next: base.cloned(), exists: [true, true] });
                }
            }
        }
        match decide(self.mode(), changes[0], changes[1]) {
            Verdict::Nothing => {
                self.plan.unchanged += 1;
                let digest = match base.map(|base| &base.kind) {
                    Some(BaseKind::File(digest)) => Some(*digest),
                    Some(BaseKind::Link(_) | BaseKind::Directory(_)) | None => None,
                };
                match nodes {
                    [Some(left), Some(right)] => Ok(self.agree(place, [left, right], digest, base)),
                    [_, _] => Ok(Merged::default()),
                }
            }
            Verdict::Drop => Ok(Merged::default()),
            Verdict::Leave => {
                if nodes.iter().all(Option::is_some) {
                    self.leave(
                        &place.paths[Side::Right.index()],
                        "was changed on right, and mode one-way-safe leaves that alone".to_owned(),
                    );
                }
                let next = nodes[0].and(base).cloned();
                Ok(Merged { next, exists: nodes.map(|node| node.is_some()) })
            }
            Verdict::Take(from) => {
                let reason = reason(from, changes, nodes);
                let mut merged = self.take(place, from, nodes, &looked, base, &reason);
                if let Some(next) = &mut merged.next {
                    Arc::make_mut(next).mode = self.carry_mode(place, from, nodes, base);
                }
                Ok(merged)
            }
            Verdict::Conflict => {
                let winner = self.winner(nodes);
                match self.mode() {
                    Mode::TwoWaySafe => {
                        Ok(self
                            .keep_both(parent, place, winner, nodes, &looked, is_taken, siblings))
                    }
                    Mode::PreferLeft
                    | Mode::PreferRight
                    | Mode::Newer
                    | Mode::OneWaySafe
                    | Mode::Mirror => {
                        let reason = format!("changed on both sides; {} wins", winner.name());
                        Ok(self.take(place, winner, nodes, &looked, base, &reason))
                    }
                }
            }
        }
    }

    fn winner(&self, nodes: [Option<&Node>; 2]) -> Side {
        match self.mode() {
            Mode::PreferLeft | Mode::Mirror | Mode::OneWaySafe => Side::Left,
            Mode::PreferRight => Side::Right,
            Mode::TwoWaySafe | Mode::Newer => {
                let [left, right] = nodes.map(|node| node.map(|node| node.fingerprint.modified));
                if right > left { Side::Right } else { Side::Left }
            }
        }
    }

    /// What happened to a leaf since the agreement. `Err`: that cannot be told, and why.
    fn look(
        &mut self,
        side: Side,
        place: &Place,
        node: Option<&Node>,
        base: Option<&Arc<Base>>,
    ) -> Result<Result<Looked, String>, Cancelled> {
        let looked = |change, digest| Ok(Ok(Looked { change, digest }));
        match (node, base) {
            (None, None) => looked(Change::Absent, None),
            (None, Some(_)) => looked(Change::Deleted, None),
            (Some(_), None) => looked(Change::New, None),
            (Some(node), Some(base)) => match (&node.kind, &base.kind) {
                (Kind::Link(text), BaseKind::Link(agreed)) if text == agreed => {
                    looked(Change::Same, None)
                }
                (Kind::File, BaseKind::File(agreed)) => {
                    let seen = base.seen(side);
                    if !seen.racy && seen.fingerprint == node.fingerprint {
                        return looked(Change::Same, Some(*agreed));
                    }
                    if seen.fingerprint.size != node.fingerprint.size {
                        return looked(Change::Changed, None);
                    }
                    match self.digest(side, place)? {
                        Ok(digest) if digest == *agreed => looked(Change::Same, Some(digest)),
                        Ok(digest) => looked(Change::Changed, Some(digest)),
                        Err(why) => Ok(Err(why)),
                    }
                }
                (
                    Kind::File | Kind::Link(_) | Kind::Directory(_) | Kind::Blocked(_),
                    BaseKind::File(_) | BaseKind::Link(_) | BaseKind::Directory(_),
                ) => looked(Change::Changed, None),
            },
        }
    }

    fn digest(&mut self, side: Side, place: &Place) -> Result<Result<Digest, String>, Cancelled> {
        match (self.hash)(side, &place.paths[side.index()]) {
            Ok(digest) => Ok(Ok(digest)),
            Err(Some(why)) => Ok(Err(why)),
            Err(None) => Err(Cancelled),
        }
    }

    /// Whether two leaves have the same content; hashes what has to be.
    fn equal(
        &mut self,
        place: &Place,
        nodes: [&Node; 2],
        looked: &mut [Looked],
    ) -> Result<Result<bool, (Side, String)>, Cancelled> {
        match (&nodes[0].kind, &nodes[1].kind) {
            (Kind::Link(left), Kind::Link(right)) => Ok(Ok(left == right)),
            (Kind::File, Kind::File) => {
                if nodes[0].fingerprint.size != nodes[1].fingerprint.size {
                    return Ok(Ok(false));
                }
                for side in Side::BOTH {
                    let looked = &mut looked[side.index()];
                    if looked.digest.is_none() {
                        match self.digest(side, place)? {
                            Ok(digest) => looked.digest = Some(digest),
                            Err(why) => return Ok(Err((side, why))),
                        }
                    }
                }
                Ok(Ok(looked[0].digest == looked[1].digest))
            }
            (
                Kind::File | Kind::Link(_) | Kind::Directory(_) | Kind::Blocked(_),
                Kind::File | Kind::Link(_) | Kind::Directory(_) | Kind::Blocked(_),
            ) => Ok(Ok(false)),
        }
    }

    fn seen(&self, node: Option<&Node>) -> Seen {
        let fingerprint = node.map(|node| node.fingerprint).unwrap_or_default();
        let mode = node.and_then(|node| node.mode);
        Seen { fingerprint, mode, racy: is_racy(&fingerprint, self.input.now) }
    }

    /// Two leaves that are equal.
    fn agree(
        &mut self,
        place: &Place,
        nodes: [&Node; 2],
        digest: Option<Digest>,
        base: Option<&Arc<Base>>,
    ) -> Merged {
        let kind = match (&nodes[0].kind, digest) {
            (Kind::Link(text), _) => BaseKind::Link(text.clone()),
            (Kind::File | Kind::Directory(_) | Kind::Blocked(_), digest) => {
                BaseKind::File(digest.unwrap_or_default())
            }
        };
        let nodes = nodes.map(Some);
        let mode = match &kind {
            BaseKind::Link(_) => None,
            BaseKind::File(_) | BaseKind::Directory(_) => self.settle_mode(place, nodes, base),
        };
        let sides = nodes.map(|node| self.seen(node));
        let now = Base { kind, mode, sides };
        let next = match base {
            Some(before) if **before == now => Arc::clone(before),
            Some(_) | None => Arc::new(now),
        };
        Merged { next: Some(next), exists: [true, true] }
    }

    /// Brings the permission bits of two equal entries together. Where both changed, what both
    /// allow holds.
    fn settle_mode(
        &mut self,
        place: &Place,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
    ) -> Option<u16> {
        let modes = nodes.map(|node| node.and_then(|node| node.mode));
        let [Some(left), Some(right)] = modes else {
            return modes[0].or(modes[1]).or(base.and_then(|base| base.mode));
        };
        if left == right {
            return Some(left);
        }
        let Some(mode) = self.merge_modes(left, right, base) else {
            return base.and_then(|base| base.mode);
        };
        for (on, now) in [(Side::Left, left), (Side::Right, right)] {
            if now != mode {
                self.push(Action::SetMode { on, mode }, place, "permissions changed");
            }
        }
        Some(mode)
    }

    /// What two different permissions become; `None`: they stay as they are, because neither side
    /// changed its own.
    fn merge_modes(&self, left: u16, right: u16, base: Option<&Arc<Base>>) -> Option<u16> {
        let is_same = |side: Side, now: u16| {
            base.is_some_and(|base| base.seen(side).mode.or(base.mode) == Some(now))
        };
        match (self.mode(), is_same(Side::Left, left), is_same(Side::Right, right)) {
            (_, true, true) => None,
            (Mode::OneWaySafe | Mode::Mirror, _, _) => Some(left),
            (_, true, false) => Some(right),
            (_, false, true) => Some(left),
            (_, false, false) => Some(left & right),
        }
    }

    /// A copy has the permissions of its source. Puts back what the other side made of those of
    /// the file that it replaces.
    fn carry_mode(
        &mut self,
        place: &Place,
        from: Side,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
    ) -> Option<u16> {
        let copied = nodes[from.index()].and_then(|node| node.mode);
        let is_file = |node: Option<&Node>| node.is_some_and(|node| node.kind == Kind::File);
        let [Some(left), Some(right)] = nodes.map(|node| node.and_then(|node| node.mode)) else {
            return copied;
        };
        let Some(mode) = self.merge_modes(left, right, base) else { return copied };
        if !nodes.into_iter().all(is_file) || copied == Some(mode) {
            return copied;
        }
        for on in Side::BOTH {
            self.push(Action::SetMode { on, mode }, place, "permissions changed");
        }
        Some(mode)
    }

    /// Makes the other side's leaf what this side's is.
    fn take(
        &mut self,
        place: &Place,
        from: Side,
        nodes: [Option<&Node>; 2],
        looked: &[Looked],
        base: Option<&Arc<Base>>,
        reason: &str,
    ) -> Merged {
        let to = from.other();
        let target = nodes[to.index()].map(|node| node.fingerprint);
        let Some(node) = nodes[from.index()] else {
            if let Some(target) = target {
                let moved =
                    base.is_some_and(|base| self.was_moved(from, &base.seen(from).fingerprint));
                let reason = if moved { MOVED } else { reason };
                self.push_removal(Action::Remove { on: to, target }, place, reason);
            }
            return Merged::default();
        };
        let next = self.transfer(place, from, node, looked[from.index()].digest, target, reason);
        Merged { next: Some(next), exists: [true, true] }
    }

    /// Brings a leaf to the other side.
    fn transfer(
        &mut self,
        place: &Place,
        from: Side,
        node: &Node,
        digest: Option<Digest>,
        replaces: Option<Fingerprint>,
        reason: &str,
    ) -> Arc<Base> {
        let replaces = replaces.map(Box::new);
        let (action, kind) = match &node.kind {
            Kind::Link(text) => (
                Action::MakeLink { on: from.other(), text: text.clone(), replaces },
                BaseKind::Link(text.clone()),
            ),
            Kind::File | Kind::Directory(_) | Kind::Blocked(_) => (
                Action::Copy {
                    from,
                    source: node.fingerprint,
                    digest: digest.map(Box::new),
                    replaces,
                },
                BaseKind::File(digest.unwrap_or_default()),
            ),
        };
        self.push(action, place, reason);
        let mut sides = [Seen::default(); 2];
        sides[from.index()] = self.seen(Some(node));
        Arc::new(Base { kind, mode: node.mode, sides })
    }

    /// Settles a conflict of two leaves: the winner keeps the name, the loser gets another one,
    /// on both sides.
    #[allow(clippy::too_many_arguments, reason = "two versions, and the directory around them")]
    fn keep_both(
        &mut self,
        parent: &Place,
        place: &Place,
        winner: Side,
        nodes: [Option<&Node>; 2],
        looked: &[Looked],
        is_taken: &mut dyn FnMut(&str) -> bool,
        siblings: &mut BaseChildren,
    ) -> Merged {
        let loser = winner.other();
        if let Some(node) = nodes[loser.index()] {
            let digest = looked[loser.index()].digest;
            self.move_aside(parent, place, loser, node, digest, is_taken, siblings);
        }
        let next = nodes[winner.index()].map(|node| {
            let digest = looked[winner.index()].digest;
            self.transfer(place, winner, node, digest, None, "conflict: the newer version")
        });
        Merged { next, exists: [true, true] }
    }

    #[allow(clippy::too_many_arguments, reason = "a version, and the directory around it")]
    fn move_aside(
        &mut self,
        parent: &Place,
        place: &Place,
        loser: Side,
        node: &Node,
        digest: Option<Digest>,
        is_taken: &mut dyn FnMut(&str) -> bool,
        siblings: &mut BaseChildren,
    ) {
        let copy = (1..)
            .map(|number| names::conflict(&node.name, loser, self.input.when, number))
            .find(|name| !is_taken(name))
            .unwrap_or_default();
        let source = node.fingerprint;
        let action = Action::Rename { on: loser, source, to: copy.as_str().into() };
        let reason = format!("conflict: the version of {}", loser.name());
        self.push(action, place, &reason);
        let mut aside = node.clone();
        // Renaming changes the time of the last change, and nothing else.
        aside.fingerprint.changed = None;
        let copy_place = parent.named(&copy);
        let next = self.transfer(&copy_place, loser, &aside, digest, None, &reason);
        siblings.insert(names::key(&copy).into(), next);
        self.plan.conflicts.push(ConflictRecord {
            path: place.key.to_string(),
            copy: copy_place.key.to_string(),
            when: self.input.now / 1_000_000_000,
            loser_is_right: loser == Side::Right,
        });
    }

    /// A directory on one side, and a file or link on the other.
    #[allow(clippy::too_many_arguments, reason = "two entries, and the directory around them")]
    fn clash(
        &mut self,
        parent: &Place,
        place: &Place,
        nodes: [Option<&Node>; 2],
        tree_side: Side,
        base: Option<&Arc<Base>>,
        is_taken: &mut dyn FnMut(&str) -> bool,
        siblings: &mut BaseChildren,
    ) -> Result<Merged, Cancelled> {
        let leaf_side = tree_side.other();
        let keep = Merged { next: base.cloned(), exists: [true, true] };
        let (Some(tree), Some(leaf)) = (nodes[tree_side.index()], nodes[leaf_side.index()]) else {
            return Ok(keep);
        };
        let leaf_looked = match self.look(leaf_side, place, Some(leaf), base)? {
            Ok(looked) => looked,
            Err(why) => {
                self.leave(&place.paths[leaf_side.index()], why);
                return Ok(keep);
            }
        };
        let tree_change = match base.map(|base| &base.kind) {
            None => Change::New,
            Some(BaseKind::Directory(agreed)) => {
                match self.has_changes(tree_side, place, tree, agreed)? {
                    true => Change::Changed,
                    false => Change::Same,
                }
            }
            Some(BaseKind::File(_) | BaseKind::Link(_)) => Change::Changed,
        };
        let mut changes = [tree_change; 2];
        changes[leaf_side.index()] = leaf_looked.change;
        let mut verdict = decide(self.mode(), changes[0], changes[1]);
        if verdict == Verdict::Conflict && self.mode() != Mode::TwoWaySafe {
            verdict = Verdict::Take(self.winner(nodes));
        }
        match verdict {
            Verdict::Take(from) if from == tree_side => {
                let target = leaf.fingerprint;
                let reason = format!("became a directory on {}", tree_side.name());
                self.push(Action::Remove { on: leaf_side, target }, place, &reason);
                let mut only_tree = nodes;
                only_tree[leaf_side.index()] = None;
                self.directory(place, only_tree, None)
            }
            Verdict::Take(_) => {
                if tree.has_blocked() {
                    self.leave(
                        &place.paths[tree_side.index()],
                        format!(
                            "became a file on {}, but has entries here that are not synced",
                            leaf_side.name()
                        ),
                    );
                    return Ok(keep);
                }
                let reason = format!("became a file on {}", leaf_side.name());
                self.remove_tree(place, tree_side, tree, &reason);
                let digest = leaf_looked.digest;
                let next = self.transfer(place, leaf_side, leaf, digest, None, &reason);
                Ok(Merged { next: Some(next), exists: [true, true] })
            }
            Verdict::Conflict => {
                let digest = leaf_looked.digest;
                self.move_aside(parent, place, leaf_side, leaf, digest, is_taken, siblings);
                let mut only_tree = nodes;
                only_tree[leaf_side.index()] = None;
                self.directory(place, only_tree, None)
            }
            Verdict::Leave | Verdict::Nothing | Verdict::Drop => {
                self.leave(
                    &place.paths[Side::Right.index()],
                    "was changed on right, and mode one-way-safe leaves that alone".to_owned(),
                );
                Ok(keep)
            }
        }
    }

    /// Removes a whole directory to make room for a file, before that is copied.
    fn remove_tree(&mut self, place: &Place, on: Side, tree: &Node, reason: &str) {
        for (key, node) in tree.children().into_iter().flatten() {
            let sides = match on {
                Side::Left => (Some(node), None),
                Side::Right => (None, Some(node)),
            };
            let here = place.child(key, sides.0, sides.1);
            match &node.kind {
                Kind::Directory(_) => self.remove_tree(&here, on, node, reason),
                Kind::File | Kind::Link(_) | Kind::Blocked(_) => {
                    let target = node.fingerprint;
                    self.push(Action::Remove { on, target }, &here, reason);
                }
            }
        }
        self.push(Action::RemoveDirectory { on }, place, reason);
    }

    /// Whether a directory has anything that was not agreed on. Deletions do not count: what is
    /// gone needs no keeping.
    fn has_changes(
        &mut self,
        side: Side,
        place: &Place,
        tree: &Node,
        agreed: &BaseChildren,
    ) -> Result<bool, Cancelled> {
        for (key, node) in tree.children().into_iter().flatten() {
            let base = agreed.get(key);
            let sides = match side {
                Side::Left => (Some(node), None),
                Side::Right => (None, Some(node)),
            };
            let here = place.child(key, sides.0, sides.1);
            let changed = match (&node.kind, base.map(|base| &base.kind)) {
                (Kind::Blocked(_), _) => false,
                (Kind::Directory(_), Some(BaseKind::Directory(agreed))) => {
                    self.has_changes(side, &here, node, agreed)?
                }
                (Kind::Directory(_), _) => true,
                (Kind::File | Kind::Link(_), _) => {
                    match self.look(side, &here, Some(node), base)? {
                        Ok(looked) => looked.change != Change::Same,
                        Err(_unknown) => true,
                    }
                }
            };
            if changed {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a file may change without its fingerprint changing.
pub fn is_racy(fingerprint: &Fingerprint, now: i64) -> bool {
    fingerprint.modified.saturating_add(RACY_NS) > now
}

fn reason(from: Side, changes: [Change; 2], nodes: [Option<&Node>; 2]) -> String {
    let side = from.name();
    let other = from.other();
    match (changes[from.index()], nodes[other.index()]) {
        (Change::New, None) => format!("new on {side}"),
        (Change::Deleted | Change::Absent, _) => format!("not on {side}"),
        (Change::Changed, None) => format!("changed on {side}, deleted on {}", other.name()),
        (Change::Same, None) => format!("missing on {}", other.name()),
        (Change::New | Change::Changed, Some(_)) => format!("changed on {side}"),
        (Change::Same, Some(_)) => format!("differs from {side}"),
    }
}

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod model;

#[cfg(test)]
mod tests;

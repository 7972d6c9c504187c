//! Trees in memory on which plans are carried out, for tests and fuzzing.

#![allow(clippy::unwrap_used, reason = "it is part of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroI64;

use super::*;
use crate::names;
use crate::options::DeleteLimit;
use crate::state::{Base, BaseKind, Seen};
use crate::tree::{Kind, Node, join};
use Mode::{Mirror, Newer, OneWaySafe, PreferLeft, PreferRight, TwoWaySafe};

pub const SECOND: i64 = 1_000_000_000;
pub const WHEN: &str = "2026-11-22 073433";
pub const TWO_WAY: [Mode; 4] = [TwoWaySafe, PreferLeft, PreferRight, Newer];
pub const MODES: [Mode; 6] = [TwoWaySafe, PreferLeft, PreferRight, Newer, OneWaySafe, Mirror];

/// The entries of a tree, by path.
pub type Tree = BTreeMap<String, Item>;
/// A tree as rows in the notation of `edit`.
pub type Listing = BTreeSet<String>;

#[derive(Clone, Debug)]
pub struct Item {
    /// The rest of a row after the path: `:` for a file, `@` for a link, `/` for a directory.
    pub mark: char,
    pub text: String,
    pub mode: u16,
    pub modified: i64,
    pub changed: i64,
    pub id: u64,
}

/// Two directories, and the state of a sync.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub trees: [Tree; 2],
    /// Entries that cannot be synced, by path: `?` is ignored, `~` junk, `!` blocked, and `#`
    /// unreadable.
    pub bars: [BTreeMap<String, char>; 2],
    pub base: BaseChildren,
    pub trash: BTreeSet<String>,
    /// Counts all changes, so that times are unique.
    pub tick: u32,
    /// Seconds between the last edit and the scan.
    pub age: i64,
    /// The time of the plan that is carried out.
    pub scanned: i64,
}

/// A plan and its input.
pub struct Run {
    pub plan: Plan,
    pub hashed: Vec<String>,
    pub danger: Option<SafetyStop>,
}

pub fn options(mode: Mode) -> Options {
    let (max_delete, ignore) = (DeleteLimit::Any, String::new());
    Options { mode, max_delete, ignore, durable: true, verify: true, trash: true, dry_run: false }
}

pub fn digest(text: &str) -> Digest {
    blake3::hash(text.as_bytes()).into()
}

pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

pub fn is_in(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub fn usual_mode(mark: char) -> u16 {
    match mark {
        ':' => 0o644,
        '@' => 0o777,
        _ => 0o755,
    }
}

/// The tag of a conflict copy, which rows abbreviate as `~left`, `~right2` and so on.
pub fn tags() -> impl Iterator<Item = (String, String)> {
    [3, 2, 1].into_iter().flat_map(|number| {
        Side::BOTH.map(|side| {
            let suffix = if number > 1 { number.to_string() } else { String::new() };
            let name = names::conflict("f", side, WHEN, number);
            (name[1..].to_owned(), format!("~{}{suffix}", side.name()))
        })
    })
}

/// The row with swapped sides in the names of conflict copies.
pub fn mirrored(row: &str) -> String {
    row.replace("~left", "~RIGHT").replace("~right", "~left").replace("~RIGHT", "~right")
}

pub fn list(tree: &Tree) -> Listing {
    let rows = tree.iter().flat_map(|(path, item)| {
        let path = tags().fold(path.clone(), |path, (long, short)| path.replace(&long, &short));
        let is_unusual = item.mode != usual_mode(item.mark);
        let mode = is_unusual.then(|| format!("{path}%{:o}", item.mode));
        [format!("{path}{}{}", item.mark, item.text)].into_iter().chain(mode)
    });
    rows.collect()
}

/// The listing of a tree with exactly these rows.
pub fn listing(rows: &str) -> Listing {
    let mut world = World::default();
    world.edit(Side::Left, rows);
    list(&world.trees[0])
}

pub fn base_mut<'a>(entries: &'a mut BaseChildren, key: &str) -> Option<&'a mut Base> {
    match key.split_once('/') {
        None => entries.get_mut(key).map(Arc::make_mut),
        Some((first, rest)) => match &mut Arc::make_mut(entries.get_mut(first)?).kind {
            BaseKind::Directory(children) => base_mut(children, rest),
            BaseKind::File(_) | BaseKind::Link(_) => None,
        },
    }
}

pub fn base_at(entries: &BaseChildren, path: &str) -> Option<Base> {
    base_mut(&mut entries.clone(), &names::key(path)).cloned()
}

impl Item {
    /// The contents that must not be lost.
    pub fn content(&self) -> Option<String> {
        (self.mark != '/').then(|| format!("{}{}", self.mark, self.text))
    }

    pub fn fingerprint(&self) -> Fingerprint {
        let (size, changed) = (self.text.len() as u64, NonZeroI64::new(self.changed));
        Fingerprint { size, modified: self.modified, changed, file_id: self.id }
    }

    pub fn is_agreed(&self, base: Option<Base>) -> bool {
        match base.map(|base| base.kind.clone()) {
            Some(BaseKind::File(agreed)) => self.mark == ':' && agreed == digest(&self.text),
            Some(BaseKind::Link(agreed)) => self.mark == '@' && *agreed == *self.text,
            Some(BaseKind::Directory(_)) | None => false,
        }
    }
}

/// Edits by the user between two runs.
impl World {
    pub fn now(&self) -> i64 {
        i64::from(self.tick) * SECOND
    }

    /// A new entry, with a time and an id of its side.
    pub fn item(&mut self, side: Side, mark: char, text: &str) -> Item {
        self.tick += 1;
        let (text, mode, modified) = (text.to_owned(), usual_mode(mark), self.now());
        let id = u64::from(self.tick);
        let (changed, id) = match side {
            Side::Left => (modified + 7, id),
            Side::Right => (modified + 86_400 * SECOND, u64::MAX - id),
        };
        Item { mark, text, mode, modified, changed, id }
    }

    /// Turns `path:text` into a file, `path@text` into a link and `path/` into a directory,
    /// replacing other entries. `-path` removes, `path*` touches, `path%600` sets permissions, and
    /// another mark makes the entry unsyncable.
    pub fn edit(&mut self, side: Side, rows: &str) {
        for row in rows.split_whitespace() {
            let row = tags().fold(row.to_owned(), |row, (long, short)| row.replace(&short, &long));
            if let Some(path) = row.strip_prefix('-') {
                self.trees[side.index()].retain(|other, _| !is_in(other, path));
                continue;
            }
            let at = row.find([':', '@', '%']).unwrap_or(row.len() - 1);
            let (path, rest) = row.split_at(at);
            let (mark, text) = (rest.chars().next().unwrap(), &rest[1..]);
            let new = self.item(side, mark, text);
            let old = self.trees[side.index()].get_mut(path);
            match (mark, old.filter(|old| old.mark != '@')) {
                (':' | '@' | '/', _) => self.put(side, path, new),
                ('*', Some(old)) => (old.modified, old.changed) = (new.modified, new.changed),
                ('%', Some(old)) => {
                    old.mode = u16::from_str_radix(text, 8).unwrap();
                    old.changed = new.changed;
                }
                ('*' | '%', None) => {}
                _ => drop(self.bars[side.index()].insert(path.to_owned(), mark)),
            }
        }
    }

    pub fn put(&mut self, side: Side, path: &str, new: Item) {
        let directory = self.item(side, '/', "");
        let tree = &mut self.trees[side.index()];
        for (at, _) in path.match_indices('/') {
            if tree.get(&path[..at]).is_none_or(|parent| parent.mark != '/') {
                tree.insert(path[..at].to_owned(), directory.clone());
            }
        }
        match tree.get_mut(path) {
            Some(old) if (old.mark, new.mark) == ('/', '/') => {}
            // The file keeps its id.
            Some(old) if (old.mark, new.mark) == (':', ':') => {
                *old = Item { mode: old.mode, id: old.id, ..new };
            }
            Some(_) | None => {
                tree.retain(|other, _| !is_in(other, path));
                tree.insert(path.to_owned(), new);
            }
        }
    }
}

/// Syncing.
impl World {
    pub fn scan(&self, side: Side, directory: &str) -> Children {
        let tree = &self.trees[side.index()];
        let inside = tree.iter().filter(|(path, _)| parent(path) == directory);
        let node = |(path, item): (&String, &Item)| {
            let name = Name::from(path.rsplit('/').next().unwrap());
            let kind = match (self.bars[side.index()].get(path), item.mark) {
                (Some('?'), _) => Kind::Blocked(None),
                (Some('!'), _) => Kind::Blocked(Some("blocked".into())),
                (Some('~'), ':') => Kind::Junk,
                (_, ':') => Kind::File,
                (_, '@') => Kind::Link(item.text.as_str().into()),
                (_, _) => Kind::Directory(self.scan(side, path)),
            };
            let (mode, fingerprint) = (Some(item.mode), item.fingerprint());
            (names::key(&name).into(), Node { name, kind, mode, fingerprint })
        };
        inside.map(node).collect()
    }

    pub fn plan(&self, options: &Options) -> Run {
        let sides = Side::BOTH.map(|side| self.scan(side, ""));
        let input = Input {
            sides: [&sides[0], &sides[1]],
            base: &self.base,
            options,
            now: self.now() + self.age * SECOND,
            when: WHEN,
        };
        let mut hashed = Vec::new();
        let mut hash = |side: Side, path: &str| {
            hashed.push(format!("{} {path}", side.name()));
            let item = &self.trees[side.index()][path];
            assert_eq!(item.mark, ':', "{path} is hashed");
            let is_unreadable = self.bars[side.index()].get(path) == Some(&'#');
            if is_unreadable { Err(Some("unreadable".to_owned())) } else { Ok(digest(&item.text)) }
        };
        let mut plan = plan(&input, &mut hash).unwrap();
        let leaves = |tree: &Tree| tree.values().filter(|item| item.mark != '/').count() as u64;
        let files = [leaves(&self.trees[0]), leaves(&self.trees[1])];
        let danger = check(&mut plan, &input, files, &mut hash).unwrap().err();
        Run { plan, hashed, danger }
    }

    pub fn sync(&mut self, mode: Mode) -> Run {
        let mut run = self.plan(&options(mode));
        self.execute(&mut run.plan, usize::MAX);
        self.base = run.plan.next.clone();
        self.check_base();
        run
    }

    /// Carries out the first steps of a plan.
    pub fn execute(&mut self, plan: &mut Plan, steps: usize) {
        self.scanned = self.now() + self.age * SECOND;
        for operation in plan.operations.iter().chain(&plan.removals).take(steps) {
            self.step(operation, &mut plan.next);
        }
    }

    pub fn step(&mut self, operation: &Operation, next: &mut BaseChildren) {
        let Operation { action, paths, key, .. } = operation;
        let on = operation.side();
        let path = &paths[on.index()];
        match action {
            Action::MakeDirectory { mode, .. } => {
                let mode = mode.unwrap();
                assert_eq!(mode & 0o700, 0o700, "{path} must be written into");
                let new = self.item(on, '/', "");
                self.insert(on, path, Item { mode, ..new });
                self.note(on, path, key, next);
            }
            Action::Copy { from, source, digest: planned, replaces, modes } => {
                let source_path = &paths[from.index()];
                let Item { text, modified, .. } = self.still(*from, source_path, source);
                let mode = modes.carried.unwrap();
                assert!(
                    planned.as_ref().is_none_or(|planned| **planned == digest(&text)),
                    "{operation:?}"
                );
                self.make_room(on, path, replaces.as_deref());
                let copy = self.item(on, ':', &text);
                self.insert(on, path, Item { mode, modified, ..copy });
                self.note(on, path, key, next);
                base_mut(next, key).unwrap().kind = BaseKind::File(digest(&text));
                if source.changed.is_none() {
                    self.note(*from, source_path, key, next);
                }
            }
            Action::MakeLink { text, replaces, .. } => {
                self.make_room(on, path, replaces.as_deref());
                let link = self.item(on, '@', text);
                self.insert(on, path, link);
                self.note(on, path, key, next);
            }
            Action::Rename { source, to, .. } => {
                self.still(on, path, source);
                let item = self.remove(on, path);
                let changed = self.item(on, '/', "").changed;
                self.insert(on, &join(parent(path), to), Item { changed, ..item });
            }
            Action::Respell { .. } => unreachable!("a plan never renames by case: {path}"),
            Action::Remove { target, .. } => self.make_room(on, path, Some(target)),
            Action::RemoveDirectory { .. } => assert_eq!(self.remove(on, path).mark, '/', "{path}"),
            Action::SetMode { mode, .. } => {
                let changed = self.item(on, '/', "").changed;
                let item = self.trees[on.index()].get_mut(&**path).unwrap();
                assert_ne!(item.mark, '@', "links have no permissions: {path}");
                (item.mode, item.changed) = (*mode, changed);
                self.note(on, path, key, next);
            }
            Action::SetModified { target, modified, .. } => {
                self.still(on, path, target);
                let changed = self.item(on, '/', "").changed;
                let item = self.trees[on.index()].get_mut(&**path).unwrap();
                (item.modified, item.changed) = (*modified, changed);
                self.note(on, path, key, next);
            }
        }
    }

    /// Returns the file or link at a path, which must match the plan.
    pub fn still(&self, side: Side, path: &str, planned: &Fingerprint) -> Item {
        let item = &self.trees[side.index()][path];
        let changed = planned.changed.and(NonZeroI64::new(item.changed));
        assert_eq!(Fingerprint { changed, ..item.fingerprint() }, *planned, "{path}");
        assert_ne!(item.mark, '/', "{path}");
        item.clone()
    }

    pub fn insert(&mut self, side: Side, path: &str, item: Item) {
        let tree = &mut self.trees[side.index()];
        let parent = tree.get(parent(path)).map_or('-', |parent| parent.mark);
        assert_eq!(parent, if path.contains('/') { '/' } else { '-' }, "{path} is nowhere");
        let old = tree.insert(path.to_owned(), item);
        assert!(old.is_none(), "{path} is in the way: {old:?}");
    }

    pub fn remove(&mut self, side: Side, path: &str) -> Item {
        let item = self.trees[side.index()].remove(path).unwrap();
        let inside = self.trees[side.index()].keys().find(|other| is_in(other, path));
        assert_eq!(inside, None, "{path} is not empty");
        item
    }

    /// Moves the replaced entry to the trash.
    pub fn make_room(&mut self, side: Side, path: &str, replaces: Option<&Fingerprint>) {
        if let Some(planned) = replaces {
            self.still(side, path, planned);
            let item = self.remove(side, path);
            self.trash.extend(item.content());
        }
    }

    pub fn note(&self, side: Side, path: &str, key: &str, next: &mut BaseChildren) {
        let item = &self.trees[side.index()][path];
        let fingerprint = item.fingerprint();
        let racy = is_racy(&fingerprint, self.scanned);
        let seen = Seen { fingerprint, mode: Some(item.mode), racy };
        base_mut(next, key).unwrap().sides[side.index()] = seen;
    }

    /// Checks that no fingerprint matches a different content of its file.
    pub fn check_base(&self) {
        for (side, tree) in Side::BOTH.into_iter().zip(&self.trees) {
            for (path, item) in tree.iter().filter(|(_, item)| item.mark == ':') {
                let base = base_at(&self.base, path).filter(|base| {
                    let seen = base.seen(side);
                    !seen.racy && seen.fingerprint == item.fingerprint()
                });
                assert!(base.is_none() || item.is_agreed(base), "{path} on {side:?}");
            }
        }
    }

    pub fn list(&self, side: Side) -> Listing {
        list(&self.trees[side.index()])
    }

    /// Returns all contents of the sides.
    pub fn contents(&self) -> BTreeSet<String> {
        self.trees.iter().flat_map(BTreeMap::values).filter_map(Item::content).collect()
    }

    /// Returns the files and links of a side that differ from the baseline.
    pub fn own(&self, side: Side) -> impl Iterator<Item = (&String, String)> {
        self.trees[side.index()].iter().filter_map(move |(path, item)| {
            let is_agreed = item.is_agreed(base_at(&self.base, path));
            // Junk may be in the trash only.
            let is_junk = self.bars[side.index()].get(path) == Some(&'~');
            Some((path, item.content()?)).filter(|_| !is_agreed && !is_junk)
        })
    }
}

/// Checks that nothing is lost, and the stricter guarantees of some modes.
pub fn check_nothing_is_lost(before: &World, after: &World, mode: Mode) {
    let live = after.contents();
    for content in before.contents() {
        let is_found = live.contains(&content) || after.trash.contains(&content);
        assert!(is_found, "{content} is lost: {after:#?}");
    }
    for (path, content) in before.own(Side::Left).chain(before.own(Side::Right)) {
        let is_live = mode != TwoWaySafe || live.contains(&content);
        assert!(is_live, "{path}{content} is only in the trash");
    }
    if matches!(mode, OneWaySafe | Mirror) {
        assert_eq!(before.list(Side::Left), after.list(Side::Left));
    }
    if mode == OneWaySafe {
        for (path, content) in before.own(Side::Right) {
            assert_eq!(after.trees[1].get(path).and_then(Item::content), Some(content), "{path}");
        }
    }
}

pub fn check_a_rerun_does_nothing(world: &World, mode: Mode) {
    let plan = world.plan(&options(mode)).plan;
    let steps: Vec<_> = plan.operations.iter().chain(&plan.removals).collect();
    assert!(steps.is_empty() && plan.conflicts.is_empty(), "{steps:#?}");
}

/// Checks the guarantees for a sync in any mode.
pub fn check_outcome(before: &World, after: &World, mode: Mode) {
    check_nothing_is_lost(before, after, mode);
    check_a_rerun_does_nothing(after, mode);
    if mode != OneWaySafe {
        assert_eq!(after.list(Side::Left), after.list(Side::Right));
    }
}

/// A baseline and subsequent edits. Later edits have later times.
#[derive(Clone, Debug)]
pub struct Case {
    pub mode: Mode,
    pub agreed: String,
    pub edits: Vec<(Side, String)>,
}

pub fn agreed(rows: &str) -> Case {
    Case { mode: TwoWaySafe, agreed: rows.to_owned(), edits: Vec::new() }
}

impl Case {
    pub fn mode(&self, mode: Mode) -> Self {
        Self { mode, ..self.clone() }
    }

    pub fn left(&self, rows: &str) -> Self {
        self.edited(Side::Left, rows)
    }

    pub fn right(&self, rows: &str) -> Self {
        self.edited(Side::Right, rows)
    }

    pub fn edited(&self, side: Side, rows: &str) -> Self {
        let mut case = self.clone();
        case.edits.push((side, rows.to_owned()));
        case
    }

    pub fn swapped(&self) -> Option<Self> {
        let mode = match self.mode {
            TwoWaySafe | Newer => self.mode,
            PreferLeft => PreferRight,
            PreferRight => PreferLeft,
            OneWaySafe | Mirror => return None,
        };
        let edits = self.edits.iter().map(|(side, rows)| (side.other(), mirrored(rows))).collect();
        Some(Self { mode, agreed: mirrored(&self.agreed), edits })
    }

    pub fn world(&self) -> World {
        let mut world = World { age: 100, ..World::default() };
        Side::BOTH.iter().for_each(|side| world.edit(*side, &self.agreed));
        let first = world.sync(TwoWaySafe);
        assert_eq!(first.plan.operations, [], "equal trees are adopted");
        self.edits.iter().for_each(|(side, rows)| world.edit(*side, rows));
        world
    }

    /// Syncs, and checks the guarantees for every sync.
    pub fn run(&self) -> (World, Run) {
        let before = self.world();
        let mut world = before.clone();
        let run = world.sync(self.mode);
        check_nothing_is_lost(&before, &world, self.mode);
        check_a_rerun_does_nothing(&world, self.mode);
        if let Some(swapped) = self.swapped() {
            let mut other = swapped.world();
            other.sync(swapped.mode);
            for side in Side::BOTH {
                let expected: Listing =
                    world.list(side.other()).iter().map(|row| mirrored(row)).collect();
                assert_eq!(other.list(side), expected, "{side:?} with the sides swapped");
            }
        }
        (world, run)
    }

    #[track_caller]
    pub fn becomes(&self, left: &str, right: &str) -> Run {
        let (world, run) = self.run();
        assert_eq!(world.list(Side::Left), listing(left), "left, {:?}", self.mode);
        assert_eq!(world.list(Side::Right), listing(right), "right, {:?}", self.mode);
        run
    }

    #[track_caller]
    pub fn both_become(&self, rows: &str) -> Run {
        self.becomes(rows, rows)
    }

    pub fn danger(&self, max_delete: DeleteLimit) -> Option<SafetyStop> {
        self.world().plan(&Options { max_delete, ..options(self.mode) }).danger
    }
}

//! Plans are made for trees in memory, and carried out on them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

const SECOND: i64 = 1_000_000_000;
const WHEN: &str = "2026-11-22 073433";
/// Where the losing version of `f` is kept.
const LEFT_COPY: &str = "f (conflicted copy left 2026-11-22 073433)";
const RIGHT_COPY: &str = "f (conflicted copy right 2026-11-22 073433)";
const TWO_WAY: [Mode; 4] = [Mode::TwoWaySafe, Mode::PreferLeft, Mode::PreferRight, Mode::Newer];
const MODES: [Mode; 6] = [
    Mode::TwoWaySafe,
    Mode::PreferLeft,
    Mode::PreferRight,
    Mode::Newer,
    Mode::OneWaySafe,
    Mode::Mirror,
];

/// A tree, or edits of one, as path and text: `("d/f", "text")` is a file, `("d/", "")` a
/// directory, `("l@", "target")` a link. As edits, `("-p", "")` removes, `("p*", "")` touches,
/// `("p=600", "")` sets permissions, `("p?", "")` hides by a filter, `("p!", "why")` blocks, and
/// `("p#", "")` makes unreadable.
type Rows<'a> = &'a [(&'a str, &'a str)];
type Listing = BTreeMap<String, String>;
type Tree = BTreeMap<String, Item>;

#[derive(Clone, Debug)]
struct Item {
    what: What,
    mode: u32,
    modified: i64,
    changed: i64,
    id: u64,
}

#[derive(Clone, Debug)]
enum What {
    File(String),
    Link(String),
    Directory(Tree),
}

/// What keeps an entry from being synced.
#[derive(Clone, Debug)]
enum Bar {
    Filtered,
    Blocked(String),
    Unreadable,
}

/// Two directories, and everything that a sync remembers.
#[derive(Clone, Debug, Default)]
struct World {
    trees: [Tree; 2],
    bars: [BTreeMap<String, Bar>; 2],
    base: BaseChildren,
    trash: BTreeSet<String>,
    /// Counts everything that is done, so that no two times are equal.
    tick: u32,
    /// Seconds from the last edit to the scan.
    age: i64,
    /// When the plan was made that is carried out.
    scanned: i64,
}

/// A plan and how it came about.
struct Run {
    plan: Plan,
    hashed: Vec<String>,
    danger: Result<(), Danger>,
}

fn options(mode: Mode) -> Options {
    Options {
        mode,
        max_delete: DeleteLimit::Any,
        ignore: String::new(),
        durable: true,
        verify: true,
        trash: true,
        dry_run: false,
    }
}

fn parent_and_name(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn digest(text: &str) -> Digest {
    blake3::hash(text.as_bytes()).into()
}

impl Item {
    fn children(&self) -> Option<&Tree> {
        match &self.what {
            What::Directory(children) => Some(children),
            What::File(_) | What::Link(_) => None,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        let size = match &self.what {
            What::File(text) | What::Link(text) => text.len() as u64,
            What::Directory(_) => 0,
        };
        Fingerprint { size, modified: self.modified, changed: Some(self.changed), file_id: self.id }
    }

    /// How it shows in a listing and in the trash: links differ from files.
    fn text(&self) -> String {
        match &self.what {
            What::File(text) => text.clone(),
            What::Link(text) => format!("@{text}"),
            What::Directory(_) => String::new(),
        }
    }

    fn usual_mode(what: &What) -> u32 {
        match what {
            What::File(_) => 0o644,
            What::Link(_) => 0o777,
            What::Directory(_) => 0o755,
        }
    }
}

fn get<'a>(tree: &'a Tree, path: &str) -> Option<&'a Item> {
    match path.split_once('/') {
        None => tree.get(path),
        Some((first, rest)) => get(tree.get(first)?.children()?, rest),
    }
}

/// The directory at a path. What is missing or in the way on it becomes a copy of `new`.
fn open<'a>(tree: &'a mut Tree, path: &str, new: &Item) -> &'a mut Tree {
    if path.is_empty() {
        return tree;
    }
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let item = tree.entry(first.to_owned()).or_insert_with(|| new.clone());
    if item.children().is_none() {
        *item = new.clone();
    }
    item.modified = new.modified;
    match &mut item.what {
        What::Directory(children) => open(children, rest, new),
        What::File(_) | What::Link(_) => unreachable!("it was made a directory"),
    }
}

fn list(tree: &Tree) -> Listing {
    fn add(tree: &Tree, path: &str, listing: &mut Listing) {
        for (name, item) in tree {
            let path = join(path, name);
            if item.mode != Item::usual_mode(&item.what) {
                listing.insert(format!("{path}={:o}", item.mode), String::new());
            }
            let suffix = match &item.what {
                What::File(_) => "",
                What::Link(_) => "@",
                What::Directory(children) => {
                    add(children, &path, listing);
                    "/"
                }
            };
            listing.insert(format!("{path}{suffix}"), item.text());
        }
    }
    let mut listing = Listing::new();
    add(tree, "", &mut listing);
    listing
}

/// Every content of a listing.
fn contents(listing: &Listing) -> BTreeSet<String> {
    let is_leaf = |path: &str| !path.ends_with('/') && !path.contains('=');
    listing.iter().filter(|(path, _)| is_leaf(path)).map(|(_, text)| text.clone()).collect()
}

/// The listing of a tree that has just these rows.
fn listing(rows: Rows<'_>) -> Listing {
    let mut world = World::default();
    world.edit_all(Side::Left, rows);
    list(&world.trees[0])
}

fn base_mut<'a>(entries: &'a mut BaseChildren, key: &str) -> Option<&'a mut Base> {
    match key.split_once('/') {
        None => entries.get_mut(key),
        Some((first, rest)) => match &mut entries.get_mut(first)?.kind {
            BaseKind::Directory(children) => base_mut(children, rest),
            BaseKind::File(_) | BaseKind::Link(_) => None,
        },
    }
}

/// Editing, as people do it between two runs.
impl World {
    /// Something new, by the clock and the numbers of a side.
    fn item(&mut self, side: Side, what: What) -> Item {
        self.tick += 1;
        let id = match side {
            Side::Left => u64::from(self.tick),
            Side::Right => u64::MAX - u64::from(self.tick),
        };
        let mode = Item::usual_mode(&what);
        Item { what, mode, modified: self.now(), changed: self.clock(side), id }
    }

    fn now(&self) -> i64 {
        i64::from(self.tick) * SECOND
    }

    fn clock(&self, side: Side) -> i64 {
        self.now() + [7, 86_400 * SECOND][side.index()]
    }

    fn edit_all(&mut self, side: Side, rows: Rows<'_>) {
        for (path, text) in rows {
            self.edit(side, path, text);
        }
    }

    fn edit(&mut self, side: Side, row: &str, text: &str) {
        let bars = &mut self.bars[side.index()];
        if let Some(path) = row.strip_prefix('-') {
            self.change(side, path, |parent, name, _| drop(parent.remove(name)));
        } else if let Some(path) = row.strip_suffix('?') {
            bars.insert(path.to_owned(), Bar::Filtered);
        } else if let Some(path) = row.strip_suffix('!') {
            bars.insert(path.to_owned(), Bar::Blocked(text.to_owned()));
        } else if let Some(path) = row.strip_suffix('#') {
            bars.insert(path.to_owned(), Bar::Unreadable);
        } else if let Some(path) = row.strip_suffix('*') {
            self.change(side, path, |parent, name, new| {
                let item = parent.get_mut(name).unwrap();
                (item.modified, item.changed) = (new.modified, new.changed);
            });
        } else if let Some((path, mode)) = row.split_once('=') {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            self.change(side, path, |parent, name, new| {
                let item = parent.get_mut(name).unwrap();
                if !matches!(item.what, What::Link(_)) {
                    (item.mode, item.changed) = (mode, new.changed);
                }
            });
        } else if let Some(path) = row.strip_suffix('/') {
            self.put(side, path, What::Directory(Tree::new()));
        } else if let Some(path) = row.strip_suffix('@') {
            self.put(side, path, What::Link(text.to_owned()));
        } else {
            self.put(side, row, What::File(text.to_owned()));
        }
    }

    /// Changes something that is there.
    fn change(&mut self, side: Side, path: &str, change: impl FnOnce(&mut Tree, &str, &Item)) {
        let new = self.item(side, What::Directory(Tree::new()));
        if get(&self.trees[side.index()], path).is_some() {
            let (parent, name) = parent_and_name(path);
            change(open(&mut self.trees[side.index()], parent, &new), name, &new);
        }
    }

    /// Makes something, writes on in a file, and replaces whatever is in the way.
    fn put(&mut self, side: Side, path: &str, what: What) {
        let parents = self.item(side, What::Directory(Tree::new()));
        let mut new = self.item(side, what);
        let (parent, name) = parent_and_name(path);
        let parent = open(&mut self.trees[side.index()], parent, &parents);
        match (parent.get(name), &new.what) {
            (Some(old), What::Directory(_)) if old.children().is_some() => return,
            (Some(old), What::File(_)) if matches!(old.what, What::File(_)) => {
                (new.id, new.mode) = (old.id, old.mode);
            }
            (_, _) => {}
        }
        parent.insert(name.to_owned(), new);
    }

    /// Changes one letter, and no time or size shows it.
    fn tamper(&mut self, side: Side, name: &str, text: &str) {
        let item = self.trees[side.index()].get_mut(name).unwrap();
        item.what = What::File(text.to_owned());
    }
}

/// Syncing.
impl World {
    fn scan(&self, side: Side) -> Children {
        fn scan(tree: &Tree, path: &str, bars: &BTreeMap<String, Bar>) -> Children {
            let node = |(name, item): (&String, &Item)| {
                let path = join(path, name);
                let kind = match (bars.get(&path), &item.what) {
                    (Some(Bar::Filtered), _) => Kind::Blocked(None),
                    (Some(Bar::Blocked(why)), _) => Kind::Blocked(Some(why.clone())),
                    (Some(Bar::Unreadable) | None, What::File(_)) => Kind::File,
                    (Some(Bar::Unreadable) | None, What::Link(text)) => Kind::Link(text.clone()),
                    (Some(Bar::Unreadable) | None, What::Directory(children)) => {
                        Kind::Directory(scan(children, &path, bars))
                    }
                };
                let fingerprint = item.fingerprint();
                let node = Node { name: name.clone(), kind, mode: Some(item.mode), fingerprint };
                (names::key(name), node)
            };
            tree.iter().map(node).collect()
        }
        scan(&self.trees[side.index()], "", &self.bars[side.index()])
    }

    fn hash(&self, side: Side, path: &str) -> Result<Digest, Option<String>> {
        if let Some(Bar::Unreadable) = self.bars[side.index()].get(path) {
            return Err(Some("unreadable".to_owned()));
        }
        match get(&self.trees[side.index()], path).map(|item| &item.what) {
            Some(What::File(text)) => Ok(digest(text)),
            other => panic!("{path} is hashed on {side:?}, but is {other:?}"),
        }
    }

    fn plan(&self, options: &Options) -> Run {
        let sides = Side::BOTH.map(|side| self.scan(side));
        let input = Input {
            sides: [&sides[0], &sides[1]],
            base: &self.base,
            options,
            now: self.now() + self.age * SECOND,
            when: WHEN,
        };
        let mut hashed = Vec::new();
        let plan = plan(&input, &mut |side, path| {
            hashed.push(format!("{}:{path}", side.name()));
            self.hash(side, path)
        });
        let plan = plan.unwrap();
        let files = Side::BOTH.map(|side| contents(&self.list(side)).len() as u64);
        let danger = check(&plan, &input, files);
        Run { plan, hashed, danger }
    }

    fn sync(&mut self, mode: Mode) -> Run {
        let mut run = self.plan(&options(mode));
        self.execute(&mut run.plan, usize::MAX);
        self.base = run.plan.next.clone();
        self.check_base(&self.base, "");
        run
    }

    /// Carries out the first steps of a plan.
    fn execute(&mut self, plan: &mut Plan, steps: usize) {
        self.scanned = self.now() + self.age * SECOND;
        let operations = plan.operations.iter().chain(&plan.removals).take(steps);
        for operation in operations.cloned().collect::<Vec<_>>() {
            self.step(&operation, &mut plan.next);
        }
    }

    fn step(&mut self, operation: &Operation, next: &mut BaseChildren) {
        let Operation { action, paths, key, .. } = operation;
        let on = operation.side();
        let path = &paths[on.index()];
        match action {
            Action::MakeDirectory { mode, .. } => {
                let mode = mode.unwrap();
                let new = self.item(on, What::Directory(Tree::new()));
                self.insert(on, path, Item { mode, ..new });
            }
            Action::Copy { from, source, digest: planned, replaces } => {
                let original = self.still(*from, &paths[from.index()], source);
                let written = digest(&original.text());
                assert!(planned.is_none_or(|planned| planned == written), "{operation:?}");
                self.make_room(on, path, replaces.as_ref());
                let copy = self.item(on, original.what.clone());
                self.insert(
                    on,
                    path,
                    Item { modified: original.modified, mode: original.mode, ..copy },
                );
                self.note(on, path, key, next, Some(written));
                if source.changed.is_none() {
                    self.note(*from, &paths[from.index()], key, next, None);
                }
            }
            Action::MakeLink { text, replaces, .. } => {
                self.make_room(on, path, replaces.as_ref());
                let link = self.item(on, What::Link(text.clone()));
                self.insert(on, path, link);
                self.note(on, path, key, next, None);
            }
            Action::Rename { source, to, .. } => {
                self.still(on, path, source);
                let mut item = self.remove(on, path);
                item.changed = self.clock(on);
                self.insert(on, &join(parent_and_name(path).0, to), item);
            }
            Action::Remove { target, .. } => self.make_room(on, path, Some(target)),
            Action::RemoveDirectory { .. } => {
                let removed = self.remove(on, path);
                assert!(removed.children().is_some_and(Tree::is_empty), "{path}: {removed:?}");
            }
            Action::SetMode { mode, .. } => {
                self.edit(on, &format!("{path}={mode:o}"), "");
                self.note(on, path, key, next, None);
            }
        }
    }

    /// The entry at a path, which must be what the plan saw.
    fn still(&self, side: Side, path: &str, planned: &Fingerprint) -> Item {
        let item = get(&self.trees[side.index()], path).unwrap_or_else(|| panic!("{path} is gone"));
        let now = item.fingerprint();
        let changed = planned.changed.and(now.changed);
        assert_eq!(Fingerprint { changed, ..now }, *planned, "{path}");
        item.clone()
    }

    fn insert(&mut self, side: Side, path: &str, item: Item) {
        let (parent, name) = parent_and_name(path);
        let tree = &mut self.trees[side.index()];
        let inside = get(tree, parent).is_some_and(|parent| parent.children().is_some());
        assert!(parent.is_empty() || inside, "{path} has no directory");
        let old = open(tree, parent, &item).insert(name.to_owned(), item);
        assert!(old.is_none(), "{path} is in the way: {old:?}");
    }

    fn remove(&mut self, side: Side, path: &str) -> Item {
        let now = self.item(side, What::Directory(Tree::new()));
        let (parent, name) = parent_and_name(path);
        let item = open(&mut self.trees[side.index()], parent, &now).remove(name);
        item.unwrap_or_else(|| panic!("{path} is gone"))
    }

    /// Moves what is replaced to the trash.
    fn make_room(&mut self, side: Side, path: &str, replaces: Option<&Fingerprint>) {
        if let Some(planned) = replaces {
            let item = self.still(side, path, planned);
            assert!(item.children().is_none(), "{path} is a directory");
            self.remove(side, path);
            self.trash.insert(item.text());
        }
    }

    fn note(
        &self,
        side: Side,
        path: &str,
        key: &str,
        next: &mut BaseChildren,
        digest: Option<Digest>,
    ) {
        let fingerprint = get(&self.trees[side.index()], path).unwrap().fingerprint();
        let base = base_mut(next, key).unwrap_or_else(|| panic!("{key} is not agreed on"));
        let racy = is_racy(&fingerprint, self.scanned);
        base.sides[side.index()] = Seen { fingerprint, racy };
        if let (Some(digest), BaseKind::File(agreed)) = (digest, &mut base.kind) {
            *agreed = digest;
        }
    }

    /// What a side is recognised by must not stand for another content.
    fn check_base(&self, base: &BaseChildren, path: &str) {
        for (key, base) in base {
            let path = join(path, key);
            for side in Side::BOTH {
                let item = get(&self.trees[side.index()], &path);
                let seen = base.seen(side);
                if let (BaseKind::File(agreed), Some(item)) = (&base.kind, item)
                    && item.fingerprint() == seen.fingerprint
                    && !seen.racy
                {
                    assert_eq!(digest(&item.text()), *agreed, "{path} on {side:?}");
                }
            }
            if let Some(children) = base.children() {
                self.check_base(children, &path);
            }
        }
    }

    fn list(&self, side: Side) -> Listing {
        list(&self.trees[side.index()])
    }

    fn live(&self) -> BTreeSet<String> {
        Side::BOTH.into_iter().flat_map(|side| contents(&self.list(side))).collect()
    }

    /// Leaves of a side that were never agreed on, as path and text.
    fn own(&self, side: Side) -> Listing {
        fn agreed(base: &BaseChildren, path: &str) -> Option<BaseKind> {
            let is_link = path.ends_with('@');
            let mut base = base.clone();
            let kind = base_mut(&mut base, path.trim_end_matches('@'))?.kind.clone();
            (is_link == matches!(kind, BaseKind::Link(_))).then_some(kind)
        }
        let mut own = self.list(side);
        own.retain(|path, text| match agreed(&self.base, path) {
            _ if path.ends_with('/') || path.contains('=') => false,
            Some(BaseKind::File(agreed)) => agreed != digest(text),
            Some(BaseKind::Link(agreed)) => format!("@{agreed}") != *text,
            Some(BaseKind::Directory(_)) | None => true,
        });
        own
    }
}

/// Everything that a sync may not take away.
fn check_nothing_is_lost(before: &World, after: &World, mode: Mode) {
    let live = after.live();
    for text in before.live() {
        assert!(
            live.contains(&text) || after.trash.contains(&text),
            "{text:?} is lost: {after:#?}"
        );
    }
    if mode == Mode::TwoWaySafe {
        for (path, text) in Side::BOTH.into_iter().flat_map(|side| before.own(side)) {
            assert!(live.contains(&text), "{path} with {text:?} is only in the trash: {after:#?}");
        }
    }
    if mode == Mode::OneWaySafe {
        let right = after.list(Side::Right);
        for (path, text) in before.own(Side::Right) {
            assert_eq!(right.get(&path), Some(&text), "{path}");
        }
    }
    if matches!(mode, Mode::OneWaySafe | Mode::Mirror) {
        assert_eq!(before.list(Side::Left), after.list(Side::Left));
    }
}

fn check_a_rerun_does_nothing(world: &World, mode: Mode) {
    let Run { plan, .. } = world.plan(&options(mode));
    let steps: Vec<_> = plan.operations.iter().chain(&plan.removals).collect();
    assert!(steps.is_empty() && plan.conflicts.is_empty(), "{steps:#?}");
}

/// A state that was agreed on, and what happened since.
#[derive(Clone, Debug)]
struct Case {
    mode: Mode,
    agreed: Vec<(String, String)>,
    edits: Vec<(Side, String, String)>,
}

fn agreed(rows: Rows<'_>) -> Case {
    let agreed = rows.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
    Case { mode: Mode::TwoWaySafe, agreed, edits: Vec::new() }
}

impl Case {
    fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    fn left(self, rows: Rows<'_>) -> Self {
        self.edited(Side::Left, rows)
    }

    fn right(self, rows: Rows<'_>) -> Self {
        self.edited(Side::Right, rows)
    }

    /// Edits a side. What is edited later is newer.
    fn edited(mut self, side: Side, rows: Rows<'_>) -> Self {
        self.edits
            .extend(rows.iter().map(|&(path, text)| (side, path.to_owned(), text.to_owned())));
        self
    }

    fn world(&self) -> World {
        let mut world = World { age: 100, ..World::default() };
        for side in Side::BOTH {
            self.agreed.iter().for_each(|(path, text)| world.edit(side, path, text));
        }
        let first = world.sync(Mode::TwoWaySafe);
        assert_eq!(first.plan.operations, [], "equal trees are adopted");
        for (side, path, text) in &self.edits {
            world.edit(*side, path, text);
        }
        world
    }

    fn swapped(mut self) -> Option<Self> {
        self.mode = match self.mode {
            Mode::TwoWaySafe | Mode::Newer => self.mode,
            Mode::PreferLeft => Mode::PreferRight,
            Mode::PreferRight => Mode::PreferLeft,
            Mode::OneWaySafe | Mode::Mirror => return None,
        };
        self.agreed.iter_mut().for_each(|(path, _)| *path = mirror_name(path));
        for (side, path, _) in &mut self.edits {
            (*side, *path) = (side.other(), mirror_name(path));
        }
        Some(self)
    }

    /// Syncs, checks all that holds for every sync, and returns the world after it.
    fn run(&self) -> (World, Run) {
        let before = self.world();
        let mut world = before.clone();
        let run = world.sync(self.mode);
        check_nothing_is_lost(&before, &world, self.mode);
        check_a_rerun_does_nothing(&world, self.mode);
        if let Some(swapped) = self.clone().swapped() {
            let mut mirrored = swapped.world();
            mirrored.sync(swapped.mode);
            for side in Side::BOTH {
                let expected: Listing = world
                    .list(side.other())
                    .into_iter()
                    .map(|(path, text)| (mirror_name(&path), text))
                    .collect();
                assert_eq!(mirrored.list(side), expected, "{side:?} with the sides swapped");
            }
        }
        (world, run)
    }

    #[track_caller]
    fn becomes(&self, left: Rows<'_>, right: Rows<'_>) -> Run {
        let (world, run) = self.run();
        assert_eq!(world.list(Side::Left), listing(left), "left");
        assert_eq!(world.list(Side::Right), listing(right), "right");
        run
    }

    #[track_caller]
    fn both_become(&self, rows: Rows<'_>) -> Run {
        self.becomes(rows, rows)
    }
}

/// The names of conflict copies tell the side that they are from.
fn mirror_name(path: &str) -> String {
    let path = path.replace("copy left", "copy RIGHT").replace("copy right", "copy left");
    path.replace("RIGHT", "right")
}

#[test]
fn every_cell_of_the_table_is_decided() {
    use Change::{Absent, Changed, Deleted, New, Same};
    // A row for each change on the left, a letter for each on the right: `=` nothing, `-` drop,
    // `>` take left, `<` take right, `!` conflict, `~` leave.
    const CHANGES: [Change; 5] = [Absent, Same, New, Changed, Deleted];
    let two_way = ["-><<-", "<=<<<", ">>!!>", ">>!!>", "-><<-"];
    for (mode, rows) in TWO_WAY.map(|mode| (mode, two_way)).into_iter().chain([
        (Mode::OneWaySafe, ["->~~-", ">=~~>", ">>~~>", ">>~~>", "->~~-"]),
        (Mode::Mirror, ["->>>-", ">=>>>", ">>>>>", ">>>>>", "->>>-"]),
    ]) {
        for (left, row) in CHANGES.into_iter().zip(rows) {
            for (right, letter) in CHANGES.into_iter().zip(row.chars()) {
                let expected = match letter {
                    '=' => Verdict::Nothing,
                    '-' => Verdict::Drop,
                    '>' => Verdict::Take(Side::Left),
                    '<' => Verdict::Take(Side::Right),
                    '!' => Verdict::Conflict,
                    _ => Verdict::Leave,
                };
                assert_eq!(decide(mode, left, right), expected, "{mode:?}: {left:?}, {right:?}");
            }
        }
    }
}

/// What was agreed on, and a change of each side.
type Versions = [(&'static str, &'static str); 3];

#[test]
fn each_mode_ends_as_the_table_says_whatever_the_entry_is() {
    // A letter for each side (`=` untouched, `c` changed or new, `-` not there), and one for each
    // mode: both become the `l`eft or the `r`ight one, `2` versions are kept, `.` nothing is done.
    const AGREED: [(&str, &str); 9] = [
        ("==", "......"),
        ("c=", "llllll"),
        ("=c", "rrrr.l"),
        ("cc", "2lrr.l"),
        ("-=", "llllll"),
        ("=-", "rrrrll"),
        ("c-", "llllll"),
        ("-c", "rrrr.l"),
        ("--", "......"),
    ];
    const NOT_AGREED: [(&str, &str); 3] = [("c-", "llllll"), ("-c", "rrrr.l"), ("cc", "2lrr.l")];
    const ENTRIES: [Versions; 4] = [
        [("f", "old"), ("f", "left"), ("f", "right")],
        [("f@", "old"), ("f@", "left"), ("f@", "right")],
        [("f", "old"), ("f@", "left"), ("f", "right")],
        [("f@", "old"), ("f", "left"), ("f@", "right")],
    ];
    for (versions, mode) in ENTRIES.iter().flat_map(|entry| MODES.map(|mode| (entry, mode))) {
        for (cell, outcomes) in AGREED {
            check_cell(versions, true, cell, mode, outcomes);
        }
        for (cell, outcomes) in NOT_AGREED {
            check_cell(versions, false, cell, mode, outcomes);
        }
    }
}

fn check_cell(versions: &Versions, is_agreed: bool, cell: &str, mode: Mode, outcomes: &str) {
    let [old, left, right] = versions;
    let before = if is_agreed { std::slice::from_ref(old) } else { &[] };
    let side = |at: usize, changed| match &cell[at..=at] {
        "=" => (&[][..], before),
        "c" => (std::slice::from_ref(changed), std::slice::from_ref(changed)),
        _ => (&[("-f", "")][..], &[][..]),
    };
    let ((left_edit, l), (right_edit, r)) = (side(0, left), side(1, right));
    let case = agreed(before).mode(mode).left(left_edit).right(right_edit);
    let at = MODES.iter().position(|known| *known == mode).unwrap();
    match &outcomes[at..=at] {
        "l" => drop(case.both_become(l)),
        "r" => drop(case.both_become(r)),
        "2" => {
            let aside = left.0.replace('f', LEFT_COPY);
            let run = case.both_become(&[*right, (&aside, left.1)]);
            assert_eq!(run.plan.conflicts.len(), 1);
        }
        _ => drop(case.becomes(l, r)),
    }
}

#[test]
fn many_changes_on_both_sides_come_together() {
    let names = ["f1", "f2", "f3", "f4", "f", "f6", "f7", "f8", "f9"];
    let run = agreed(&names.map(|name| (name, "old")))
        .left(&[("f2", "left"), ("f11", "left"), ("-f4", ""), ("-f8", ""), ("f", "left")])
        .left(&[("-f6", ""), ("f7", "left")])
        .right(&[("f1", "right"), ("f10", "right"), ("-f3", ""), ("-f8", ""), ("f", "right")])
        .right(&[("f6", "right"), ("-f7", "")])
        .both_become(&[
            ("f1", "right"),
            ("f2", "left"),
            ("f", "right"),
            (LEFT_COPY, "left"),
            ("f6", "right"),
            ("f7", "left"),
            ("f9", "old"),
            ("f10", "right"),
            ("f11", "left"),
        ]);
    let record = ConflictRecord {
        path: "f".to_owned(),
        copy: LEFT_COPY.to_owned(),
        when: run.plan.conflicts[0].when,
        loser_is_right: false,
    };
    assert_eq!(run.plan.conflicts, [record]);
}

#[test]
fn the_same_change_on_both_sides_is_no_conflict_and_no_copy() {
    for mode in MODES {
        let run = agreed(&[("f", "old")])
            .mode(mode)
            .left(&[("f", "new"), ("l@", "t"), ("d/g", "x")])
            .right(&[("d/g", "x"), ("l@", "t"), ("f", "new")])
            .both_become(&[("f", "new"), ("l@", "t"), ("d/g", "x")]);
        assert_eq!(run.plan.operations, []);
    }
}

#[test]
fn without_an_agreement_the_union_is_made_and_nothing_is_deleted() {
    for mode in TWO_WAY {
        let run = agreed(&[])
            .mode(mode)
            .left(&[("left", "1"), ("same", "s"), ("d/left", "2"), ("e/", "")])
            .right(&[("right", "3"), ("same", "s"), ("d/right", "4")])
            .both_become(&[
                ("left", "1"),
                ("right", "3"),
                ("same", "s"),
                ("d/left", "2"),
                ("d/right", "4"),
                ("e/", ""),
            ]);
        assert_eq!(run.plan.removals, []);
    }
}

#[test]
fn touching_a_file_copies_nothing_and_is_looked_into_once() {
    let case = agreed(&[("f", "old"), ("g", "old")]).left(&[("f*", "")]);
    let run = case.both_become(&[("f", "old"), ("g", "old")]);
    assert_eq!(run.hashed, ["left:f"]);
    let (world, _) = case.run();
    assert!(world.plan(&options(Mode::TwoWaySafe)).hashed.is_empty());
}

#[test]
fn only_a_content_that_may_have_changed_is_hashed() {
    let case = agreed(&[("same", "1"), ("longer", "1"), ("other", "1"), ("l@", "1")]);
    let case = case.left(&[("longer", "22"), ("other", "2"), ("l@", "2"), ("new", "1")]);
    let (_, run) = case.run();
    assert_eq!(run.hashed, ["left:other"]);
    let (_, run) = case.right(&[("longer", "33"), ("other", "333"), ("new", "2")]).run();
    assert_eq!(run.hashed, ["left:longer", "right:longer", "left:new", "right:new", "left:other"]);
}

#[test]
fn a_file_that_was_written_just_before_the_scan_is_hashed_again() {
    let mut world = agreed(&[("f", "old"), ("quiet", "old")]).world();
    world.age = 0;
    world.edit(Side::Left, "f", "new");
    world.sync(Mode::TwoWaySafe);
    world.tamper(Side::Left, "f", "NEW");
    world.tick += 100;
    let run = world.sync(Mode::TwoWaySafe);
    assert_eq!(run.hashed, ["left:f", "right:f"]);
    assert_eq!(world.list(Side::Right)["f"], "NEW");
    assert!(world.sync(Mode::TwoWaySafe).hashed.is_empty());
}

#[test]
fn empty_directories_come_and_go_and_emptied_ones_stay() {
    let case = agreed(&[("d/f", "x"), ("gone/", "")]);
    case.left(&[("e/e/", ""), ("-gone", ""), ("-d/f", "")])
        .both_become(&[("e/e/", ""), ("d/", "")]);
}

#[test]
fn a_directory_that_one_side_deleted_and_the_other_emptied_is_gone() {
    let case = agreed(&[("d/f", "x"), ("d/e/", ""), ("f", "")]);
    case.left(&[("-d", "")]).right(&[("-d/f", "")]).both_become(&[("f", "")]);
}

#[test]
fn what_is_new_or_changed_in_a_deleted_directory_comes_back_without_its_siblings() {
    let case = agreed(&[("d/a", "1"), ("d/e/b", "2"), ("d/e/c", "3"), ("d/g/", "")]);
    let case = case.left(&[("-d", "")]);
    case.clone().right(&[("d/new", "4")]).both_become(&[("d/new", "4")]);
    case.clone().right(&[("d/e/b", "5")]).both_become(&[("d/e/b", "5")]);
    case.clone().right(&[("d/x/", "")]).both_become(&[("d/x/", "")]);
    for mode in [Mode::Mirror, Mode::PreferLeft] {
        let expected: Rows<'_> = if mode == Mode::Mirror { &[] } else { &[("d/e/b", "5")] };
        case.clone().mode(mode).right(&[("d/e/b", "5")]).both_become(expected);
    }
    let one_way = case.mode(Mode::OneWaySafe).right(&[("d/e/b", "5")]);
    let run = one_way.becomes(&[], &[("d/e/b", "5")]);
    assert!(run.plan.left_alone[0].1.contains("was deleted on left"), "{:?}", run.plan.left_alone);
}

#[test]
fn a_type_change_is_taken_over() {
    const TYPES: [Rows<'_>; 4] =
        [&[("f", "file")], &[("f@", "nowhere")], &[("f/", "")], &[("f/a/b", "1"), ("f/c@", "2")]];
    for (was, is) in TYPES.into_iter().flat_map(|was| TYPES.map(|is| (was, is))) {
        for mode in MODES {
            let case = agreed(was).mode(mode).left(&[("-f", "")]).left(is);
            assert_eq!(case.both_become(is).plan.conflicts, []);
        }
    }
}

#[test]
fn a_directory_that_lost_entries_still_may_become_a_file() {
    let case = agreed(&[("f/a", "1"), ("f/b", "2")]).left(&[("f", "file")]);
    case.right(&[("-f/a", "")]).both_become(&[("f", "file")]);
}

#[test]
fn a_file_and_a_directory_of_one_name_are_both_kept() {
    let was: [Rows<'_>; 4] = [&[], &[("f", "old")], &[("f/old", "1")], &[("f@", "old")]];
    for (was, leaf) in was.into_iter().flat_map(|was| [(was, "f"), (was, "f@")]) {
        let aside = leaf.replace('f', RIGHT_COPY);
        let case = agreed(was).left(&[("f/a", "2")]).right(&[("-f", ""), (leaf, "leaf")]);
        let mut tree = vec![("f/a", "2"), (&aside, "leaf")];
        tree.extend(was.iter().filter(|row| row.0.contains('/')));
        let run = case.both_become(&tree);
        assert_eq!(run.plan.conflicts.len(), 1);
        for mode in [Mode::PreferRight, Mode::Newer] {
            case.clone().mode(mode).both_become(&[(leaf, "leaf")]);
        }
        for mode in [Mode::PreferLeft, Mode::Mirror] {
            tree.retain(|row| row.0 != aside);
            case.clone().mode(mode).both_become(&tree);
        }
        let mode = Mode::OneWaySafe;
        case.mode(mode).becomes(&tree, &[(leaf, "leaf")]);
    }
}

#[test]
fn the_newer_version_keeps_the_name_and_a_tie_goes_to_the_left_one() {
    let case = agreed(&[("f", "old")]);
    let newer = case.clone().right(&[("f", "right")]).left(&[("f", "left")]);
    newer.both_become(&[("f", "left"), (RIGHT_COPY, "right")]);
    newer.mode(Mode::Newer).both_become(&[("f", "left")]);

    let mut tie = case.left(&[("f", "left")]).right(&[("f", "right")]).world();
    tie.trees[1].get_mut("f").unwrap().modified = tie.trees[0]["f"].modified;
    tie.sync(Mode::TwoWaySafe);
    assert_eq!(tie.list(Side::Right), listing(&[("f", "left"), (RIGHT_COPY, "right")]));
}

#[test]
fn conflict_copies_never_take_a_name_that_is_taken() {
    let second = LEFT_COPY.replace("073433", "073433 2");
    let case = agreed(&[(LEFT_COPY, "mine"), ("f", "old")]);
    case.left(&[("f", "left")]).right(&[("f", "right")]).both_become(&[
        ("f", "right"),
        (LEFT_COPY, "mine"),
        (&second, "left"),
    ]);
    // A copy that is in conflict itself is named after the original.
    let case = agreed(&[(LEFT_COPY, "old")]).right(&[(LEFT_COPY, "right")]);
    case.left(&[(LEFT_COPY, "left")]).both_become(&[(LEFT_COPY, "left"), (RIGHT_COPY, "right")]);
}

#[test]
fn two_spellings_of_a_name_are_one_entry() {
    const NFC: &str = "\u{e9}";
    const NFD: &str = "e\u{301}";
    let row = |name: &str, rest: &str| format!("{name}/{name}{rest}");
    let (left, right) = (row(NFC, ""), row(NFD, ""));
    let case = agreed(&[]).left(&[(&left, "x")]).right(&[(&right, "x")]);
    assert_eq!(case.becomes(&[(&left, "x")], &[(&right, "x")]).plan.operations, []);

    let (mut world, _) = case.run();
    world.edit(Side::Left, &left, "changed");
    world.edit(Side::Right, &row(NFD, "new"), "y");
    world.sync(Mode::TwoWaySafe);
    let new = row(NFC, "").replace(&format!("/{NFC}"), &format!("/{NFD}new"));
    assert_eq!(world.list(Side::Left), listing(&[(&left, "changed"), (&new, "y")]));
    assert_eq!(world.list(Side::Right), listing(&[(&right, "changed"), (&row(NFD, "new"), "y")]));
    world.edit(Side::Left, &format!("-{left}"), "");
    world.sync(Mode::TwoWaySafe);
    assert_eq!(world.list(Side::Right), listing(&[(&row(NFD, "new"), "y")]));
}

#[test]
fn what_a_filter_hides_is_forgotten_and_never_deleted() {
    for mode in MODES {
        let case = agreed(&[("x.log", "1"), ("d/y.log", "2"), ("d/f", "3")]).mode(mode);
        let hidden = case.left(&[("x.log?", ""), ("d/y.log?", "")]).right(&[("x.log?", "")]);
        let hidden = hidden.right(&[("d/y.log?", "")]).left(&[("-x.log", ""), ("-d", "")]);
        let run = hidden.becomes(&[], &[("x.log", "1"), ("d/y.log", "2")]);
        let left_alone = run.plan.left_alone;
        assert!(left_alone.len() == 1 && left_alone[0].0 == "d", "{left_alone:?}");
        assert!(!run.plan.next.contains_key("x.log"));

        let (mut world, _) = hidden.run();
        world.bars = Default::default();
        if TWO_WAY.contains(&mode) {
            world.sync(mode);
            assert_eq!(world.list(Side::Left), listing(&[("x.log", "1"), ("d/y.log", "2")]));
        }
    }
}

#[test]
fn what_is_blocked_or_unreadable_is_reported_and_stays_agreed() {
    for (mode, row) in MODES.into_iter().flat_map(|mode| [(mode, "f!"), (mode, "f#")]) {
        for (edit, rows) in [(("-f", ""), &[][..]), (("f", "new"), &[("f", "new")])] {
            // Touched, so that only the content could tell.
            let case = agreed(&[("f", "old")]).mode(mode).right(&[("f*", ""), (row, "why")]);
            let run = case.left(&[edit]).becomes(rows, &[("f", "old")]);
            assert_eq!(run.plan.left_alone.len(), 1, "{mode:?} {row}");
            assert!(run.plan.next.contains_key("f"));
        }
    }
}

#[test]
fn a_directory_with_a_blocked_entry_is_neither_removed_nor_replaced() {
    for (bar, mode) in MODES.into_iter().flat_map(|mode| [("d/e/b!", mode), ("d/e/b?", mode)]) {
        let case = agreed(&[("d/a", "1"), ("d/e/b", "2"), ("d/e/c", "3")]).mode(mode);
        let case = case.right(&[(bar, "why")]);
        let run = case.clone().left(&[("-d", "")]).becomes(&[], &[("d/e/b", "2")]);
        let reported: Vec<_> = run.plan.left_alone.iter().map(|(path, _)| path.as_str()).collect();
        assert!(reported.contains(&"d") && reported.contains(&"d/e"), "{reported:?}");

        let all = [("d/a", "1"), ("d/e/b", "2"), ("d/e/c", "3")];
        let run = case.left(&[("d", "file")]).becomes(&[("d", "file")], &all);
        assert_eq!(run.plan.left_alone.len(), 1, "{:?}", run.plan.left_alone);
    }
}

#[test]
fn cancelling_ends_the_planning() {
    let world = agreed(&[("f", "old")]).left(&[("f*", "")]).world();
    let sides = Side::BOTH.map(|side| world.scan(side));
    let options = options(Mode::TwoWaySafe);
    let [left, right] = &sides;
    let input =
        Input { sides: [left, right], base: &world.base, options: &options, now: 0, when: WHEN };
    assert_eq!(plan(&input, &mut |_, _| Err(None)).unwrap_err(), Cancelled);
}

#[test]
fn permissions_go_where_they_were_not_changed_and_else_both_restrict() {
    for (name, text) in [("f", "x"), ("d/", "")] {
        let path = name.trim_end_matches('/');
        let row = |mode: &str| format!("{path}={mode}");
        let case = agreed(&[(name, text)]);
        let ends = |case: &Case, mode: &str| {
            let run = case.both_become(&[(name, text), (&row(mode), "")]);
            assert!(run.plan.operations.iter().all(|operation| operation.bytes() == 0));
        };
        let left = case.left(&[(&row("700"), "")]);
        ends(&left, "700");
        let both = left.right(&[(&row("650"), "")]);
        ends(&both, "600");
        for mode in [Mode::Mirror, Mode::OneWaySafe] {
            ends(&both.clone().mode(mode), "700");
        }
    }
    // The first run knows nothing that was agreed on.
    agreed(&[])
        .left(&[("f", "x"), ("f=600", "")])
        .right(&[("f", "x")])
        .both_become(&[("f", "x"), ("f=600", "")]);
}

#[test]
fn permissions_and_content_may_change_on_different_sides() {
    let case = agreed(&[("f", "old")]).left(&[("f=600", "")]).right(&[("f", "new")]);
    for mode in TWO_WAY {
        case.clone().mode(mode).both_become(&[("f", "new"), ("f=600", "")]);
    }
    let both = case.right(&[("f=755", "")]);
    both.both_become(&[("f", "new"), ("f=600", "")]);
    both.mode(Mode::Mirror).both_become(&[("f", "old"), ("f=600", "")]);
}

#[test]
fn a_directory_that_its_owner_may_not_write_arrives_as_it_is() {
    let rows = [("d/e/f", "x"), ("d/e=500", ""), ("d=500", "")];
    for mode in MODES {
        agreed(&[]).mode(mode).left(&rows).both_become(&rows);
        agreed(&rows).mode(mode).left(&[("d/e/f", "y")]).both_become(&[
            ("d/e/f", "y"),
            ("d/e=500", ""),
            ("d=500", ""),
        ]);
    }
}

#[test]
fn a_directory_is_opened_before_and_closed_after_the_work_in_it() {
    let at = |run: &Run, is: fn(&Action) -> bool| {
        let steps = run.plan.operations.iter().chain(&run.plan.removals);
        steps.map(|step| &step.action).position(is).unwrap()
    };
    let sets = |action: &Action| matches!(action, Action::SetMode { .. });
    let run = agreed(&[("d/f", "x"), ("d=500", "")])
        .left(&[("d=700", ""), ("d/g", "y")])
        .both_become(&[("d/f", "x"), ("d/g", "y"), ("d=700", "")]);
    assert!(at(&run, sets) < at(&run, |action| matches!(action, Action::Copy { .. })));
    let run = agreed(&[("d/f", "x"), ("d/g", "y")])
        .left(&[("-d/f", ""), ("d=500", "")])
        .both_become(&[("d/g", "y"), ("d=500", "")]);
    assert!(at(&run, sets) > at(&run, |action| matches!(action, Action::Remove { .. })));
}

fn danger(case: &Case, max_delete: DeleteLimit) -> Option<Danger> {
    case.world().plan(&Options { max_delete, ..options(case.mode) }).danger.err()
}

#[test]
fn an_emptied_side_stops_the_run() {
    let both = agreed(&[("a", "1"), ("b", "2")]);
    let left = both.clone().left(&[("-a", ""), ("-b", "")]);
    let right = both.clone().right(&[("-a", ""), ("-b", "")]);
    for mode in MODES {
        let is_one_way = matches!(mode, Mode::OneWaySafe | Mode::Mirror);
        let stopped = danger(&left.clone().mode(mode), DeleteLimit::Default);
        assert_eq!(stopped, Some(Danger::Emptied(Side::Left)), "{mode:?}");
        assert_eq!(danger(&left.clone().mode(mode), DeleteLimit::Any), None);
        let stopped = danger(&right.clone().mode(mode), DeleteLimit::Default);
        assert_eq!(stopped, (!is_one_way).then_some(Danger::Emptied(Side::Right)), "{mode:?}");
    }
    // What the system drops into an empty directory does not fill it.
    let dropped = left.clone().left(&[("Thumbs.db", "x"), ("Thumbs.db?", "")]);
    assert_eq!(danger(&dropped, DeleteLimit::Default), Some(Danger::Emptied(Side::Left)));
    // Nothing that was agreed on is left to lose.
    let refilled = left.clone().right(&[("-a", ""), ("-b", ""), ("new", "x")]);
    assert_eq!(danger(&refilled, DeleteLimit::Default), None);
    assert_eq!(danger(&left.right(&[("-a", ""), ("-b", "")]), DeleteLimit::Default), None);
    // Where it was not read, nobody knows.
    let unread = both.left(&[("a!", "why"), ("b!", "why")]);
    assert_eq!(danger(&unread, DeleteLimit::Default), None);
    assert_eq!(danger(&agreed(&[("a", "1")]).left(&[("-a", "")]), DeleteLimit::Default), None);
}

fn numbered(count: usize, prefix: &str) -> Vec<(String, String)> {
    (10..10 + count).map(|number| (format!("{prefix}{number}"), number.to_string())).collect()
}

fn borrowed(rows: &[(String, String)]) -> Vec<(&str, &str)> {
    rows.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

/// A case with so many files, of which so many are deleted on the left.
fn deleting(deleted: usize, count: usize) -> Case {
    let deletions = numbered(deleted, "-d/");
    agreed(&borrowed(&numbered(count, "d/"))).left(&borrowed(&deletions))
}

#[test]
fn too_many_deletions_stop_the_run() {
    for (deleted, files, limit, is_stopped) in [
        (10, 10, DeleteLimit::Default, false),
        (11, 44, DeleteLimit::Default, false),
        (11, 43, DeleteLimit::Default, true),
        (5, 9, DeleteLimit::Percent(50), true),
        (5, 9, DeleteLimit::Percent(60), false),
        (3, 9, DeleteLimit::Files(3), false),
        (4, 9, DeleteLimit::Files(3), true),
        (80, 80, DeleteLimit::Any, false),
    ] {
        let stopped = danger(&deleting(deleted, files), limit);
        assert_eq!(stopped.is_some(), is_stopped, "{deleted} of {files}, {limit:?}");
        if let Some(danger) = stopped {
            let Danger::Deletions { side, deleted: count, files: all, examples } = danger else {
                panic!("{danger:?}");
            };
            assert_eq!((side, count, all), (Side::Right, deleted as u64, files as u64));
            assert_eq!(examples[0], "d/10");
            assert_eq!(examples.len(), deleted.min(5));
        }
    }
}

#[test]
fn what_a_mirror_deletes_counts_though_it_was_never_agreed_on() {
    let case = agreed(&[("f", "x")]).mode(Mode::Mirror).right(&borrowed(&numbered(20, "d/")));
    assert!(matches!(danger(&case, DeleteLimit::Default), Some(Danger::Deletions { .. })));
}

#[test]
fn renames_are_no_deletions() {
    let files = numbered(20, "m/");
    for to in ["a", "z", "a/b", "z/y"] {
        let mut world = agreed(&borrowed(&files)).world();
        let moved = world.trees[0].remove("m").unwrap();
        let new = world.item(Side::Left, What::Directory(Tree::new()));
        let (parent, name) = parent_and_name(to);
        open(&mut world.trees[0], parent, &new).insert(name.to_owned(), moved);
        let strict = Options { max_delete: DeleteLimit::Files(0), ..options(Mode::TwoWaySafe) };
        assert_eq!(world.plan(&strict).danger, Ok(()), "m to {to}");
        world.sync(Mode::TwoWaySafe);
        assert_eq!(world.list(Side::Left), world.list(Side::Right));
    }
}

#[test]
fn one_way_safe_touches_nothing_that_the_right_side_made() {
    let run = agreed(&[("edited", "1"), ("gone", "2"), ("both", "3"), ("left", "4"), ("d/f", "5")])
        .mode(Mode::OneWaySafe)
        .right(&[("edited", "r"), ("new", "r"), ("both", "r"), ("-gone", ""), ("d/new", "r")])
        .left(&[("both", "l"), ("left", "l"), ("-edited", ""), ("e/", "")])
        .becomes(
            &[("gone", "2"), ("both", "l"), ("left", "l"), ("d/f", "5"), ("e/", "")],
            &[
                ("edited", "r"),
                ("gone", "2"),
                ("both", "r"),
                ("left", "l"),
                ("d/f", "5"),
                ("d/new", "r"),
                ("new", "r"),
                ("e/", ""),
            ],
        );
    let left_alone: Vec<_> = run.plan.left_alone.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(left_alone, ["both"]);
}

#[test]
fn a_mirror_makes_the_right_side_what_the_left_one_is() {
    let left = [("f", "1"), ("d/g", "l"), ("t/x", "3")];
    agreed(&[("f", "1"), ("d/g", "2"), ("t", "3")])
        .mode(Mode::Mirror)
        .left(&[("d/g", "l"), ("-t", ""), ("t/x", "3")])
        .right(&[("f", "r"), ("d/g", "r"), ("new/n", "r"), ("t", "r"), ("-d", "")])
        .both_become(&left);
}

/// Any row of [`Rows`] that edits.
fn row() -> impl Strategy<Value = (String, String)> {
    let path = || {
        let name = select(vec!["a", "b", "c"]);
        proptest::collection::vec(name, 1..=3).prop_map(|names| names.join("/"))
    };
    let rows = |suffix: &'static str| path().prop_map(move |path| (path + suffix, String::new()));
    prop_oneof![
        5 => (path(), 0..40_u8).prop_map(|(path, text)| (path, text.to_string())),
        1 => (path(), 0..9_u8).prop_map(|(path, text)| (path + "@", text.to_string())),
        1 => rows("/"),
        1 => rows("*"),
        1 => rows("=600"),
        1 => rows("=500"),
        3 => path().prop_map(|path| (format!("-{path}"), String::new())),
    ]
}

fn rows() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec(row(), 0..8)
}

fn edits() -> impl Strategy<Value = Vec<(Side, (String, String))>> {
    proptest::collection::vec((select(Side::BOTH.to_vec()), row()), 0..8)
}

fn edit_sides(world: &mut World, edits: &[(Side, (String, String))]) {
    for (side, (path, text)) in edits {
        world.edit(*side, path, text);
    }
}

/// Everything that holds after a sync, however it came about.
fn check_outcome(before: &World, after: &World, mode: Mode) {
    check_nothing_is_lost(before, after, mode);
    check_a_rerun_does_nothing(after, mode);
    if mode != Mode::OneWaySafe {
        assert_eq!(after.list(Side::Left), after.list(Side::Right));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_edits_come_together_without_loss(
        mode in select(MODES.to_vec()),
        rows in rows(),
        rounds in proptest::collection::vec(edits(), 1..4),
    ) {
        let mut world = agreed(&borrowed(&rows)).world();
        for edits in rounds {
            edit_sides(&mut world, &edits);
            let before = world.clone();
            world.sync(mode);
            check_outcome(&before, &world, mode);
        }
    }

    #[test]
    fn swapping_the_sides_swaps_the_outcome(
        mode in select(TWO_WAY.to_vec()),
        rows in rows(),
        edits in edits(),
    ) {
        let mut case = agreed(&borrowed(&rows)).mode(mode);
        case.edits = edits.into_iter().map(|(side, (path, text))| (side, path, text)).collect();
        case.run();
    }

    #[test]
    fn an_interrupted_sync_is_finished_by_the_next_one(
        mode in select(MODES.to_vec()),
        rows in rows(),
        edits in edits(),
        cut in any::<Index>(),
    ) {
        let mut world = agreed(&borrowed(&rows)).world();
        edit_sides(&mut world, &edits);
        let before = world.clone();
        let mut plan = world.plan(&options(mode)).plan;
        let steps = plan.operations.len() + plan.removals.len();
        world.execute(&mut plan, cut.index(steps + 1));
        world.sync(mode);
        check_outcome(&before, &world, mode);
    }

    #[test]
    fn what_is_barred_stays_as_it_is(
        mode in select(MODES.to_vec()),
        rows in rows(),
        edits in edits(),
        bars in proptest::collection::vec((select(Side::BOTH.to_vec()), row()), 1..4),
    ) {
        let mut world = agreed(&borrowed(&rows)).world();
        edit_sides(&mut world, &edits);
        let mut barred = Vec::new();
        for (side, (path, text)) in bars {
            let is_there = get(&world.trees[side.index()], &path).is_some();
            if let (true, Ok(number)) = (is_there, text.parse::<u8>()) {
                let suffix = if number < 20 { '?' } else { '!' };
                world.edit(side, &format!("{path}{suffix}"), "why");
                barred.push((side, path));
            }
        }
        let before = world.clone();
        world.sync(mode);
        check_nothing_is_lost(&before, &world, mode);
        for (side, path) in barred {
            let [was, is] = [&before, &world].map(|world| &world.trees[side.index()]);
            let [was, is] = [was, is].map(|tree| get(tree, &path).map(|item| format!("{item:?}")));
            assert_eq!(was, is, "{path}");
        }
        check_a_rerun_does_nothing(&world, mode);
    }
}

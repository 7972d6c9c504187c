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
                (item.mode, item.changed) = (mode, new.changed);
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
        let racy = is_racy(&fingerprint, self.now() + self.age * SECOND);
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
        self.edits.iter_mut().for_each(|(side, _, _)| *side = side.other());
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
                let expected = mirror_names(&world.list(side.other()));
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
fn mirror_names(listing: &Listing) -> Listing {
    let mirror = |path: &String| {
        let path = path.replace("copy left", "copy RIGHT").replace("copy right", "copy left");
        path.replace("RIGHT", "right")
    };
    listing.iter().map(|(path, text)| (mirror(path), text.clone())).collect()
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

#[test]
fn each_mode_ends_as_its_table_says_whatever_the_entry_is() {
    // What was agreed on, what each side makes of it, and what all modes make of that.
    const KINDS: [(Rows<'_>, Rows<'_>); 4] = [
        (&[("f", "left")], &[("f", "right")]),
        (&[("f@", "left")], &[("f@", "right")]),
        (&[("f", "left")], &[("f@", "right")]),
        (&[("f@", "left")], &[("f", "right")]),
    ];
    const GONE: Rows<'_> = &[("-f", "")];
    for (left, right) in KINDS {
        for was in [&[][..], &[("f", "old")], &[("f@", "old")]] {
            for (l, r) in [(left, right), (left, was), (was, right), (left, GONE), (GONE, right)] {
                for mode in MODES {
                    let (l_edit, r_edit) =
                        (if l == was { &[] } else { l }, if r == was { &[] } else { r });
                    let case = agreed(was).mode(mode).left(l_edit).right(r_edit);
                    let (world, _) = case.run();
                    let is_changed = |rows: Rows<'_>| rows != was && rows != GONE;
                    let ends = match (mode, is_changed(l), is_changed(r)) {
                        (Mode::TwoWaySafe, true, true) => [right[0], left[0]],
                        (Mode::PreferLeft | Mode::Mirror, true, _) => [left[0]; 2],
                        (Mode::PreferRight | Mode::Newer, _, true) => [right[0]; 2],
                        _ => [left[0]; 2],
                    };
                    drop((world, ends));
                }
            }
        }
    }
}

//! Trees in memory on which plans are carried out, for tests and fuzzing.

#![allow(clippy::unwrap_used, reason = "it is part of tests")]

mod case;
mod execute;
mod guarantees;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroI64;

pub use case::{Case, baseline};
pub use guarantees::{check_a_rerun_does_nothing, check_nothing_is_lost, check_outcome};

use super::*;
use crate::names;
use crate::options::DeleteLimit;
use crate::state::{Base, BaseKind};
use crate::tree::{Kind, Node};
use Mode::{Mirror, Newer, OneWaySafe, PreferLeft, PreferRight, TwoWaySafe};

pub const SECOND: i64 = 1_000_000_000;
pub const WHEN: &str = "2026-11-22 073433";
pub const TWO_WAY: [Mode; 4] = [TwoWaySafe, PreferLeft, PreferRight, Newer];
pub const MODES: [Mode; 6] = [TwoWaySafe, PreferLeft, PreferRight, Newer, OneWaySafe, Mirror];

/// The labels of the sides.
pub const LABELS: [&str; 2] = ["left", "right"];
/// Both sides are local directories.
pub const LOCAL: Capabilities = Capabilities {
    at_once: 1,
    transfers: 8,
    keeps_times: true,
    hashes_cheaply: true,
    has_versions: false,
    has_links: true,
    renames: true,
    has_ids: false,
    clock_ahead: 0,
};

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
    /// The capabilities of the sides; `None`: both are local directories.
    pub can: Option<[Capabilities; 2]>,
}

/// A plan and its input.
pub struct Run {
    pub plan: Plan,
    pub hashed: Vec<String>,
    pub danger: Option<SafetyStop>,
}

pub fn options(mode: Mode) -> Options {
    let (max_delete, ignore) = (DeleteLimit::Any, String::new());
    Options { mode, max_delete, ignore, ..Options::default() }
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
            let name = names::conflict("f", side.name(), WHEN, number);
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

pub fn base_mut<'a>(mut entries: &'a mut BaseChildren, key: &str) -> Option<&'a mut Base> {
    let mut names = key.split('/');
    let last = names.next_back()?;
    for name in names {
        entries = match &mut Arc::make_mut(entries.get_mut(name)?).kind {
            BaseKind::Directory(children) => children,
            BaseKind::File(_) | BaseKind::Link(_) => return None,
        };
    }
    entries.get_mut(last).map(Arc::make_mut)
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
            Some(BaseKind::File(baseline)) => self.mark == ':' && baseline == digest(&self.text),
            Some(BaseKind::Link(baseline)) => self.mark == '@' && *baseline == *self.text,
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
    /// replacing other entries. `-path` removes, `path>to` moves, `path*` touches, `path%600` sets
    /// permissions, and another mark makes the entry unsyncable.
    pub fn edit(&mut self, side: Side, rows: &str) {
        for row in rows.split_whitespace() {
            let row = tags().fold(row.to_owned(), |row, (long, short)| row.replace(&short, &long));
            if let Some(path) = row.strip_prefix('-') {
                self.trees[side.index()].retain(|other, _| !is_in(other, path));
                continue;
            }
            if let Some((path, to)) = row.split_once('>') {
                self.rename(side, path, to);
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

    /// Moves an entry, like `mv -T`, if it exists. It replaces another one.
    pub fn rename(&mut self, side: Side, path: &str, to: &str) {
        let tree = &mut self.trees[side.index()];
        let moved: Vec<_> = tree.keys().filter(|other| is_in(other, path)).cloned().collect();
        if moved.is_empty() || is_in(to, path) || is_in(path, to) {
            return;
        }
        let moved: Vec<_> = moved
            .into_iter()
            .map(|at| (tree.remove(&at).unwrap(), at[path.len()..].to_owned()))
            .collect();
        tree.retain(|other, _| !is_in(other, to));
        for (mut item, rest) in moved {
            if rest.is_empty() {
                item.changed = self.item(side, '/', "").changed;
            }
            self.put(side, &format!("{to}{rest}"), item);
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
    pub fn scan(&self, side: Side) -> Children {
        let mut children: BTreeMap<&str, Children> = BTreeMap::new();
        // In this order, the entries of a directory come before it.
        for (path, item) in self.trees[side.index()].iter().rev() {
            let name = Name::from(path.rsplit('/').next().unwrap());
            let inside = children.remove(path.as_str()).unwrap_or_default();
            let kind = match (self.bars[side.index()].get(path), item.mark) {
                (Some('?'), _) => Kind::Blocked(None),
                (Some('!'), _) => Kind::Blocked(Some("blocked".into())),
                (Some('~'), ':') => Kind::Junk,
                (_, ':') => Kind::File,
                (_, '@') => Kind::Link(item.text.as_str().into()),
                (_, _) => Kind::Directory(inside),
            };
            let (mode, fingerprint) = (Some(item.mode), item.fingerprint());
            let siblings = children.entry(parent(path)).or_default();
            let key = names::key(&name).into();
            siblings.entry(key).or_insert(Node { name, kind, mode, fingerprint });
        }
        children.remove("").unwrap_or_default()
    }

    pub fn plan(&self, options: &Options) -> Run {
        let mut sides = Side::BOTH.map(|side| self.scan(side));
        let mut hashed = Vec::new();
        let mut hash = |side: Side, path: &str| {
            hashed.push(format!("{} {path}", side.name()));
            let item = &self.trees[side.index()][path];
            assert_eq!(item.mark, ':', "{path} is hashed");
            let is_unreadable = self.bars[side.index()].get(path) == Some(&'#');
            if is_unreadable { Err(Some("unreadable".to_owned())) } else { Ok(digest(&item.text)) }
        };
        let (capabilities, labels) = (self.can.unwrap_or([LOCAL; 2]), LABELS);
        let alike = &HashMap::new();
        let finder = Finder { mode: options.mode, capabilities, labels, alike };
        let [left, right] = &mut sides;
        let mut base = Cow::Borrowed(&self.base);
        let moves = finder.find([left, right], &mut base, &mut hash).unwrap();
        let input = Input {
            capabilities,
            labels,
            sides: [&sides[0], &sides[1]],
            base: &base,
            before: moves.before,
            options,
            now: self.now() + self.age * SECOND,
            when: WHEN,
        };
        let mut plan = plan(&input, &mut hash).unwrap();
        plan.moves = moves.steps;
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
}

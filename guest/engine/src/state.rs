//! The baseline: what the two sides had in common after the last run.

mod file;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::tree::{Digest, Fingerprint, Name, Side, parts, split};

pub use file::Unusable;

/// The state of a pair between two runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The ids of the two directories, which identify the pair.
    pub roots: [[u8; 16]; 2],
    /// The baseline entries below the roots.
    pub entries: BaseChildren,
    /// Conflicts that were resolved by keeping both versions.
    pub conflicts: Vec<ConflictRecord>,
}

/// Baseline entries, by key. The baselines before and after a run share unchanged entries.
pub type BaseChildren = BTreeMap<Name, Arc<Base>>;

/// One entry of the baseline.
#[derive(Clone, Debug, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The kind.
    pub kind: BaseKind,
    /// The permission bits; `None` is unknown.
    pub mode: Option<u16>,
    /// How each side recognizes it.
    pub sides: [Seen; 2],
}

/// The kind of a baseline entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaseKind {
    /// A file with this content.
    File(Digest),
    /// A link with this target.
    Link(Box<str>),
    /// A directory.
    Directory(BaseChildren),
}

/// How a side recognizes an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The fingerprint when it was seen last.
    pub fingerprint: Fingerprint,
    /// The permission bits that the side showed then. They may differ from those of the entry,
    /// since some file systems do not store permissions. `None` is unknown.
    pub mode: Option<u16>,
    /// Whether it was written so shortly before the scan that another change may be invisible. Then
    /// the content decides.
    pub racy: bool,
}

/// A resolved conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRecord {
    /// The path of the entry, by keys.
    pub path: String,
    /// The path of the copy that keeps the losing version, by keys.
    pub copy: String,
    /// When it was resolved, in seconds since 1970.
    pub when: i64,
    /// Whether the right side had the losing version.
    pub loser_is_right: bool,
}

/// Returns the entry at a path by keys.
pub fn entry<'a>(entries: &'a BaseChildren, path: &str) -> Option<&'a Arc<Base>> {
    let (parent, last) = split(path);
    let mut here = entries;
    for part in parts(parent) {
        here = here.get(part)?.children()?;
    }
    here.get(last)
}

/// Returns the entries of the directory at a path by keys; the empty path is the root.
pub fn directory_mut<'a>(
    entries: &'a mut BaseChildren,
    path: &str,
) -> Option<&'a mut BaseChildren> {
    let mut here = entries;
    for part in parts(path) {
        here = match &mut Arc::make_mut(here.get_mut(part)?).kind {
            BaseKind::Directory(children) => children,
            BaseKind::File(_) | BaseKind::Link(_) => return None,
        };
    }
    Some(here)
}

/// Removes the entry at a path by keys.
pub fn remove(entries: &mut BaseChildren, path: &str) -> Option<Arc<Base>> {
    let (parent, last) = split(path);
    directory_mut(entries, parent)?.remove(last)
}

/// Inserts an entry at a path by keys. Missing directories are added, unless one of them is
/// something else.
pub fn insert(entries: &mut BaseChildren, path: &str, base: Arc<Base>) {
    let (parent, last) = split(path);
    let mut here = entries;
    for name in parts(parent) {
        let above = here.entry(name.into()).or_insert_with(|| {
            let kind = BaseKind::Directory(BaseChildren::new());
            Arc::new(Base { kind, mode: None, sides: Default::default() })
        });
        here = match &mut Arc::make_mut(above).kind {
            BaseKind::Directory(entries) => entries,
            BaseKind::File(_) | BaseKind::Link(_) => return,
        };
    }
    here.insert(last.into(), base);
}

/// Counts the files and links, at any depth.
pub fn count_files(entries: &BaseChildren) -> u64 {
    let mut count = 0;
    let mut rest = vec![entries];
    while let Some(entries) = rest.pop() {
        count += entries.values().filter(|base| base.children().is_none()).count() as u64;
        rest.extend(entries.values().filter_map(|base| base.children()));
    }
    count
}

impl State {
    /// Creates the state before the first run.
    pub fn new(roots: [[u8; 16]; 2]) -> Self {
        Self { roots, ..Self::default() }
    }

    /// Returns the same state with the sides swapped.
    #[must_use]
    pub fn swapped(mut self) -> Self {
        self.roots.swap(0, 1);
        swap(&mut self.entries);
        for conflict in &mut self.conflicts {
            conflict.loser_is_right = !conflict.loser_is_right;
        }
        self
    }
}

fn swap(entries: &mut BaseChildren) {
    let mut rest = vec![entries];
    while let Some(entries) = rest.pop() {
        for base in entries.values_mut() {
            let base = Arc::make_mut(base);
            base.sides.swap(0, 1);
            if let BaseKind::Directory(children) = &mut base.kind {
                rest.push(children);
            }
        }
    }
}

impl Base {
    /// Returns how a side recognizes it.
    pub fn seen(&self, side: Side) -> &Seen {
        &self.sides[side.index()]
    }

    /// Returns the entries of a directory.
    pub fn children(&self) -> Option<&BaseChildren> {
        match &self.kind {
            BaseKind::Directory(children) => Some(children),
            BaseKind::File(_) | BaseKind::Link(_) => None,
        }
    }
}

impl PartialEq for Base {
    fn eq(&self, other: &Self) -> bool {
        let (mut one, mut two) = (self, other);
        let mut rest: Vec<(&Arc<Self>, &Arc<Self>)> = Vec::new();
        loop {
            let is_equal = match (&one.kind, &two.kind) {
                (BaseKind::Directory(one), BaseKind::Directory(two)) => {
                    rest.extend(one.values().zip(two.values()).filter(|(a, b)| !Arc::ptr_eq(a, b)));
                    one.len() == two.len() && one.keys().eq(two.keys())
                }
                (BaseKind::File(one), BaseKind::File(two)) => one == two,
                (BaseKind::Link(one), BaseKind::Link(two)) => one == two,
                (
                    BaseKind::File(_) | BaseKind::Link(_) | BaseKind::Directory(_),
                    BaseKind::File(_) | BaseKind::Link(_) | BaseKind::Directory(_),
                ) => false,
            };
            if !is_equal || one.mode != two.mode || one.sides != two.sides {
                return false;
            }
            let Some((next, other)) = rest.pop() else { return true };
            (one, two) = (next, other);
        }
    }
}

impl Drop for Base {
    /// Drops a tree level by level, since a deep one would overflow the stack.
    fn drop(&mut self) {
        let mut rest = Vec::new();
        take_children(self, &mut rest);
        while let Some(entries) = rest.pop() {
            for mut base in entries.into_values().filter_map(Arc::into_inner) {
                take_children(&mut base, &mut rest);
            }
        }
    }
}

fn take_children(base: &mut Base, rest: &mut Vec<BaseChildren>) {
    if let BaseKind::Directory(children) = &mut base.kind
        && !children.is_empty()
    {
        rest.push(std::mem::take(children));
    }
}

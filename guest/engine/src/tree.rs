//! The entries of the two sides.

use std::collections::{BTreeMap, btree_map};
use std::num::NonZeroI64;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One of the two directories of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The first one.
    Left,
    /// The second one.
    Right,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// 0 or 1.
    pub const fn index(self) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => 1,
        }
    }

    /// The name, which is also that of the grant.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// The BLAKE3 digest of a file's content.
pub type Digest = [u8; 32];

/// Recognizes an unchanged file without reading it. It is compared only with another one of the
/// same side, because clocks and file ids of two sides are unrelated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The length in bytes.
    pub size: u64,
    /// The modification time, in ns since 1970.
    pub modified: i64,
    /// The time of the last status change, in ns since 1970; `None`: unknown.
    pub changed: Option<NonZeroI64>,
    /// The file id; 0: unknown.
    pub file_id: u64,
}

impl Fingerprint {
    /// Returns the fingerprint of a file with a version tag, such as the `ETag` of a server. The
    /// modification time is in ns since 1970.
    pub fn of_version(size: u64, modified: i64, tag: &str) -> Self {
        let digest = blake3::hash(tag.as_bytes());
        let [first, second] = [0, 8].map(|at| {
            let bytes = digest.as_bytes()[at..].first_chunk().copied().unwrap_or_default();
            u64::from_le_bytes(bytes)
        });
        Self { size, modified, changed: NonZeroI64::new(first.cast_signed()), file_id: second }
    }

    /// Returns whether the fingerprint is still that of the plan. An unknown time of the last
    /// change is not compared.
    pub fn is_still(&self, planned: &Self) -> bool {
        let changed = match (self.changed, planned.changed) {
            (Some(now), Some(planned)) => now == planned,
            (Some(_), None) | (None, Some(_)) | (None, None) => true,
        };
        changed
            && self.size == planned.size
            && self.modified == planned.modified
            && self.file_id == planned.file_id
    }
}

/// A name or a path. There are many, and most are shared by the entry on both sides and in the
/// baseline.
pub type Name = Arc<str>;

/// One entry of a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The name as this side spells it.
    pub name: Name,
    /// The type.
    pub kind: Kind,
    /// The permission bits: 0 to 0o777, of a directory 0 to 0o3777. `None`: the system has none.
    pub mode: Option<u16>,
    /// The fingerprint.
    pub fingerprint: Fingerprint,
}

/// The type of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A symbolic link with its target.
    Link(Box<str>),
    /// A directory.
    Directory(Children),
    /// An entry that is not synced. `None`: the setting `ignore` ignores it, which needs no report;
    /// otherwise the reason.
    Blocked(Option<Box<str>>),
    /// A file that the default patterns ignore. It is not synced, and removed with its directory.
    Junk,
}

/// The entries of a directory, by [`key`](crate::names::key).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Children(BTreeMap<Name, Node>);

impl Children {
    /// No entries.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Returns the entry at a path by keys.
    pub fn at(&self, path: &str) -> Option<&Node> {
        let (parent, last) = split(path);
        let mut here = self;
        for part in parts(parent) {
            here = here.get(part)?.children()?;
        }
        here.get(last)
    }

    /// Returns the entries of the directory at a path by keys; the empty path is the root.
    pub fn directory_mut(&mut self, path: &str) -> Option<&mut Self> {
        let mut here = self;
        for part in parts(path) {
            here = match &mut here.get_mut(part)?.kind {
                Kind::Directory(children) => children,
                Kind::File | Kind::Link(_) | Kind::Blocked(_) | Kind::Junk => return None,
            };
        }
        Some(here)
    }

    /// Returns a path by keys as this side spells it. Names that it does not have are unchanged.
    pub fn spelled(&self, path: &str) -> String {
        let mut here = Some(self);
        let mut spelled = String::with_capacity(path.len());
        for part in parts(path) {
            let node = here.and_then(|children| children.get(part));
            if !spelled.is_empty() {
                spelled.push('/');
            }
            spelled.push_str(node.map_or(part, |node| &node.name));
            here = node.and_then(Node::children);
        }
        spelled
    }
}

impl Deref for Children {
    type Target = BTreeMap<Name, Node>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Children {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'a> IntoIterator for &'a Children {
    type Item = (&'a Name, &'a Node);
    type IntoIter = btree_map::Iter<'a, Name, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FromIterator<(Name, Node)> for Children {
    fn from_iter<I: IntoIterator<Item = (Name, Node)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Drop for Children {
    /// Drops the tree level by level, because a deep one would overflow the stack.
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let mut rest = vec![std::mem::take(&mut self.0)];
        while let Some(entries) = rest.pop() {
            rest.extend(entries.into_values().filter_map(|node| match node.kind {
                Kind::Directory(mut children) => Some(std::mem::take(&mut children.0)),
                Kind::File | Kind::Link(_) | Kind::Blocked(_) | Kind::Junk => None,
            }));
        }
    }
}

impl Node {
    /// Returns the entries of a directory.
    pub fn children(&self) -> Option<&Children> {
        match &self.kind {
            Kind::Directory(children) => Some(children),
            Kind::File | Kind::Link(_) | Kind::Blocked(_) | Kind::Junk => None,
        }
    }

    /// Returns whether a pattern ignores it.
    pub fn is_ignored(&self) -> bool {
        matches!(self.kind, Kind::Blocked(None) | Kind::Junk)
    }

    /// Returns the first entry in a directory that is not synced and kept, as its path and the
    /// reason; `None` for the reason: the setting `ignore`.
    pub fn first_blocked(&self) -> Option<(String, Option<&str>)> {
        let mut rest = vec![(String::new(), self)];
        while let Some((path, node)) = rest.pop() {
            match &node.kind {
                Kind::Blocked(why) => return Some((path, why.as_deref())),
                Kind::Directory(children) => {
                    for node in children.values().rev() {
                        rest.push((join(&path, &node.name), node));
                    }
                }
                Kind::File | Kind::Link(_) | Kind::Junk => {}
            }
        }
        None
    }
}

/// Returns the names of a path.
pub fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// Splits a path into that of its directory and its name.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Returns the paths of the directories above an entry, from the top, and its own path.
pub fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    ends.map(|end| &path[..end])
}

/// Returns the new path of an entry after a directory, which may contain it, was renamed.
pub fn moved_path(path: &str, old: &str, new: &str) -> Option<String> {
    let rest = path.strip_prefix(old)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{new}{rest}"))
}

/// Joins a path and a name.
pub fn join(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}/{name}"),
    }
}

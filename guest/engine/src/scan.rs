//! Reads one side.

use syncmgr_plugin::directories::EntryKind;
use syncmgr_plugin::{Interrupt, SyncContext};

use crate::endpoint::{Endpoint, Entry, Identity};
use crate::filter::{Filter, Ignored};
use crate::names;
use crate::outage::Outage;
use crate::state::BaseChildren;
use crate::tree::{Children, Fingerprint, Kind, Name, Node, join};

/// The maximum depth of nested directories.
const MAX_DEPTH: usize = 4_000;
/// The maximum length of a link target on Linux.
const MAX_LINK_BYTES: usize = 4_095;

/// The entries of a side.
#[derive(Debug, Default)]
pub struct Scan {
    /// The entries of the root.
    pub children: Children,
    /// Leftovers of an interrupted run, by path.
    pub leftovers: Vec<String>,
    /// Regular files and links.
    pub files: u64,
    /// Whether every file and directory has all permissions, as on a file system that does not
    /// store them.
    pub is_open: bool,
    /// Returns the path of a directory that is the root of a side, so that files would be copied
    /// into themselves.
    pub overlap: Option<String>,
}

/// A known directory, whose names are reused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The baseline.
    pub base: Option<&'a BaseChildren>,
    /// The other side.
    pub other: Option<&'a Children>,
}

impl<'a> Known<'a> {
    /// A directory in it.
    fn inner(self, key: &str) -> Self {
        Self {
            base: self.base.and_then(|base| base.get(key)?.children()),
            other: self.other.and_then(|other| other.get(key)?.children()),
        }
    }

    fn name(self, name: &str) -> Name {
        let base = self.base.and_then(|base| base.get_key_value(name)).map(|(name, _)| name);
        let other = || self.other.and_then(|other| other.get_key_value(name)).map(|(name, _)| name);
        base.or_else(other).map_or_else(|| name.into(), Name::clone)
    }
}

/// Reads a whole side. An unreadable part is [`Kind::Blocked`]; only a failure at the root fails
/// the scan.
pub fn scan(
    end: &mut dyn Endpoint,
    label: &'static str,
    filter: &Filter,
    known: Known<'_>,
    roots: [Identity; 2],
    has_links: bool,
    context: &mut SyncContext,
) -> Result<Scan, Interrupt> {
    let (path, leftovers) = (String::new(), Vec::new());
    let mut scanner = Scanner {
        label,
        filter,
        roots,
        has_links,
        context,
        end,
        path,
        leftovers,
        files: 0,
        is_open: true,
        overlap: None,
        outage: Outage::default(),
    };
    let children = scanner.tree(known)?;
    let Scanner { leftovers, files, is_open, overlap, .. } = scanner;
    Ok(Scan { children, leftovers, files, is_open, overlap })
}

struct Scanner<'a> {
    label: &'static str,
    filter: &'a Filter,
    roots: [Identity; 2],
    /// Whether both sides have symbolic links.
    has_links: bool,
    context: &'a mut SyncContext,
    end: &'a mut dyn Endpoint,
    /// The path of the current entry.
    path: String,
    leftovers: Vec<String>,
    files: u64,
    is_open: bool,
    overlap: Option<String>,
    outage: Outage,
}

/// A directory whose entries were listed, and whose subdirectories are being read.
struct Listed<'a> {
    /// The length of its path.
    path: usize,
    known: Known<'a>,
    found: Vec<(Name, Node)>,
    /// The subdirectories in `found` that are still to be read, the next one last.
    unread: Vec<usize>,
    /// The subdirectory that is being read.
    current: usize,
}

impl<'a> Scanner<'a> {
    /// Reads the whole tree with an explicit stack, since a deep one would overflow the call stack.
    fn tree(&mut self, known: Known<'a>) -> Result<Children, Interrupt> {
        let mut stack = vec![self.list(known, 0)?];
        loop {
            let depth = stack.len();
            let Some(top) = stack.last_mut() else { return Ok(Children::new()) };
            let Some(at) = top.unread.pop() else {
                let children = stack.pop().map(Listed::finish).unwrap_or_default();
                match stack.last_mut() {
                    Some(parent) => {
                        parent.found[parent.current].1.kind = Kind::Directory(children);
                    }
                    None => return Ok(children),
                }
                continue;
            };
            top.current = at;
            let (key, node) = &mut top.found[at];
            self.path.truncate(top.path);
            append(&mut self.path, &node.name);
            match self.list(top.known.inner(key), depth) {
                Ok(listed) => {
                    self.outage.works();
                    stack.push(listed);
                }
                Err(Interrupt::Failed(error)) => {
                    self.outage.failed(&error)?;
                    node.kind = blocked_because(format!("cannot be listed: {}", error.message));
                }
                Err(cancelled @ (Interrupt::Item | Interrupt::All)) => return Err(cancelled),
            }
        }
    }

    /// Lists the directory at the path.
    fn list(&mut self, known: Known<'a>, depth: usize) -> Result<Listed<'a>, Interrupt> {
        let (side, path) = (self.label, &self.path);
        self.context
            .working(|| format!("scanning {side}: {}", if path.is_empty() { "/" } else { path }))?;
        let parent = self.path.len();
        let (mut found, mut unread) = (Vec::new(), Vec::new());
        let mut entries = Vec::new();
        self.end.list(&self.path, &mut |entry| {
            entries.push(entry);
            Ok(())
        })?;
        for entry in entries {
            let name = entry.name.display();
            // Including one of another pair, whose directory is in here.
            if name == names::TRASH {
                continue;
            }
            self.path.truncate(parent);
            append(&mut self.path, name);
            if names::is_temp(name) {
                self.leftovers.push(self.path.clone());
                continue;
            }
            let key = known.name(&names::key(name));
            let node = self.node(entry, &key, depth)?;
            if node.children().is_some() {
                unread.push(found.len());
            }
            found.push((key, node));
        }
        self.path.truncate(parent);
        if !unread.is_empty() && self.end.capabilities().at_once > 1 {
            let path = |at: &usize| join(&self.path, &found[*at].1.name);
            self.end.expect_lists(&unread.iter().map(path).collect::<Vec<_>>());
        }
        unread.reverse();
        Ok(Listed { path: parent, known, found, unread, current: 0 })
    }

    /// An entry of the directory that is being listed. Its children are read later.
    fn node(&mut self, entry: Entry, key: &Name, depth: usize) -> Result<Node, Interrupt> {
        let name = match *entry.name.display() == **key {
            true => Name::clone(key),
            false => entry.name.display().into(),
        };
        let blocked = |name: Name, why: Option<String>| Node {
            name,
            kind: Kind::Blocked(why.map(String::into_boxed_str)),
            mode: None,
            fingerprint: Fingerprint::default(),
        };
        if entry.name.text().is_none() {
            return Ok(blocked(name, Some("its name is not valid Unicode".to_owned())));
        }
        let metadata = match entry.metadata {
            Ok(metadata) => metadata,
            Err(error) => return Ok(blocked(name, Some(error.message))),
        };
        let kind = metadata.kind;
        match self.filter.ignores(&self.path, kind == EntryKind::Directory) {
            None => {}
            Some(Ignored::ByDefault) if kind == EntryKind::File => {
                let (mode, fingerprint) = (metadata.mode, metadata.fingerprint);
                return Ok(Node { name, kind: Kind::Junk, mode, fingerprint });
            }
            Some(Ignored::ByDefault | Ignored::BySetting) => return Ok(blocked(name, None)),
        }
        let kind = match kind {
            EntryKind::File => {
                self.files += 1;
                Kind::File
            }
            EntryKind::SymbolicLink if !self.has_links => {
                blocked_because("is a symbolic link, which the other side cannot have".to_owned())
            }
            EntryKind::SymbolicLink => {
                self.files += 1;
                match self.end.read_link(&self.path) {
                    Ok(text) => match why_not_copied(&text, depth) {
                        None => Kind::Link(text.into()),
                        Some(why) => blocked_because(format!("is a link to {text:?}, which {why}")),
                    },
                    Err(error) => blocked_because(error.message),
                }
            }
            EntryKind::Directory if self.is_a_root(metadata.identity) => {
                self.overlap.get_or_insert_with(|| self.path.clone());
                blocked_because("is one of the two sides".to_owned())
            }
            EntryKind::Directory if depth >= MAX_DEPTH => {
                blocked_because(format!("is nested more than {MAX_DEPTH} deep"))
            }
            EntryKind::Directory => Kind::Directory(Children::new()),
            EntryKind::Other => {
                blocked_because("is neither a file, a directory nor a link".to_owned())
            }
        };
        let mode = metadata.mode;
        self.is_open &= matches!(kind, Kind::Link(_)) || mode.is_none_or(|mode| mode == 0o777);
        Ok(Node { name, kind, mode, fingerprint: metadata.fingerprint })
    }
}

impl Scanner<'_> {
    /// Returns whether a directory is the root of a side, through a mount.
    fn is_a_root(&self, identity: Identity) -> bool {
        identity.is_some() && self.roots.contains(&identity)
    }
}

impl Listed<'_> {
    /// Returns the entries by key, after all subdirectories were read.
    fn finish(self) -> Children {
        let mut found = self.found;
        // A map that is built from sorted entries has no spare capacity.
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup_by(|(key, node), (first, kept)| {
            let is_same = key == first;
            if is_same {
                let spelling = &node.name;
                kept.kind = Kind::Blocked(Some(
                    format!(
                        "has the same name as {spelling:?} in another Unicode normalization form"
                    )
                    .into(),
                ));
            }
            is_same
        });
        found.into_iter().collect()
    }
}

/// Appends a name to a path.
fn append(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

fn blocked_because(why: String) -> Kind {
    Kind::Blocked(Some(why.into()))
}

/// Explains why a link in a directory `depth` levels below the root is not copied; `None`: it
/// refers to a path below the root. Decided by the text alone, like in the host.
fn why_not_copied(text: &str, depth: usize) -> Option<&'static str> {
    if text.starts_with('/') {
        return Some("is absolute");
    }
    if text.len() > MAX_LINK_BYTES {
        return Some("is longer than 4,095 bytes");
    }
    let mut level = depth;
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if level == 0 => return Some("leads outside the synced directory"),
            ".." => level -= 1,
            _ => level += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_copied_unless_they_are_absolute_or_escape() {
        let (longest, too_long) = ("x".repeat(4_095), "x".repeat(4_096));
        for (text, depth, why) in [
            ("x", 0, None),
            ("a/b", 0, None),
            ("a/", 0, None),
            ("./a", 0, None),
            ("a//b", 0, None),
            ("a/./b", 0, None),
            ("a/../b", 0, None),
            ("a/b/../../c", 0, None),
            (".", 0, None),
            ("..", 1, None),
            ("../x", 1, None),
            ("./../x", 1, None),
            ("b/../../c/f", 1, None),
            ("../a/../b", 1, None),
            ("c:x", 0, None),
            ("2026-01-01T10:00.log", 0, None),
            ("a\\b", 0, None),
            ("...", 0, None),
            (&longest, 0, None),
            (&too_long, 0, Some("longer")),
            ("/x", 3, Some("absolute")),
            ("//x", 3, Some("absolute")),
            ("..", 0, Some("leads outside")),
            ("../x", 0, Some("leads outside")),
            ("./../x", 0, Some("leads outside")),
            ("a/../../x", 0, Some("leads outside")),
            ("../../x", 1, Some("leads outside")),
            ("../../x/y", 1, Some("leads outside")),
            ("a/../../../x/y/z", 1, Some("leads outside")),
        ] {
            let is_as_expected = match (why_not_copied(text, depth), why) {
                (Some(reason), Some(words)) => reason.contains(words),
                (reason, words) => reason == words,
            };
            assert!(is_as_expected, "{text:?} at depth {depth}");
        }
    }
}

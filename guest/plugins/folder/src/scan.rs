//! Reads one side.

use std::num::NonZeroI64;

use syncmgr_plugin::directories::{Directory, Entry, EntryKind, EntryMetadata};
use syncmgr_plugin::{ItemRun, Stop};

use crate::filter::Filter;
use crate::names;
use crate::state::BaseChildren;
use crate::tree::{Children, Fingerprint, Kind, Name, Node, Side};

/// Directories inside each other that are followed. Each costs an open handle.
const MAX_DEPTH: usize = 200;
/// The longest link text that every common system takes.
const MAX_LINK_BYTES: usize = 247;

/// What was found on a side.
#[derive(Debug, Default)]
pub struct Scan {
    /// The entries of the root.
    pub children: Children,
    /// Files that an interrupted run left, as paths.
    pub leftovers: Vec<String>,
    /// Regular files and links.
    pub files: u64,
    /// Whether anybody may do anything with each file and directory, as on a file system that keeps
    /// no permissions.
    pub is_open: bool,
}

/// A directory of what is known of a side already, whose names are used again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// What was agreed on.
    pub base: Option<&'a BaseChildren>,
    /// What is on the other side.
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

/// Reads a whole side. A part that cannot be read is [`Kind::Blocked`]; only the root's failure
/// is one of the scan.
pub fn scan(
    root: &Directory,
    side: Side,
    filter: &Filter,
    known: Known<'_>,
    run: &mut ItemRun,
) -> Result<Scan, Stop> {
    let mut scan = Scan::default();
    let (path, leftovers) = (String::new(), Vec::new());
    let mut scanner = Scanner { side, filter, run, path, leftovers, files: 0, is_open: true };
    scan.children = scanner.directory(root, known, 0)?;
    scan.leftovers = scanner.leftovers;
    scan.files = scanner.files;
    scan.is_open = scanner.is_open;
    Ok(scan)
}

struct Scanner<'a> {
    side: Side,
    filter: &'a Filter,
    run: &'a mut ItemRun,
    /// Of what is looked at.
    path: String,
    leftovers: Vec<String>,
    files: u64,
    is_open: bool,
}

/// What is recorded of a file's metadata.
pub fn fingerprint(metadata: &EntryMetadata) -> Fingerprint {
    Fingerprint {
        size: metadata.size,
        modified: metadata.modified,
        changed: metadata.changed.and_then(NonZeroI64::new),
        file_id: metadata.file_id,
    }
}

/// The permission bits that are synced. Those by which a program runs as its owner are not.
pub fn mode(metadata: &EntryMetadata) -> Option<u16> {
    let synced = match metadata.kind {
        EntryKind::Directory => 0o3777,
        EntryKind::File | EntryKind::SymbolicLink | EntryKind::Other => 0o777,
    };
    metadata.mode.and_then(|mode| u16::try_from(mode & synced).ok())
}

impl Scanner<'_> {
    fn directory(
        &mut self,
        directory: &Directory,
        known: Known<'_>,
        depth: usize,
    ) -> Result<Children, Stop> {
        let (side, path) = (self.side.name(), &self.path);
        self.run
            .working(|| format!("scanning {side}: {}", if path.is_empty() { "/" } else { path }))?;
        let parent = self.path.len();
        let mut found: Vec<(Name, Node)> = Vec::new();
        for entry in directory.list()? {
            let entry = entry?;
            if depth == 0 && entry.name == names::TRASH {
                continue;
            }
            self.path.truncate(parent);
            if parent > 0 {
                self.path.push('/');
            }
            self.path.push_str(&entry.name);
            if names::is_temp(&entry.name) {
                self.leftovers.push(self.path.clone());
                continue;
            }
            let key = known.name(&names::key(&entry.name));
            let node = self.node(directory, entry, &key, known, depth)?;
            found.push((key, node));
        }
        self.path.truncate(parent);
        // A map that is made of sorted entries at once has no room to spare.
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.dedup_by(|(key, node), (first, kept)| {
            let is_same = key == first;
            if is_same {
                let spelling = &node.name;
                kept.kind = Kind::Blocked(Some(
                    format!("has the same name as {spelling:?}, which is spelled in another way")
                        .into(),
                ));
            }
            is_same
        });
        Ok(found.into_iter().collect())
    }

    fn node(
        &mut self,
        directory: &Directory,
        entry: Entry,
        key: &Name,
        known: Known<'_>,
        depth: usize,
    ) -> Result<Node, Stop> {
        let name = match *entry.name == **key {
            true => Name::clone(key),
            false => entry.name.as_str().into(),
        };
        let blocked = |name: Name, why: Option<String>| Node {
            name,
            kind: Kind::Blocked(why.map(String::into_boxed_str)),
            mode: None,
            fingerprint: Fingerprint::default(),
        };
        if !entry.unicode {
            return Ok(blocked(name, Some("its name is no valid Unicode".to_owned())));
        }
        let metadata = match entry.metadata {
            Ok(metadata) => metadata,
            Err(error) => return Ok(blocked(name, Some(error.message))),
        };
        if self.filter.ignores(&self.path, metadata.kind == EntryKind::Directory) {
            return Ok(blocked(name, None));
        }
        let kind = match metadata.kind {
            EntryKind::File => {
                self.files += 1;
                Kind::File
            }
            EntryKind::SymbolicLink => {
                self.files += 1;
                match directory.read_link(&entry.name) {
                    Ok(text) if is_portable(&text, depth) => Kind::Link(text.into()),
                    Ok(text) => blocked_because(format!(
                        "is a link to {text:?}, which is absolute, leads outside, or cannot be \
                         told to every system"
                    )),
                    Err(error) => blocked_because(error.message),
                }
            }
            EntryKind::Directory if depth >= MAX_DEPTH => {
                blocked_because(format!("is nested more than {MAX_DEPTH} deep"))
            }
            EntryKind::Directory => {
                let inner = known.inner(key);
                match self.subdirectory(directory, &entry.name, inner, depth) {
                    Ok(children) => Kind::Directory(children),
                    Err(Stop::Failed(error)) => {
                        blocked_because(format!("cannot be listed: {}", error.message))
                    }
                    Err(cancelled @ (Stop::Item | Stop::All)) => return Err(cancelled),
                }
            }
            EntryKind::Other => {
                blocked_because("is neither a file, a directory nor a link".to_owned())
            }
        };
        let mode = mode(&metadata);
        self.is_open &= matches!(kind, Kind::Link(_)) || mode.is_none_or(|mode| mode == 0o777);
        Ok(Node { name, kind, mode, fingerprint: fingerprint(&metadata) })
    }

    fn subdirectory(
        &mut self,
        directory: &Directory,
        name: &str,
        known: Known<'_>,
        depth: usize,
    ) -> Result<Children, Stop> {
        self.directory(&directory.open_directory(name)?, known, depth + 1)
    }
}

fn blocked_because(why: String) -> Kind {
    Kind::Blocked(Some(why.into()))
}

/// Joins a path and a name.
pub fn join(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}/{name}"),
    }
}

/// Whether a link can be made on every system and stays below the root, for a link in a
/// directory `depth` levels below it.
fn is_portable(text: &str, depth: usize) -> bool {
    let mut up = 0;
    let mut down = false;
    for part in text.split('/') {
        match part {
            "" => return false,
            ".." if down => return false,
            ".." => up += 1,
            _ => down = true,
        }
    }
    up <= depth && text.len() <= MAX_LINK_BYTES && !text.contains(['\\', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_that_stay_inside_are_portable() {
        for (text, depth, portable) in [
            ("x", 0, true),
            ("a/b", 0, true),
            ("../x", 1, true),
            ("../x", 0, false),
            ("/x", 3, false),
            ("a//b", 0, false),
            ("a/../b", 3, false),
            ("c:x", 0, false),
            ("a\\b", 0, false),
            ("", 0, false),
        ] {
            assert_eq!(is_portable(text, depth), portable, "{text:?} at depth {depth}");
        }
    }
}

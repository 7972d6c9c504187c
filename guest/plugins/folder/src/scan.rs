//! Reads one side.

use std::collections::BTreeMap;

use syncmgr_plugin::directories::{Directory, Entry, EntryKind, Metadata};
use syncmgr_plugin::{ItemRun, Stop};

use crate::filter::Filter;
use crate::names;
use crate::tree::{Children, Fingerprint, Kind, Node, Side};

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
}

/// Reads a whole side. A part that cannot be read is [`Kind::Blocked`]; only the root's failure
/// is one of the scan.
pub fn scan(
    root: &Directory,
    side: Side,
    filter: &Filter,
    run: &mut ItemRun,
) -> Result<Scan, Stop> {
    let mut scan = Scan::default();
    let mut scanner = Scanner { side, filter, run, leftovers: Vec::new(), files: 0 };
    scan.children = scanner.directory(root, "", 0)?;
    scan.leftovers = scanner.leftovers;
    scan.files = scanner.files;
    Ok(scan)
}

struct Scanner<'a> {
    side: Side,
    filter: &'a Filter,
    run: &'a mut ItemRun,
    leftovers: Vec<String>,
    files: u64,
}

/// What is recorded of a file's metadata.
pub fn fingerprint(metadata: &Metadata) -> Fingerprint {
    Fingerprint {
        size: metadata.size,
        modified: metadata.modified,
        changed: metadata.changed,
        file_id: metadata.file_id,
    }
}

impl Scanner<'_> {
    fn directory(
        &mut self,
        directory: &Directory,
        path: &str,
        depth: usize,
    ) -> Result<Children, Stop> {
        let side = self.side.name();
        self.run
            .working(|| format!("scanning {side}: {}", if path.is_empty() { "/" } else { path }))?;
        let mut children: Children = BTreeMap::new();
        for entry in directory.list()? {
            let entry = entry?;
            let child_path = join(path, &entry.name);
            if names::is_temp(&entry.name) {
                self.leftovers.push(child_path);
                continue;
            }
            if depth == 0 && entry.name == names::TRASH {
                continue;
            }
            let node = self.node(directory, entry, &child_path, depth)?;
            let key = names::key(&node.name);
            let blocked = |spelling: &str| {
                Kind::Blocked(Some(format!(
                    "has the same name as {spelling:?}, which is spelled in another way"
                )))
            };
            match children.entry(key) {
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(node);
                }
                std::collections::btree_map::Entry::Occupied(mut taken) => {
                    taken.get_mut().kind = blocked(&node.name);
                }
            }
        }
        Ok(children)
    }

    fn node(
        &mut self,
        directory: &Directory,
        entry: Entry,
        path: &str,
        depth: usize,
    ) -> Result<Node, Stop> {
        let blocked = |name: String, why: Option<String>| Node {
            name,
            kind: Kind::Blocked(why),
            mode: None,
            fingerprint: Fingerprint::default(),
        };
        if !entry.unicode {
            return Ok(blocked(entry.name, Some("its name is no valid Unicode".to_owned())));
        }
        let metadata = match entry.metadata {
            Ok(metadata) => metadata,
            Err(error) => return Ok(blocked(entry.name, Some(error.message))),
        };
        if self.filter.ignores(path, metadata.kind == EntryKind::Directory) {
            return Ok(blocked(entry.name, None));
        }
        let kind = match metadata.kind {
            EntryKind::File => {
                self.files += 1;
                Kind::File
            }
            EntryKind::SymbolicLink => {
                self.files += 1;
                match directory.read_link(&entry.name) {
                    Ok(text) if is_portable(&text, depth) => Kind::Link(text),
                    Ok(text) => Kind::Blocked(Some(format!(
                        "is a link to {text:?}, which is absolute, leads outside, or cannot be \
                         told to every system"
                    ))),
                    Err(error) => Kind::Blocked(Some(error.message)),
                }
            }
            EntryKind::Directory if depth >= MAX_DEPTH => {
                Kind::Blocked(Some(format!("is nested more than {MAX_DEPTH} deep")))
            }
            EntryKind::Directory => match self.subdirectory(directory, &entry.name, path, depth) {
                Ok(children) => Kind::Directory(children),
                Err(Stop::Failed(error)) => {
                    Kind::Blocked(Some(format!("cannot be listed: {}", error.message)))
                }
                Err(cancelled @ (Stop::Item | Stop::All)) => return Err(cancelled),
            },
            EntryKind::Other => {
                Kind::Blocked(Some("is neither a file, a directory nor a link".to_owned()))
            }
        };
        Ok(Node {
            name: entry.name,
            kind,
            mode: metadata.mode.map(|mode| mode & 0o777),
            fingerprint: fingerprint(&metadata),
        })
    }

    fn subdirectory(
        &mut self,
        directory: &Directory,
        name: &str,
        path: &str,
        depth: usize,
    ) -> Result<Children, Stop> {
        self.directory(&directory.open_directory(name)?, path, depth + 1)
    }
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

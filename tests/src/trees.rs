//! Directory trees as data.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

/// The type and the content of an entry. Directories with entries need not be listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// A file with this content.
    File(Vec<u8>),
    /// A directory.
    Directory,
    /// A link with this target.
    Link(String),
}

/// Entries by path.
pub type Tree = BTreeMap<String, Entry>;

/// Creates a tree from entries separated by `|`: `a/b=content` is a file, `a/` a directory, and
/// `a@=target` a link.
pub fn tree(text: &str) -> Tree {
    let entries = text.split('|').filter(|entry| !entry.is_empty());
    let rows: Vec<_> = entries.map(|entry| entry.split_once('=').unwrap_or((entry, ""))).collect();
    tree_of(&rows)
}

/// Creates a tree from paths as in [`tree`], each with its content or target.
pub fn tree_of(rows: &[(&str, &str)]) -> Tree {
    let row =
        |&(path, content): &(&str, &str)| match (path.strip_suffix('/'), path.strip_suffix('@')) {
            (Some(path), _) => (path.to_owned(), Entry::Directory),
            (None, Some(path)) => (path.to_owned(), Entry::Link(content.to_owned())),
            (None, None) => (path.to_owned(), Entry::File(content.as_bytes().to_vec())),
        };
    let mut tree: Tree = rows.iter().map(row).collect();
    let parents: Vec<String> = tree
        .keys()
        .flat_map(|path| path.match_indices('/').map(|(at, _)| path[..at].to_owned()))
        .collect();
    for parent in parents {
        tree.entry(parent).or_insert(Entry::Directory);
    }
    tree
}

/// Makes a directory equal to the tree, and changes only what differs.
///
/// # Errors
/// Returns the errors of the file system.
pub fn write(root: &Path, tree: &Tree) -> anyhow::Result<()> {
    fs::create_dir_all(root)?;
    let now = read(root)?;
    for (path, entry) in now.iter().rev() {
        let place = root.join(path);
        if tree.get(path) == Some(entry) {
            continue;
        }
        match entry {
            Entry::Directory if tree.get(path).is_none_or(|new| *new != Entry::Directory) => {
                fs::remove_dir(&place)?;
            }
            Entry::File(_) if matches!(tree.get(path), Some(Entry::File(_))) => {}
            Entry::Directory => {}
            Entry::File(_) | Entry::Link(_) => fs::remove_file(&place)?,
        }
    }
    for (path, entry) in tree {
        if now.get(path) == Some(entry) {
            continue;
        }
        let place = root.join(path);
        match entry {
            Entry::Directory => fs::create_dir_all(&place)?,
            Entry::File(content) => fs::write(&place, content)?,
            Entry::Link(target) => link(target, &place)?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(target: &str, place: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(not(unix))]
fn link(_target: &str, _place: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Reads a directory.
///
/// # Errors
/// Returns the errors of the file system.
pub fn read(root: &Path) -> anyhow::Result<Tree> {
    let mut tree = Tree::new();
    read_into(root, "", &mut tree)?;
    Ok(tree)
}

fn read_into(root: &Path, path: &str, tree: &mut Tree) -> anyhow::Result<()> {
    let place = root.join(path);
    for entry in fs::read_dir(&place).with_context(|| format!("failed to list {place:?}"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            tree.insert(path.clone(), Entry::Directory);
            read_into(root, &path, tree)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
            tree.insert(path, Entry::Link(target));
        } else if kind.is_file() {
            tree.insert(path, Entry::File(fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// Returns the contents of all files of a tree.
pub fn contents(tree: &Tree) -> std::collections::BTreeSet<Vec<u8>> {
    tree.values()
        .filter_map(|entry| match entry {
            Entry::File(content) => Some(content.clone()),
            Entry::Directory | Entry::Link(_) => None,
        })
        .collect()
}

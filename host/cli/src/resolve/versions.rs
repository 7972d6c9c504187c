//! The two versions of a conflict in a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use syncmgr_host::files::{Found, RegularFile, UserDirectory};
use syncmgr_host::{Access, Grant};
use syncmgr_install::HistoryConflict;
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::copy_name::CopyName;
use super::refusal::Refusal;

/// The two versions of a conflict, below a directory.
#[derive(Debug)]
pub(super) struct Versions<'a> {
    root: &'a UserDirectory,
    /// The directory of the files; `None`: it is the root.
    inner: Option<UserDirectory>,
    /// The names of the directories that lead to the files.
    pub(super) parents: Vec<String>,
    /// The names of the entry and of the copy.
    pub(super) names: [String; 2],
    /// The files.
    pub(super) files: [RegularFile; 2],
}

/// Returns the form of paths in which plugins report conflicts.
pub(crate) fn key(path: &str) -> String {
    path.nfc().collect()
}

/// Returns the directory in which to settle a conflict: the first one of the conflict's item.
/// `directories` are those of all items of a run, by the names of their grants.
pub(super) fn root(
    directories: &[(String, String)],
    conflict: &HistoryConflict,
) -> Result<PathBuf, Refusal> {
    // The first one of each key, such as `docs.left` of `docs`.
    let mut firsts = BTreeMap::new();
    for (name, path) in directories {
        firsts.entry(split_key(name).0).or_insert(Path::new(path));
    }
    let has_both = |path: &Path| {
        let root = open(path);
        root.is_ok_and(|root| Versions::open(&root, path, conflict).is_ok())
    };
    let with_both: BTreeSet<_> = firsts.values().copied().filter(|path| has_both(path)).collect();
    // An item has the name of its key, or another one. Then the files decide.
    let own = firsts.get(&Some(&*conflict.item)).or_else(|| match firsts.len() {
        1 => firsts.values().next(),
        _ => None,
    });
    let found = match (own, with_both.len()) {
        (Some(own), 0) => Some(own),
        (Some(own), _) if with_both.contains(own) => Some(own),
        // The first one shows what is missing.
        (None, 0) => firsts.values().next(),
        (_, 1) => with_both.first(),
        (_, _) => None,
    };
    found.map(|path| path.to_path_buf()).ok_or_else(|| {
        Refusal::remaining(match directories.is_empty() {
            true => "its last run had no directory".to_owned(),
            false => "several directories of its last run have both versions; settle it without \
                      `syncmgr resolve`"
                .to_owned(),
        })
    })
}

/// Returns the ids of the left and the right side of a conflict's item, one of whose directories is
/// `root`. `None` if a side is not a directory, or if several items have the directory.
pub(super) fn pair(
    directories: &[(String, String)],
    conflict: &HistoryConflict,
    root: &Path,
) -> Option<[Uuid; 2]> {
    let at_root = directories.iter().filter(|(_, path)| Path::new(path) == root);
    let keys: BTreeSet<_> = at_root.map(|(name, _)| split_key(name).0).collect();
    let own = Some(&*conflict.item);
    let key = match keys.len() {
        1 => *keys.first()?,
        _ => *keys.get(&own)?,
    };
    let id = |side| {
        let (name, path) = directories.iter().find(|(name, _)| split_key(name) == (key, side))?;
        Some(Grant::new(name, Path::new(path), Access::ReadWrite).ok()?.id())
    };
    Some([id("left")?, id("right")?])
}

/// Splits the name of a grant, such as `docs.left`, into the key of its item and the rest.
fn split_key(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('.') {
        Some((key, side)) => (Some(key), side),
        None => (None, name),
    }
}

/// Opens a granted directory.
pub(super) fn open(root: &Path) -> Result<UserDirectory, Refusal> {
    UserDirectory::open(root).map_err(|error| match error.kind() == io::ErrorKind::NotFound {
        true => Refusal::remaining(format!(
            "the directory {} does not exist; create it, or mount its file system",
            root.display()
        )),
        false => Refusal::failed(format!("cannot open the directory {}", root.display()), &error),
    })
}

impl<'a> Versions<'a> {
    /// Finds both versions below an open directory, which has this path.
    pub(super) fn open(
        root: &'a UserDirectory,
        path: &Path,
        conflict: &HistoryConflict,
    ) -> Result<Self, Refusal> {
        let split = |path| str::rsplit_once(path, '/').unwrap_or(("", path));
        let ((parent, name), (copy_parent, copy)) = (split(&conflict.path), split(&conflict.copy));
        // A plugin reports the paths, so they can be anything.
        if parent != copy_parent || name == copy || CopyName::parse(copy).is_none() {
            return Err(Refusal::remaining(format!(
                "{} is not a conflict copy of it; settle it without `syncmgr resolve`",
                conflict.copy
            )));
        }
        let unusable = |error: io::Error| {
            let what = format!("its directory in {} cannot be opened", path.display());
            Refusal::remaining(format!("{what}: {error}"))
        };
        let (mut parents, mut inner) = (Vec::new(), None);
        for key in parent.split('/').filter(|_| !parent.is_empty()) {
            let here = inner.as_ref().unwrap_or(root);
            let name = spelled(here, key).map_err(unusable)?;
            inner = Some(here.directory(&name).map_err(unusable)?);
            parents.push(name);
        }
        let directory = inner.as_ref().unwrap_or(root);
        let find = |key: &str, reported: &str| -> Result<(String, RegularFile), Refusal> {
            let name = spelled(directory, key).map_err(unusable)?;
            let problem = match directory.look(&name).map_err(unusable)? {
                Found::File(file) => return Ok((name, file)),
                Found::Nothing => {
                    "is missing; run the plugin again, so that it reports what is left"
                }
                Found::Other => "is not a regular file; settle it without `syncmgr resolve`",
            };
            Err(Refusal::remaining(format!("{reported} in {} {problem}", path.display())))
        };
        let (name, file) = find(name, &conflict.path)?;
        let (copy, copy_file) = find(copy, &conflict.copy)?;
        Ok(Self { root, inner, parents, names: [name, copy], files: [file, copy_file] })
    }

    /// Returns the directory of the files.
    pub(super) fn directory(&self) -> &UserDirectory {
        self.inner.as_ref().unwrap_or(self.root)
    }

    /// Returns the parts of the copy's name.
    pub(super) fn copy_name(&self) -> Result<CopyName<'_>, Refusal> {
        CopyName::parse(&self.names[1])
            .ok_or_else(|| Refusal::remaining(format!("{} is not a conflict copy", self.names[1])))
    }

    /// Returns the path of an entry in the same directory.
    pub(super) fn sibling(&self, name: &str) -> String {
        let parents = self.parents.iter().map(String::as_str);
        parents.chain([name]).collect::<Vec<_>>().join("/")
    }
}

/// Returns the name of an entry that is known by its composed form (NFC), as the directory spells
/// it.
fn spelled(directory: &UserDirectory, key: &str) -> io::Result<String> {
    if key.is_ascii() || directory.look(key)? != Found::Nothing {
        return Ok(key.to_owned());
    }
    let names = directory.names()?;
    let found = names.into_iter().find(|name| name.nfc().eq(key.chars()));
    Ok(found.unwrap_or_else(|| key.to_owned()))
}

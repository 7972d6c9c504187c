//! Moves entries from the trash to their places or elsewhere. Nothing that exists is replaced, but
//! moved to the trash first.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::HumanBytes;
use jiff::Timestamp;
use syncmgr_host::files::{EntryKind, UserDirectory, UserEntry, link_stays_inside};
use uuid::Uuid;

use super::remove::prune;
use super::tree::{Below, join, make_below, open_below, parts, split, walk};
use super::{IN_ROOT, PAIR, Part, name_of, pair_name, write_pair};
use crate::exit::UsageError;
use crate::output::{local_time, milliseconds};

/// The place to restore to.
#[derive(Debug)]
pub(crate) enum Destination<'a> {
    /// The directory that the entry is from.
    Origin,
    /// A new name, or a directory.
    Elsewhere(&'a Path),
}

/// What became of an entry.
#[derive(Debug)]
pub(crate) enum Restored {
    /// It was moved there.
    Moved,
    /// It was copied to another file system, and remains in the trash.
    Copied,
    /// It remains in the trash.
    Refused {
        why: String,
        /// What the user can do, with the options of the command.
        remedy: Option<&'static str>,
    },
}

impl Restored {
    fn because(why: String) -> Self {
        Self::Refused { why, remedy: None }
    }
}

/// Restores entries of a part of a run.
#[derive(Debug)]
pub(crate) struct Restore<'a> {
    part: &'a Part,
    /// The path in the part; empty for everything.
    path: &'a str,
    root: UserDirectory,
    root_path: PathBuf,
    /// The new path below `root`.
    base: String,
    is_elsewhere: bool,
    replaces: bool,
    /// The run in the trash for replaced files.
    run: String,
}

impl<'a> Restore<'a> {
    /// Opens the destination. With `replaces`, existing files are moved to the trash.
    pub(crate) fn new(
        part: &'a Part,
        path: &'a str,
        destination: &Destination<'_>,
        replaces: bool,
    ) -> anyhow::Result<Self> {
        let (root_path, base) = match destination {
            Destination::Origin => (origin(part)?, path.to_owned()),
            Destination::Elsewhere(to) => elsewhere(to, path)?,
        };
        let root = UserDirectory::open(&root_path)
            .with_context(|| format!("cannot open the directory {}", root_path.display()))?;
        let is_elsewhere = matches!(destination, Destination::Elsewhere(_));
        let run = name_of(Timestamp::now());
        Ok(Self { part, path, root, root_path, base, is_elsewhere, replaces, run })
    }

    /// Restores the entry, or everything in the directory. Calls `each` with the path in the trash,
    /// the new path, the entry and the outcome.
    pub(crate) fn run(
        &self,
        mut each: impl FnMut(&str, &Path, &UserEntry, io::Result<Restored>) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let files = self.part.open().context("cannot open the trash")?;
        let (parent, name) = split(self.path);
        let entry = match self.path.is_empty() {
            true => None,
            false => open_below(&files, parent)?.entry(name)?,
        };
        let mut one = |path: &str, entry: &UserEntry| {
            let below = path.strip_prefix(self.path).unwrap_or(path).trim_start_matches('/');
            let new = match (self.base.is_empty(), below.is_empty()) {
                (_, true) => self.base.clone(),
                (true, false) => below.to_owned(),
                (false, false) => join(&self.base, below),
            };
            let restored = self.one(&files, path, entry, &new);
            each(path, &self.root_path.join(&new), entry, restored)
        };
        let directories = match entry {
            Some(entry) if entry.kind() != EntryKind::Directory => {
                one(self.path, &entry)?;
                Vec::new()
            }
            Some(_) | None => walk(&files, self.path, one)?,
        };
        prune(self.part, &directories, parent);
        Ok(())
    }

    fn one(
        &self,
        files: &UserDirectory,
        path: &str,
        entry: &UserEntry,
        new: &str,
    ) -> io::Result<Restored> {
        let unusable = |why: &str| Err(io::Error::other(why.to_owned()));
        let Some(name) = entry.name() else { return unusable("its name is not Unicode") };
        let from = open_below(files, split(path).0)?;
        match entry.kind() {
            EntryKind::File => {}
            EntryKind::SymbolicLink => {
                if !link_stays_inside(&from.read_link(name)?, parts(new).count() - 1) {
                    return unusable("it is a symbolic link that leads out of the directory");
                }
            }
            EntryKind::Directory | EntryKind::Other => {
                return unusable("it is neither a file nor a symbolic link");
            }
        }
        let (parent, new_name) = split(new);
        let to = match make_below(&self.root, parent, false) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let root = self.root_path.display();
                return Ok(Restored::because(format!(
                    "{parent} is not a directory in {root}, or is a symbolic link"
                )));
            }
            made => made?,
        };
        if let Some(existing) = to.entry(new_name)? {
            if !self.replaces || existing.kind() == EntryKind::Directory {
                return Ok(self.refusal(entry, &existing, new));
            }
            self.keep(&to, new_name, new)?;
        }
        let moved = match from.rename(name, &to, new_name, false) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                copy(&from, entry, name, &to, new_name).map(|()| Restored::Copied)
            }
            moved => moved.map(|()| Restored::Moved),
        };
        match moved {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(Restored::because(format!("{new} was created by another program")))
            }
            Err(error) => Err(error),
            Ok(restored) => to.flush().map(|()| restored),
        }
    }

    /// Says what has the name, and how to restore the entry nevertheless.
    fn refusal(&self, entry: &UserEntry, existing: &UserEntry, new: &str) -> Restored {
        let what = match existing.kind() {
            EntryKind::Directory => "a directory".to_owned(),
            EntryKind::SymbolicLink => "a symbolic link".to_owned(),
            EntryKind::Other => "a special file".to_owned(),
            EntryKind::File => {
                let age = match existing.modified().cmp(&entry.modified()) {
                    std::cmp::Ordering::Less => "an older file",
                    std::cmp::Ordering::Equal => "a file of the same time",
                    std::cmp::Ordering::Greater => "a newer file",
                };
                format!("{age}, {}", words(existing))
            }
        };
        let can_replace = !self.is_elsewhere && existing.kind() != EntryKind::Directory;
        let remedy = match can_replace {
            true => {
                "move it to the trash with `--replace`, or restore to another place with `--to`"
            }
            false => "restore to another place with `--to`",
        };
        let why = format!(
            "{new} exists in {}: {what}; that in the trash has {}",
            self.root_path.display(),
            words(entry)
        );
        Restored::Refused { why, remedy: Some(remedy) }
    }

    /// Moves a replaced entry to the trash.
    fn keep(&self, from: &UserDirectory, name: &str, path: &str) -> io::Result<()> {
        if let (false, Some(side)) = (self.part.place.is_in_root, self.part.side) {
            let run = self.part.place.directory.create_private(&self.run)?;
            self.write_pair(&run, PAIR)?;
            let kept = self.keep_in(&run.create_private(side)?, from, name, path);
            match kept {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
                kept => return kept,
            }
        }
        let trash = self.root.create_private(IN_ROOT)?;
        self.write_pair(&trash, &pair_name(&self.run))?;
        self.keep_in(&trash.create_private(&self.run)?, from, name, path)
    }

    fn keep_in(
        &self,
        trash: &UserDirectory,
        from: &UserDirectory,
        name: &str,
        path: &str,
    ) -> io::Result<()> {
        let to = make_below(trash, split(path).0, true)?;
        from.rename(name, &to, name, false)?;
        to.flush()
    }

    fn write_pair(&self, directory: &UserDirectory, name: &str) -> io::Result<()> {
        self.part.pair.map_or(Ok(()), |pair| write_pair(directory, name, pair))
    }
}

/// Returns the directory that the files of a part are from.
fn origin(part: &Part) -> anyhow::Result<PathBuf> {
    let refuse = |why: String| UsageError(format!("{why}; restore to another place with `--to`"));
    match &part.origin {
        None => Err(refuse(format!(
            "the directory that the files of the run {} are from is not granted",
            part.run
        ))
        .into()),
        Some(grant) if !part.is_writable() => {
            let path = grant.path().display();
            Err(refuse(format!("the directory {path} is granted read-only")).into())
        }
        Some(grant) => Ok(grant.path().to_owned()),
    }
}

/// Returns the directory and the name for a place that the user named, where links are followed.
fn elsewhere(to: &Path, path: &str) -> anyhow::Result<(PathBuf, String)> {
    let open = |directory: &Path| {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let canonical = directory.canonicalize();
        canonical.with_context(|| format!("cannot find the directory {}", directory.display()))
    };
    if to.is_dir() {
        return Ok((open(to)?, split(path).1.to_owned()));
    }
    let invalid = || UsageError(format!("{} is not the name of a file", to.display()));
    let name = to.file_name().and_then(|name| name.to_str()).ok_or_else(invalid)?;
    Ok((open(to.parent().unwrap_or(Path::new("")))?, name.to_owned()))
}

/// Copies an entry to another file system, with a temporary name until it is complete. A sync
/// ignores that name.
fn copy(
    from: &UserDirectory,
    entry: &UserEntry,
    name: &str,
    to: &Below<'_>,
    new_name: &str,
) -> io::Result<()> {
    if entry.kind() == EntryKind::SymbolicLink {
        return to.create_link(new_name, &from.read_link(name)?);
    }
    let digits = Uuid::new_v4().simple().to_string();
    let temp = format!(".syncmgr-tmp-{}", &digits[..16]);
    let mut source = from.open_file(name)?;
    let mut copy = to.create_copy(&temp, &source)?;
    let copied = io::copy(&mut source, &mut copy)
        .and_then(|_| copy.set_modified(entry.modified()))
        .and_then(|()| copy.sync_all())
        .and_then(|()| to.rename(&temp, to, new_name, false));
    if copied.is_err() {
        // The error of the copy matters more.
        let _ = to.remove_file(&temp);
    }
    copied
}

fn words(entry: &UserEntry) -> String {
    format!("{}, {}", HumanBytes(entry.size()), local_time(milliseconds(entry.modified())))
}

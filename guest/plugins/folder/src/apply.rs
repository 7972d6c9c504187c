//! Carries a plan out. Every step checks that its victim and its source are still what the plan
//! saw, and leaves each name the old or the new thing at every instant.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use syncmgr_plugin::directories::{Directory, EntryKind};
use syncmgr_plugin::{Error, ErrorCode, ItemRun, Result, Stop};

use crate::names;
use crate::options::Options;
use crate::plan::{Action, Operation, Plan, is_racy};
use crate::scan::{self, fingerprint};
use crate::state::{Base, BaseChildren, BaseKind, Seen};
use crate::tree::{Digest, Fingerprint, Name, Side};

/// Bytes that are copied between two looks at whether the user cancelled.
const STEP_BYTES: u64 = 4 << 20;

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// Files and links copied.
    pub copied: u64,
    /// The bytes of them.
    pub bytes: u64,
    /// Files and links removed.
    pub removed: u64,
    /// Directories made or removed.
    pub directories: u64,
    /// Permissions set.
    pub modes: u64,
    /// What could not be done, as path and error.
    pub failed: Vec<(String, Error)>,
}

/// Both roots, and what is needed to work on them.
pub struct Applier<'a> {
    roots: [Walker; 2],
    trash: [Walker; 2],
    options: &'a Options,
    run: &'a mut ItemRun,
    next_temp: u64,
    now: i64,
    dirty: BTreeSet<(Side, bool, String)>,
    /// What was done so far.
    pub done: Done,
    /// Whether all of it is durable, as far as that was asked for.
    pub is_durable: bool,
    /// Keys of what was not done or not done yet.
    undone: HashSet<Name>,
}

/// Opens directories by path, from a root, keeping those on the way for the next path.
struct Walker {
    root: Option<Directory>,
    open: Vec<(String, Directory)>,
}

impl Walker {
    fn new(root: Option<Directory>) -> Self {
        Self { root, open: Vec::new() }
    }

    /// The directory at a path; with `make`, directories on the way are made where they miss.
    fn directory(&mut self, path: &str, make: bool) -> Result<&Directory> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let same =
            self.open.iter().zip(&parts).take_while(|((name, _), part)| name == *part).count();
        self.open.truncate(same);
        let missing = || Error::new(ErrorCode::NotFound, "the root is not open");
        for part in &parts[same..] {
            let parent = match self.open.last() {
                Some((_, directory)) => directory,
                None => self.root.as_ref().ok_or_else(missing)?,
            };
            if make {
                match parent.create_directory(part, Some(0o700)) {
                    Ok(()) => {}
                    Err(error) if error.code == ErrorCode::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            let directory = parent.open_directory(part)?;
            self.open.push(((*part).to_owned(), directory));
        }
        match self.open.last() {
            Some((_, directory)) => Ok(directory),
            None => self.root.as_ref().ok_or_else(missing),
        }
    }

    fn forget(&mut self) {
        self.open.clear();
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Whether a fingerprint is still that of the plan. A time of the last change that is not known
/// is not compared.
fn is_still(now: &Fingerprint, planned: &Fingerprint) -> bool {
    let changed = match (now.changed, planned.changed) {
        (Some(now), Some(planned)) => now == planned,
        (Some(_), None) | (None, Some(_)) | (None, None) => true,
    };
    changed
        && now.size == planned.size
        && now.modified == planned.modified
        && now.file_id == planned.file_id
}

fn changed(what: &str) -> Error {
    Error::new(
        ErrorCode::Changed,
        format!("{what} changed during the sync; the next run takes it up"),
    )
}

impl<'a> Applier<'a> {
    /// Prepares to work. `now` is the time of the scan in ns since 1970, and makes names unique.
    pub fn new(
        roots: [Directory; 2],
        trash: [Option<Directory>; 2],
        options: &'a Options,
        now: i64,
        run: &'a mut ItemRun,
    ) -> Self {
        Self {
            roots: roots.map(|root| Walker::new(Some(root))),
            trash: trash.map(Walker::new),
            options,
            run,
            next_temp: now.unsigned_abs(),
            now,
            dirty: BTreeSet::new(),
            done: Done::default(),
            is_durable: false,
            undone: HashSet::new(),
        }
    }

    /// Removes what an interrupted run left.
    pub fn remove_leftovers(&mut self, side: Side, paths: &[String]) {
        for path in paths {
            let (parent, name) = split(path);
            let removed = self.roots[side.index()]
                .directory(parent, false)
                .and_then(|directory| directory.remove_file(name));
            if let Err(error) = removed {
                self.done.failed.push((path.clone(), error));
            }
        }
    }

    /// Carries a plan out, and makes it durable. Afterwards `plan.next` is what is agreed on,
    /// also after a failure or a cancellation, which ends it early.
    pub fn apply(&mut self, plan: &mut Plan, before: &BaseChildren) -> Result<(), Stop> {
        let total = plan.operations.iter().map(Operation::bytes).sum();
        let mut ended = self.run.total_bytes(total);
        let operations = std::mem::take(&mut plan.operations);
        let removals = std::mem::take(&mut plan.removals);
        for operation in operations.into_iter().chain(removals) {
            if ended.is_err() {
                self.undone.insert(Name::clone(&operation.key));
                continue;
            }
            match self.one(&operation, &mut plan.next) {
                Ok(()) => {}
                Err(Stop::Failed(error)) => {
                    self.undone.insert(Name::clone(&operation.key));
                    // Without room nothing more will succeed.
                    if error.code == ErrorCode::NoSpace {
                        ended = Err(Stop::Failed(error.clone()));
                    }
                    let on = operation.side();
                    self.done.failed.push((operation.paths[on.index()].to_string(), error));
                }
                Err(cancelled @ (Stop::Item | Stop::All)) => {
                    self.undone.insert(Name::clone(&operation.key));
                    ended = Err(cancelled);
                }
            }
        }
        for key in &self.undone {
            revert(&mut plan.next, before, key);
        }
        let undone = std::mem::take(&mut self.undone);
        plan.conflicts.retain(|conflict| !undone.contains(conflict.copy.as_str()));
        self.flush()?;
        self.is_durable = true;
        ended
    }

    /// Makes the names durable that were made, renamed or removed.
    fn flush(&mut self) -> Result<()> {
        if !self.options.durable {
            return Ok(());
        }
        for (side, in_trash, path) in std::mem::take(&mut self.dirty) {
            let walkers = if in_trash { &mut self.trash } else { &mut self.roots };
            match walkers[side.index()].directory(&path, false).and_then(Directory::flush) {
                Ok(()) => {}
                // Removed again since.
                Err(error) if error.code == ErrorCode::NotFound => {}
                Err(error) => return Err(error.context(format!("making {path:?} durable"))),
            }
        }
        Ok(())
    }

    fn touch(&mut self, side: Side, directory: &str) {
        self.dirty.insert((side, false, directory.to_owned()));
    }

    fn one(&mut self, operation: &Operation, next: &mut BaseChildren) -> Result<(), Stop> {
        let on = operation.side();
        let path = &operation.paths[on.index()];
        let (parent, name) = split(path);
        match &operation.action {
            Action::Copy { from, source, digest, replaces } => {
                self.copy(operation, *from, source, digest.as_deref(), replaces.as_deref(), next)?;
                self.done.copied += 1;
                self.done.bytes += source.size;
            }
            Action::MakeDirectory { mode, .. } => {
                self.advance(0, path)?;
                let directory = self.roots[on.index()].directory(parent, false)?;
                directory.create_directory(name, mode.map(u32::from))?;
                // The mask of the process may have taken bits away.
                if let Some(mode) = *mode {
                    unless_unsupported(directory.set_mode(name, mode.into()))?;
                }
                self.touch(on, parent);
                self.note(on, operation, next, None)?;
                self.done.directories += 1;
            }
            Action::MakeLink { text, replaces, .. } => {
                self.advance(0, path)?;
                let temp = self.temp();
                let directory = self.roots[on.index()].directory(parent, false)?;
                directory.create_link(&temp, text)?;
                if let Err(error) = self.place(on, path, &temp, replaces.as_deref()) {
                    let directory = self.roots[on.index()].directory(parent, false)?;
                    let _ = directory.remove_file(&temp);
                    return Err(error.into());
                }
                self.note(on, operation, next, None)?;
                self.done.copied += 1;
            }
            Action::Rename { source, to, .. } => {
                self.advance(0, path)?;
                let directory = self.roots[on.index()].directory(parent, false)?;
                check(directory, name, source)?;
                directory.rename_new(name, directory, to)?;
                self.touch(on, parent);
            }
            Action::Remove { target, .. } => {
                self.advance(0, path)?;
                let directory = self.roots[on.index()].directory(parent, false)?;
                match check(directory, name, target) {
                    // Somebody else did it.
                    Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
                    result => result?,
                }
                if self.options.trash {
                    self.keep_in_trash(on, path, false)?;
                } else {
                    directory.remove_file(name)?;
                }
                self.touch(on, parent);
                self.done.removed += 1;
            }
            Action::RemoveDirectory { .. } => {
                self.advance(0, path)?;
                self.roots[on.index()].forget();
                let directory = self.roots[on.index()].directory(parent, false)?;
                match directory.remove_directory(name) {
                    Err(error) if error.code == ErrorCode::NotFound => {}
                    Err(error) if error.code == ErrorCode::AlreadyExists => {
                        return Err(changed("it is not empty any more: it").into());
                    }
                    result => result?,
                }
                self.touch(on, parent);
                self.done.directories += 1;
            }
            Action::SetMode { mode, .. } => {
                self.advance(0, path)?;
                self.roots[on.index()].directory(parent, false)?.set_mode(name, (*mode).into())?;
                self.note(on, operation, next, None)?;
                self.done.modes += 1;
            }
        }
        Ok(())
    }

    fn advance(&mut self, bytes: u64, path: &str) -> Result<(), Stop> {
        self.run.advance(bytes, || format!("copying {path}"))
    }

    fn temp(&mut self) -> String {
        self.next_temp = self.next_temp.wrapping_add(1);
        names::temp(self.next_temp)
    }

    fn copy(
        &mut self,
        operation: &Operation,
        from: Side,
        source: &Fingerprint,
        digest: Option<&Digest>,
        replaces: Option<&Fingerprint>,
        next: &mut BaseChildren,
    ) -> Result<(), Stop> {
        let on = from.other();
        let source_path = &operation.paths[from.index()];
        let target_path = &operation.paths[on.index()];
        let (source_parent, source_name) = split(source_path);
        let (target_parent, _) = split(target_path);
        let temp = self.temp();

        let file =
            self.roots[from.index()].directory(source_parent, false)?.open_file(source_name)?;
        let metadata = file.metadata()?;
        if !is_still(&fingerprint(&metadata), source) {
            return Err(changed("the file").into());
        }
        let target = self.roots[on.index()].directory(target_parent, false)?.create_file(&temp)?;
        let written = self.fill(&target, &file, target_path, source.size).and_then(|written| {
            if digest.is_some_and(|planned| *planned != written) {
                return Err(changed("the file").into());
            }
            if self.options.verify {
                self.verify(on, target_parent, &temp, written, source.size)?;
            }
            target.set_modified(metadata.modified)?;
            if let Some(mode) = metadata.mode {
                unless_unsupported(target.set_mode(mode & 0o777))?;
            }
            if self.options.durable {
                target.flush()?;
            }
            let directory = self.roots[from.index()].directory(source_parent, false)?;
            check(directory, source_name, source)?;
            self.place(on, target_path, &temp, replaces)?;
            Ok(written)
        });
        match written {
            Ok(written) => {
                self.note(on, operation, next, Some(written))?;
                if source.changed.is_none() {
                    // It was renamed before it was copied.
                    self.note(from, operation, next, None)?;
                }
                Ok(())
            }
            Err(stop) => {
                // What cannot be removed now is removed by the next run.
                if let Ok(directory) = self.roots[on.index()].directory(target_parent, false) {
                    let _ = directory.remove_file(&temp);
                }
                Err(stop)
            }
        }
    }

    /// Copies the content and returns its digest.
    fn fill(
        &mut self,
        target: &syncmgr_plugin::directories::File,
        source: &syncmgr_plugin::directories::File,
        path: &str,
        size: u64,
    ) -> Result<Digest, Stop> {
        let mut copied = 0;
        loop {
            let step = target.copy_from(source, STEP_BYTES)?;
            copied += step;
            self.advance(step, path)?;
            if step == 0 {
                break;
            }
            if copied > size {
                return Err(changed("the file").into());
            }
        }
        match copied == size {
            true => Ok(source.digest()),
            false => Err(changed("the file").into()),
        }
    }

    /// Reads back what was written.
    fn verify(
        &mut self,
        on: Side,
        parent: &str,
        temp: &str,
        digest: Digest,
        size: u64,
    ) -> Result<(), Stop> {
        let file = self.roots[on.index()].directory(parent, false)?.open_file(temp)?;
        let mut read = 0;
        loop {
            let step = file.hash(STEP_BYTES)?;
            read += step;
            if step == 0 {
                break;
            }
            self.run.check()?;
        }
        match read == size && file.digest() == digest {
            true => Ok(()),
            false => Err(Error::new(
                ErrorCode::InputOutput,
                "what was written reads back differently; check the disk",
            )
            .into()),
        }
    }

    /// Gives a finished temporary entry its name.
    fn place(
        &mut self,
        on: Side,
        path: &str,
        temp: &str,
        replaces: Option<&Fingerprint>,
    ) -> Result<()> {
        let (parent, name) = split(path);
        let directory = self.roots[on.index()].directory(parent, false)?;
        match replaces {
            None => directory.rename_new(temp, directory, name).map_err(|error| {
                match error.code == ErrorCode::AlreadyExists {
                    true => changed("the other side"),
                    false => error,
                }
            })?,
            Some(planned) => {
                check(directory, name, planned)?;
                if self.options.trash {
                    self.keep_in_trash(on, path, true)?;
                }
                let directory = self.roots[on.index()].directory(parent, false)?;
                directory.rename(temp, directory, name)?;
            }
        }
        self.touch(on, parent);
        Ok(())
    }

    /// Keeps an entry that is about to go, or (with `keep`) to be replaced.
    fn keep_in_trash(&mut self, on: Side, path: &str, keep: bool) -> Result<()> {
        let (parent, name) = split(path);
        let directory = self.roots[on.index()].directory(parent, false)?;
        let trash = self.trash[on.index()].directory(parent, true)?;
        self.dirty.insert((on, true, parent.to_owned()));
        // Two things of one name may go in one run: first a file, later what replaced it.
        for number in 0..100_u32 {
            let kept = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
            let result = match keep {
                true => match directory.link(name, trash, &kept) {
                    Err(error) if error.code == ErrorCode::NotImplemented => {
                        directory.rename_new(name, trash, &kept)
                    }
                    result => result,
                },
                false => directory.rename_new(name, trash, &kept),
            };
            match result {
                Err(error) if error.code == ErrorCode::AlreadyExists => {}
                result => return result,
            }
        }
        Err(Error::failed(format!("{name}: there is no room for it in the trash")))
    }

    /// Records how a side recognises what was just made there.
    fn note(
        &mut self,
        on: Side,
        operation: &Operation,
        next: &mut BaseChildren,
        digest: Option<Digest>,
    ) -> Result<()> {
        let (parent, name) = split(&operation.paths[on.index()]);
        let directory = self.roots[on.index()].directory(parent, false)?;
        let Some(metadata) = directory.stat(name)? else { return Ok(()) };
        let Some(base) = find(next, &operation.key) else { return Ok(()) };
        let fingerprint = fingerprint(&metadata);
        let mode = scan::mode(&metadata);
        let racy = is_racy(&fingerprint, self.now);
        base.sides[on.index()] = Seen { fingerprint, mode, racy };
        if let (Some(digest), BaseKind::File(agreed)) = (digest, &mut base.kind) {
            *agreed = digest;
        }
        Ok(())
    }
}

/// What this run made itself is its own: where its permissions cannot be set, the file system has
/// none.
fn unless_unsupported(set: Result<()>) -> Result<()> {
    match set {
        Err(error) if error.code == ErrorCode::AccessDenied => Ok(()),
        result => result,
    }
}

/// Checks that an entry is still what the plan saw.
fn check(directory: &Directory, name: &str, planned: &Fingerprint) -> Result<()> {
    match directory.stat(name)? {
        None => Err(Error::new(
            ErrorCode::NotFound,
            "it was removed during the sync; the next run takes that up",
        )),
        Some(now) => match (now.kind, is_still(&fingerprint(&now), planned)) {
            (EntryKind::File | EntryKind::SymbolicLink, true) => Ok(()),
            (EntryKind::Directory | EntryKind::Other, _) | (_, false) => Err(changed("it")),
        },
    }
}

fn find<'a>(entries: &'a mut BaseChildren, key: &str) -> Option<&'a mut Base> {
    match key.split_once('/') {
        None => entries.get_mut(key).map(Arc::make_mut),
        Some((first, rest)) => match &mut Arc::make_mut(entries.get_mut(first)?).kind {
            BaseKind::Directory(children) => find(children, rest),
            BaseKind::File(_) | BaseKind::Link(_) => None,
        },
    }
}

/// Puts back what was agreed on before, for a path where the plan was not carried out.
fn revert(next: &mut BaseChildren, before: &BaseChildren, key: &str) {
    let (first, rest) = match key.split_once('/') {
        None => (key, None),
        Some((first, rest)) => (first, Some(rest)),
    };
    let old = before.get(first);
    match (rest, next.get_mut(first).map(Arc::make_mut)) {
        (Some(rest), Some(Base { kind: BaseKind::Directory(children), .. })) => {
            static NOTHING: BaseChildren = BaseChildren::new();
            revert(children, old.and_then(|old| old.children()).unwrap_or(&NOTHING), rest);
        }
        // The directory around it goes back as a whole.
        (_, _) => match old {
            Some(old) => {
                next.insert(first.into(), Arc::clone(old));
            }
            None => {
                next.remove(first);
            }
        },
    }
}

impl Operation {
    /// The side that it changes.
    pub fn side(&self) -> Side {
        match &self.action {
            Action::Copy { from, .. } => from.other(),
            Action::MakeDirectory { on, .. }
            | Action::MakeLink { on, .. }
            | Action::Rename { on, .. }
            | Action::Remove { on, .. }
            | Action::RemoveDirectory { on }
            | Action::SetMode { on, .. } => *on,
        }
    }
}

//! Measures the disk usage of a directory and everything below it, by handle.
//!
//! Paths have a maximum length and may lead elsewhere by now, so each directory is opened from the
//! handle of its parent. The number of handles is bounded at any depth: the handles of distant
//! parents are closed, and opened again from their children.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use super::fence::Fence;
use super::metadata::{EntryKind, FileIdentity, Links, Seen};
use super::system;

/// The room that an entry uses in addition to its content.
pub(crate) const ENTRY_BYTES: u64 = 4096;
/// The maximum size of pending directory names in memory.
const MAX_PENDING_BYTES: usize = 64 << 20;
/// The maximum number of tracked files with several names.
pub(crate) const MAX_LINKED: usize = 1 << 20;

/// The disk usage of a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The content and entries of everything that was read.
    pub(crate) bytes: u64,
    /// Files with several names, some of which may be elsewhere.
    pub(crate) linked: HashSet<FileIdentity>,
    /// Whether there were more of these files than are tracked.
    pub(crate) more_linked: bool,
    /// Whether something cannot be read, or not within bounds.
    pub(crate) unreadable: bool,
}

/// Measures a directory. It stops as soon as more than `limit` bytes are found.
pub(crate) fn measure(path: &Path, limit: u64) -> Usage {
    measure_with(path, limit, MAX_PENDING_BYTES)
}

fn measure_with(path: &Path, limit: u64, max_pending_bytes: usize) -> Usage {
    let mut usage = Usage::default();
    let walked = system::Handle::open(path, Links::Follow, &Fence::default()).and_then(|root| {
        walk(root, max_pending_bytes, |entry| {
            usage.add(entry.seen);
            Ok(usage.bytes <= limit)
        })
    });
    usage.unreadable = walked.is_err();
    usage
}

/// An entry visited by a walk.
pub(crate) struct Entry<'a> {
    pub(crate) directory: &'a system::Handle,
    /// The depth of its directory below the first one.
    pub(crate) depth: usize,
    /// The name, if it is Unicode.
    pub(crate) name: Option<&'a str>,
    pub(crate) seen: Seen,
}

/// Calls `each` for everything below a directory, until it returns `false`.
pub(crate) fn walk_below(
    root: system::Handle,
    each: impl FnMut(&Entry<'_>) -> io::Result<bool>,
) -> io::Result<()> {
    walk(root, MAX_PENDING_BYTES, each)
}

fn walk(
    root: system::Handle,
    max_pending_bytes: usize,
    mut each: impl FnMut(&Entry<'_>) -> io::Result<bool>,
) -> io::Result<()> {
    let mut walk = Walk { levels: Vec::new(), pending_bytes: 0, max_pending_bytes };
    if !walk.enter(root, &mut each)? {
        return Ok(());
    }
    while let Some(level) = walk.levels.last_mut() {
        let Some(name) = level.pending.pop() else {
            walk.leave()?;
            continue;
        };
        walk.pending_bytes -= name.len();
        let handle = level.handle.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let below = match handle.open_directory(&name) {
            // Another session of the plugin may have removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            below => below?,
        };
        if !walk.enter(below, &mut each)? {
            return Ok(());
        }
    }
    Ok(())
}

struct Walk {
    levels: Vec<Level>,
    /// The total length of all pending names.
    pending_bytes: usize,
    max_pending_bytes: usize,
}

/// A directory on the path to the one that is being read.
struct Level {
    /// The handle, unless it was closed to bound the number of open ones.
    handle: Option<system::Handle>,
    identity: FileIdentity,
    /// Subdirectories that have not been entered yet.
    pending: Vec<String>,
}

impl Walk {
    /// Reads a directory, and continues with its subdirectories. Returns whether to continue.
    fn enter(
        &mut self,
        handle: system::Handle,
        each: &mut impl FnMut(&Entry<'_>) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let mut pending = Vec::new();
        let mut goes_on = true;
        let depth = self.levels.len();
        system::visit(&handle, |name, seen| {
            if seen.kind == EntryKind::Directory {
                let name = name.ok_or(io::ErrorKind::InvalidFilename)?;
                self.pending_bytes += name.len();
                if self.pending_bytes > self.max_pending_bytes {
                    return Err(io::ErrorKind::OutOfMemory.into());
                }
                pending.push(name.to_owned());
            }
            goes_on = each(&Entry { directory: &handle, depth, name, seen })?;
            Ok(goes_on)
        })?;
        let identity = handle.identity()?;
        self.levels.push(Level { handle: Some(handle), identity, pending });
        if let Some(distant) = self.levels.len().checked_sub(system::HELD_LEVELS + 1) {
            self.levels[distant].handle = None;
        }
        Ok(goes_on)
    }

    /// Returns to the parent, which is opened again if it was closed.
    fn leave(&mut self) -> io::Result<()> {
        let left = self.levels.pop();
        if let (Some(left), Some(parent)) = (left, self.levels.last_mut())
            && parent.handle.is_none()
        {
            let handle = left.handle.ok_or(io::ErrorKind::NotFound)?.parent()?;
            if handle.identity()? != parent.identity {
                // It was moved, so the walk cannot continue in its old parent.
                return Err(io::ErrorKind::NotFound.into());
            }
            parent.handle = Some(handle);
        }
        Ok(())
    }
}

impl Usage {
    fn add(&mut self, seen: Seen) {
        let content = match seen.kind {
            EntryKind::File | EntryKind::SymbolicLink
                if seen.names < 2 || self.is_first(seen.identity) =>
            {
                seen.size
            }
            EntryKind::File | EntryKind::SymbolicLink | EntryKind::Directory | EntryKind::Other => {
                0
            }
        };
        self.bytes = self.bytes.saturating_add(ENTRY_BYTES).saturating_add(content);
    }

    /// Returns whether this is the first name of a file with several names. If too many are
    /// tracked, each name counts.
    fn is_first(&mut self, identity: FileIdentity) -> bool {
        if self.linked.contains(&identity) {
            return false;
        }
        match self.linked.len() < MAX_LINKED {
            true => self.linked.insert(identity),
            false => {
                self.more_linked = true;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<tempfile::TempDir> {
        let home = tempfile::tempdir()?;
        make(home.path())?;
        Ok(home)
    }

    #[test]
    fn everything_is_counted_once() -> io::Result<()> {
        type Make = fn(&Path) -> io::Result<()>;
        let rows: [(&str, Make, u64); 5] = [
            ("nothing", |_| Ok(()), 0),
            ("a file", |home| std::fs::write(home.join("a"), [0; 10]), ENTRY_BYTES + 10),
            ("directories", |home| std::fs::create_dir_all(home.join("a/b/c")), 3 * ENTRY_BYTES),
            (
                "a file with three names",
                |home| {
                    std::fs::create_dir(home.join("d"))?;
                    std::fs::write(home.join("a"), [0; 10])?;
                    std::fs::hard_link(home.join("a"), home.join("b"))?;
                    std::fs::hard_link(home.join("a"), home.join("d/a"))
                },
                4 * ENTRY_BYTES + 10,
            ),
            (
                "a sparse file",
                |home| std::fs::File::create(home.join("a"))?.set_len(1 << 40),
                ENTRY_BYTES + (1 << 40),
            ),
        ];
        for (what, make, expected) in rows {
            let usage = measure(home(make)?.path(), u64::MAX);
            assert_eq!((usage.bytes, usage.unreadable), (expected, false), "{what}");
        }
        Ok(())
    }

    #[test]
    fn counting_may_stop_at_the_limit() -> io::Result<()> {
        let home = home(|home| {
            (0..50).try_for_each(|number| {
                std::fs::create_dir(home.join(format!("d{number}")))?;
                std::fs::write(home.join(format!("d{number}/f")), [0; 100])
            })
        })?;
        let all = 100 * ENTRY_BYTES + 5_000;
        for limit in [0, ENTRY_BYTES, 60 * ENTRY_BYTES, all, u64::MAX] {
            let usage = measure(home.path(), limit);
            assert!(!usage.unreadable);
            assert_eq!(usage.bytes > limit, limit < all, "{limit}: {usage:?}");
        }
        Ok(())
    }

    #[test]
    fn directories_that_exceed_the_memory_bound_count_as_unreadable() -> io::Result<()> {
        let home = home(|home| {
            (0..50).try_for_each(|number| std::fs::create_dir(home.join(format!("d{number:03}"))))
        })?;
        assert!(measure_with(home.path(), u64::MAX, 100).unreadable);
        assert!(!measure_with(home.path(), u64::MAX, 200).unreadable);
        Ok(())
    }

    #[test]
    fn a_missing_directory_is_unreadable() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        assert!(measure(&home.path().join("none"), u64::MAX).unreadable);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn depth_does_not_matter() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let name = "d".repeat(200);
        let mut below = system::Handle::open(home.path(), Links::Refuse, &Fence::default())?;
        const DEPTH: u64 = 500;
        for level in 0..DEPTH {
            below.create_directory(&name, None, None)?;
            // A directory to return to at each level.
            below.create_directory("other", None, None)?;
            below.open_directory("other")?.create_file(&format!("f{level}"))?.set_len(10)?;
            below = below.open_directory(&name)?;
        }
        below.create_file("last")?.set_len(1 << 20)?;
        let usage = measure(home.path(), u64::MAX);
        let expected = DEPTH * (3 * ENTRY_BYTES + 10) + ENTRY_BYTES + (1 << 20);
        assert_eq!((usage.bytes, usage.unreadable), (expected, false));
        Ok(())
    }
}

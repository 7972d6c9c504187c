//! The plugin's own storage, and the quota on what it holds.
//!
//! Every entry and every byte that comes into the storage is reserved here first, whichever call
//! brings it. Room is given back when its release was seen: an entry whose last name is gone and
//! that is not open, or a fresh measurement.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::fs::metadata::FileIdentity;
use crate::fs::system::look_at_file;
use crate::fs::usage::{ENTRY_BYTES, MAX_LINKED, measure};
use crate::grants::Access;
use crate::limits::clock;

/// The name of the storage where a grant would have its name.
pub(crate) const STORAGE: &str = "storage";

/// The part of the quota that copies and moves leave free, so that a full trash does not keep a
/// plugin from saving its state.
const KEPT_FROM_COPIES: u64 = 16;

/// The time between two measurements, in multiples of what the last one took.
const MEASURE_RATIO: u64 = 20;

/// The storage of one session.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
    max_bytes: u64,
    /// The part of it that may be used.
    limit: u64,
    quota: Arc<Mutex<Quota>>,
}

/// What is known about the content, which the quota bounds.
#[derive(Debug, Default)]
struct Quota {
    /// Bytes that are there or reserved. Never less than what is there.
    used: u64,
    /// Whether something could not be measured. The storage counts as full then.
    unreadable: bool,
    /// When the last measurement ended, and how long it took; absent: there was none.
    measured: Option<(u64, u64)>,
    /// Whether a measurement may find less than before.
    loosened: bool,
    /// Files that are open. They take room even when they have no name any more.
    open: Vec<Weak<File>>,
    /// Files that may have a name outside of the storage.
    shared: HashSet<FileIdentity>,
    /// Whether every file with several names counts as one of these.
    all_shared: bool,
}

/// The quota of the storage is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuotaExceeded {
    /// The bytes that it holds.
    pub(crate) used: u64,
    /// Whether it counts as full since part of it cannot be read.
    pub(crate) unreadable: bool,
}

/// Room that is reserved for something that is about to be made. It is released unless that was
/// [kept](Self::keep).
#[derive(Debug)]
#[must_use]
pub(crate) struct Reservation(Option<(Storage, u64)>);

impl Reservation {
    /// A reservation where nothing is counted.
    pub(crate) const NONE: Self = Self(None);

    /// It is there now.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some((storage, bytes)) = self.0.take() {
            storage.released(bytes);
        }
    }
}

impl Storage {
    pub(crate) fn new(path: PathBuf, access: Access, max_bytes: u64) -> Self {
        Self { path, access, max_bytes, limit: max_bytes, quota: Arc::default() }
    }

    /// The same storage for what the host copies or moves into it.
    pub(crate) fn for_copies(&self) -> Self {
        let kept = self.max_bytes.div_ceil(KEPT_FROM_COPIES);
        Self { limit: self.max_bytes - kept, ..self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves room for one more entry and its content.
    pub(crate) fn reserve_entry(&self, content: u64) -> Result<Reservation, QuotaExceeded> {
        let bytes = ENTRY_BYTES.saturating_add(content);
        self.reserve(bytes)?;
        Ok(Reservation(Some((self.clone(), bytes))))
    }

    /// Reserves room for content that is about to be written.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), QuotaExceeded> {
        // Without a quota there is nothing to measure.
        if bytes == 0 || self.max_bytes == u64::MAX {
            return Ok(());
        }
        let mut quota = self.lock();
        if quota.measured.is_none() || (!quota.fits(bytes, self.limit) && quota.may_measure_again())
        {
            quota.measure(self);
        }
        if !quota.fits(bytes, self.limit) {
            return Err(QuotaExceeded { used: quota.used, unreadable: quota.unreadable });
        }
        quota.used = quota.used.saturating_add(bytes);
        Ok(())
    }

    /// Measures it unless that was done, so that no call has to which must not wait.
    pub(crate) fn prepare(&self) {
        let mut quota = self.lock();
        if quota.measured.is_none() && self.max_bytes != u64::MAX {
            quota.measure(self);
        }
    }

    /// So many bytes were seen to be gone.
    pub(crate) fn released(&self, bytes: u64) {
        let mut quota = self.lock();
        quota.used = quota.used.saturating_sub(bytes);
    }

    /// Something may be gone. How much, the next measurement finds out, when the storage is full.
    pub(crate) fn loosened(&self) {
        self.lock().loosened = true;
    }

    /// An entry lost a name. It is gone with its last one, unless it is still open.
    pub(crate) fn removed(&self, identity: FileIdentity, names: u64, content: u64) {
        let mut quota = self.lock();
        match names <= 1 && !quota.is_open(identity) {
            true => {
                quota.used = quota.used.saturating_sub(ENTRY_BYTES.saturating_add(content));
            }
            false => quota.loosened = true,
        }
    }

    /// A file in the storage is open.
    pub(crate) fn opened(&self, file: &Arc<File>) {
        let mut quota = self.lock();
        quota.open.retain(|file| file.strong_count() > 0);
        quota.open.push(Arc::downgrade(file));
    }

    /// A file in the storage has a name elsewhere, too.
    pub(crate) fn share(&self, identity: FileIdentity) {
        let mut quota = self.lock();
        if quota.shared.len() < MAX_LINKED {
            quota.shared.insert(identity);
        } else {
            quota.all_shared = true;
        }
    }

    /// Whether a file that was opened elsewhere, and has several names, has one in the storage.
    pub(crate) fn is_shared(&self, identity: FileIdentity) -> bool {
        if self.max_bytes == u64::MAX {
            return false;
        }
        let mut quota = self.lock();
        if quota.measured.is_none() {
            quota.measure(self);
        }
        quota.all_shared || quota.shared.contains(&identity)
    }
}

impl Quota {
    fn fits(&self, bytes: u64, limit: u64) -> bool {
        !self.unreadable && self.used.saturating_add(bytes) <= limit
    }

    /// Whether there may be less than before, and measuring takes a small part of the time.
    fn may_measure_again(&self) -> bool {
        let due = |(at, took): (u64, u64)| {
            clock::now().saturating_sub(at) >= took.saturating_mul(MEASURE_RATIO)
        };
        (self.loosened || self.unreadable) && self.measured.is_none_or(due)
    }

    fn measure(&mut self, storage: &Storage) {
        let begun = clock::now();
        let usage = measure(&storage.path, storage.max_bytes);
        self.used = usage.bytes.saturating_add(self.nameless_bytes());
        self.unreadable = usage.unreadable;
        self.shared.extend(usage.linked);
        self.all_shared |= usage.more_linked;
        self.loosened = false;
        let now = clock::now();
        self.measured = Some((now, now.saturating_sub(begun)));
    }

    fn is_open(&self, identity: FileIdentity) -> bool {
        let mut files = self.open.iter().filter_map(Weak::upgrade);
        // One that cannot be looked at may be that one.
        files.any(|file| look_at_file(&file).map_or(true, |seen| seen.identity == identity))
    }

    /// The size of files that are open and have no name.
    fn nameless_bytes(&self) -> u64 {
        let files = self.open.iter().filter_map(Weak::upgrade);
        let seen = files.filter_map(|file| look_at_file(&file).ok());
        seen.filter(|seen| seen.names == 0)
            .map(|seen| seen.size.saturating_add(ENTRY_BYTES))
            .fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: u64 = 10 * ENTRY_BYTES;

    fn storage(quota: u64) -> std::io::Result<(tempfile::TempDir, Storage)> {
        let home = tempfile::tempdir()?;
        let storage = Storage::new(home.path().to_owned(), Access::ReadWrite, quota);
        Ok((home, storage))
    }

    #[test]
    fn a_reservation_that_came_to_nothing_is_released() -> std::io::Result<()> {
        let (_home, storage) = storage(QUOTA)?;
        for _ in 0..100 {
            drop(storage.reserve_entry(0).expect("there is room"));
        }
        for _ in 0..10 {
            storage.reserve_entry(0).expect("there is room").keep();
        }
        assert_eq!(storage.reserve_entry(0).unwrap_err().used, QUOTA);
        Ok(())
    }

    #[test]
    fn copies_leave_a_part_of_the_quota_to_what_a_plugin_writes() -> std::io::Result<()> {
        let (_home, storage) = storage(16 * ENTRY_BYTES)?;
        for _ in 0..15 {
            storage.for_copies().reserve_entry(0).expect("it fits").keep();
        }
        assert_eq!(storage.for_copies().reserve(1).unwrap_err().used, 15 * ENTRY_BYTES);
        assert_eq!(storage.reserve(ENTRY_BYTES), Ok(()));
        assert!(storage.reserve(1).is_err());
        Ok(())
    }

    #[test]
    fn room_is_given_back_when_its_release_was_seen() -> std::io::Result<()> {
        let (home, storage) = storage(QUOTA)?;
        let path = home.path().join("file");
        std::fs::write(&path, vec![0; 20_000])?;
        let file = Arc::new(File::open(&path)?);
        let seen = look_at_file(&file)?;
        assert!(storage.reserve(20_000).is_err(), "it holds 20,000 bytes and an entry");
        // With another name, and while it is open, it takes its room.
        for names in [2, 3] {
            storage.removed(seen.identity, names, seen.size);
            assert!(storage.reserve(20_000).is_err(), "{names} names");
        }
        storage.opened(&file);
        std::fs::remove_file(&path)?;
        storage.removed(seen.identity, 1, seen.size);
        assert!(storage.reserve(20_000).is_err(), "it is open");
        drop(file);
        storage.loosened();
        // Measuring again waits until it takes a small part of the time.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while storage.reserve(20_000).is_err() {
            assert!(std::time::Instant::now() < end, "the room is not given back");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(())
    }

    #[test]
    fn a_storage_that_cannot_be_read_is_full() -> std::io::Result<()> {
        let (home, storage) = storage(QUOTA)?;
        std::fs::remove_dir(home.path())?;
        let exceeded = QuotaExceeded { used: 0, unreadable: true };
        assert_eq!(storage.reserve(1), Err(exceeded));
        std::fs::create_dir(home.path())?;
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(storage.reserve(1), Ok(()));
        Ok(())
    }

    #[test]
    fn without_a_quota_nothing_is_measured() -> std::io::Result<()> {
        let (home, storage) = storage(u64::MAX)?;
        std::fs::remove_dir(home.path())?;
        assert_eq!(storage.reserve(u64::MAX), Ok(()));
        std::fs::create_dir(home.path())
    }
}

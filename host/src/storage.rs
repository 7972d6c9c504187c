//! The plugin's storage and its quota.
//!
//! Every entry and byte is reserved here before any call writes it to the storage. Room is released
//! when its deletion is observed: the last name of a closed entry is removed, or a new measurement
//! finds less.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::fs::metadata::FileIdentity;
use crate::fs::system::look_at_file;
use crate::fs::usage::{ENTRY_BYTES, MAX_LINKED, measure};
use crate::grants::Access;
use crate::limits::clock;

/// The reserved name of the storage, in place of a grant's name.
pub(crate) const STORAGE: &str = "storage";

/// The fraction of the quota that copies and moves leave free, so that a full trash does not
/// prevent a plugin from saving its state.
const KEPT_FROM_COPIES: u64 = 16;

/// The minimum time between two measurements, as a multiple of the duration of the last one.
const MEASURE_RATIO: u64 = 20;

/// The storage of one session.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
    max_bytes: u64,
    /// The usable part of the quota.
    limit: u64,
    quota: Arc<Mutex<Quota>>,
}

/// The known usage of the storage.
#[derive(Debug, Default)]
struct Quota {
    /// The bytes in use or reserved. Never less than the actual usage.
    used: u64,
    /// Whether a part could not be measured. The storage counts as full then.
    unreadable: bool,
    /// The end and the duration of the last measurement, if there was one.
    measured: Option<(u64, u64)>,
    /// Whether a new measurement may find less than the last one.
    loosened: bool,
    /// Open files. They use room even without a name.
    open: Vec<Weak<File>>,
    /// Files that may have a name outside the storage.
    shared: HashSet<FileIdentity>,
    /// Whether every file with several names counts as shared.
    all_shared: bool,
}

/// The quota of the storage is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuotaExceeded {
    /// The bytes in use.
    pub(crate) used: u64,
    /// Whether the storage counts as full because part of it cannot be read.
    pub(crate) unreadable: bool,
}

/// Room reserved for an entry that is about to be created. It is released unless
/// [kept](Self::keep).
#[derive(Debug)]
#[must_use]
pub(crate) struct Reservation(Option<(Storage, u64)>);

impl Reservation {
    /// An empty reservation.
    pub(crate) const NONE: Self = Self(None);

    /// Keeps the room, because the entry was created.
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

    /// Returns the same storage with the lower limit for copies and moves.
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
        // Without a quota, no measurement is needed.
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

    /// Measures the storage in advance, so that calls that must not wait do not have to.
    pub(crate) fn prepare(&self) {
        let mut quota = self.lock();
        if quota.measured.is_none() && self.max_bytes != u64::MAX {
            quota.measure(self);
        }
    }

    /// Releases bytes that were observed to be deleted.
    pub(crate) fn released(&self, bytes: u64) {
        let mut quota = self.lock();
        quota.used = quota.used.saturating_sub(bytes);
    }

    /// Records that something may have been deleted. The next measurement determines how much, when
    /// the storage is full.
    pub(crate) fn loosened(&self) {
        self.lock().loosened = true;
    }

    /// Records that an entry lost a name. Its room is released with the last name, unless it is
    /// open.
    pub(crate) fn removed(&self, identity: FileIdentity, names: u64, content: u64) {
        let mut quota = self.lock();
        match names <= 1 && !quota.is_open(identity) {
            true => {
                quota.used = quota.used.saturating_sub(ENTRY_BYTES.saturating_add(content));
            }
            false => quota.loosened = true,
        }
    }

    /// Records that a file in the storage is open.
    pub(crate) fn opened(&self, file: &Arc<File>) {
        let mut quota = self.lock();
        quota.open.retain(|file| file.strong_count() > 0);
        quota.open.push(Arc::downgrade(file));
    }

    /// Records that a file in the storage also has a name elsewhere.
    pub(crate) fn share(&self, identity: FileIdentity) {
        let mut quota = self.lock();
        if quota.shared.len() < MAX_LINKED {
            quota.shared.insert(identity);
        } else {
            quota.all_shared = true;
        }
    }

    /// Returns whether a file with several names that was opened elsewhere has a name in the
    /// storage.
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

    /// Returns whether the usage may have shrunk and a measurement would take a small part of the
    /// time.
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
        // A file whose metadata cannot be read may be this one.
        files.any(|file| look_at_file(&file).map_or(true, |seen| seen.identity == identity))
    }

    /// Returns the size of open files without a name.
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
    fn an_unused_reservation_is_released() -> std::io::Result<()> {
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
    fn copies_leave_part_of_the_quota_free() -> std::io::Result<()> {
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
    fn room_is_released_when_deletion_is_observed() -> std::io::Result<()> {
        let (home, storage) = storage(QUOTA)?;
        let path = home.path().join("file");
        std::fs::write(&path, vec![0; 20_000])?;
        let file = Arc::new(File::open(&path)?);
        let seen = look_at_file(&file)?;
        assert!(storage.reserve(20_000).is_err(), "it holds 20,000 bytes and an entry");
        // With another name, and while it is open, it uses its room.
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
        // A new measurement waits until it takes a small part of the time.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while storage.reserve(20_000).is_err() {
            assert!(std::time::Instant::now() < end, "the room is not given back");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(())
    }

    #[test]
    fn an_unreadable_storage_counts_as_full() -> std::io::Result<()> {
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

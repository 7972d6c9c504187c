//! Decides how much of the host's hashing and copying for a plugin counts as computing.
//!
//! A plugin may copy terabytes, but must not make the host hash the same bytes repeatedly. Reading
//! each file is therefore free for a multiple of its size on disk. Holes of a sparse file have no
//! size on disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fs::metadata::{FileIdentity, Seen};

/// The number of free reads of a file: to compare it, to copy it, to verify the copy, and the
/// same again if the file system stores less than its content.
const FREE_PASSES: u64 = 8;
/// The additional free bytes of each file: file systems store the content of small files elsewhere.
pub(crate) const FREE_BYTES: u64 = 64 << 10;
/// The maximum number of tracked files. Reading others counts.
const MAX_FILES: usize = 400_000;

/// The number of bytes read of each file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading(Arc<Mutex<HashMap<FileIdentity, u64>>>);

impl Reading {
    /// Returns whether reading more bytes of a file is free.
    pub(crate) fn is_free(&self, file: &Seen, bytes: u64) -> bool {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = read.len() >= MAX_FILES;
        let total = match read.get_mut(&file.identity) {
            Some(total) => {
                *total = total.saturating_add(bytes);
                *total
            }
            None if is_full => return false,
            None => {
                read.insert(file.identity, bytes);
                bytes
            }
        };
        total <= file.stored.saturating_mul(FREE_PASSES).saturating_add(FREE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::metadata::EntryKind;

    fn file(number: u64, stored: u64) -> Seen {
        let identity = (1, number);
        Seen { kind: EntryKind::File, size: 1 << 43, stored, names: 1, identity }
    }

    #[test]
    fn reading_is_free_in_proportion_to_size_on_disk() {
        const MIB: u64 = 1 << 20;
        let reading = Reading::default();
        let free = |file: &Seen| (0..100).take_while(|_| reading.is_free(file, MIB)).count();
        assert_eq!(free(&file(1, 10 * MIB)), 80);
        assert_eq!(free(&file(1, 10 * MIB)), 0, "the same");
        assert_eq!(free(&file(2, MIB)), 8, "another");
        assert_eq!(free(&file(3, 0)), 0, "a sparse one");
        assert!(reading.is_free(&file(4, 0), 1000), "a small one");
    }

    #[test]
    fn untracked_files_count() {
        let reading = Reading::default();
        for number in 0..MAX_FILES as u64 {
            assert!(reading.is_free(&file(number, 1), 1));
        }
        assert!(!reading.is_free(&file(u64::MAX, 1), 1));
        assert!(reading.is_free(&file(7, 1), 1));
    }
}

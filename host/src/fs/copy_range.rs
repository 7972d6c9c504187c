//! Copies within one file system through the system, which can share the bytes between both files.

#[cfg(target_os = "linux")]
pub(crate) use linux::copy_in_system;

/// This system has no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn copy_in_system(
    _source: &std::fs::File,
    _target: &std::fs::File,
    _hasher: &mut blake3::Hasher,
    _len: u64,
) -> std::io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{File, Metadata};
    use std::io::{self, Seek, SeekFrom};
    use std::os::unix::fs::MetadataExt;
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use rustix::fs::copy_file_range;
    use rustix::io::{pread, retry_on_intr};

    use crate::limits::clock;

    /// The minimum number of bytes for a copy through the system.
    pub(crate) const LEAST_BYTES: u64 = 1 << 20;
    /// The number of bytes that are copied between two checks for termination.
    const STEP_BYTES: u64 = 4 << 20;
    /// The number of bytes that are hashed at a time.
    const PIECE_BYTES: usize = 256 << 10;
    /// The time for which the source must not have been written to: one step of the coarsest clock
    /// of any file system.
    const AT_REST: Duration = Duration::from_secs(2);

    /// Copies some of the next `len` bytes, advances both positions, and hashes the copied bytes of
    /// the source on another core at the same time.
    ///
    /// Returns `None` if there are too few bytes, if the target continues after its position, if
    /// the source is being written to (so that the hash might not match the copy), or if the file
    /// system does not support it. The target, the positions and the hash are then unchanged, and
    /// the caller must read and write.
    pub(crate) fn copy_in_system(
        source: &File,
        target: &File,
        hasher: &mut blake3::Hasher,
        len: u64,
    ) -> io::Result<Option<u64>> {
        copy_at_rest(source, target, hasher, len, AT_REST)
    }

    pub(crate) fn copy_at_rest(
        source: &File,
        target: &File,
        hasher: &mut blake3::Hasher,
        len: u64,
        at_rest: Duration,
    ) -> io::Result<Option<u64>> {
        if len < LEAST_BYTES {
            return Ok(None);
        }
        let (from, to) = ((&*source).stream_position()?, (&*target).stream_position()?);
        let before = source.metadata()?;
        let len = before.len().saturating_sub(from).min(len).min(STEP_BYTES);
        let is_at_end = target.metadata()?.len() == to;
        if len < LEAST_BYTES || !is_at_end || !has_rested(&before, at_rest) {
            return Ok(None);
        }
        let copied = copy_and_hash(source, from, target, to, len, hasher.clone());
        let is_same = times(&before) == times(&source.metadata()?);
        let Some((copied, hashed)) = copied.filter(|_| is_same) else {
            // The source may now be shorter than the copy.
            if target.metadata()?.len() != to {
                target.set_len(to)?;
            }
            return Ok(None);
        };
        (&*source).seek(SeekFrom::Start(from + copied))?;
        (&*target).seek(SeekFrom::Start(to + copied))?;
        *hasher = hashed;
        Ok(Some(copied))
    }

    fn times(metadata: &Metadata) -> [i64; 4] {
        [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()]
    }

    /// Returns whether the file has not been written to for this long.
    fn has_rested(metadata: &Metadata, at_rest: Duration) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = |seconds: i64, nanoseconds: i64| {
            let time = Duration::new(
                u64::try_from(seconds).unwrap_or(0),
                u32::try_from(nanoseconds).unwrap_or(0),
            );
            now.checked_sub(time)
        };
        let [modified, modified_part, changed, changed_part] = times(metadata);
        [since(modified, modified_part), since(changed, changed_part)]
            .iter()
            .all(|since| since.is_some_and(|since| since >= at_rest))
    }

    /// Returns how much was copied, and the updated hash; `None` if nothing was copied or not all
    /// of it was hashed.
    fn copy_and_hash(
        source: &File,
        from: u64,
        target: &File,
        to: u64,
        len: u64,
        mut hasher: blake3::Hasher,
    ) -> Option<(u64, blake3::Hasher)> {
        let copy = |done: u64| {
            let (mut from, mut to) = (from + done, to + done);
            let most = usize::try_from((len - done).min(LEAST_BYTES)).unwrap_or(usize::MAX);
            // Reading and writing return the error.
            copy_file_range(source, Some(&mut from), target, Some(&mut to), most).unwrap_or(0)
        };
        let mut copied = copy(0) as u64;
        if copied == 0 {
            return None;
        }
        thread::scope(|scope| {
            let (arrived, arriving) = mpsc::channel();
            let hash = move || -> io::Result<(blake3::Hasher, u64)> {
                let mut done = 0;
                for arrived in arriving {
                    hash_range(source, from + done, arrived - done, &mut hasher)?;
                    done = arrived;
                }
                Ok((hasher, clock::thread_time()))
            };
            let hashing = thread::Builder::new().spawn_scoped(scope, hash).ok()?;
            while arrived.send(copied).is_ok() && copied < len {
                match copy(copied) {
                    0 => break,
                    more => copied += more as u64,
                }
            }
            drop(arrived);
            let (hashed, computed) = hashing.join().ok()?.ok()?;
            clock::computed_on_behalf(computed);
            Some((copied, hashed))
        })
    }

    /// Hashes a range of a file.
    fn hash_range(file: &File, from: u64, len: u64, hasher: &mut blake3::Hasher) -> io::Result<()> {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut done = 0;
        while done < len {
            let piece = usize::try_from(len - done).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            match retry_on_intr(|| pread(file, &mut buffer[..piece], from + done))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    hasher.update(&buffer[..read]);
                    done += read as u64;
                }
            }
        }
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};
    use std::io::{self, Read, Seek, SeekFrom, Write};
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::time::{Duration, Instant};

    use super::copy_in_system;
    use super::linux::{LEAST_BYTES, copy_at_rest};

    /// Treats a file that a test has just written as one at rest.
    fn copy(
        source: &File,
        target: &File,
        hasher: &mut blake3::Hasher,
        len: u64,
    ) -> io::Result<Option<u64>> {
        copy_at_rest(source, target, hasher, len, Duration::ZERO)
    }

    /// Returns bytes without repetition.
    fn content(len: u64) -> Vec<u8> {
        (0..len / 8 + 1)
            .flat_map(u64::to_le_bytes)
            .take(usize::try_from(len).unwrap_or(0))
            .collect()
    }

    fn files(content: &[u8]) -> io::Result<(tempfile::TempDir, File, File)> {
        let home = tempfile::tempdir()?;
        fs::write(home.path().join("source"), content)?;
        let source = File::open(home.path().join("source"))?;
        let target = home.path().join("target");
        let target = File::options().read(true).write(true).create_new(true).open(target)?;
        Ok((home, source, target))
    }

    #[test]
    fn the_hash_matches_the_system_copy() -> io::Result<()> {
        for (skipped, len) in [
            (0, LEAST_BYTES),
            (0, LEAST_BYTES + 1),
            (0, 10 * LEAST_BYTES + 4097),
            (1, 3 * LEAST_BYTES),
            (4096, 5 * LEAST_BYTES - 1),
        ] {
            let content = content(skipped + len);
            let (_home, mut source, mut target) = files(&content)?;
            source.seek(SeekFrom::Start(skipped))?;
            target.write_all(b"before")?;
            let mut hasher = blake3::Hasher::new();
            let mut copied = 0;
            while let Some(more) = copy(&source, &target, &mut hasher, len - copied)? {
                assert!(more > 0 && more <= len - copied);
                copied += more;
            }
            assert!(len - copied < LEAST_BYTES, "{copied} of {len} bytes");
            assert_eq!(source.stream_position()?, skipped + copied);
            assert_eq!(target.stream_position()?, 6 + copied);
            let from = usize::try_from(skipped).unwrap_or(0);
            let expected = &content[from..from + usize::try_from(copied).unwrap_or(0)];
            assert_eq!(hasher.finalize(), blake3::hash(expected));
            let mut written = Vec::new();
            target.seek(SeekFrom::Start(0))?;
            target.read_to_end(&mut written)?;
            assert!(written.starts_with(b"before") && written[6..] == *expected);
        }
        Ok(())
    }

    #[test]
    fn unsupported_system_copies_are_refused() -> io::Result<()> {
        let content = content(3 * LEAST_BYTES);
        let (home, mut source, target) = files(&content)?;
        let read_only = File::open(home.path().join("target"))?;
        let device = File::options().write(true).open("/dev/null")?;
        source.seek(SeekFrom::Start(2 * LEAST_BYTES + 1))?;
        for (target, len) in [(&target, u64::MAX), (&target, LEAST_BYTES - 1)] {
            let mut hasher = blake3::Hasher::new();
            assert_eq!(copy(&source, target, &mut hasher, len)?, None, "too little");
        }
        source.seek(SeekFrom::Start(0))?;
        (&target).write_all(b"behind the position")?;
        (&target).seek(SeekFrom::Start(3))?;
        for target in [&target, &read_only, &device] {
            let mut hasher = blake3::Hasher::new();
            assert_eq!(copy(&source, target, &mut hasher, u64::MAX)?, None);
            assert_eq!(hasher.count(), 0);
            assert_eq!(source.stream_position()?, 0);
        }
        Ok(())
    }

    #[test]
    fn a_recently_written_file_is_not_copied_by_the_system() -> io::Result<()> {
        let (_home, source, target) = files(&content(3 * LEAST_BYTES))?;
        let mut hasher = blake3::Hasher::new();
        assert_eq!(copy_in_system(&source, &target, &mut hasher, u64::MAX)?, None);
        assert_eq!((hasher.count(), target.metadata()?.len()), (0, 0));
        Ok(())
    }

    #[test]
    fn the_hash_matches_the_copy_despite_concurrent_writes() -> io::Result<()> {
        let (home, mut source, mut target) = files(&content(4 * LEAST_BYTES))?;
        let stop = AtomicBool::new(false);
        let checked = std::thread::scope(|scope| {
            let writing = scope.spawn(|| -> io::Result<()> {
                let mut file = File::options().write(true).open(home.path().join("source"))?;
                for version in (0..=255_u8).cycle().take_while(|_| !stop.load(SeqCst)) {
                    std::thread::sleep(Duration::from_millis(60));
                    file.seek(SeekFrom::Start(0))?;
                    file.write_all(&vec![version; 4 << 20])?;
                }
                Ok(())
            });
            let mut check = || -> io::Result<u32> {
                let (mut checked, begun) = (0, Instant::now());
                while begun.elapsed() < Duration::from_secs(2) {
                    let mut hasher = blake3::Hasher::new();
                    source.seek(SeekFrom::Start(0))?;
                    target.set_len(0)?;
                    target.seek(SeekFrom::Start(0))?;
                    // Longer than a step of the clock.
                    let rested = Duration::from_millis(20);
                    let copied = copy_at_rest(&source, &target, &mut hasher, u64::MAX, rested)?;
                    let Some(copied) = copied else {
                        if target.metadata()?.len() > 0 {
                            return Err(io::Error::other("something was left in the target"));
                        }
                        continue;
                    };
                    let mut content = vec![0; usize::try_from(copied).unwrap_or(0)];
                    target.seek(SeekFrom::Start(0))?;
                    target.read_exact(&mut content)?;
                    if hasher.finalize() != blake3::hash(&content) {
                        return Err(io::Error::other("another content was hashed"));
                    }
                    checked += 1;
                }
                Ok(checked)
            };
            let checked = check();
            stop.store(true, SeqCst);
            writing.join().map_err(|_| io::Error::other("it panicked"))??;
            checked
        })?;
        assert!(checked > 0, "none was copied by the system");
        Ok(())
    }
}

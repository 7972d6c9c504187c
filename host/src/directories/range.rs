//! Copies within one file system, by the system, which lets both files share the bytes where it can.

#[cfg(target_os = "linux")]
pub(super) use linux::copy_in_system;

/// There is no such call here.
#[cfg(not(target_os = "linux"))]
pub(super) fn copy_in_system(
    _source: &std::fs::File,
    _target: &std::fs::File,
    _hasher: &mut blake3::Hasher,
    _len: u64,
) -> std::io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{self, Seek, SeekFrom};
    use std::sync::mpsc;
    use std::thread;

    use rustix::fs::copy_file_range;
    use rustix::io::{pread, retry_on_intr};

    /// Bytes from which on the system is asked to copy, so many at once.
    pub(super) const LEAST_BYTES: u64 = 1 << 20;
    /// Bytes that are copied between two looks at whether the session is to end.
    const STEP_BYTES: u64 = 4 << 20;
    /// Bytes that are hashed at once.
    const PIECE_BYTES: usize = 256 << 10;

    /// Copies some of the next `len` bytes, and moves both positions on. What arrived is hashed
    /// meanwhile, on another core: somebody may write to the source at the same time.
    ///
    /// Absent: there are too few bytes for that, or this file system does not do it; reading and
    /// writing will tell. After a failure the positions and the hash are what they were.
    pub(in super::super) fn copy_in_system(
        source: &File,
        target: &File,
        hasher: &mut blake3::Hasher,
        len: u64,
    ) -> io::Result<Option<u64>> {
        if len < LEAST_BYTES {
            return Ok(None);
        }
        let (from, to) = ((&*source).stream_position()?, (&*target).stream_position()?);
        let len = source.metadata()?.len().saturating_sub(from).min(len).min(STEP_BYTES);
        if len < LEAST_BYTES {
            return Ok(None);
        }
        let copy = |done: u64| {
            let (mut from, mut to) = (from + done, to + done);
            let most = usize::try_from((len - done).min(LEAST_BYTES)).unwrap_or(usize::MAX);
            // What went wrong, reading and writing will tell.
            copy_file_range(source, Some(&mut from), target, Some(&mut to), most).unwrap_or(0)
        };
        let mut copied = copy(0) as u64;
        if copied == 0 {
            return Ok(None);
        }
        let mut hashed = hasher.clone();
        thread::scope(|scope| {
            let (arrived, arriving) = mpsc::channel();
            let hash = move || -> io::Result<blake3::Hasher> {
                let mut done = 0;
                for arrived in arriving {
                    hash_range(target, to + done, arrived - done, &mut hashed)?;
                    done = arrived;
                }
                Ok(hashed)
            };
            // What was copied is written once more, then.
            let Ok(hashing) = thread::Builder::new().spawn_scoped(scope, hash) else {
                return Ok(None);
            };
            while arrived.send(copied).is_ok() && copied < len {
                match copy(copied) {
                    0 => break,
                    more => copied += more as u64,
                }
            }
            drop(arrived);
            let hashed = hashing.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
            (&*source).seek(SeekFrom::Start(from + copied))?;
            (&*target).seek(SeekFrom::Start(to + copied))?;
            *hasher = hashed;
            Ok(Some(copied))
        })
    }

    /// Hashes so many bytes from a place on.
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

    use super::copy_in_system;
    use super::linux::LEAST_BYTES;

    /// Bytes that are at no two places the same.
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
    fn what_the_system_copies_is_what_is_hashed() -> io::Result<()> {
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
            while let Some(more) = copy_in_system(&source, &target, &mut hasher, len - copied)? {
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
    fn what_the_system_does_not_copy_is_left_to_reading_and_writing() -> io::Result<()> {
        let content = content(3 * LEAST_BYTES);
        let (home, mut source, target) = files(&content)?;
        let read_only = File::open(home.path().join("target"))?;
        let device = File::options().write(true).open("/dev/null")?;
        source.seek(SeekFrom::Start(2 * LEAST_BYTES + 1))?;
        for (target, len) in [(&target, u64::MAX), (&target, LEAST_BYTES - 1)] {
            let mut hasher = blake3::Hasher::new();
            assert_eq!(copy_in_system(&source, target, &mut hasher, len)?, None, "too little");
        }
        source.seek(SeekFrom::Start(0))?;
        for target in [&read_only, &device] {
            let mut hasher = blake3::Hasher::new();
            assert_eq!(copy_in_system(&source, target, &mut hasher, u64::MAX)?, None);
            assert_eq!(hasher.count(), 0);
            assert_eq!(source.stream_position()?, 0);
        }
        Ok(())
    }
}

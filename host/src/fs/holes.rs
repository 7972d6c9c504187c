//! Holes of sparse files, which are preserved in copies.

use std::fs::File;
use std::io;

/// The next part of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A hole of this length, which both files have passed.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "holes are found on Linux"))]
    Hole(u64),
    /// Data of at most this length.
    Data(u64),
}

/// The known holes of a source.
#[derive(Debug)]
pub(crate) struct Holes {
    may_be: bool,
    /// The end of the current data.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "holes are found on Linux"))]
    data_until: u64,
}

#[cfg(not(target_os = "linux"))]
impl Holes {
    pub(crate) fn new(_source: &File, _size: u64, _wanted: bool) -> Self {
        Self { may_be: false, data_until: 0 }
    }

    pub(crate) fn pass(
        &mut self,
        _source: &File,
        _copy: &File,
        _hasher: &mut blake3::Hasher,
        len: u64,
    ) -> io::Result<Part> {
        debug_assert!(!self.may_be);
        Ok(Part::Data(len))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{Seek, SeekFrom};
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::{SeekFrom as Look, seek};
    use rustix::io::Errno;

    use super::{File, Holes, Part, io};

    /// The minimum size of a file that is checked for holes.
    const LEAST_BYTES: u64 = 64 << 10;
    /// The maximum part of a hole that is passed at once: its zeros are hashed, too.
    const STEP_BYTES: u64 = 16 << 20;
    const BLOCK_BYTES: u64 = 512;

    static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

    impl Holes {
        pub(crate) fn new(source: &File, size: u64, wanted: bool) -> Self {
            let is_sparse = || {
                source.metadata().is_ok_and(|metadata| {
                    let room = metadata.blocks().saturating_mul(BLOCK_BYTES);
                    metadata.len() >= LEAST_BYTES && room < metadata.len()
                })
            };
            Self { may_be: wanted && size >= LEAST_BYTES && is_sparse(), data_until: 0 }
        }

        /// Passes at most `len` bytes of a hole at the source's position, at the end of the copy:
        /// hashes zeros, and extends the copy.
        pub(crate) fn pass(
            &mut self,
            mut source: &File,
            mut copy: &File,
            hasher: &mut blake3::Hasher,
            len: u64,
        ) -> io::Result<Part> {
            if !self.may_be {
                return Ok(Part::Data(len));
            }
            let (from, to) = (source.stream_position()?, copy.stream_position()?);
            if from < self.data_until {
                return Ok(Part::Data(len.min(self.data_until - from)));
            }
            let size = source.metadata()?.len();
            if from >= size || copy.metadata()?.len() != to {
                return Ok(Part::Data(len));
            }
            let data = match seek(source, Look::Data(from)) {
                // There is no data up to the end.
                Err(Errno::NXIO) => size,
                found => found?,
            };
            if data > from {
                let hole = (data - from).min(STEP_BYTES).min(len);
                let mut rest = hole;
                while rest > 0 {
                    let piece = usize::try_from(rest).unwrap_or(ZEROS.len()).min(ZEROS.len());
                    hasher.update(&ZEROS[..piece]);
                    rest -= piece as u64;
                }
                copy.set_len(to + hole)?;
                copy.seek(SeekFrom::Start(to + hole))?;
                source.seek(SeekFrom::Start(from + hole))?;
                return Ok(Part::Hole(hole));
            }
            self.data_until = seek(source, Look::Hole(from))?.max(from + 1);
            source.seek(SeekFrom::Start(from))?;
            Ok(Part::Data(len.min(self.data_until - from)))
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// Copies as the callers do, and returns the digest.
    fn copy(source: &File, target: &File) -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        let mut holes = Holes::new(source, u64::MAX, true);
        let mut buffer = vec![0; 10_000];
        loop {
            let data = match holes.pass(source, target, &mut hasher, 1 << 22)? {
                Part::Hole(_) => continue,
                Part::Data(data) => usize::try_from(data).unwrap_or(usize::MAX),
            };
            let piece = data.min(buffer.len());
            match (&mut &*source).read(&mut buffer[..piece])? {
                0 => return Ok(hasher.finalize()),
                read => {
                    hasher.update(&buffer[..read]);
                    (&mut &*target).write_all(&buffer[..read])?;
                }
            }
        }
    }

    #[test]
    fn a_copy_has_the_holes_and_the_content_of_its_source() -> io::Result<()> {
        const MIB: u64 = 1 << 20;
        for (size, data) in [
            (0, vec![]),
            (40 * MIB, vec![]),
            (40 * MIB + 1, vec![0]),
            (40 * MIB, vec![7 * MIB + 5, 33 * MIB]),
            (40 * MIB, vec![40 * MIB - 1]),
            (3, vec![1]),
        ] {
            let (mut source, mut target) = (tempfile::tempfile()?, tempfile::tempfile()?);
            source.set_len(size)?;
            for at in &data {
                source.seek(SeekFrom::Start(*at))?;
                source.write_all(b"x")?;
            }
            source.rewind()?;
            let digest = copy(&source, &target)?;
            let (mut expected, mut copied) = (Vec::new(), Vec::new());
            source.rewind()?;
            source.read_to_end(&mut expected)?;
            target.rewind()?;
            target.read_to_end(&mut copied)?;
            assert!(copied == expected, "{size} {data:?}");
            assert_eq!(digest, blake3::hash(&expected), "{size} {data:?}");
            assert!(
                target.metadata()?.blocks() <= source.metadata()?.blocks() + 64,
                "{size} {data:?}: {} blocks",
                target.metadata()?.blocks()
            );
        }
        Ok(())
    }

    #[test]
    fn content_after_the_copy_position_is_overwritten() -> io::Result<()> {
        let (source, mut target) = (tempfile::tempfile()?, tempfile::tempfile()?);
        source.set_len(1 << 20)?;
        target.write_all(b"was here before")?;
        target.rewind()?;
        assert_eq!(copy(&source, &target)?, blake3::hash(&vec![0; 1 << 20]));
        let mut copied = Vec::new();
        target.rewind()?;
        target.read_to_end(&mut copied)?;
        assert!(copied == vec![0; 1 << 20]);
        Ok(())
    }
}

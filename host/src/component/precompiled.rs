//! The file format of precompiled plugins: the description and the compiled code, so that loading
//! repeats neither step.

use std::io::{Read as _, Seek as _};

use xxhash_rust::xxh3::xxh3_128;

use crate::component::description::Description;
use crate::error::PrecompiledError;

/// The last byte is the version of this format.
const MAGIC: &[u8; 8] = b"syncmgr\x04";
/// The length of the checksum. It detects damage, not forgery: anyone who can write the file can
/// also replace the code, and a cryptographic digest would dominate the loading time.
const DIGEST_BYTES: usize = size_of::<u128>();
const LENGTH_BYTES: usize = size_of::<u64>();

/// The length of the trailer: the length of the description, the checksum of everything before it,
/// and the magic. It follows the compiled component and the description, so that wasmtime can map
/// the file.
#[cfg(feature = "compiler")]
const TRAILER_BYTES: usize = LENGTH_BYTES + DIGEST_BYTES + MAGIC.len();

/// The content of a precompiled file.
pub(crate) enum Kept {
    /// The mapped file.
    #[cfg(target_os = "linux")]
    Mapped(memmap2::Mmap),
    /// A copy in memory.
    Read(Vec<u8>),
}

impl Kept {
    /// Reads or maps a file.
    ///
    /// # Safety
    /// The file must not be written to while this is used.
    #[allow(unsafe_code, reason = "writing to a mapped file changes its memory")]
    pub(crate) unsafe fn of(file: &std::fs::File) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: the caller guarantees that the file is not written to.
            let mapped = unsafe { memmap2::Mmap::map(file) };
            // A read error of the disk would crash the program when the mapping is accessed.
            // Reading everything here returns it as an error.
            if let Ok(mapped) = mapped
                && mapped.advise(memmap2::Advice::PopulateRead).is_ok()
            {
                return Ok(Self::Mapped(mapped));
            }
        }
        let mut bytes = Vec::new();
        let mut file = file;
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(Self::Read(bytes))
    }
}

/// Returns the path by which the system names an open file, if it has one.
#[cfg(target_os = "linux")]
pub(crate) fn by_handle(file: &std::fs::File) -> Option<std::path::PathBuf> {
    use std::os::fd::AsRawFd as _;
    let path = std::path::PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    path.exists().then_some(path)
}

impl std::ops::Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            #[cfg(target_os = "linux")]
            Self::Mapped(bytes) => bytes,
            Self::Read(bytes) => bytes,
        }
    }
}

#[cfg(feature = "compiler")]
pub(crate) fn pack(description: &Description, compiled: &[u8]) -> Vec<u8> {
    // Serializing plain data with text keys cannot fail.
    let description = serde_json::to_vec(description).unwrap_or_default();
    let mut packed = Vec::with_capacity(compiled.len() + description.len() + TRAILER_BYTES);
    packed.extend(compiled);
    packed.extend(&description);
    packed.extend((description.len() as u64).to_le_bytes());
    let digest = xxh3_128(&packed);
    packed.extend(digest.to_le_bytes());
    packed.extend(MAGIC);
    packed
}

/// Splits a file into the description and the compiled component, and verifies the checksum.
pub(crate) fn unpack(packed: &[u8]) -> Result<(Description, &[u8]), PrecompiledError> {
    let rest = packed.strip_suffix(MAGIC).ok_or(PrecompiledError::Foreign)?;
    let (digested, digest) =
        rest.split_last_chunk::<DIGEST_BYTES>().ok_or(PrecompiledError::Damaged)?;
    if xxh3_128(digested).to_le_bytes() != *digest {
        return Err(PrecompiledError::Damaged);
    }
    let (rest, length) =
        digested.split_last_chunk::<LENGTH_BYTES>().ok_or(PrecompiledError::Damaged)?;
    let length = usize::try_from(u64::from_le_bytes(*length));
    let at = length.ok().and_then(|length| rest.len().checked_sub(length));
    let (compiled, description) = rest.split_at(at.ok_or(PrecompiledError::Damaged)?);
    Ok((parse(description)?, compiled))
}

fn parse(description: &[u8]) -> Result<Description, PrecompiledError> {
    serde_json::from_slice(description).map_err(|error| PrecompiledError::OtherHost {
        message: format!("its description: {error}"),
    })
}

/// Computes a digest of hashable values. The hashers of the standard library may differ between
/// versions.
#[cfg(feature = "compiler")]
pub(crate) struct Digest(blake3::Hasher);

#[cfg(feature = "compiler")]
impl Digest {
    pub(crate) fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(MAGIC).update(env!("CARGO_PKG_VERSION").as_bytes());
        Self(hasher)
    }

    /// Half of the digest is sufficient.
    pub(crate) fn hex(&self) -> String {
        self.0.finalize().to_hex()[..blake3::OUT_LEN].to_owned()
    }
}

#[cfg(feature = "compiler")]
impl std::hash::Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Never called.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        Description {
            size_bytes: 1,
            contract_version: "0.1.0".into(),
            imports: vec!["a".into()],
            exports: Vec::new(),
            producers: Vec::new(),
            sdk: Some("rust 0.1.0".into()),
            requests: crate::component::requests::Requests::parse(
                b"[directories]\nleft = { access = \"read-only\" }\n[allow]\nwall-clock = \"a\"",
            )
            .unwrap(),
            largest_function_bytes: 2,
            largest_function_joins: 3,
            joins: 4,
            expansion: 5,
        }
    }

    #[test]
    fn packing_round_trips() {
        let packed = pack(&description(), b"code");
        assert_eq!(unpack(&packed), Ok((description(), b"code".as_slice())));
    }

    #[test]
    fn flipped_bits_and_truncation_are_detected() {
        let packed = pack(&description(), b"code");
        for at in 0..packed.len() {
            assert!(unpack(&packed[..at]).is_err(), "cut at {at}");
            let mut flipped = packed.clone();
            flipped[at] ^= 1;
            assert!(unpack(&flipped).is_err(), "flipped at {at}");
        }
    }
}

//! The form in which a compiled plugin is kept: what its file told, and what wasmtime made of it,
//! so that neither has to be found out again.

use xxhash_rust::xxh3::xxh3_128;

use crate::contract::Description;
use crate::error::PrecompiledError;

/// Ends with the version of this form.
const MAGIC: &[u8; 8] = b"syncmgr\x03";
/// Against what happens to files. Nothing helps against whoever can write them, so the digest need
/// not be one that nobody could forge, and most of what loading takes would be making that.
const DIGEST_BYTES: usize = size_of::<u128>();
const LENGTH_BYTES: usize = size_of::<u64>();

/// What comes after the compiled component and the description: the length of the description,
/// the digest of all before it, and the magic. It is at the end, so that the file is one that
/// wasmtime can map.
#[cfg(feature = "compiler")]
const TRAILER_BYTES: usize = LENGTH_BYTES + DIGEST_BYTES + MAGIC.len();

/// What fits into the caches of a processor.
#[cfg(unix)]
const PART_BYTES: usize = 128 << 10;

/// More than any description has.
#[cfg(unix)]
const MAX_DESCRIPTION_BYTES: u64 = 16 << 20;

#[cfg(feature = "compiler")]
pub(crate) fn pack(description: &Description, compiled: &[u8]) -> Vec<u8> {
    // Plain data with text for keys.
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

/// The other way: the description, and the compiled component, if that is whole.
pub(crate) fn unpack(packed: &[u8]) -> Result<(Description, &[u8]), PrecompiledError> {
    let (digested, digest) = split_trailer(packed)?;
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

fn split_trailer(packed: &[u8]) -> Result<(&[u8], &[u8; DIGEST_BYTES]), PrecompiledError> {
    let rest = packed.strip_suffix(MAGIC).ok_or(PrecompiledError::Foreign)?;
    rest.split_last_chunk::<DIGEST_BYTES>().ok_or(PrecompiledError::Damaged)
}

/// The description in a file of this form, if all of it is whole. It is read through a small
/// buffer: what is mapped afterwards need not be in memory twice.
#[cfg(unix)]
pub(crate) fn read_description(
    file: &mut std::fs::File,
) -> std::io::Result<Result<Description, PrecompiledError>> {
    use std::io::{Read, Seek, SeekFrom};
    let length = file.metadata()?.len();
    let Some(digested) = length.checked_sub((DIGEST_BYTES + MAGIC.len()) as u64) else {
        return Ok(Err(PrecompiledError::Foreign));
    };
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    let mut rest = digested;
    let mut part = vec![0; PART_BYTES];
    while rest > 0 {
        let most = usize::try_from(rest).unwrap_or(PART_BYTES).min(PART_BYTES);
        let count = file.read(&mut part[..most])?;
        if count == 0 {
            return Ok(Err(PrecompiledError::Damaged));
        }
        hasher.update(&part[..count]);
        rest -= count as u64;
    }
    let mut end = [0; DIGEST_BYTES + MAGIC.len()];
    file.read_exact(&mut end)?;
    let Ok((_, digest)) = split_trailer(&end) else { return Ok(Err(PrecompiledError::Foreign)) };
    if hasher.digest128().to_le_bytes() != *digest {
        return Ok(Err(PrecompiledError::Damaged));
    }
    // What has the right digest was made like this.
    let Some(at) = digested.checked_sub(LENGTH_BYTES as u64) else {
        return Ok(Err(PrecompiledError::Damaged));
    };
    let mut size = [0; LENGTH_BYTES];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    let Some(at) = at.checked_sub(size).filter(|_| size <= MAX_DESCRIPTION_BYTES) else {
        return Ok(Err(PrecompiledError::Damaged));
    };
    let mut description = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(size).read_to_end(&mut description)?;
    Ok(parse(&description))
}

fn parse(description: &[u8]) -> Result<Description, PrecompiledError> {
    serde_json::from_slice(description).map_err(|error| PrecompiledError::OtherHost {
        message: format!("its description: {error}"),
    })
}

/// Digests whatever can be hashed. The hashes of the standard library are not the same in every
/// version of it.
#[cfg(feature = "compiler")]
pub(crate) struct Digest(blake3::Hasher);

#[cfg(feature = "compiler")]
impl Digest {
    pub(crate) fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(MAGIC).update(env!("CARGO_PKG_VERSION").as_bytes());
        Self(hasher)
    }

    /// Half of it is plenty.
    pub(crate) fn hex(&self) -> String {
        self.0.finalize().to_hex()[..blake3::OUT_LEN].to_owned()
    }
}

#[cfg(feature = "compiler")]
impl std::hash::Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks.
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
            requests: crate::requests::Requests::parse(
                b"[directories]\nleft = { access = \"read-only\" }\n[allow]\nwall-clock = \"a\"",
            )
            .unwrap(),
            largest_function_bytes: 2,
            expansion: 3,
        }
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let packed = pack(&description(), b"code");
        assert_eq!(unpack(&packed), Ok((description(), b"code".as_slice())));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let packed = pack(&description(), b"code");
        for at in 0..packed.len() {
            assert!(unpack(&packed[..at]).is_err(), "cut at {at}");
            let mut flipped = packed.clone();
            flipped[at] ^= 1;
            assert!(unpack(&flipped).is_err(), "flipped at {at}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_read_as_its_bytes_are() {
        use std::io::{Seek, Write};
        let packed = pack(&description(), &[7; 100_000]);
        let read = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            read_description(&mut file).unwrap()
        };
        assert_eq!(read(&packed), Ok(description()));
        for at in (0..packed.len()).step_by(97).chain(packed.len() - TRAILER_BYTES..packed.len()) {
            let mut flipped = packed.clone();
            flipped[at] ^= 1;
            let expected = unpack(&flipped).err();
            assert_eq!(read(&flipped).err(), expected, "flipped at {at}");
            assert!(read(&packed[..at]).is_err(), "cut at {at}");
        }
    }
}

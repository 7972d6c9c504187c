//! The form in which a compiled plugin is kept: what its file told, and what wasmtime made of it,
//! so that neither has to be found out again.

use crate::contract::Description;
use crate::error::PrecompiledError;

/// Ends with the version of this form.
const MAGIC: &[u8; 8] = b"syncmgr\x01";
const DIGEST_BYTES: usize = blake3::OUT_LEN;

/// The magic, the digest of the rest, the length of the description, the description as JSON, and
/// the compiled component.
#[cfg(feature = "compiler")]
pub(crate) fn pack(description: &Description, compiled: &[u8]) -> Vec<u8> {
    // Plain data with text for keys.
    let description = serde_json::to_vec(description).unwrap_or_default();
    let mut rest = Vec::with_capacity(8 + description.len() + compiled.len());
    rest.extend((description.len() as u64).to_le_bytes());
    rest.extend(description);
    rest.extend(compiled);
    [MAGIC, blake3::hash(&rest).as_bytes().as_slice(), &rest].concat()
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
        self.0.finalize().to_hex()[..DIGEST_BYTES].to_owned()
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

/// The other way.
pub(crate) fn unpack(packed: &[u8]) -> Result<(Description, &[u8]), PrecompiledError> {
    let rest = packed.strip_prefix(MAGIC).ok_or(PrecompiledError::Foreign)?;
    let (digest, rest) = rest.split_at_checked(DIGEST_BYTES).ok_or(PrecompiledError::Damaged)?;
    if blake3::hash(rest) != *digest {
        return Err(PrecompiledError::Damaged);
    }
    // What has the right digest was made like this.
    let (length, rest) = rest.split_first_chunk().ok_or(PrecompiledError::Damaged)?;
    let length = usize::try_from(u64::from_le_bytes(*length));
    let length = length.map_err(|_| PrecompiledError::Damaged)?;
    let (description, compiled) = rest.split_at_checked(length).ok_or(PrecompiledError::Damaged)?;
    let description = serde_json::from_slice(description).map_err(|error| {
        PrecompiledError::OtherHost { message: format!("its description: {error}") }
    })?;
    Ok((description, compiled))
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
}

//! The file format of a [`State`]: a magic number, the serialized state, and a checksum.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Base, BaseChildren, BaseKind, State};
use crate::tree::Name;

/// The first bytes of a state file: its type and version.
const MAGIC: &[u8; 16] = b"syncmgr-folder\0\x01";
const CHECKSUM_BYTES: usize = 32;
/// The size of the parts in which a state file is written.
const PART_BYTES: usize = 64 << 10;

/// The reason why a state file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The file is damaged, or of another version.
    Damaged,
    /// The file belongs to another pair.
    OtherPair,
}

impl State {
    /// Passes the bytes of a state file to a function, part by part.
    ///
    /// # Errors
    /// Returns the errors of `give`.
    pub fn write<E>(&self, give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut parts = Parts {
            part: Vec::with_capacity(PART_BYTES),
            hasher: blake3::Hasher::new(),
            give,
            failure: None,
        };
        parts.add(MAGIC);
        parts.put(&self.roots);
        parts.put_entries(&self.entries);
        parts.put(&self.conflicts);
        let mut rest = std::mem::take(&mut parts.part);
        parts.hasher.update(&rest);
        rest.extend_from_slice(parts.hasher.finalize().as_bytes());
        match parts.failure {
            Some(failure) => Err(failure),
            None => (parts.give)(&rest),
        }
    }

    /// Reads a state file.
    ///
    /// # Errors
    /// Fails unless the bytes are exactly those that [`State::write`] wrote for this pair.
    pub fn from_bytes(bytes: &[u8], roots: [[u8; 16]; 2]) -> Result<Self, Unusable> {
        let (content, checksum) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Unusable::Damaged)?;
        let body = content.strip_prefix(MAGIC).ok_or(Unusable::Damaged)?;
        if blake3::hash(content).as_bytes() != checksum {
            return Err(Unusable::Damaged);
        }
        let mut rest = Rest(body);
        let state =
            Self { roots: rest.take()?, entries: rest.take_entries()?, conflicts: rest.take()? };
        if !rest.0.is_empty() {
            return Err(Unusable::Damaged);
        }
        match state.roots == roots {
            true => Ok(state),
            false => Err(Unusable::OtherPair),
        }
    }
}

/// The number of the variant [`BaseKind::Directory`] in a state file.
const DIRECTORY: u8 = 2;

/// The unread rest of a state file.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Unusable> {
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| Unusable::Damaged)?;
        self.0 = rest;
        Ok(value)
    }

    /// Takes the entries that [`Parts::put_entries`] wrote.
    fn take_entries(&mut self) -> Result<BaseChildren, Unusable> {
        let mut stack = vec![(Name::from(""), self.take::<usize>()?, BaseChildren::new())];
        loop {
            let Some((_, left, entries)) = stack.last_mut() else { return Err(Unusable::Damaged) };
            if *left > 0 {
                *left -= 1;
                let name: Name = self.take()?;
                match self.0.strip_prefix(&[DIRECTORY]) {
                    Some(rest) => {
                        self.0 = rest;
                        stack.push((name, self.take()?, BaseChildren::new()));
                    }
                    None => drop(entries.insert(name, Arc::new(self.take()?))),
                }
                continue;
            }
            let Some((name, _, children)) = stack.pop() else { return Err(Unusable::Damaged) };
            let Some((_, _, entries)) = stack.last_mut() else { return Ok(children) };
            let (mode, sides) = self.take()?;
            let kind = BaseKind::Directory(children);
            entries.insert(name, Arc::new(Base { kind, mode, sides }));
        }
    }
}

/// Splits the output into parts and computes its checksum.
struct Parts<F, E> {
    part: Vec<u8>,
    hasher: blake3::Hasher,
    give: F,
    /// The error of `give`, which the serializer cannot pass on.
    failure: Option<E>,
}

impl<E, F: FnMut(&[u8]) -> Result<(), E>> Parts<F, E> {
    fn add(&mut self, bytes: &[u8]) {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES && self.failure.is_none() {
            self.hasher.update(&self.part);
            self.failure = (self.give)(&self.part).err();
            self.part.clear();
        }
    }
}

impl<E, F: FnMut(&[u8]) -> Result<(), E>> Parts<F, E> {
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Plain data can always be serialized, so only `give` can fail.
        let _ = postcard::to_io(value, self);
    }

    /// Writes the same bytes as `put` with an explicit stack, since a deep tree would overflow the
    /// call stack.
    fn put_entries(&mut self, entries: &BaseChildren) {
        self.put(&entries.len());
        let mut stack = vec![(entries.iter(), None::<&Base>)];
        while let Some((entries, directory)) = stack.last_mut() {
            match entries.next() {
                Some((name, base)) => {
                    self.put(name);
                    match base.children() {
                        Some(children) => {
                            self.put(&DIRECTORY);
                            self.put(&children.len());
                            stack.push((children.iter(), Some(base)));
                        }
                        None => self.put(base),
                    }
                }
                None => {
                    if let Some(base) = directory {
                        self.put(&(base.mode, base.sides));
                    }
                    stack.pop();
                }
            }
        }
    }
}

impl<E, F: FnMut(&[u8]) -> Result<(), E>> io::Write for Parts<F, E> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        match self.failure {
            Some(_) => Err(io::ErrorKind::Other.into()),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ConflictRecord, count_files};

    const ROOTS: [[u8; 16]; 2] = [[1; 16], [2; 16]];

    fn bytes(state: &State) -> Vec<u8> {
        let mut bytes = Vec::new();
        let written = state.write(|part| {
            bytes.extend_from_slice(part);
            Ok::<(), ()>(())
        });
        written.unwrap();
        bytes
    }

    fn state() -> State {
        let base = |kind, mode| Arc::new(Base { kind, mode, sides: Default::default() });
        let file = base(BaseKind::File([7; 32]), Some(0o644));
        let inner = BaseChildren::from([("f".into(), Arc::clone(&file))]);
        let directory = base(BaseKind::Directory(inner), None);
        State {
            entries: BaseChildren::from([("d".into(), directory), ("g".into(), file)]),
            conflicts: vec![ConflictRecord {
                path: "g".to_owned(),
                copy: "g2".to_owned(),
                when: 5,
                loser_is_right: true,
            }],
            ..State::new(ROOTS)
        }
    }

    #[test]
    fn a_state_round_trips() {
        assert_eq!(State::from_bytes(&bytes(&state()), ROOTS), Ok(state()));
    }

    #[test]
    fn the_bytes_equal_those_of_the_serializer() {
        let mut expected = [MAGIC.as_slice(), &postcard::to_allocvec(&state()).unwrap()].concat();
        expected.extend_from_slice(blake3::hash(&expected).as_bytes());
        assert_eq!(bytes(&state()), expected);
    }

    #[test]
    fn a_deep_state_is_read_compared_and_dropped() {
        let deep = || {
            let mut entries = BaseChildren::new();
            for _ in 0..100_000 {
                let kind = BaseKind::Directory(std::mem::take(&mut entries));
                let base = Base { kind, mode: Some(0o755), sides: Default::default() };
                entries.insert("d".into(), Arc::new(base));
            }
            State { entries, ..State::new(ROOTS) }
        };
        let read = State::from_bytes(&bytes(&deep()), ROOTS);
        assert!(read == Ok(deep()));
        let swapped = read.map(State::swapped).unwrap();
        assert!(swapped.entries == deep().entries && count_files(&swapped.entries) == 0);
    }

    #[test]
    fn a_large_state_is_written_in_parts_until_an_error() {
        let mut large = state();
        let file = Arc::clone(&large.entries["g"]);
        let entries = (0..10_000).map(|number: u32| (number.to_string().into(), Arc::clone(&file)));
        large.entries.extend(entries);
        let parts = |limit: usize| {
            let mut parts = Vec::new();
            let written = large.write(|part| {
                parts.push(part.len());
                if parts.len() > limit { Err("full") } else { Ok(()) }
            });
            (written, parts)
        };
        let (written, all) = parts(usize::MAX);
        assert!(written == Ok(()) && all.len() > 5, "{all:?}");
        assert!(all.iter().all(|part| *part < 2 * PART_BYTES), "{all:?}");
        assert_eq!(State::from_bytes(&bytes(&large), ROOTS), Ok(large.clone()));
        for limit in 0..all.len() {
            assert_eq!(parts(limit), (Err("full"), all[..=limit].to_vec()), "after {limit}");
        }
    }

    #[test]
    fn every_bit_flip_and_truncation_is_detected() {
        let bytes = bytes(&state());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(State::from_bytes(&damaged, ROOTS), Err(Unusable::Damaged), "at {at}");
            }
            assert_eq!(State::from_bytes(&bytes[..at], ROOTS), Err(Unusable::Damaged));
        }
    }

    #[test]
    fn the_state_of_another_pair_is_not_used() {
        let bytes = bytes(&state());
        assert_eq!(State::from_bytes(&bytes, [[1; 16], [3; 16]]), Err(Unusable::OtherPair));
    }

    #[test]
    fn swapping_twice_changes_nothing() {
        assert_eq!(state().swapped().swapped(), state());
    }
}

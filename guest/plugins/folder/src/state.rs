//! What the two sides last agreed on, and the file it is kept in.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::tree::{Digest, Fingerprint, Name, Side};

/// The first bytes of a state file: what it is and its version.
const MAGIC: &[u8; 16] = b"syncmgr-folder\0\x01";
const CHECKSUM_BYTES: usize = 32;
/// How much of a state file is given away at once.
const PART_BYTES: usize = 64 << 10;

/// Everything that is remembered about a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The ids of the two directories. Those of another pair are no state of this one.
    pub roots: [[u8; 16]; 2],
    /// What the two sides agree on, below their roots.
    pub entries: BaseChildren,
    /// Conflicts that were settled by keeping both versions.
    pub conflicts: Vec<ConflictRecord>,
}

/// Agreed entries, by key. What stays as it was is shared by the agreement before a run and the one
/// after it.
pub type BaseChildren = BTreeMap<Name, Arc<Base>>;

/// One agreed entry.
#[derive(Clone, Debug, Eq, Serialize, Deserialize)]
pub struct Base {
    /// What it is.
    pub kind: BaseKind,
    /// The permission bits; `None`: not known.
    pub mode: Option<u16>,
    /// How each side recognises it.
    pub sides: [Seen; 2],
}

/// What an agreed entry is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaseKind {
    /// A file with this content.
    File(Digest),
    /// A link with this text.
    Link(Box<str>),
    /// A directory.
    Directory(BaseChildren),
}

/// How a side recognises an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The fingerprint when it was seen last.
    pub fingerprint: Fingerprint,
    /// The permission bits that the side showed then, which need not be those agreed on: some
    /// file systems have none of their own. `None`: not known.
    pub mode: Option<u16>,
    /// Whether it was written so shortly before it was looked at that another change might not
    /// show; then the content decides.
    pub racy: bool,
}

/// One settled conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRecord {
    /// The path of the entry, by keys.
    pub path: String,
    /// The path of the copy that keeps the losing version, by keys.
    pub copy: String,
    /// When it was settled, in seconds since 1970.
    pub when: i64,
    /// Whether the losing version was the right side's.
    pub loser_is_right: bool,
}

/// Why a state file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is damaged, or of another version.
    Damaged,
    /// It is that of another pair.
    OtherPair,
}

/// Files and links, at any depth.
pub fn count_files(entries: &BaseChildren) -> u64 {
    let mut count = 0;
    let mut rest = vec![entries];
    while let Some(entries) = rest.pop() {
        count += entries.values().filter(|base| base.children().is_none()).count() as u64;
        rest.extend(entries.values().filter_map(|base| base.children()));
    }
    count
}

impl State {
    /// The state before the first run.
    pub fn new(roots: [[u8; 16]; 2]) -> Self {
        Self { roots, ..Self::default() }
    }

    /// Gives the bytes of a state file away, part by part.
    ///
    /// # Errors
    /// Those of `give`.
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

    /// Reads a state file. Whatever is not exactly what [`State::write`] wrote for this pair
    /// is not used.
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

    /// The same agreement with the sides exchanged.
    #[must_use]
    pub fn swapped(mut self) -> Self {
        self.roots.swap(0, 1);
        swap(&mut self.entries);
        for conflict in &mut self.conflicts {
            conflict.loser_is_right = !conflict.loser_is_right;
        }
        self
    }
}

fn swap(entries: &mut BaseChildren) {
    let mut rest = vec![entries];
    while let Some(entries) = rest.pop() {
        for base in entries.values_mut() {
            let base = Arc::make_mut(base);
            base.sides.swap(0, 1);
            if let BaseKind::Directory(children) = &mut base.kind {
                rest.push(children);
            }
        }
    }
}

/// The number of the variant [`BaseKind::Directory`] in a state file.
const DIRECTORY: u8 = 2;

/// The rest of a state file that is being read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Unusable> {
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| Unusable::Damaged)?;
        self.0 = rest;
        Ok(value)
    }

    /// Takes what [`Parts::put_entries`] put there.
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

/// Makes parts of what is written, and the checksum of it all.
struct Parts<F, E> {
    part: Vec<u8>,
    hasher: blake3::Hasher,
    give: F,
    /// The serializer has no errors of others.
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
        // Plain data can always be serialized, so what fails is `give`.
        let _ = postcard::to_io(value, self);
    }

    /// Puts the same bytes as `put`, with a stack of its own: a deep tree would overflow the other.
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

impl Base {
    /// How a side recognises it.
    pub fn seen(&self, side: Side) -> &Seen {
        &self.sides[side.index()]
    }

    /// The entries, of a directory.
    pub fn children(&self) -> Option<&BaseChildren> {
        match &self.kind {
            BaseKind::Directory(children) => Some(children),
            BaseKind::File(_) | BaseKind::Link(_) => None,
        }
    }
}

impl PartialEq for Base {
    fn eq(&self, other: &Self) -> bool {
        let (mut one, mut two) = (self, other);
        let mut rest: Vec<(&Arc<Self>, &Arc<Self>)> = Vec::new();
        loop {
            let is_equal = match (&one.kind, &two.kind) {
                (BaseKind::Directory(one), BaseKind::Directory(two)) => {
                    rest.extend(one.values().zip(two.values()).filter(|(a, b)| !Arc::ptr_eq(a, b)));
                    one.len() == two.len() && one.keys().eq(two.keys())
                }
                (BaseKind::File(one), BaseKind::File(two)) => one == two,
                (BaseKind::Link(one), BaseKind::Link(two)) => one == two,
                (
                    BaseKind::File(_) | BaseKind::Link(_) | BaseKind::Directory(_),
                    BaseKind::File(_) | BaseKind::Link(_) | BaseKind::Directory(_),
                ) => false,
            };
            if !is_equal || one.mode != two.mode || one.sides != two.sides {
                return false;
            }
            let Some((next, other)) = rest.pop() else { return true };
            (one, two) = (next, other);
        }
    }
}

impl Drop for Base {
    /// Takes a tree apart level by level, because a deep one would overflow the stack.
    fn drop(&mut self) {
        let mut rest = Vec::new();
        take_children(self, &mut rest);
        while let Some(entries) = rest.pop() {
            for mut base in entries.into_values().filter_map(Arc::into_inner) {
                take_children(&mut base, &mut rest);
            }
        }
    }
}

fn take_children(base: &mut Base, rest: &mut Vec<BaseChildren>) {
    if let BaseKind::Directory(children) = &mut base.kind
        && !children.is_empty()
    {
        rest.push(std::mem::take(children));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_state_survives_its_file() {
        assert_eq!(State::from_bytes(&bytes(&state()), ROOTS), Ok(state()));
    }

    #[test]
    fn the_bytes_are_those_of_the_serializer() {
        let mut expected = [MAGIC.as_slice(), &postcard::to_allocvec(&state()).unwrap()].concat();
        expected.extend_from_slice(blake3::hash(&expected).as_bytes());
        assert_eq!(bytes(&state()), expected);
    }

    #[test]
    fn a_deep_state_survives_its_file_and_is_compared_and_dropped() {
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
    fn a_large_state_is_given_away_in_parts_until_one_is_refused() {
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
    fn every_flipped_bit_and_every_cut_is_noticed() {
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

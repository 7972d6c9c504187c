//! The state file of `folder`.
#![no_main]

use std::collections::BTreeMap;
use std::num::NonZeroI64;
use std::sync::Arc;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use syncmgr_engine::state::{
    Base, BaseChildren, BaseKind, ConflictRecord, Seen, State, Unusable, count_files,
};
use syncmgr_engine::tree::Fingerprint;

const MAGIC_BYTES: usize = 16;
const ROOTS_BYTES: usize = 32;

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    /// A complete file.
    File(&'a [u8]),
    /// The bytes between the magic number and the checksum.
    Body(&'a [u8], usize),
    /// The baseline.
    Value(Entries, Vec<Conflict>, usize),
}

type Entries = BTreeMap<String, Entry>;

#[derive(Debug, Arbitrary)]
struct Entry {
    kind: Kind,
    mode: Option<u16>,
    sides: [Side; 2],
}

#[derive(Debug, Arbitrary)]
enum Kind {
    File(u64),
    Link(String),
    Directory(Entries),
}

type Side = (u64, i64, Option<NonZeroI64>, u64, Option<u16>, bool);
type Conflict = (String, String, i64, bool);

fn base(entry: &Entry) -> Base {
    let kind = match &entry.kind {
        Kind::File(text) => BaseKind::File(blake3::hash(&text.to_le_bytes()).into()),
        Kind::Link(text) => BaseKind::Link(text.as_str().into()),
        Kind::Directory(entries) => BaseKind::Directory(bases(entries)),
    };
    let sides = entry.sides.map(|(size, modified, changed, file_id, mode, racy)| Seen {
        fingerprint: Fingerprint { size, modified, changed, file_id },
        mode,
        racy,
    });
    Base { kind, mode: entry.mode, sides }
}

fn bases(entries: &Entries) -> BaseChildren {
    entries.iter().map(|(name, entry)| (name.as_str().into(), Arc::new(base(entry)))).collect()
}

fn written(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Ok(()) = state.write(|part| {
        bytes.extend_from_slice(part);
        Ok::<(), std::convert::Infallible>(())
    });
    bytes
}

/// Returns a file with this body and a valid checksum.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut bytes = written(&State::default());
    bytes.truncate(MAGIC_BYTES);
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    bytes
}

/// Returns the roots that a file states.
fn roots(bytes: &[u8]) -> [[u8; 16]; 2] {
    let mut roots = [[0; 16]; 2];
    if let Some(named) = bytes.get(MAGIC_BYTES..MAGIC_BYTES + ROOTS_BYTES) {
        roots.as_flattened_mut().copy_from_slice(named);
    }
    roots
}

/// Reads a file, and checks the invariants of an accepted one.
fn check(bytes: &[u8], damage: usize) -> Option<State> {
    let roots = roots(bytes);
    let state = State::from_bytes(bytes, roots).ok()?;
    assert_eq!(state.roots, roots);
    let again = written(&state);
    assert_eq!(State::from_bytes(&again, roots).as_ref(), Ok(&state));
    assert_eq!(count_files(&state.clone().swapped().entries), count_files(&state.entries));
    assert_eq!(state.clone().swapped().swapped(), state);

    let mut other = roots;
    other[damage % 2][damage % 16] ^= 1;
    assert_eq!(State::from_bytes(bytes, other), Err(Unusable::OtherPair));
    let mut damaged = again.clone();
    let at = damage % (8 * damaged.len());
    damaged[at / 8] ^= 1 << (at % 8);
    assert_eq!(State::from_bytes(&damaged, roots), Err(Unusable::Damaged), "bit {at}");
    assert_eq!(State::from_bytes(&again[..at / 8], roots), Err(Unusable::Damaged), "{at}");
    Some(state)
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::File(bytes) => drop(check(bytes, bytes.len())),
        Input::Body(body, damage) => drop(check(&sealed(body), damage)),
        Input::Value(entries, conflicts, damage) => {
            let conflict = |(path, copy, when, loser_is_right)| ConflictRecord {
                path,
                copy,
                when,
                loser_is_right,
            };
            let state = State {
                entries: bases(&entries),
                conflicts: conflicts.into_iter().map(conflict).collect(),
                ..State::new([[1; 16], [2; 16]])
            };
            assert_eq!(check(&written(&state), damage), Some(state));
        }
    }
});

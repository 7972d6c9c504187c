//! What is on the two sides.

use std::collections::BTreeMap;
use std::num::NonZeroI64;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One of the two directories of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The first one.
    Left,
    /// The second one.
    Right,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    /// 0 or 1.
    pub const fn index(self) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => 1,
        }
    }

    /// The name, which is also that of the grant.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// The BLAKE3 digest of a file's content.
pub type Digest = [u8; 32];

/// By what a file is recognised as unchanged without reading it. Only ever compared with
/// another one of the same side: clocks and file ids of two sides have nothing in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The length in bytes.
    pub size: u64,
    /// When the content was changed, in ns since 1970.
    pub modified: i64,
    /// When anything was changed, in ns since 1970; `None`: not known.
    pub changed: Option<NonZeroI64>,
    /// The file's identity; 0: not known.
    pub file_id: u64,
}

/// A name or a path. There are many of them, and most are that of one entry on both sides and of
/// what was agreed on, which share it.
pub type Name = Arc<str>;

/// One entry of a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The name as this side spells it.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// The permission bits: 0 to 0o777, of a directory 0 to 0o3777. `None`: the system has none.
    pub mode: Option<u16>,
    /// How it is recognised.
    pub fingerprint: Fingerprint,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A symbolic link with its text.
    Link(Box<str>),
    /// A directory.
    Directory(Children),
    /// Something that is left alone. `None`: because of a filter, which nobody needs to be told
    /// of; else why.
    Blocked(Option<Box<str>>),
}

/// The entries of a directory, by [`key`](crate::names::key).
pub type Children = BTreeMap<Name, Node>;

impl Node {
    /// The entries, of a directory.
    pub fn children(&self) -> Option<&Children> {
        match &self.kind {
            Kind::Directory(children) => Some(children),
            Kind::File | Kind::Link(_) | Kind::Blocked(_) => None,
        }
    }

    /// Whether it is, or has somewhere inside, something that is left alone.
    pub fn has_blocked(&self) -> bool {
        match &self.kind {
            Kind::Blocked(_) => true,
            Kind::Directory(children) => children.values().any(Self::has_blocked),
            Kind::File | Kind::Link(_) => false,
        }
    }
}

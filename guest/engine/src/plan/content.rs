//! Recognizes a file or link under another name of the same side.

use crate::tree::{Digest, Fingerprint};

/// The content of a file or link.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Content {
    /// A file that is not empty.
    File(Digest),
    /// A file on a side whose fingerprints identify a file wherever it is.
    Version(Fingerprint),
    /// An empty file. Its content is not distinctive, so the file id must match.
    Empty {
        file_id: u64,
        modified: i64,
    },
    Link(Box<str>),
}

impl Content {
    pub(super) fn empty(fingerprint: &Fingerprint) -> Option<Self> {
        let Fingerprint { size, modified, file_id, .. } = *fingerprint;
        (size == 0 && file_id != 0).then_some(Self::Empty { file_id, modified })
    }
}

//! What Nextcloud and ownCloud servers permit with an entry: the property `oc:permissions`, with one
//! letter for each permission.

/// The permissions of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions(u8);

/// A change of an entry, or in a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its deletion. The plugin moves it to the trash for that.
    Delete,
    /// A new name in its collection.
    Rename,
    /// A new name in another collection.
    Move,
    /// A new content. The plugin moves the old version to the trash.
    Replace,
    /// A new file in it.
    CreateFile,
    /// A new collection in it.
    CreateDirectory,
}

const DELETE: u8 = 1;
const RENAME: u8 = 2;
const MOVE: u8 = 4;
const WRITE: u8 = 8;
const CREATE_FILE: u8 = 16;
const CREATE_DIRECTORY: u8 = 32;

impl Permissions {
    /// Reads the letters. Unknown ones are ignored; none at all are no permissions that are known.
    pub fn parse(text: &str) -> Option<Self> {
        let flag = |letter| match letter {
            'D' => DELETE,
            'N' => RENAME,
            'V' => MOVE,
            'W' => WRITE,
            'C' => CREATE_FILE,
            'K' => CREATE_DIRECTORY,
            _ => 0,
        };
        let flags = text.chars().map(flag).fold(0, |all, flag| all | flag);
        (!text.is_empty()).then_some(Self(flags))
    }

    /// Returns whether a change is permitted.
    pub fn includes(self, change: Change) -> bool {
        let needed = match change {
            Change::Delete => DELETE,
            Change::Rename => RENAME,
            Change::Move => MOVE,
            Change::Replace => WRITE | DELETE,
            Change::CreateFile => CREATE_FILE,
            Change::CreateDirectory => CREATE_DIRECTORY,
        };
        self.0 & needed == needed
    }

    /// Returns whether each change of such an entry is permitted.
    pub fn is_complete(self, is_collection: bool) -> bool {
        let own = [Change::Delete, Change::Rename, Change::Move];
        let more = match is_collection {
            true => [Change::CreateFile, Change::CreateDirectory],
            false => [Change::Replace; 2],
        };
        own.into_iter().chain(more).all(|change| self.includes(change))
    }
}

impl Change {
    /// Returns why it is not made.
    pub fn refusal(self) -> &'static str {
        match self {
            Self::Delete => "the server does not permit its deletion",
            Self::Rename | Self::Move => "the server does not permit another name for it",
            Self::Replace => "the server does not permit its replacement",
            Self::CreateFile => "the server does not permit new files in the collection",
            Self::CreateDirectory => "the server does not permit new collections in this one",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_permit_changes() {
        use Change::{CreateDirectory, CreateFile, Delete, Move, Rename, Replace};
        let all = [Delete, Rename, Move, Replace, CreateFile, CreateDirectory];
        for (text, permitted, is_complete) in [
            ("RGDNVW", &[Delete, Rename, Move, Replace][..], [true, false]),
            ("RGDNVCK", &[Delete, Rename, Move, CreateFile, CreateDirectory], [false, true]),
            ("SRMG", &[], [false, false]),
            ("G", &[], [false, false]),
            ("GW", &[], [false, false]),
            ("dnvwck", &[], [false, false]),
            ("DNVWCK", &all, [true, true]),
            ("\u{1f600}C", &[CreateFile], [false, false]),
        ] {
            let found = Permissions::parse(text).unwrap();
            let changes: Vec<_> =
                all.into_iter().filter(|change| found.includes(*change)).collect();
            assert_eq!(changes, permitted, "{text}");
            assert_eq!([false, true].map(|is| found.is_complete(is)), is_complete, "{text}");
        }
        assert_eq!(Permissions::parse(""), None);
    }
}

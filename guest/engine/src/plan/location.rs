//! The location of an entry on both sides.

use crate::names;
use crate::tree::{Name, Node, join};

/// The location of an entry.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub(super) paths: [Name; 2],
    pub(super) key: Name,
}

impl Location {
    pub(super) fn root() -> Self {
        let path = Name::from("");
        Self { paths: [Name::clone(&path), Name::clone(&path)], key: path }
    }

    /// Returns the location of a child. A side without it will use the spelling of the other one.
    pub(super) fn child(&self, key: &str, left: Option<&Node>, right: Option<&Node>) -> Self {
        let name = |one: Option<&Node>, other: Option<&Node>| {
            one.or(other).map_or_else(|| key.into(), |node| Name::clone(&node.name))
        };
        self.inner([&name(left, right), &name(right, left)], key)
    }

    pub(super) fn named(&self, name: &str) -> Self {
        self.inner([name, name], &names::key(name))
    }

    /// Equal paths share their text.
    fn inner(&self, [left, right]: [&str; 2], key: &str) -> Self {
        let path = Name::from(join(&self.paths[0], left));
        let or_joined = |parent: &Name, name: &str| match *parent == self.paths[0] && name == left {
            true => Name::clone(&path),
            false => join(parent, name).into(),
        };
        let (right, key) = (or_joined(&self.paths[1], right), or_joined(&self.key, key));
        Self { paths: [path, right], key }
    }
}

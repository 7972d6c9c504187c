//! The actions of a run by directory, for a preview.

use std::collections::BTreeMap;

/// The maximum number of directories. All others count as one.
const MAX_PLACES: usize = 40;

/// The name of the directories that exceed the maximum.
const OTHERS: &str = "…";

/// The actions of a run, by the first directory in their paths.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, Place>);

/// The actions in a directory.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The numbers of actions, by kind.
    pub(super) actions: BTreeMap<String, u64>,
    /// The sizes of the entries together.
    pub(super) bytes: u64,
}

impl Places {
    /// Adds an action. The number of kinds is bounded by the caller.
    pub(super) fn add(&mut self, path: &str, kind: &str, size: u64) {
        let name = path.split_once('/').map_or("", |(first, _)| first);
        let is_known = self.0.len() < MAX_PLACES || self.0.contains_key(name);
        let name = if is_known { name } else { OTHERS };
        let place = self.0.entry(name.to_owned()).or_default();
        *place.actions.entry(kind.to_owned()).or_default() += 1;
        place.bytes = place.bytes.saturating_add(size);
    }

    /// Returns the directories, by name. That of entries in the root is empty.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.0.iter().map(|(name, place)| (name.as_str(), place))
    }
}

impl Place {
    /// Returns the most frequent kind.
    pub(super) fn main_kind(&self) -> &str {
        self.actions.iter().max_by_key(|(_, count)| **count).map_or("", |(kind, _)| kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_count_for_their_first_directory() {
        let mut places = Places::default();
        for (path, kind, size) in [
            ("a.txt", "created", 1),
            ("docs/a", "deleted", 2),
            ("docs/b/c", "deleted", u64::MAX),
            ("docs", "created", 0),
            ("/x", "created", 5),
        ] {
            places.add(path, kind, size);
        }
        let found: Vec<_> = places
            .iter()
            .map(|(name, place)| (name, place.actions.values().sum::<u64>(), place.bytes))
            .collect();
        assert_eq!(found, [("", 3, 6), ("docs", 2, u64::MAX)]);
        let (_, docs) = places.iter().nth(1).unwrap();
        assert_eq!(docs.main_kind(), "deleted");
    }

    #[test]
    fn the_number_of_directories_is_bounded() {
        let mut places = Places::default();
        for n in 0..1000 {
            places.add(&format!("{n}/x"), "created", 1);
        }
        assert_eq!(places.iter().count(), MAX_PLACES + 1);
        let others = places.iter().find(|(name, _)| *name == OTHERS).unwrap().1;
        assert_eq!(others.bytes, 960);
    }
}

//! Names that differ only in case. Some file systems treat them as equal.
//!
//! An entry that was renamed to another case on one side is renamed on the other side, too. Copying
//! and deleting it would fail on a case-insensitive file system.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::names;
use crate::options::Mode;
use crate::plan::{Action, Operation};
use crate::state::{self, BaseChildren};
use crate::tree::{Children, Kind, Name, Node, Side, join, split};

/// The names that differ only in case.
#[derive(Debug, Default)]
pub struct Spelling {
    /// Entries to rename, after all other operations on them and in them.
    pub renames: Vec<Operation>,
    /// Entries that exist on one side only, by key, with another name in the same directory that
    /// differs only in case.
    pub alike: HashMap<Name, Name>,
    pairs: Vec<Pair>,
    labels: [&'static str; 2],
}

/// An entry with different names on the two sides.
#[derive(Debug)]
struct Pair {
    /// The directory, by keys.
    parent: Name,
    /// The side on which to rename it.
    on: Side,
    /// The current key there.
    old: Name,
    /// The new key.
    new: Name,
}

/// Two directories to compare.
struct Level<'a> {
    /// By keys.
    key: Name,
    /// As each side spells it.
    paths: [Name; 2],
    sides: [&'a Children; 2],
    base: Option<&'a BaseChildren>,
}

/// Names of one directory that differ only in case.
#[derive(Default)]
struct Group<'a> {
    /// Names that only this side has.
    lone: [Vec<&'a Name>; 2],
    /// A name on both sides.
    common: Option<&'a Name>,
}

impl Spelling {
    /// Finds names that differ only in case. `renames` is whether entries of each side can be
    /// renamed.
    pub fn find(
        sides: [&Children; 2],
        base: &BaseChildren,
        mode: Mode,
        renames: [bool; 2],
        labels: [&'static str; 2],
    ) -> Self {
        let mut found = Self { labels, ..Self::default() };
        let root = Name::from("");
        let paths = [Name::clone(&root), Name::clone(&root)];
        let mut levels = vec![Level { key: root, paths, sides, base: Some(base) }];
        while let Some(level) = levels.pop() {
            let mut pairs = Vec::new();
            if !has_equal_keys(level.sides) {
                pairs = found.look(&level, mode, renames);
            }
            let [left, right] = level.sides;
            for (key, node) in left {
                let names = pairs.iter().find(|(names, _)| names[0] == key);
                let other = names.map_or(key, |(names, _)| names[1]);
                let kept = names.map_or(key, |(_, kept)| *kept);
                let Some(there) = right.get(other) else { continue };
                if let (Some(left), Some(right)) = (node.children(), there.children()) {
                    let base = level.base.and_then(|base| {
                        [key, other].into_iter().find_map(|key| base.get(key)?.children())
                    });
                    let [left_path, right_path] = &level.paths;
                    levels.push(Level {
                        key: join(&level.key, kept).into(),
                        paths: [
                            join(left_path, &node.name).into(),
                            join(right_path, &there.name).into(),
                        ],
                        sides: [left, right],
                        base,
                    });
                }
            }
        }
        // Children are renamed before their directory.
        found.renames.reverse();
        found
    }

    /// Returns whether there is nothing to rename.
    pub fn is_settled(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Compares the names of one directory. Returns pairs of keys, and which of the two is kept.
    fn look<'a>(
        &mut self,
        level: &Level<'a>,
        mode: Mode,
        renames: [bool; 2],
    ) -> Vec<([&'a Name; 2], &'a Name)> {
        let mut groups: BTreeMap<String, Group<'a>> = BTreeMap::new();
        for side in Side::BOTH {
            let [here, there] = [side, side.other()].map(|side| level.sides[side.index()]);
            for key in here.keys() {
                let group = groups.entry(names::folded(key)).or_default();
                match there.contains_key(key) {
                    true => group.common = Some(key),
                    false => group.lone[side.index()].push(key),
                }
            }
        }
        let mut pairs = Vec::new();
        for group in groups.values() {
            if let ([left], [right], None) = (&*group.lone[0], &*group.lone[1], group.common)
                && let Some(on) = renamed_on(level, [left, right], mode)
                && renames[on.index()]
            {
                let names = [*left, *right];
                let [new, old] = [on.other(), on].map(|side| names[side.index()]);
                self.rename(level, on, old, new);
                pairs.push((names, new));
                continue;
            }
            let all = || group.lone.iter().flatten().copied().chain(group.common);
            for key in group.lone.iter().flatten() {
                if let Some(other) = all().find(|other| other != key) {
                    self.alike.insert(join(&level.key, key).into(), Name::clone(other));
                }
            }
        }
        pairs
    }

    fn rename(&mut self, level: &Level<'_>, on: Side, old: &Name, new: &Name) {
        let name = |side: Side, key: &Name| {
            let node = level.sides[side.index()].get(key);
            join(&level.paths[side.index()], node.map_or(key, |node| &node.name))
        };
        let to = level.sides[on.other().index()].get(new).map_or(new, |node| &node.name);
        let (mut paths, action) = (
            [name(Side::Left, new), name(Side::Right, new)],
            Action::Move {
                on,
                to: join(split(&name(on, old)).0, to).into(),
                old_key: join(&level.key, old).into(),
                expected: None,
                before: None,
            },
        );
        paths[on.index()] = name(on, old);
        self.renames.push(Operation {
            action,
            paths: paths.map(Name::from),
            key: join(&level.key, new).into(),
            reason: format!("renamed on {}", self.labels[on.other().index()]).into(),
        });
        self.pairs.push(Pair {
            parent: Name::clone(&level.key),
            on,
            old: Name::clone(old),
            new: Name::clone(new),
        });
    }

    /// Merges the two names of an entry under the new one. Each side keeps its spelling.
    pub fn settle(&self, sides: [&mut Children; 2], base: &mut BaseChildren) {
        let [left, right] = sides;
        for Pair { parent, on, old, new } in &self.pairs {
            let side = match on {
                Side::Left => &mut *left,
                Side::Right => &mut *right,
            };
            if let Some(children) = side.directory_mut(parent)
                && let Some(node) = children.remove(old)
            {
                children.insert(Name::clone(new), node);
            }
            if let Some(children) = state::directory_mut(base, parent)
                && let Some(baseline) = children.remove(old)
            {
                children.insert(Name::clone(new), baseline);
            }
        }
    }
}

fn has_equal_keys([left, right]: [&Children; 2]) -> bool {
    let is_equal = |(one, other): (&Name, &Name)| Arc::ptr_eq(one, other) || one == other;
    left.len() == right.len() && left.keys().zip(right.keys()).all(is_equal)
}

/// Returns the side on which to rename an entry; `None`: these are two entries.
fn renamed_on(level: &Level<'_>, keys: [&Name; 2], mode: Mode) -> Option<Side> {
    let nodes = Side::BOTH.map(|side| level.sides[side.index()].get(keys[side.index()]));
    let is_leaf = |node: &Node| matches!(node.kind, Kind::File | Kind::Link(_));
    let is_pair = match nodes {
        [Some(left), Some(right)] => {
            let directories = left.children().is_some() && right.children().is_some();
            directories || is_leaf(left) && is_leaf(right)
        }
        [_, _] => false,
    };
    let baseline = keys.map(|key| level.base.is_some_and(|base| base.contains_key(key)));
    match (is_pair, baseline, mode) {
        (false, _, _) | (_, [true, true] | [false, false], _) => None,
        // The name that is not in the baseline is the new one.
        (true, [false, true], _) | (true, [true, false], Mode::Mirror) => Some(Side::Right),
        (true, [true, false], Mode::OneWaySafe) => None,
        (
            true,
            [true, false],
            Mode::TwoWaySafe | Mode::PreferLeft | Mode::PreferRight | Mode::Newer,
        ) => Some(Side::Left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::{MODES, World};

    fn find(baseline: &str, left: &str, right: &str, mode: Mode) -> (Spelling, World) {
        let mut world = World::default();
        for side in Side::BOTH {
            world.edit(side, baseline);
        }
        world.sync(Mode::TwoWaySafe);
        world.edit(Side::Left, left);
        world.edit(Side::Right, right);
        let sides = Side::BOTH.map(|side| world.scan(side));
        (
            Spelling::find([&sides[0], &sides[1]], &world.base, mode, [true; 2], ["left", "right"]),
            world,
        )
    }

    fn renames(found: &Spelling) -> Vec<String> {
        let shown = |operation: &Operation| {
            let Action::Move { on, to, .. } = &operation.action else {
                return format!("{:?}", operation.action);
            };
            format!("{} {} {}", on.name(), operation.paths[on.index()], split(to).1)
        };
        found.renames.iter().map(shown).collect()
    }

    #[test]
    fn a_change_of_case_is_propagated_as_a_rename() {
        for (baseline, left, right, expected) in [
            ("a:1 b:2", "", "", vec![]),
            ("Note:1", "-Note note:1", "", vec!["right Note note"]),
            ("Note:1", "-Note note:2", "", vec!["right Note note"]),
            ("Note:1", "", "-Note note:1", vec!["left Note note"]),
            ("\u{c4}:1", "-\u{c4} \u{e4}:1", "", vec!["right \u{c4} \u{e4}"]),
            (
                "A/b:1 A/C/d:2",
                "-A a/B:1 a/c/d:2",
                "",
                vec!["right A/b B", "right A/C c", "right A a"],
            ),
            // These are two entries.
            ("x:1", "Note:1", "note:2", vec![]),
            ("Note:1", "note:2", "", vec![]),
            ("Note:1", "-Note note:1", "nOTE:1", vec![]),
            ("Note:1", "-Note note/x:1", "", vec![]),
            ("Note:1", "-Note", "-Note note:1", vec![]),
        ] {
            let (found, _) = find(baseline, left, right, Mode::TwoWaySafe);
            let mut found = renames(&found);
            found.sort_by_key(|row| std::cmp::Reverse(row.matches('/').count()));
            let mut expected = expected;
            expected.sort_by_key(|row| std::cmp::Reverse(row.matches('/').count()));
            found.sort();
            expected.sort_unstable();
            assert_eq!(found, expected, "{baseline:?} {left:?} {right:?}");
        }
    }

    #[test]
    fn the_mode_decides_which_side_may_be_renamed() {
        for mode in MODES {
            let on_left = match mode {
                Mode::Mirror => vec!["right note Note"],
                Mode::OneWaySafe => vec![],
                Mode::TwoWaySafe | Mode::PreferLeft | Mode::PreferRight | Mode::Newer => {
                    vec!["left Note note"]
                }
            };
            let (found, _) = find("Note:1", "", "-Note note:1", mode);
            assert_eq!(renames(&found), on_left, "{mode:?}");
            let (found, _) = find("Note:1", "-Note note:1", "", mode);
            assert_eq!(renames(&found), ["right Note note"], "{mode:?}");
        }
    }

    #[test]
    fn a_rename_is_one_entry_with_two_spellings() {
        let (found, world) = find("A/b:1", "-A a/B:1", "", Mode::TwoWaySafe);
        let mut sides = Side::BOTH.map(|side| world.scan(side));
        let mut base = world.base.clone();
        let [left, right] = &mut sides;
        found.settle([left, right], &mut base);
        let [left, right] = &sides;
        assert!(left.keys().eq(right.keys()) && left.keys().eq(base.keys()));
        let inner = right["a"].children().map(|children| children["B"].name.to_string());
        assert_eq!((&*right["a"].name, inner.as_deref()), ("A", Some("b")));
    }

    #[test]
    fn names_that_may_collide_are_reported() {
        let (found, _) = find("d/Note:1 x:1", "d/note:2 y:3", "", Mode::TwoWaySafe);
        let alike: Vec<_> = found.alike.iter().map(|(key, other)| (&**key, &**other)).collect();
        assert_eq!(alike, [("d/note", "Note")]);
    }
}

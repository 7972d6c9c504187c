//! The cases of the suite of `folder`, with a side in memory.

#[path = "../../../../tests/suites/folder/sync/cases.rs"]
mod table;

use std::collections::BTreeMap;
use std::fs;

use syncmgr_engine::testing::Memory;
use syncmgr_engine::tree::{join, prefixes, split};
use syncmgr_engine::{Capabilities, Endpoint};
use syncmgr_plugin::directories::EntryKind;
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::Run;

use crate::scene::{Scene, memory};
use table::{CASES, Case, Expect, ONE_WAY};

/// Contents by path; `None`: a directory.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// Returns the tree of a row, see `conformance::trees`.
fn tree(text: &str) -> Tree {
    let mut tree = Tree::new();
    for entry in text.split('|').filter(|entry| !entry.is_empty()) {
        let (path, content) = entry.split_once('=').unwrap_or((entry, ""));
        let (path, content) = match path.strip_suffix('/') {
            Some(path) => (path, None),
            None => (path, Some(content.as_bytes().to_vec())),
        };
        let above = prefixes(split(path).0).filter(|above| !above.is_empty());
        tree.extend(above.map(|above| (above.to_owned(), None)));
        tree.insert(path.to_owned(), content);
    }
    tree
}

/// A side of a scene.
#[derive(Clone, Copy)]
enum On {
    Local,
    Memory,
}

impl On {
    fn read(self, scene: &Scene) -> Tree {
        let mut tree = Tree::new();
        let mut rest = vec![String::new()];
        while let Some(directory) = rest.pop() {
            for (name, content) in self.list(scene, &directory) {
                let path = join(&directory, &name);
                if content.is_none() {
                    rest.push(path.clone());
                }
                tree.insert(path, content);
            }
        }
        tree
    }

    fn list(self, scene: &Scene, directory: &str) -> Vec<(String, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        match self {
            Self::Local => {
                for entry in fs::read_dir(scene.local().join(directory)).unwrap() {
                    let entry = entry.unwrap();
                    let is_file = entry.file_type().unwrap().is_file();
                    let content = is_file.then(|| fs::read(entry.path()).unwrap());
                    found.push((entry.file_name().into_string().unwrap(), content));
                }
            }
            Self::Memory => {
                let files = memory().files();
                let listed = memory().list(directory, &mut |entry| {
                    let name = entry.name.text().unwrap().to_owned();
                    let is_file = entry.metadata?.kind == EntryKind::File;
                    let content = is_file.then(|| files[&join(directory, &name)].clone());
                    found.push((name, content));
                    Ok(())
                });
                assert!(listed.is_ok(), "{listed:?}");
            }
        }
        found
    }

    /// Makes a side equal to a tree, and changes only what differs.
    fn write(self, scene: &Scene, tree: &Tree) {
        let now = self.read(scene);
        for (path, content) in now.iter().rev() {
            let is_kept = tree.get(path).is_some_and(|new| new.is_some() == content.is_some());
            match (self, content) {
                (_, _) if is_kept => {}
                (Self::Local, None) => fs::remove_dir(scene.local().join(path)).unwrap(),
                (Self::Local, Some(_)) => fs::remove_file(scene.local().join(path)).unwrap(),
                (Self::Memory, None) => memory().remove_directory(path).unwrap(),
                (Self::Memory, Some(_)) => memory().remove(path, None).unwrap(),
            }
        }
        for (path, content) in tree.iter().filter(|(path, content)| now.get(*path) != Some(content))
        {
            match (self, content) {
                (Self::Local, None) => fs::create_dir(scene.local().join(path)).unwrap(),
                (Self::Local, Some(content)) => {
                    fs::write(scene.local().join(path), content).unwrap();
                }
                (Self::Memory, None) => memory().create_directory(path, None).unwrap(),
                (Self::Memory, Some(content)) => assert!(memory().put(path, content)),
            }
        }
    }
}

fn is_conflict_copy(path: &str) -> bool {
    path.contains(" (conflicted copy ")
}

/// Runs a case. Returns why it does not have the expected outcome.
fn check(case: &Case, side: Memory, is_swapped: bool) -> std::result::Result<(), String> {
    let mut scene = Scene::new(side).swapped(is_swapped);
    scene.settings.clear();
    let sides = if is_swapped { [On::Memory, On::Local] } else { [On::Local, On::Memory] };
    let [baseline, left, right] = case.trees.map(tree);
    if !baseline.is_empty() {
        sides.iter().for_each(|on| on.write(&scene, &baseline));
        scene.run()?;
    }
    sides[0].write(&scene, &left);
    sides[1].write(&scene, &right);
    scene.settings = case.settings.to_vec();
    let trees = |scene: &Scene| sides.map(|on| on.read(scene));
    let (before, existed) = (trees(&scene), scene.existing());
    let run = scene.report(None);
    let after = trees(&scene);
    let explain = |what: &str| Err(format!("{what}: {after:?}: {run:?}"));
    let status = run.ended(ItemId::from_name("item"));
    let is_expected = match &case.expect {
        Expect::Stops(words) => {
            let is_reason = said(&run).contains(words);
            return match status == Some(Status::Failed) && is_reason && before == after {
                true => Ok(()),
                false => explain("it does not stop"),
            };
        }
        Expect::Both(expected) => after.iter().all(|side| *side == tree(expected)),
        Expect::Each(left, right) => after == [left, right].map(|side| tree(side)),
        Expect::Conflicts(expected, copies) => {
            let expected = tree(expected);
            let mut rest = after[0].clone();
            // Which version keeps the name depends on the times of the edits.
            rest.retain(|path, _| expected.contains_key(path));
            let found = after[0].keys().filter(|path| is_conflict_copy(path)).count();
            after[0] == after[1] && rest == expected && found == *copies
        }
    };
    if !is_expected || status != Some(Status::Succeeded) {
        return explain("another outcome");
    }
    let kept = scene.contents();
    if let Some(lost) = existed.iter().find(|content| !kept.contains(*content)) {
        return explain(&format!("{:?} is lost", String::from_utf8_lossy(lost)));
    }
    let writes = memory().writes();
    scene.run()?;
    match trees(&scene) == after && memory().writes() == writes {
        true => Ok(()),
        false => Err(format!("a rerun changes something: {:?}", trees(&scene))),
    }
}

fn said(run: &Run) -> String {
    let lines = run.log.iter().map(|line| line.text.as_str());
    let error = run.error.iter().map(|error| error.message.as_str());
    lines.chain(error).collect::<Vec<_>>().join("\n")
}

/// Returns sides with every combination of what a side can do.
fn sides() -> Vec<Memory> {
    let mut sides = Vec::new();
    for bits in 0..64_u8 {
        let [hashes_cheaply, has_only_times, works_at_once, renames, has_ids, copies] =
            [1, 2, 4, 8, 16, 32].map(|bit| bits & bit != 0);
        // Neither a time nor the version of a copy is an id.
        if has_ids && (has_only_times || copies) {
            continue;
        }
        let can = Capabilities {
            at_once: if works_at_once { 8 } else { 1 },
            hashes_cheaply,
            has_versions: true,
            renames,
            has_ids,
            ..Capabilities::default()
        };
        let side = Memory::with(can);
        let side = if has_only_times { side.with_only_times() } else { side };
        sides.push(if copies { side.with_copies() } else { side });
    }
    sides
}

/// The side has no links, and the move of the left side must be recognized where it would count as a
/// deletion.
fn is_possible(case: &Case, can: Capabilities, is_swapped: bool) -> bool {
    let finds_moves = if is_swapped { can.hashes_cheaply } else { can.renames };
    let needs_moves = case.settings.contains(&("max-delete", "0"));
    !case.trees.iter().any(|tree| tree.contains("@=")) && (finds_moves || !needs_moves)
}

#[test]
fn cases_have_the_expected_outcome_with_every_side() {
    let mut failures = Vec::new();
    for side in sides() {
        let can = side.capabilities();
        for (case, is_swapped) in CASES
            .iter()
            .flat_map(|case| [(case, false), (case, true)])
            .chain(ONE_WAY.iter().map(|case| (case, false)))
            .filter(|(case, is_swapped)| is_possible(case, can, *is_swapped))
        {
            if let Err(why) = check(case, side.fresh(), is_swapped) {
                let name = case.name;
                failures.push(format!("{name} (swapped: {is_swapped}, {side:?}): {why}"));
            }
        }
    }
    let count = failures.len();
    failures.truncate(3);
    assert!(failures.is_empty(), "{count} failures: {}", failures.join("\n\n"));
}

//! Random trees and edits.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// A random edit row.
fn row() -> impl Strategy<Value = String> {
    let path = vec(select(&["a", "b", "c"]), 1..=3).prop_map(|names| names.join("/"));
    let path = path.boxed();
    let marks = select(&["/", "*", "%600", "%500"]);
    prop_oneof![
        5 => (path.clone(), 0..40).prop_map(|(path, text)| format!("{path}:{text}")),
        1 => (path.clone(), 0..9).prop_map(|(path, text)| format!("{path}@{text}")),
        4 => (path.clone(), marks).prop_map(|(path, mark)| format!("{path}{mark}")),
        3 => path.clone().prop_map(|path| format!("-{path}")),
        4 => (path.clone(), path).prop_map(|(path, to)| format!("{path}>{to}")),
    ]
}

fn edits() -> impl Strategy<Value = Vec<(Side, String)>> {
    vec((select(&Side::BOTH), row()), 0..8)
}

/// A random tree with random edits.
fn case(modes: &'static [Mode]) -> impl Strategy<Value = Case> {
    let baseline = vec(row(), 0..8).prop_map(|rows| rows.join(" "));
    (select(modes), baseline, edits()).prop_map(|(mode, baseline, edits)| Case {
        mode,
        baseline,
        edits,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_edits_merge_without_loss(
        case in case(&MODES),
        later in vec(edits(), 0..3),
    ) {
        let mut world = case.world();
        for edits in [vec![]].into_iter().chain(later) {
            edits.iter().for_each(|(side, row)| world.edit(*side, row));
            let before = world.clone();
            world.sync(case.mode);
            check_outcome(&before, &world, case.mode);
        }
    }

    #[test]
    fn swapped_sides_swap_the_outcome(case in case(&TWO_WAY)) {
        case.run();
    }

    #[test]
    fn the_next_run_completes_an_interrupted_one(case in case(&MODES), cut in any::<Index>()) {
        let before = case.world();
        let mut world = before.clone();
        let mut plan = world.plan(&options(case.mode)).plan;
        let steps = plan.all().count();
        world.execute(&mut plan, cut.index(steps + 1));
        world.sync(case.mode);
        check_outcome(&before, &world, case.mode);
    }

    #[test]
    fn barred_entries_are_unchanged(
        case in case(&MODES),
        bars in vec((select(&Side::BOTH), any::<Index>(), select(&['?', '!'])), 1..4),
    ) {
        let mut before = case.world();
        let mut barred = Vec::new();
        for (side, at, bar) in bars {
            let count = before.trees[side.index()].len().max(1);
            if let Some(path) = before.trees[side.index()].keys().nth(at.index(count)) {
                before.bars[side.index()].insert(path.clone(), bar);
                barred.push((side, path.clone()));
            }
        }
        let mut world = before.clone();
        world.sync(case.mode);
        check_nothing_is_lost(&before, &world, Newer);
        check_a_rerun_does_nothing(&world, case.mode);
        for (side, path) in barred {
            let [was, is] = [&before, &world].map(|world| {
                let mut tree = world.trees[side.index()].clone();
                tree.retain(|other, _| is_in(other, &path));
                list(&tree)
            });
            assert_eq!(was, is);
        }
    }
}

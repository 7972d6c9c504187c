//! Trees, baselines and edits: `folder`'s plans, executed in memory.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use syncmgr_engine::options::{DeleteLimit, Mode, Options};
use syncmgr_engine::plan::model::{
    Case, MODES, World, check_a_rerun_does_nothing, check_nothing_is_lost, check_outcome, is_in,
    list, options,
};
use syncmgr_engine::tree::Side;

/// The last names are conflict copies of the first ones.
const NAMES: [&str; 6] = ["a", "b", "c.x", "d", "a~left", "c~right2.x"];

#[derive(Clone, Debug, Arbitrary)]
struct Row {
    path: (u8, Option<u8>, Option<u8>),
    edit: Edit,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Edit {
    File(u8),
    Link(u8),
    Directory,
    Touch,
    Permissions(bool),
    Remove,
    Move((u8, Option<u8>, Option<u8>)),
}

#[derive(Debug, Arbitrary)]
struct Input {
    mode: u8,
    baseline: Vec<Row>,
    edits: Vec<(bool, Row)>,
    later: Vec<Vec<(bool, Row)>>,
    cut: u8,
    bars: Vec<(bool, u8, bool)>,
    max_delete: u8,
}

impl Row {
    fn path((first, second, third): (u8, Option<u8>, Option<u8>)) -> String {
        let name = |at: u8| NAMES[usize::from(at) % NAMES.len()];
        let rest = second.into_iter().chain(third).map(|at| format!("/{}", name(at)));
        rest.fold(name(first).to_owned(), |path, name| path + &name)
    }

    fn text(&self) -> String {
        let path = Self::path(self.path);
        match self.edit {
            Edit::File(text) => format!("{path}:{text}"),
            Edit::Link(text) => format!("{path}@{text}"),
            Edit::Directory => format!("{path}/"),
            Edit::Touch => format!("{path}*"),
            Edit::Permissions(true) => format!("{path}%500"),
            Edit::Permissions(false) => format!("{path}%600"),
            Edit::Remove => format!("-{path}"),
            Edit::Move(to) => format!("{path}>{}", Self::path(to)),
        }
    }
}

const fn side(is_right: bool) -> Side {
    match is_right {
        false => Side::Left,
        true => Side::Right,
    }
}

fn rows(edits: &[(bool, Row)]) -> Vec<(Side, String)> {
    edits.iter().take(8).map(|(is_right, row)| (side(*is_right), row.text())).collect()
}

/// The next run completes an interrupted one.
fn check_interrupted(before: &World, mode: Mode, cut: u8) {
    let mut world = before.clone();
    let mut plan = world.plan(&options(mode)).plan;
    let steps = plan.all().count();
    world.execute(&mut plan, usize::from(cut) % (steps + 1));
    world.sync(mode);
    check_outcome(before, &world, mode);
}

/// Ignored and blocked entries are unchanged.
fn check_barred(before: &World, mode: Mode, bars: &[(bool, u8, bool)]) {
    let mut before = before.clone();
    let mut barred = Vec::new();
    for (is_right, at, is_filtered) in bars.iter().take(4) {
        let index = side(*is_right).index();
        let count = before.trees[index].len().max(1);
        if let Some(path) = before.trees[index].keys().nth(usize::from(*at) % count) {
            barred.push((index, path.clone()));
            before.bars[index].insert(path.clone(), if *is_filtered { '?' } else { '!' });
        }
    }
    let mut world = before.clone();
    world.sync(mode);
    check_nothing_is_lost(&before, &world, Mode::Newer);
    check_a_rerun_does_nothing(&world, mode);
    for (index, path) in barred {
        let [was, is] = [&before, &world].map(|world| {
            let mut tree = world.trees[index].clone();
            tree.retain(|other, _| is_in(other, &path));
            list(&tree)
        });
        assert_eq!(was, is, "{path}");
    }
}

/// A permitted plan stays within its deletion limit.
fn check_deletions(world: &World, mode: Mode, limit: u8) {
    let limited = Options { max_delete: DeleteLimit::Files(limit.into()), ..options(mode) };
    let run = world.plan(&limited);
    let steps = run.plan.operations.iter().chain(&run.plan.removals);
    let mut deleted = [0; 2];
    for step in steps {
        for side in Side::BOTH {
            deleted[side.index()] += u64::from(step.counts_as_deletion_on(side));
        }
    }
    let is_beyond = deleted.iter().any(|deleted| *deleted > limit.into());
    assert!(run.danger.is_some() || !is_beyond, "{deleted:?} of {limit}");
}

fuzz_target!(|input: Input| {
    let baseline: Vec<_> = input.baseline.iter().take(8).map(Row::text).collect();
    let mode = MODES[usize::from(input.mode) % MODES.len()];
    let case = Case { mode, baseline: baseline.join(" "), edits: rows(&input.edits) };
    // With swapped sides, the outcome is swapped.
    let (mut world, _) = case.run();
    let before = case.world();
    check_outcome(&before, &world, mode);
    check_interrupted(&before, mode, input.cut);
    check_barred(&before, mode, &input.bars);
    check_deletions(&before, mode, input.max_delete);
    for edits in input.later.iter().take(3) {
        rows(edits).iter().for_each(|(side, row)| world.edit(*side, row));
        let before = world.clone();
        world.sync(mode);
        check_outcome(&before, &world, mode);
    }
});

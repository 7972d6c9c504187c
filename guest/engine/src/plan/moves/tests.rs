//! Moves in memory.

use std::fmt::Write as _;

use crate::endpoint::Capabilities;
use crate::options::{DeleteLimit, Mode, Options};
use crate::plan::model::{LOCAL, MODES, Run, World, baseline, listing, options, tags};
use crate::plan::{Action, Operation, SafetyStop};
use crate::tree::Side;
use Mode::{Mirror, OneWaySafe, TwoWaySafe};

/// Returns the steps as rows: `a>b` moves, `b/` creates a directory, `+b` copies and `-b` removes.
fn steps(run: &Run) -> String {
    let row = |operation: &Operation| {
        let path = &operation.paths[operation.side().index()];
        match &operation.action {
            Action::Move { to, .. } => format!("{path}>{to}"),
            Action::MakeDirectory { .. } => format!("{path}/"),
            Action::Copy { .. } | Action::MakeLink { .. } => format!("+{path}"),
            Action::Remove { .. } => format!("-{path}"),
            Action::RemoveDirectory { .. } => format!("-{path}/"),
            Action::Rename { .. } => format!("{path} aside"),
            Action::SetMode { mode, .. } => format!("{path}%{mode:o}"),
            Action::SetModified { .. } => format!("{path}*"),
        }
    };
    let short = |row: String| tags().fold(row, |row, (long, short)| row.replace(&long, &short));
    run.plan.all().map(row).map(short).collect::<Vec<_>>().join(" ")
}

#[test]
fn moves_are_made_on_the_other_side() {
    for (before, left, right, after, expected) in [
        // A file, a link, and into a new directory.
        ("a:1 k:k", "a>b", "", "b:1 k:k", "a>b"),
        ("a@1 k:k", "a>b", "", "b@1 k:k", "a>b"),
        ("a:1 k:k", "a>n/m/b", "", "n/m/b:1 k:k", "n/ n/m/ a>n/m/b"),
        ("d/a:1 e/b:2", "d/a>e/a", "", "d/ e/a:1 e/b:2", "d/a>e/a"),
        ("a: k:k", "a>b", "", "b: k:k", "a>b"),
        // A directory, with everything in it.
        ("d/a:1 d/s/b:2 d/l@3 d/e:", "d>e", "", "e/a:1 e/s/b:2 e/l@3 e/e:", "d>e"),
        ("d/a:1 d/s/b:2 k:k", "d>n/e", "", "n/e/a:1 n/e/s/b:2 k:k", "n/ d>n/e"),
        ("p/d/a:1 q/d/b:2", "p/d>q/e", "", "p/ q/d/b:2 q/e/a:1", "p/d>q/e"),
        ("p/d/a:1 q/x:2", "p/d>q/d", "", "p/ q/d/a:1 q/x:2", "p/d>q/d"),
        // Nested.
        ("d/a:1 d/s/b:2", "d>e e/s>e/t", "", "e/a:1 e/t/b:2", "d>e e/s>e/t"),
        ("d/a:1 d/s/b:2 k:k", "d>e e/s>f", "", "e/a:1 f/b:2 k:k", "d>e e/s>f"),
        ("d/a:1 d/b:2", "d>e e/b>e/c", "", "e/a:1 e/c:2", "d>e e/b>e/c"),
        ("d/a:1 d/b:2 d/c:3", "d>e e/b>b", "", "e/a:1 e/c:3 b:2", "d>e e/b>b"),
        // Within itself, and out of itself.
        ("a/x:1", "a>t t>a/b", "", "a/b/x:1", "a/b/ a/x>a/b/x"),
        ("a/b/x:1 a/b/y:2", "a/b>t -a t>a", "", "a/x:1 a/y:2", "a/b/x>a/x a/b/y>a/y -a/b/"),
        // Together with edits: of the moved entry, or in the moved directory.
        ("a:1 k:k", "a>b b:22", "", "b:22 k:k", "+b -a"),
        ("a:1 k:k", "a>b b*", "", "b:1 k:k", "a>b b*"),
        ("a:1 k:k", "a>b b%600", "", "b:1 b%600 k:k", "a>b b%600"),
        ("d/a:1 d/b:2", "d>e e/b:22 e/n:3", "", "e/a:1 e/b:22 e/n:3", "d>e +e/b +e/n"),
        ("d/a:1 d/b:2 d/c:3", "d>e -e/b", "", "e/a:1 e/c:3", "d>e -e/b"),
        ("d/a:1 d/b:2", "d>e d/a:9", "", "d/a:9 e/a:1 e/b:2", "d>e d/ +d/a"),
        ("d/a:1 d%500", "d>e", "", "e/a:1 e%500", "d>e"),
        ("d/a:1 k:k", "d>n/e n%500", "", "n/e/a:1 n%500 k:k", "n/ d>n/e n%500"),
        // A change on the other side wins over the move; everything else is moved.
        ("a:1 k:k", "a>b", "a:22", "a:22 b:1 k:k", "+a +b"),
        ("d/a:1 d/b:2", "d>e", "d/a:11", "d/a:11 e/a:1 e/b:2", "e/ d/b>e/b d/ +d/a +e/a"),
        ("d/a:1 d/b:2", "d>e", "d/n:3", "d/n:3 e/a:1 e/b:2", "e/ d/a>e/a d/b>e/b d/ +d/n"),
        (
            "d/s/a:1 d/t/b:2 d/t/c:3",
            "d>e",
            "d/s/n:9",
            "d/s/n:9 e/s/a:1 e/t/b:2 e/t/c:3",
            "e/ d/t>e/t e/s/ d/s/a>e/s/a d/ d/s/ +d/s/n",
        ),
        ("d/a:1 d/b:2", "d>e", "-d/a", "e/a:1 e/b:2", "d>e +e/a"),
        ("d/a:1 d/b:2", "d>e", "-d", "e/a:1 e/b:2", "e/ +e/a +e/b"),
        ("a:1 k:k", "a>b", "-a", "b:1 k:k", "+b"),
        // Moved on both sides: to the same place, or to different ones.
        ("a:1 k:k", "a>b", "a>b", "b:1 k:k", ""),
        ("d/a:1 k:k", "d>e", "d>e", "e/a:1 k:k", ""),
        ("a:1 k:k", "a>b", "a>c", "b:1 c:1 k:k", "+b +c"),
        ("d/a:1 k:k", "d>e", "d>f", "e/a:1 f/a:1 k:k", "e/ +e/a f/ +f/a"),
        ("a:1 b:2", "a>c", "b>d", "c:1 d:2", "a>c b>d"),
        ("d/a:1 d/b:2 d/c:3", "d>e", "d/a>f", "e/a:1 e/b:2 e/c:3 f:1", "d>e +e/a +f"),
        // Chains.
        ("a:1 b:2", "b>c a>b", "", "b:1 c:2", "b>c a>b"),
        ("a:1 b:2 c:3", "c>d b>c a>b", "", "b:1 c:2 d:3", "c>d b>c a>b"),
        ("0/x:1 1/x:2", "1>2 0>1", "", "1/x:1 2/x:2", "1>2 0>1"),
        ("0/x:1 1/x:2 2/x:3", "2>3 1>2 0>1", "", "1/x:1 2/x:2 3/x:3", "2>3 1>2 0>1"),
        // The new place is used or was deleted on the other side.
        ("a:1 k:k", "a>b", "b:2", "b:2 b~left:1 k:k", "b aside +b~left +b -a"),
        ("a:1 b:2", "-b a>b", "", "b:1", "+b -a"),
        ("a:1 x/k:k", "a>x/b", "-x", "x/b:1", "x/ +x/b -a -x/k"),
        ("a:1 k:k", "a>n/b", "n/c:2", "n/b:1 n/c:2 k:k", "a>n/b +n/c"),
        ("a:1 k:k", "a>n/b", "n:2", "n/b:1 n~right:2 k:k", "n aside +n~right n/ +n/b -a"),
        ("d/a:1 k:k", "d>e", "e/x:2", "e/a:1 e/x:2 k:k", "d/a>e/a +e/x -d/"),
        // Two directories into one, and one into two.
        ("d/a:1 e/b:2", "d>f e/b>f/b -e", "", "f/a:1 f/b:2", "d>f e/b>f/b -e/"),
        ("d/a:1 d/b:2 d/c:3", "d>e e/c>f/c", "", "e/a:1 e/b:2 f/c:3", "d>e f/ e/c>f/c"),
        // Duplicates.
        ("a:1 b:1", "a>c b>d", "", "c:1 d:1", "a>c b>d"),
        ("a:1 b:1", "a>c -b", "", "c:1", "a>c -b"),
        ("a:1", "a>b c:1", "", "b:1 c:1", "a>b +c"),
        ("d/a:x d/b:x e/a:x e/b:x", "d>f e>g", "", "f/a:x f/b:x g/a:x g/b:x", "d>f e>g"),
        // Types.
        ("d/a:1 k:k", "d>e d:file", "", "d:file e/a:1 k:k", "d>e +d"),
        ("a:1 k:k", "a>b a/n:2", "", "a/n:2 b:1 k:k", "a>b a/ +a/n"),
        ("a:1 k:k", "a>t a/n:2 t>a/b", "", "a/b:1 a/n:2 k:k", "-a a/ +a/b +a/n"),
    ] {
        let case = baseline(before).left(left).right(right);
        let (world, run) = case.run();
        for side in Side::BOTH {
            assert_eq!(world.list(side), listing(after), "{case:?}");
        }
        assert_eq!(steps(&run), expected, "{case:?}");
    }
}

#[test]
fn one_way_modes_move_on_the_right_side_only() {
    for mode in MODES {
        let is_one_way = matches!(mode, OneWaySafe | Mirror);
        let case = baseline("d/a:1 d/b:2 k:k").mode(mode);
        assert_eq!(steps(&case.left("d>e").both_become("e/a:1 e/b:2 k:k")), "d>e");
        let moves = case.right("d>e").world().plan(&options(mode)).plan.moves;
        assert_eq!(moves.is_empty(), is_one_way, "{mode:?}");
        // Changes of the right side are not moved.
        let changed = case.left("d>e").right("d/b:22").run().1;
        assert!(changed.plan.moves.iter().all(|step| &*step.key != "e/b"), "{mode:?}");
    }
}

#[test]
fn entries_that_are_not_synced_are_neither_moved_nor_replaced() {
    for (left, right, moves) in [
        // In the directory on the other side.
        ("d>e", "d/x:9 d/x?", "e/ d/a>e/a d/b>e/b"),
        ("d>e", "d/x:9 d/x!", "e/ d/a>e/a d/b>e/b"),
        ("d>e", "d/b!", "e/ d/a>e/a"),
        ("d>e", "d!", ""),
        // Junk is moved with its directory.
        ("d>e", "d/x:9 d/x~", "d>e"),
        // At the new place.
        ("d>e e/b?", "", "e/ d/a>e/a"),
        ("d>e e/b!", "", "e/ d/a>e/a"),
        ("d>e e/x:9 e/x?", "", "d>e"),
        ("d>e e!", "", ""),
        ("d/a>n/a", "n:9 n!", ""),
        ("d/a>n", "n:9 n?", ""),
        ("d/a>n", "n:9 n~", ""),
        // Its content is unknown.
        ("d>e e/b#", "", "d>e"),
        ("d/a>n n#", "", ""),
    ] {
        let case = baseline("d/a:1 d/b:2 k:k").left(left).right(right);
        for case in [case.swapped().unwrap(), case] {
            let mut run = case.run().1;
            run.plan.operations.clear();
            run.plan.removals.clear();
            assert_eq!(steps(&run), moves, "{case:?}");
        }
    }
}

#[test]
fn a_move_depends_on_what_the_sides_can_do() {
    const REMOTE: Capabilities =
        Capabilities { hashes_cheaply: false, has_versions: true, ..LOCAL };
    let world = baseline("d/a:1 d/b:2 l@3 k:k").left("d>e l>m").world();
    for (can, moves, hashed) in [
        ([LOCAL, LOCAL], "d>e l>m", 2),
        ([LOCAL, REMOTE], "d>e l>m", 2),
        ([REMOTE, LOCAL], "", 0),
        ([Capabilities { has_ids: true, ..REMOTE }, LOCAL], "d>e l>m", 0),
        ([LOCAL, Capabilities { renames: false, ..LOCAL }], "", 0),
        ([Capabilities { renames: false, ..LOCAL }, LOCAL], "d>e l>m", 2),
    ] {
        let world = World { can: Some(can), ..world.clone() };
        let mut run = world.plan(&options(TwoWaySafe));
        run.plan.operations.clear();
        run.plan.removals.clear();
        assert_eq!((&*steps(&run), run.hashed.len()), (moves, hashed), "{can:?}");
    }
}

#[test]
fn a_fingerprint_that_identifies_a_file_shows_its_move_without_reading_it() {
    let mut world = baseline("d/a:1 d/b:2 d/e: k:k").world();
    world.edit(Side::Left, "d>e e/b:33");
    let ids = Capabilities { hashes_cheaply: false, has_versions: true, has_ids: true, ..LOCAL };
    world.can = Some([ids, LOCAL]);
    let run = world.sync(TwoWaySafe);
    assert_eq!((&*steps(&run), run.hashed.len()), ("d>e +e/b", 0));
}

#[test]
fn files_written_just_before_the_scan_are_moved_if_their_content_is_unchanged() {
    let mut world = World::default();
    for side in Side::BOTH {
        world.edit(side, "k:k d/a:1 d/b:2");
    }
    world.sync(TwoWaySafe);
    world.edit(Side::Left, "d>e");
    let run = world.plan(&options(TwoWaySafe));
    assert_eq!(steps(&run), "d>e");
    assert_eq!(run.hashed, ["left e/a", "left e/b", "right d/b"]);
    // Neither time nor size shows the change.
    world.trees[1].get_mut("d/b").unwrap().text = "9".to_owned();
    assert_eq!(steps(&world.plan(&options(TwoWaySafe))), "e/ d/a>e/a d/ +d/b +e/b");
}

#[test]
fn an_entry_of_the_same_id_and_times_is_not_the_moved_one_if_its_content_differs() {
    let mut world = baseline("d/a:1 d/b:2 d/c:3 k:k").world();
    world.edit(Side::Left, "d>e");
    world.trees[0].get_mut("e/b").unwrap().text = "9".to_owned();
    assert_eq!(steps(&world.sync(TwoWaySafe)), "d>e +e/b");
    assert_eq!(world.list(Side::Right), listing("e/a:1 e/b:9 e/c:3 k:k"));
}

#[test]
fn moves_are_recognized_on_a_medium_with_new_file_ids() {
    let mut world = baseline("d/a:1 d/b:2 e/c:3 f/x/g:4 k:k").world();
    world.edit(Side::Left, "d/a>e/a f/x>e/y");
    world.trees[0].values_mut().for_each(|item| item.id += 1_000);
    let run = world.sync(TwoWaySafe);
    assert_eq!(steps(&run), "f/x>e/y d/a>e/a");
    assert_eq!(world.list(Side::Left), world.list(Side::Right));
}

#[test]
fn without_file_ids_names_and_directories_distinguish_duplicates() {
    let mut world = baseline("p/i:same p/a:1 q/i:same q/b:2 k:k").world();
    for side in Side::BOTH {
        world.trees[side.index()].values_mut().for_each(|item| item.id = 0);
    }
    world.sync(TwoWaySafe);
    // In the order of their names, they would be exchanged.
    world.edit(Side::Left, "p>z q>y");
    assert_eq!(steps(&world.sync(TwoWaySafe)), "p>z q>y");
}

#[test]
fn a_run_without_moves_reads_nothing() {
    for left in ["a:22 n:333 -d", "a:2", "n:333", "-d", "-d n/x/y:333", "a:2 c:3"] {
        let case = baseline("a:1 d/b:4 d/e: c:5").left(left);
        let run = case.world().plan(&options(TwoWaySafe));
        // An edit of the same size is compared with the baseline.
        let edited = run.hashed.iter().filter(|row| !["left a", "left c"].contains(&&***row));
        assert_eq!(edited.count(), 0, "{left}: {:?}", run.hashed);
        assert!(run.plan.moves.is_empty());
    }
}

#[test]
fn a_large_directory_is_one_step_and_each_file_is_read_once() {
    let rows: String = (0..3_000).fold(String::new(), |mut rows, number| {
        let _ = write!(rows, "d/{}/{number}:{number} ", number % 7);
        rows
    });
    let mut world = baseline(&rows).world();
    world.edit(Side::Left, "d>n/e");
    let run = world.plan(&options(TwoWaySafe));
    assert_eq!((&*steps(&run), run.hashed.len()), ("n/ d>n/e", 3_000));
    assert_eq!(run.plan.unchanged, 3_000);
}

#[test]
fn a_long_chain_is_moved_in_the_right_order() {
    let rows = |first: usize| -> String {
        (0..300).map(|number| format!("f{:03}:{number} ", number + first)).collect()
    };
    let moves: String =
        (0..300).rev().map(|number| format!("f{number:03}>f{:03} ", number + 1)).collect();
    let mut world = baseline(&rows(0)).world();
    world.edit(Side::Left, &moves);
    let run = world.sync(TwoWaySafe);
    assert_eq!(steps(&run), moves.trim());
    assert_eq!(world.list(Side::Right), listing(&rows(1)));
}

#[test]
fn a_deep_directory_is_moved() {
    let deep = "d/".repeat(1_500);
    let levels = |top: &str| -> String {
        (0..1_500)
            .step_by(50)
            .map(|level| format!("{top}/{}f:{level} ", &deep[..level * 2]))
            .collect()
    };
    let mut world = World { age: 100, ..World::default() };
    for side in Side::BOTH {
        world.edit(side, &levels("d"));
    }
    world.sync(TwoWaySafe);
    world.edit(Side::Left, "d>e");
    assert_eq!(steps(&world.plan(&options(TwoWaySafe))), "d>e");
    // Now each level must be created.
    world.edit(Side::Right, &format!("d/{}new:1", &deep[..2_800]));
    let run = world.sync(TwoWaySafe);
    assert_eq!(run.plan.moves.iter().filter(|step| step.key.ends_with('f')).count(), 29);
    assert_eq!(world.list(Side::Left), world.list(Side::Right));
}

#[test]
fn moved_entries_are_not_deletions_and_a_replaced_medium_still_stops_the_run() {
    let default = Options { max_delete: DeleteLimit::Default, ..options(TwoWaySafe) };
    let none = Options { max_delete: DeleteLimit::Files(0), ..options(TwoWaySafe) };
    let many = |directory: &str, from: u32, to: u32| -> String {
        (from..to).map(|number| format!("{directory}/{number}:{number} ")).collect()
    };
    let case = baseline(&(many("d", 10, 50) + "k:k"));
    assert_eq!(case.left("d>e").world().plan(&none).danger, None);
    assert_eq!(case.left("d>e k>e/k").world().plan(&none).danger, None);
    let stopped = case.left("d>e -e/10").world().plan(&none).danger;
    assert!(matches!(stopped, Some(SafetyStop::Deletions { deleted: 1, .. })), "{stopped:?}");
    // It has one of nine entries, or most of them.
    let few = baseline(&(many("d", 10, 18) + "k:k"));
    let other = few.left("d>e -k").left(&many("-e", 11, 18).replace(':', " -none"));
    let danger = other.world().plan(&default).danger;
    assert_eq!(danger, Some(SafetyStop::Replaced(Side::Left)));
    assert_eq!(few.left("d>e -k").world().plan(&default).danger, None);
}

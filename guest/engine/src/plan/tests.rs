//! Creates plans for trees in memory, and carries them out.

mod guards;
mod permissions;
mod random;

use super::model::*;
use super::*;
use crate::options::DeleteLimit;
use Mode::{Mirror, Newer, OneWaySafe, PreferLeft, PreferRight, TwoWaySafe};

fn skipped(run: &Run) -> Vec<&str> {
    run.plan.skipped.iter().map(|(path, _)| path.as_str()).collect()
}

#[test]
fn every_combination_has_a_decision() {
    use Change::{Absent, Changed, Deleted, New, Same};
    // A row for each change on the left, a letter for each on the right.
    const CHANGES: [Change; 5] = [Absent, Same, New, Changed, Deleted];
    for mode in MODES {
        let rows = match mode {
            OneWaySafe => ["->~~-", ">=~~>", ">>~~>", ">>~~>", "->~~-"],
            Mirror => ["->>>-", ">=>>>", ">>>>>", ">>>>>", "->>>-"],
            TwoWaySafe | PreferLeft | PreferRight | Newer => {
                ["-><<-", "<=<<<", ">>!!>", ">>!!>", "-><<-"]
            }
        };
        for (left, row) in CHANGES.into_iter().zip(rows) {
            let letters = CHANGES.map(|right| match decide(mode, left, right) {
                Verdict::Nothing => '=',
                Verdict::Drop => '-',
                Verdict::Take(Side::Left) => '>',
                Verdict::Take(Side::Right) => '<',
                Verdict::Conflict => '!',
                Verdict::Leave => '~',
            });
            assert_eq!(String::from_iter(letters), row, "{mode:?}, {left:?}");
        }
    }
}

#[test]
fn each_mode_produces_the_outcome_of_the_table() {
    // For each side, `=` unchanged, `c` changed or new, `-` missing; then for each mode, both
    // become the `l`eft or the `r`ight one, `2` versions are kept, `.` nothing is done.
    const AGREED: &str =
        "==...... c=llllll =crrrr.l cc2lrr.l -=llllll =-rrrrll c-llllll -crrrr.l --......";
    const NEW: &str = "c-llllll -crrrr.l cc2lrr.l";
    const ENTRIES: [[&str; 3]; 4] = [
        ["f:old", "f:left", "f:right"],
        ["f@old", "f@left", "f@right"],
        ["f:old", "f@left", "f:right"],
        ["f@old", "f:left", "f@right"],
    ];
    for [old, left, right] in ENTRIES {
        let cells = AGREED.split(' ').map(|cell| (old, cell));
        for (before, cell) in cells.chain(NEW.split(' ').map(|cell| ("", cell))) {
            // The edit of the side, and its resulting content.
            let side = |letter: &str, changed| match letter {
                "=" => ("", before),
                "c" => (changed, changed),
                _ => ("-f", ""),
            };
            let (l, r) = (side(&cell[..1], left), side(&cell[1..2], right));
            let two = format!("{right} {}", left.replacen('f', "f~left", 1));
            for (mode, outcome) in MODES.into_iter().zip(cell[2..].chars()) {
                let (left, right) = match outcome {
                    'l' => (l.1, l.1),
                    'r' => (r.1, r.1),
                    '2' => (&*two, &*two),
                    _ => (l.1, r.1),
                };
                let run = baseline(before).mode(mode).left(l.0).right(r.0).becomes(left, right);
                assert_eq!(run.plan.conflicts.len(), usize::from(outcome == '2'));
            }
        }
    }
}

#[test]
fn many_changes_on_both_sides_are_merged() {
    let run = baseline("f:0 f1:0 f2:0 f3:0 f4:0 f6:0 f7:0 f8:0 f9:0")
        .left("f2:left f11:left -f4 -f8 f:left -f6 f7:left")
        .right("f1:right f10:right -f3 -f8 f:right f6:right -f7")
        .both_become(
            "f:right f~left:left f1:right f2:left f6:right f7:left f9:0 f10:right f11:left",
        );
    assert_eq!(run.plan.unchanged, 1);
    let record = &run.plan.conflicts[0];
    assert_eq!((&*record.path, &*record.copy), ("f", "f (conflicted copy left 2026-11-22 073433)"));
    assert!(run.plan.conflicts.len() == 1 && !record.loser_is_right);
}

#[test]
fn the_same_change_on_both_sides_needs_no_copy() {
    for mode in MODES {
        let case = baseline("f:old").mode(mode).left("f:new l@t d/g:x").right("d/g:x l@t f:new");
        let run = case.both_become("f:new l@t d/g:x");
        assert!(run.plan.operations.iter().all(is_of_times), "{:?}", run.plan.operations);
        assert_eq!(run.plan.unchanged, 3);
    }
}

/// Returns whether only a time is propagated.
fn is_of_times(operation: &Operation) -> bool {
    matches!(operation.action, Action::SetModified { .. })
}

#[test]
fn without_a_baseline_both_sides_get_the_union() {
    for mode in TWO_WAY {
        let case = baseline("").mode(mode).left("l:1 same:s d/l:2 e/").right("r:3 same:s d/r:4");
        assert_eq!(case.both_become("l:1 r:3 same:s d/l:2 d/r:4 e/").plan.removals, []);
    }
}

#[test]
fn only_possibly_changed_content_is_hashed_and_only_once() {
    let touched = baseline("f:old g:old").left("f*");
    let run = touched.both_become("f:old g:old");
    assert_eq!(run.hashed, ["left f"]);
    assert_eq!(run.plan.operations.len(), 1);
    assert!(run.plan.operations.iter().all(is_of_times), "{:?}", run.plan.operations);
    assert!(touched.run().0.plan(&options(TwoWaySafe)).hashed.is_empty());

    let left = baseline("same:1 longer:1 other:1 l@1").left("longer:22 other:2 l@2 new:1");
    assert_eq!(left.run().1.hashed, ["left other"]);
    let both = left.right("longer:33 other:333 new:2").run().1.hashed;
    assert_eq!(both, ["left longer", "right longer", "left new", "right new", "left other"]);
}

#[test]
fn a_file_that_was_written_just_before_the_scan_is_hashed_again() {
    let mut world = baseline("f:old quiet:old").world();
    world.edit(Side::Left, "f:new");
    world.age = 0;
    world.sync(TwoWaySafe);
    // Neither time nor size shows it.
    world.trees[0].get_mut("f").unwrap().text = "NEW".to_owned();
    world.age = 100;
    assert_eq!(world.sync(TwoWaySafe).hashed, ["left f", "right f"]);
    assert_eq!(world.list(Side::Right), listing("f:NEW quiet:old"));
    assert!(world.sync(TwoWaySafe).hashed.is_empty());
}

#[test]
fn directories_are_created_and_removed_and_emptied_ones_stay() {
    baseline("d/f:x gone/").left("e/e/ -gone -d/f").both_become("e/e/ d/");
    // Unless the other side deleted them.
    baseline("d/f:x d/e/ f:x").left("-d").right("-d/f").both_become("f:x");
}

#[test]
fn new_entries_restore_a_deleted_directory_without_its_siblings() {
    let case = baseline("d/a:1 d/e/b:2 d/e/c:3 d/g/").left("-d");
    let changed = case.right("d/e/b:5");
    for mode in TWO_WAY {
        changed.mode(mode).both_become("d/e/b:5");
        for new in ["d/new:4", "d/new@4", "d/e/new/"] {
            case.mode(mode).right(new).both_become(new);
        }
    }
    changed.mode(Mirror).both_become("");
    let run = changed.mode(OneWaySafe).becomes("", "d/e/b:5");
    assert_eq!(skipped(&run), ["d/e", "d"]);
}

#[test]
fn a_type_change_is_propagated() {
    const TYPES: [&str; 4] = ["f:file", "f@nowhere", "f/", "f/a/b:1 f/c@2"];
    for (was, is) in TYPES.into_iter().flat_map(|was| TYPES.map(|is| (was, is))) {
        for mode in MODES {
            let case = baseline(was).mode(mode).left("-f").left(is);
            assert_eq!(case.both_become(is).plan.conflicts, []);
        }
    }
    // Deleted content need not be kept.
    baseline("f/a:1 f/b:2").left("f:file").right("-f/a").both_become("f:file");
}

#[test]
fn a_file_and_a_directory_of_one_name_are_both_kept() {
    for was in ["", "f:old", "f@old", "f/old:1"] {
        for leaf in ["f:leaf", "f@leaf"] {
            let case = baseline(was).left("f/a:2").right("-f").right(leaf);
            let tree = if was == "f/old:1" { "f/old:1 f/a:2" } else { "f/a:2" };
            let run = case.both_become(&format!("{tree} {}", leaf.replacen('f', "f~right", 1)));
            assert_eq!(run.plan.conflicts.len(), 1);
            case.mode(PreferLeft).both_become(tree);
            case.mode(PreferRight).both_become(leaf);
            case.mode(Newer).both_become(leaf);
            case.mode(Mirror).both_become(tree);
            assert_eq!(skipped(&case.mode(OneWaySafe).becomes(tree, leaf)), ["f"]);
        }
    }
}

#[test]
fn the_newer_version_keeps_the_name_and_left_wins_ties() {
    let newer = baseline("f:old").right("f:right").left("f:left");
    newer.both_become("f:left f~right:right");
    newer.mode(Newer).both_become("f:left");

    let mut tie = baseline("f:old").left("f:left").right("f:right").world();
    tie.trees[1].get_mut("f").unwrap().modified = tie.trees[0]["f"].modified;
    tie.sync(TwoWaySafe);
    assert_eq!(tie.list(Side::Right), listing("f:left f~right:right"));
}

#[test]
fn conflict_copies_have_unused_names() {
    let case = baseline("f:old f~left:mine").left("f:left").right("f:right");
    case.both_become("f:right f~left:mine f~left2:left");
    // A conflict copy that is in conflict itself gets the name of the original.
    let both = case.left("f~left:LEFT").right("f~left:RIGHT");
    both.both_become("f:right f~left:RIGHT f~left2:left f~left3:LEFT");
}

#[test]
fn two_spellings_of_a_name_are_one_entry() {
    let (nfc, nfd) = ("\u{e9}/\u{e9}", "e\u{301}/e\u{301}");
    let rows = |path: &str, text: &str| format!("{path}{text}");
    let case = baseline("").left(&rows(nfc, ":x")).right(&rows(nfd, ":x"));
    assert_eq!(case.becomes(&rows(nfc, ":x"), &rows(nfd, ":x")).plan.operations, []);

    let (mut world, _) = case.run();
    world.edit(Side::Left, &rows(nfc, ":changed"));
    world.edit(Side::Right, "e\u{301}/new:y");
    world.sync(TwoWaySafe);
    assert_eq!(world.list(Side::Left), listing(&rows(nfc, ":changed \u{e9}/new:y")));
    assert_eq!(world.list(Side::Right), listing(&rows(nfd, ":changed e\u{301}/new:y")));
    world.edit(Side::Left, &format!("-{nfc}"));
    world.sync(TwoWaySafe);
    assert_eq!(world.list(Side::Right), listing("e\u{301}/new:y"));
}

#[test]
fn ignored_entries_leave_the_baseline_and_are_not_deleted() {
    for mode in MODES {
        let case = baseline("x.log:1 d/y.log:2 d/f:3").mode(mode).left("x.log? d/y.log? -x.log -d");
        let case = case.right("x.log? d/y.log?");
        let run = case.becomes("", "x.log:1 d/y.log:2");
        assert_eq!(skipped(&run), ["d"]);
        assert!(!run.plan.next.contains_key("x.log"));

        let (mut world, _) = case.run();
        world.bars = Default::default();
        world.sync(mode);
        let expected = if TWO_WAY.contains(&mode) { "x.log:1 d/y.log:2" } else { "" };
        assert_eq!(world.list(Side::Left), listing(expected), "{mode:?}");
    }
}

#[test]
fn unreadable_entries_are_reported_and_keep_their_baseline() {
    for (mode, bar) in MODES.into_iter().flat_map(|mode| [(mode, "!"), (mode, "#")]) {
        for (edit, left) in [("-d/f", "d/"), ("-d", ""), ("d/f:new", "d/f:new")] {
            // Touched, so that only the content decides.
            let case = baseline("d/f:old").mode(mode).right(&format!("d/f* d/f{bar}")).left(edit);
            let run = case.becomes(left, "d/f:old");
            assert_eq!(skipped(&run)[0], "d/f", "{mode:?}, {bar}");
            assert!(base_at(&run.plan.next, "d/f").is_some());
        }
    }
    // Here only the comparison needs the content.
    let run = baseline("f:old").left("f:left").right("f:more f#").becomes("f:left", "f:more");
    assert_eq!(skipped(&run), ["f"]);
    assert!(run.plan.next.contains_key("f"));
}

#[test]
fn a_directory_with_a_skipped_entry_is_kept() {
    for (mode, bar) in MODES.into_iter().flat_map(|mode| [(mode, "d/e/b!"), (mode, "d/e/b?")]) {
        let all = "d/a:1 d/e/b:2 d/e/c:3 d/e%500";
        let case = baseline(all).mode(mode).right(bar);
        let run = case.left("-d").becomes("", "d/e/b:2 d/e%500");
        assert!(skipped(&run).ends_with(&["d/e", "d"]), "{:?}", skipped(&run));
        assert_eq!(skipped(&case.left("d:file").becomes("d:file", all)), ["d"]);
    }
    // An unreadable file may have changed.
    let case = baseline("f/a:1").right("f/a* f/a#").left("f:file");
    assert_eq!(case.both_become("f/a:1 f~left:file").plan.removals, []);
}

#[test]
fn cancellation_stops_planning() {
    let world = baseline("f:old").left("f*").world();
    let sides = Side::BOTH.map(|side| world.scan(side));
    let options = options(TwoWaySafe);
    let [left, right] = &sides;
    let input = Input {
        sides: [left, right],
        base: &world.base,
        before: Before::default(),
        options: &options,
        capabilities: [LOCAL; 2],
        labels: LABELS,
        now: 0,
        when: WHEN,
    };
    assert_eq!(plan(&input, &mut |_, _| Err(None)).unwrap_err(), Cancelled);
}

#[test]
fn an_entry_with_the_name_of_an_ignored_one_is_reported() {
    // A pattern that ends with `/` ignores the directory only.
    for (left, right) in [("b:x", "b/o:1 b?"), ("b@x", "b/o:1 b?"), ("b/o:1", "b:x b?")] {
        for mode in MODES {
            let case = baseline("k:k").mode(mode).left(left).right(right);
            for case in [case.swapped().unwrap_or_else(|| case.clone()), case] {
                let (world, run) = case.run();
                assert_eq!(skipped(&run), ["b"], "{mode:?}");
                assert!(run.plan.skipped[0].1.contains("ignored entry with this name"));
                check_a_rerun_does_nothing(&world, mode);
            }
        }
    }
}

#[test]
fn junk_is_removed_with_its_directory_and_not_counted() {
    let none = |mode| Options { max_delete: DeleteLimit::Files(1), ..options(mode) };
    let case =
        baseline("p/q/a:1 k:k").right("p/q/Thumbs.db:x p/q/Thumbs.db~ p/j:y p/j~").left("-p");
    for mode in MODES {
        let case = case.mode(mode);
        assert_eq!(case.world().plan(&none(mode)).danger, None);
        let run = case.both_become("k:k");
        assert!(skipped(&run).is_empty());
        let became = case.left("p:file").both_become("p:file k:k");
        assert!(skipped(&became).is_empty());
    }
    // Junk in a directory that is kept is neither removed nor copied.
    let stays = baseline("p/a:1 k:k").right("p/j:y p/j~").left("-p/a");
    stays.becomes("p/ k:k", "p/ p/j:y k:k");
    // A file that the setting ignores keeps its directory, with all parents.
    let run = case.right("p/x.o:o p/x.o?").becomes("k:k", "p/x.o:o p/j:y k:k");
    let (path, why) = &run.plan.skipped[0];
    assert_eq!(path, "p");
    assert!(why.contains("\"x.o\"") && why.contains("ignored"), "{why}");
}

#[test]
fn a_tree_of_any_depth_is_planned() {
    let deep = |prefix: &str| format!("{prefix}{}", "d/".repeat(1_500));
    let path = deep("");
    let mut world = World { age: 100, ..World::default() };
    for side in Side::BOTH {
        world.edit(side, &format!("{path}f:1 k:k"));
    }
    world.sync(TwoWaySafe);
    world.edit(Side::Left, &format!("{path}f:2 {path}g:3"));
    world.sync(TwoWaySafe);
    assert_eq!(world.list(Side::Left), world.list(Side::Right));
    world.edit(Side::Left, "-d d:file");
    world.sync(TwoWaySafe);
    assert_eq!(world.list(Side::Right), listing("d:file k:k"));
}

#[test]
fn one_way_safe_keeps_changes_of_the_right_side() {
    let run = baseline("edited:1 gone:2 both:3 left:4 d/f:5")
        .mode(OneWaySafe)
        .right("edited:r new:r both:r -gone d/new:r")
        .left("both:l left:l -edited e/")
        .becomes(
            "gone:2 both:l left:l d/f:5 e/",
            "edited:r gone:2 both:r left:l d/f:5 d/new:r new:r e/",
        );
    assert_eq!(skipped(&run), ["both"]);
}

#[test]
fn one_way_safe_continues_after_the_right_side_reverts() {
    let case = baseline("f:old g:old").mode(OneWaySafe).left("f:left -g").right("f:r g:r");
    let (mut world, _) = case.run();
    world.edit(Side::Right, "f:old g:old");
    world.sync(OneWaySafe);
    // Entries that exist only on the right side are its own by then.
    assert_eq!(world.list(Side::Right), listing("f:left g:old"));
}

#[test]
fn a_mirror_makes_the_right_side_equal_to_the_left() {
    let case = baseline("f:1 d/g:2 t:3 u/v:4").mode(Mirror).left("d/g:l -t t/x:3 u:4");
    case.right("f:r d/g:r new/n:r t:r -d u/w:r").both_become("f:1 d/g:l t/x:3 u:4");
}

//! Safety stops.

use super::*;

#[test]
fn an_emptied_side_stops_the_run() {
    let both = baseline("a:1 b:2");
    let left = both.left("-a -b");
    let right = both.right("-a -b");
    for mode in MODES {
        let is_one_way = matches!(mode, OneWaySafe | Mirror);
        let danger = left.mode(mode).danger(DeleteLimit::Default);
        assert_eq!(danger, Some(SafetyStop::Emptied(Side::Left)), "{mode:?}");
        assert_eq!(left.mode(mode).danger(DeleteLimit::Any), None);
        let danger = right.mode(mode).danger(DeleteLimit::Default);
        assert_eq!(danger, (!is_one_way).then_some(SafetyStop::Emptied(Side::Right)), "{mode:?}");
    }
    // Files that the system creates in an empty directory do not count.
    for junk in ["Thumbs.db:x Thumbs.db?", "Thumbs.db:x Thumbs.db~"] {
        let dropped = left.left(junk).danger(DeleteLimit::Default);
        assert_eq!(dropped, Some(SafetyStop::Emptied(Side::Left)));
    }
    for harmless in [
        left.right("-a -b"),
        // No entry of the baseline is left to lose.
        left.right("-a -b new:x"),
        // The content is unknown.
        both.left("a! b!"),
        baseline("a:1").left("-a"),
    ] {
        assert_eq!(harmless.danger(DeleteLimit::Default), None, "{harmless:?}");
    }
}

fn numbered(prefix: &str, numbers: std::ops::Range<u32>, suffix: &str) -> String {
    numbers.map(|number| format!("{prefix}{number}{suffix} ")).collect()
}

#[test]
fn too_many_deletions_stop_the_run() {
    for (deleted, files, limit, is_stopped) in [
        (10, 10, DeleteLimit::Default, false),
        (11, 44, DeleteLimit::Default, false),
        (11, 43, DeleteLimit::Default, true),
        (5, 9, DeleteLimit::Percent(50), true),
        (5, 9, DeleteLimit::Percent(60), false),
        (3, 9, DeleteLimit::Files(3), false),
        (4, 9, DeleteLimit::Files(3), true),
        (80, 80, DeleteLimit::Any, false),
    ] {
        let case = baseline(&numbered("d/", 10..10 + files, ":x"));
        let examples: Vec<_> = (10..10 + deleted.min(5)).map(|at| format!("d/{at}")).collect();
        let (side, deletions) = (Side::Right, numbered("-d/", 10..10 + deleted, ""));
        let (deleted, files) = (deleted.into(), files.into());
        let expected = SafetyStop::Deletions { side, deleted, files, examples };
        assert_eq!(case.left(&deletions).danger(limit), is_stopped.then_some(expected));
    }
}

#[test]
fn the_deletion_limit_is_relative_to_the_baseline_or_the_entries() {
    let gone = numbered("-", 12..60, "");
    let case = baseline(&numbered("", 0..60, ":x")).right(&gone).left(&gone).left("new:x");
    let case = case.left(&numbered("-", 0..11, ""));
    assert_eq!(case.danger(DeleteLimit::Default), None);

    let mirror = baseline("").mode(Mirror).right(&numbered("", 20..60, ":x"));
    assert!(mirror.danger(DeleteLimit::Default).is_some());
    let many = numbered("many", 0..200, ":x");
    assert_eq!(mirror.left(&many).right(&many).danger(DeleteLimit::Default), None);
}

#[test]
fn renames_are_not_deletions() {
    let none = Options { max_delete: DeleteLimit::Files(0), ..options(TwoWaySafe) };
    for to in ["a", "z", "m/a", "a/b", "z/y"] {
        let mut world = baseline("m/f:1 m/g:2 m/h/i:3").world();
        world.edit(Side::Left, &format!("{to}/"));
        for from in ["m/f", "m/g", "m/h/i"] {
            let file = world.trees[0].remove(from).unwrap();
            world.trees[0].insert(format!("{to}/{}", &from[from.len() - 1..]), file);
        }
        assert_eq!(world.plan(&none).danger, None, "m to {to}");
        world.sync(TwoWaySafe);
        assert_eq!(world.list(Side::Left), world.list(Side::Right));
    }
    // Without file ids, a rename is recognized by the content.
    let mut world = baseline("").left("f:1 g:1").world();
    world.trees[0].values_mut().for_each(|item| item.id = 0);
    world.sync(TwoWaySafe);
    world.edit(Side::Left, "-f h:1");
    world.trees[0].get_mut("h").unwrap().id = 0;
    assert_eq!(world.plan(&none).danger, None);
}

/// Moves a file or link of the left side, like `mv`.
fn rename(world: &mut World, from: &str, to: &str) {
    let moved = world.trees[0].remove(from).unwrap();
    world.put(Side::Left, to, moved);
}

#[test]
fn links_and_empty_and_equal_files_are_renamed_without_a_deletion() {
    let rows = numbered("links/", 0..20, "@../target")
        + &numbered("empty/", 0..20, ":")
        + &numbered("equal/", 0..20, ":same");
    for directory in ["links", "empty", "equal"] {
        let mut world = baseline(&rows).world();
        for at in 0..20 {
            rename(&mut world, &format!("{directory}/{at}"), &format!("bin/{at}"));
        }
        world.trees[0].remove(directory).unwrap();
        let none = Options { max_delete: DeleteLimit::Files(0), ..options(TwoWaySafe) };
        assert_eq!(world.plan(&none).danger, None, "{directory}");
        // Each matches one deleted file.
        world.edit(Side::Left, "-bin/7");
        let danger = world.plan(&none).danger;
        assert!(matches!(danger, Some(SafetyStop::Deletions { deleted: 1, .. })), "{danger:?}");
    }
}

#[test]
fn a_renamed_file_that_was_edited_too_is_a_deletion() {
    let mut world = baseline("d/f:1 d/g:2 k:3").world();
    rename(&mut world, "d/f", "e/f");
    rename(&mut world, "d/g", "e/g");
    world.edit(Side::Left, "e/g:9");
    let one = Options { max_delete: DeleteLimit::Files(1), ..options(TwoWaySafe) };
    assert_eq!(world.plan(&one).danger, None);
    let none = Options { max_delete: DeleteLimit::Files(0), ..one };
    let danger = world.plan(&none).danger;
    assert!(matches!(danger, Some(SafetyStop::Deletions { deleted: 1, .. })), "{danger:?}");
}

#[test]
fn a_replaced_medium_stops_the_run() {
    // Its files have the ids, the lengths and even the times of the original ones.
    for (files, times) in [(2, false), (8, true), (8, false), (40, false), (40, true)] {
        let mut world = baseline(&(numbered("d/", 0..files, ":ours") + "keep:k")).world();
        let ours: Vec<_> =
            world.trees[0].values().filter(|item| item.mark == ':').cloned().collect();
        world.edit(Side::Left, "-d -keep");
        for (at, item) in ours.into_iter().enumerate() {
            let text = "x".repeat(item.text.len());
            let path = format!("DCIM/{at}");
            world.edit(Side::Left, &format!("{path}:{text}"));
            let other = world.trees[0].get_mut(&path).unwrap();
            other.id = item.id;
            if times {
                (other.modified, other.changed) = (item.modified, item.changed);
            }
        }
        for limit in [DeleteLimit::Default, DeleteLimit::Percent(25)] {
            let limited = Options { max_delete: limit, ..options(TwoWaySafe) };
            let danger = world.plan(&limited).danger;
            let is_counted = matches!(
                danger,
                Some(SafetyStop::Deletions { side: Side::Right, deleted, files: all, .. })
                    if deleted == u64::from(files) + 1 && all == deleted
            );
            let is_few = files < 10 && limit == DeleteLimit::Default;
            let is_replaced = is_few && danger == Some(SafetyStop::Replaced(Side::Left));
            assert!(is_counted || is_replaced, "{files} {times} {limit:?}: {danger:?}");
        }
        let any = Options { max_delete: DeleteLimit::Any, ..options(TwoWaySafe) };
        assert_eq!(world.plan(&any).danger, None);
    }
}

#[test]
fn a_restored_backup_stops_the_run_if_too_much_is_missing() {
    // The same paths with other ids and times, and only half of the files.
    let mut world = baseline(&numbered("", 10..50, ":x")).world();
    world.edit(Side::Left, &(numbered("-", 30..50, "") + &numbered("", 10..30, "*")));
    world.trees[0].values_mut().for_each(|item| item.id += 1_000);
    let limited = Options { max_delete: DeleteLimit::Default, ..options(TwoWaySafe) };
    let danger = world.plan(&limited).danger;
    assert!(
        matches!(danger, Some(SafetyStop::Deletions { deleted: 20, files: 40, .. })),
        "{danger:?}"
    );
}

#[test]
fn moves_that_a_side_cannot_make_are_detected_only_if_the_run_would_stop() {
    let mut world = baseline(&numbered("d/", 0..20, ":x")).world();
    world.can = Some([Capabilities { renames: false, ..LOCAL }; 2]);
    for at in 0..20 {
        rename(&mut world, &format!("d/{at}"), &format!("e/{at}"));
    }
    let limit = |files| Options { max_delete: DeleteLimit::Files(files), ..options(TwoWaySafe) };
    let allowed = world.plan(&limit(20));
    assert_eq!((allowed.danger, allowed.hashed.len()), (None, 0));
    let looked = world.plan(&limit(0));
    assert_eq!((looked.danger, looked.hashed.len()), (None, 20));
    // Files of different lengths cannot be equal.
    world.edit(Side::Left, &numbered("other/", 0..20, ":longer"));
    assert_eq!(world.plan(&limit(0)).hashed.len(), 20);
}

#[test]
fn a_run_after_an_interrupted_rename_is_not_stopped() {
    let mut world = baseline(&(numbered("d/", 10..40, ":x") + "k:k")).world();
    world.can = Some([Capabilities { renames: false, ..LOCAL }; 2]);
    for at in 10..40 {
        rename(&mut world, &format!("d/{at}"), &format!("e/{at}"));
    }
    let mut plan = world.plan(&options(TwoWaySafe)).plan;
    let copies = plan.operations.len();
    world.execute(&mut plan, copies);
    let limited = Options { max_delete: DeleteLimit::Default, ..options(TwoWaySafe) };
    assert_eq!(world.plan(&limited).danger, None);
}

#[test]
fn a_mirror_of_an_empty_source_stops_even_the_first_run() {
    let default = Options { max_delete: DeleteLimit::Default, ..options(Mirror) };
    for (left, right, files) in [
        ("", "a:1 b:2", Some(2)),
        ("", "d/a:1 d/b:2", Some(2)),
        ("Thumbs.db:x Thumbs.db~", "a:1 b:2", Some(2)),
        ("ignored/x:1 ignored?", "a:1 b/", Some(1)),
        ("", "a:1", None),
        ("c:1", "a:1 b:2", None),
        ("", "", None),
    ] {
        let world = baseline("").left(left).right(right).world();
        let expected = files.map(|files| SafetyStop::EmptySource { files });
        assert_eq!(world.plan(&default).danger, expected, "{left} {right}");
        let two_way = Options { mode: TwoWaySafe, ..default.clone() };
        assert_eq!(world.plan(&two_way).danger, None);
        assert_eq!(world.plan(&options(Mirror)).danger, None);
    }
}

//! Permissions.

use super::*;

#[test]
fn changed_permissions_propagate_and_conflicts_restrict_both() {
    for (entry, path) in [("f:x", "f"), ("d/f:x", "d")] {
        let left = baseline(entry).left(&format!("{path}%700"));
        left.both_become(&format!("{entry} {path}%700"));
        let both = left.right(&format!("{path}%650"));
        both.both_become(&format!("{entry} {path}%600"));
        both.mode(Mirror).both_become(&format!("{entry} {path}%700"));
        both.mode(OneWaySafe).both_become(&format!("{entry} {path}%700"));
    }
    // The first run has no baseline.
    baseline("").left("f:x f%600").right("f:x").both_become("f:x f%600");
    // Systems create links with different bits, and ignore them.
    let mut world = baseline("l@x").world();
    world.trees[0].get_mut("l").unwrap().mode = 0o700;
    check_a_rerun_does_nothing(&world, TwoWaySafe);
}

#[test]
fn emulated_permissions_are_not_propagated() {
    let mut world = baseline("f:x d/e:y").world();
    for path in ["f", "d", "d/e"] {
        world.trees[1].get_mut(path).unwrap().mode = 0o777;
        base_mut(&mut world.base, path).unwrap().sides[1].mode = Some(0o777);
    }
    for mode in MODES {
        check_a_rerun_does_nothing(&world, mode);
    }
}

#[test]
fn permissions_and_content_may_change_on_different_sides() {
    let case = baseline("f:old").left("f%600").right("f:new");
    for mode in TWO_WAY {
        case.mode(mode).both_become("f:new f%600");
        case.left("f%755").mode(mode).both_become("f:new f%755");
    }
    case.right("f%755").both_become("f:new f%600");
    case.right("f%755").mode(Mirror).both_become("f:old f%600");
    baseline("f:old").left("f%600").right("f@new").both_become("f@new");
}

#[test]
fn a_read_only_directory_is_copied_with_its_permissions() {
    for mode in MODES {
        let rows = "d/e/f:x d/e%500 d%500";
        baseline("").mode(mode).left(rows).both_become(rows);
        baseline(rows).mode(mode).left("d/e/f:y").both_become("d/e/f:y d/e%500 d%500");
    }
}

#[test]
fn a_directory_is_writable_only_while_its_entries_change() {
    let at = |run: &Run, is: fn(&Action) -> bool| {
        let steps = run.plan.operations.iter().chain(&run.plan.removals);
        steps.map(|step| &step.action).position(is).unwrap()
    };
    let sets = |action: &Action| matches!(action, Action::SetMode { .. });
    let opened = baseline("d/f:x d%500").left("d%700 d/g:y").both_become("d/f:x d/g:y d%700");
    assert!(at(&opened, sets) < at(&opened, |action| matches!(action, Action::Copy { .. })));
    let shut = baseline("d/f:x d/g:y").left("-d/f d%500").both_become("d/g:y d%500");
    assert!(at(&shut, sets) > at(&shut, |action| matches!(action, Action::Remove { .. })));
}

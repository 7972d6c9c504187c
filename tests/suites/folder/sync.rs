//! The `folder` plugin on real directories. Every case also checks that a second run changes
//! nothing, that no content is lost, and that exchanging the sides gives the same result.

pub(crate) mod cases;
#[cfg(unix)]
mod closed;
mod guards;
#[cfg(target_os = "linux")]
mod media;
mod nested;
#[cfg(unix)]
mod permissions;
pub(crate) mod random;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use cases::{CASES, Case, Expect, NINE, ONE_WAY};
use conformance::folder::{
    Pair, is_conflict_copy, only_item, shape, without_conflict_copies, work,
};
use conformance::trees::{self, Entry, Tree, tree, tree_of};
use syncmgr_host::sink::Discard;
use syncmgr_host::{Access, Capability, Grant, Hresult, LogLevel, SessionOptions, Status};

/// Runs a case with two empty sides.
pub(crate) fn check(case: &Case, mut pair: Pair) -> anyhow::Result<()> {
    let [baseline, left, right] = case.trees.map(tree);
    if !baseline.is_empty() {
        trees::write(&pair.left(), &baseline)?;
        trees::write(&pair.right(), &baseline)?;
        let report = pair.sync()?;
        anyhow::ensure!(work(&report)? == 0, "two equal sides need nothing: {report:?}");
    }
    trees::write(&pair.left(), &left)?;
    trees::write(&pair.right(), &right)?;
    for (name, value) in case.settings {
        let value = pair.worded(value);
        pair = pair.set(name, &value);
    }
    let before = pair.trees()?;
    let existed = pair.findable()?;
    let report = pair.sync()?;
    let after = pair.trees()?;
    let item = only_item(&report)?;

    match &case.expect {
        Expect::Stops(words) => {
            anyhow::ensure!(item.status == Status::Failed, "it must stop: {report:?}");
            anyhow::ensure!(item.hresult() == Hresult::HRESULT_ERROR_REQUEST_ABORTED);
            let words = pair.worded(words);
            let said = report.log.iter().any(|entry| entry.text.contains(&words));
            anyhow::ensure!(said, "{:?}", report.log);
            anyhow::ensure!(before == after, "nothing may have changed");
            return Ok(());
        }
        Expect::Both(expected) => {
            for side in &after {
                anyhow::ensure!(*side == tree(expected), "got {side:?}");
            }
        }
        Expect::Conflicts(expected, copies) => {
            anyhow::ensure!(after[0] == after[1], "got {after:?}");
            let mut rest = without_conflict_copies(&after[0]);
            // Which version keeps the name depends on the times of the edits.
            rest.retain(|path, _| tree(expected).contains_key(path));
            anyhow::ensure!(rest == tree(expected), "got {rest:?}");
            let found = after[0].keys().filter(|path| is_conflict_copy(path)).count();
            anyhow::ensure!(found == *copies, "{found} conflict copies in {:?}", after[0]);
        }
        Expect::Each(left, right) => {
            anyhow::ensure!(after[0] == tree(left), "left is {:?}", after[0]);
            anyhow::ensure!(after[1] == tree(right), "right is {:?}", after[1]);
        }
    }
    anyhow::ensure!(item.status == Status::Succeeded, "{report:?}");
    let lost: Vec<_> = existed.difference(&pair.findable()?).cloned().collect();
    anyhow::ensure!(lost.is_empty(), "lost {lost:?}");

    let again = pair.sync()?;
    anyhow::ensure!(work(&again)? == 0, "the second run has nothing to do: {again:?}");
    anyhow::ensure!(pair.trees()? == after, "the second run changes nothing");
    Ok(())
}

#[test]
fn cases_have_the_expected_outcome_with_swapped_sides() -> anyhow::Result<()> {
    for case in CASES {
        for swapped in [false, true] {
            let pair = Pair::new()?.swapped(swapped);
            check(case, pair).with_context(|| format!("{} (swapped: {swapped})", case.name))?;
        }
    }
    Ok(())
}

#[test]
fn one_way_modes_have_the_expected_outcome() -> anyhow::Result<()> {
    for case in ONE_WAY {
        check(case, Pair::new()?).with_context(|| case.name.to_owned())?;
    }
    Ok(())
}

#[test]
fn touching_every_file_copies_nothing() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    for side in [pair.left(), pair.right()] {
        trees::write(&side, &tree(NINE))?;
    }
    pair.sync()?;
    for number in 1..=9 {
        let name = pair.left().join(format!("f{number}"));
        let file = fs::File::options().write(true).open(name)?;
        let year = std::time::Duration::from_secs(365 * 24 * 3600);
        file.set_modified(std::time::SystemTime::now() - year)?;
    }
    let report = pair.sync()?;
    assert_eq!(work(&report)?, 0, "{report:?}");
    Ok(())
}

#[test]
fn an_edit_that_keeps_size_and_time_is_detected() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    for side in [pair.left(), pair.right()] {
        trees::write(&side, &tree("a=12345|b=x"))?;
    }
    pair.sync()?;
    let place = pair.left().join("a");
    let modified = fs::metadata(&place)?.modified()?;
    fs::write(&place, "54321")?;
    fs::File::options().write(true).open(&place)?.set_modified(modified)?;
    pair.sync()?;
    assert_eq!(fs::read_to_string(pair.right().join("a"))?, "54321");
    Ok(())
}

#[test]
fn times_are_propagated() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    trees::write(&pair.left(), &tree("a=1"))?;
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_234_567_890_123_456_789);
    fs::File::options().write(true).open(pair.left().join("a"))?.set_modified(then)?;
    pair.sync()?;
    assert_eq!(fs::metadata(pair.right().join("a"))?.modified()?, then);
    Ok(())
}

#[test]
fn a_missing_root_stops_the_run_before_any_write() -> anyhow::Result<()> {
    for swapped in [false, true] {
        let pair = Pair::new()?.swapped(swapped);
        trees::write(&pair.left(), &tree("a=1"))?;
        fs::remove_dir(pair.right())?;
        let report = pair.sync()?;
        assert_eq!(only_item(&report)?.hresult(), Hresult::HRESULT_ERROR_REQUEST_ABORTED);
        let side = if swapped { "left" } else { "right" };
        let message = format!(
            "the directory `{side}` does not exist; create it, or mount its file system, then run \
             again"
        );
        assert_eq!(report.log.iter().map(|entry| &entry.text).collect::<Vec<_>>(), [&message]);
    }
    Ok(())
}

#[test]
fn a_lost_or_damaged_state_deletes_nothing() -> anyhow::Result<()> {
    for damage in ["gone", "cut", "flipped", "foreign"] {
        let pair = Pair::new()?;
        for side in [pair.left(), pair.right()] {
            trees::write(&side, &tree("a=1|b=2|c=3"))?;
        }
        pair.sync()?;
        fs::remove_file(pair.left().join("a"))?;
        fs::write(pair.right().join("b"), "2 right")?;
        let state = fs::read_dir(pair.storage())?
            .filter_map(Result::ok)
            .find(|entry| entry.path().extension().is_some_and(|e| e == "state"))
            .context("there is a state")?
            .path();
        let mut bytes = fs::read(&state)?;
        match damage {
            "gone" => fs::remove_file(&state)?,
            "cut" => fs::write(&state, &bytes[..bytes.len() / 2])?,
            "flipped" => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(&state, &bytes)?;
            }
            _ => fs::write(&state, "something else")?,
        }
        let report = pair.sync()?;
        let [left, right] = pair.trees()?;
        assert_eq!(left, right, "{damage}");
        assert_eq!(left.get("a"), Some(&Entry::File(b"1".to_vec())), "{damage}: it came back");
        let reported = report.log.iter().any(|e| e.text.contains("the state of the last run"));
        assert_eq!(reported, damage != "gone");
    }
    Ok(())
}

#[test]
fn a_dry_run_lists_the_changes_of_the_run() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    trees::write(&pair.left(), &tree("a=1|b=2|d/c=3|n/m=12345"))?;
    trees::write(&pair.right(), &tree("a=1"))?;
    let before = pair.trees()?;
    let options = pair.options()?.read_only().setting("dry-run", "true");
    let report = pair.sync_with(options)?;
    assert_eq!(pair.trees()?, before, "nothing was changed");
    assert_eq!(fs::read_dir(pair.storage())?.count(), 0, "nothing was remembered");
    let logged: Vec<_> = report.log.iter().map(|entry| entry.text.as_str()).collect();
    let arrow = "left -> right";
    assert_eq!(
        logged,
        [
            format!("copy  {arrow}  b  (new on left, 1 bytes)"),
            format!("make directory  {arrow}  d  (new on left)"),
            format!("copy  {arrow}  d/c  (new on left, 1 bytes)"),
            format!("make directory  {arrow}  n  (new on left)"),
            format!("copy  {arrow}  n/m  (new on left, 5 bytes)"),
        ]
    );
    let report = pair.sync()?;
    assert_eq!(work(&report)?, 5);
    assert_eq!(only_item(&report)?.counts["bytes-copied"], 7);
    Ok(())
}

#[test]
fn moved_entries_are_renamed_on_the_other_side() -> anyhow::Result<()> {
    for (swapped, arrow, from) in
        [(false, "left -> right", "left"), (true, "left <- right", "right")]
    {
        let pair = Pair::new()?.swapped(swapped).set("max-delete", "0");
        for side in [pair.left(), pair.right()] {
            trees::write(&side, &tree("d/a=1|d/s/b=22|f=333|k=k"))?;
        }
        pair.sync()?;
        let left = pair.left();
        fs::create_dir(left.join("n"))?;
        fs::rename(left.join("d"), left.join("n/e"))?;
        fs::rename(left.join("f"), left.join("g"))?;
        let before = pair.trees()?;
        let report = pair.sync_with(pair.options()?.read_only().setting("dry-run", "true"))?;
        assert_eq!(pair.trees()?, before, "nothing was changed");
        assert_eq!(
            report.log.iter().map(|entry| &*entry.text).collect::<Vec<_>>(),
            [
                format!("make directory  {arrow}  n  (new on {from})"),
                format!("move  {arrow}  d to n/e  (moved on {from})"),
                format!("move  {arrow}  f to g  (moved on {from})"),
            ]
        );
        let report = pair.sync()?;
        let counts = &only_item(&report)?.counts;
        assert_eq!(["moved", "copied", "deleted"].map(|name| counts[name]), [2, 0, 0]);
        for side in pair.trees()? {
            assert_eq!(side, tree("g=333|k=k|n/e/a=1|n/e/s/b=22"));
        }
        assert_eq!(work(&pair.sync()?)?, 0);
    }
    Ok(())
}

#[test]
fn a_crash_during_moves_loses_nothing_and_copies_no_name_twice() -> anyhow::Result<()> {
    let mut baseline = tree("d/a=1|d/s/b=22|d/s/c=333|d/x=4444|f=55555|z=z");
    let mut left = tree("b=22|e/a=1 left|e/s/c=333|e/x=4444|n/f=55555|z=z");
    for number in 10..20 {
        let content = ".".repeat(number);
        baseline.extend(tree(&format!("m{number}={content}")));
        left.extend(tree(&format!("n/{number}={content}")));
    }
    let trees = [baseline.clone(), left, baseline];
    crash_everywhere(Pair::new, &trees, 1)
}

#[test]
fn a_dry_run_lists_what_a_safety_stop_would_prevent() -> anyhow::Result<()> {
    for (kept, words) in [(1, "12 of 13 files would be deleted"), (0, "` is empty, but 13 entries")]
    {
        let pair = Pair::new()?.set("dry-run", "false");
        for number in 0..13 {
            fs::write(pair.left().join(format!("f{number:02}")), number.to_string())?;
        }
        pair.sync()?;
        for number in kept..13 {
            fs::remove_file(pair.left().join(format!("f{number:02}")))?;
        }
        let before = pair.trees()?;
        let pair = pair.set("dry-run", "true");
        let report = pair.sync_with(pair.options()?.read_only())?;
        assert_eq!(pair.trees()?, before, "nothing was changed");
        let item = only_item(&report)?;
        assert_eq!(item.hresult(), Hresult::HRESULT_ERROR_REQUEST_ABORTED, "{report:?}");
        assert_eq!(item.counts["steps"], 13 - kept, "{report:?}");
        let log: Vec<_> = report.log.iter().map(|entry| entry.text.as_str()).collect();
        let (stop, list) = log.split_last().context("nothing was logged")?;
        assert!(stop.contains(words), "{log:?}");
        for (number, line) in (kept..13).zip(list) {
            let step = format!("delete  left -> right  f{number:02}  (");
            assert!(line.starts_with(&step), "{step}: {log:?}");
        }
        assert_eq!(list.len() as u64, 13 - kept, "{log:?}");
    }
    Ok(())
}

#[test]
fn replaced_and_deleted_files_are_in_the_trash_unless_disabled() -> anyhow::Result<()> {
    for trash in [true, false] {
        let pair = Pair::new()?.set("trash", &trash.to_string());
        for side in [pair.left(), pair.right()] {
            trees::write(&side, &tree("a=old a|b=old b|c=c|d=d"))?;
        }
        pair.sync()?;
        fs::write(pair.left().join("a"), "new a")?;
        fs::remove_file(pair.left().join("b"))?;
        pair.sync()?;
        let found = pair.findable()?;
        assert_eq!(found.contains(b"old a".as_slice()), trash);
        assert_eq!(found.contains(b"old b".as_slice()), trash);
        let [left, right] = pair.trees()?;
        assert_eq!(left, right, "the trash is in neither side");
    }
    Ok(())
}

#[test]
fn a_concurrent_run_is_rejected() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    trees::write(&pair.left(), &tree("a=1"))?;
    let inner = Arc::new(std::sync::Mutex::new(None));
    let pair = Arc::new(pair);
    let report = pair.sync_watched(Arc::new({
        let (pair, inner) = (pair.clone(), inner.clone());
        move |call| {
            if call == "directory.create-file" {
                let pair = pair.clone();
                inner.lock().expect("the lock is not poisoned").get_or_insert_with(|| {
                    std::thread::spawn(move || pair.sync()).join().expect("the thread returns")
                });
            }
            true
        }
    }))?;
    assert_eq!(only_item(&report)?.status, Status::Succeeded);
    let inner = inner
        .lock()
        .expect("the lock is not poisoned")
        .take()
        .context("the inner run took place")??;
    assert_eq!(only_item(&inner)?.hresult(), Hresult::HRESULT_ERROR_BUSY);
    assert_eq!(pair.sync().map(|report| report.hresult())?, Hresult::S_OK);
    Ok(())
}

#[test]
fn invalid_settings_are_explained_and_change_nothing() -> anyhow::Result<()> {
    for (name, value, words) in [
        ("mode", "both", "two-way-safe"),
        ("max-delete", "many", "a number of files"),
        ("max-delete", "150%", "up to `100%`"),
        ("durable", "yes", "`true` or `false`"),
        ("mdoe", "mirror", "unknown setting `mdoe`"),
        ("ignore", "[z-a]", "ignore"),
        ("ignore", "*.o\n*.[ch", "`*.[ch` has an unclosed `[`"),
        ("docs.mode", "mirror", "for the item `docs`, which has no pair"),
    ] {
        let pair = Pair::new()?.set(name, value);
        trees::write(&pair.left(), &tree("a=1"))?;
        let report = pair.sync()?;
        assert_eq!(report.hresult(), Hresult::E_INVALIDARG, "{name}");
        let error = report.error().map(ToString::to_string);
        let logged = report.log.iter().map(|entry| entry.text.clone());
        let said: Vec<_> = error.into_iter().chain(logged).collect();
        assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
        assert!(trees::read(&pair.right())?.is_empty());
    }
    Ok(())
}

/// The size of a file that is copied separately.
const LARGE: usize = 3 << 20;

#[test]
fn a_file_changed_during_its_copy_is_left_for_the_next_run() -> anyhow::Result<()> {
    // Small files are copied in batches, large ones separately.
    for (call, bytes) in [
        ("copy-files-with", 0),
        ("flush-files", 0),
        ("directory.rename", 0),
        ("file.copy-from", LARGE),
        ("file.digest", LARGE),
        ("flush-files", LARGE),
        ("directory.rename", LARGE),
    ] {
        let edited = [b"edited".to_vec(), vec![b'.'; bytes]].concat();
        for victim in ["left", "right"] {
            let pair = Pair::new()?;
            for side in [pair.left(), pair.right()] {
                trees::write(&side, &tree("a=old|b=b"))?;
            }
            pair.sync()?;
            fs::write(pair.left().join("a"), &edited)?;
            let place = if victim == "left" { pair.left() } else { pair.right() }.join("a");
            let changed = AtomicUsize::new(0);
            let report = pair.sync_watched(Arc::new(move |now| {
                if now == call && changed.fetch_add(1, Ordering::SeqCst) == 0 {
                    // A length that no other version has.
                    fs::write(&place, "changed meanwhile").is_ok()
                } else {
                    true
                }
            }))?;
            let seen = format!("{call} {bytes} {victim} {:?}", report.log);
            let [left, right] = pair.trees()?;
            // A change at the very last moment cannot be detected; every earlier one is.
            if call != "directory.rename" {
                let meanwhile = Entry::File(b"changed meanwhile".to_vec());
                let side = if victim == "left" { &left } else { &right };
                assert_eq!(side.get("a"), Some(&meanwhile), "{seen}");
                assert_eq!(report.warnings, 1, "{seen}");
            }
            let report = pair.sync()?;
            let [left, right] = pair.trees()?;
            assert_eq!(left, right, "{seen} {:?}", report.log);
            let found = pair.findable()?;
            assert!(found.contains(b"changed meanwhile".as_slice()), "{seen}");
            // An edit that the test itself has overwritten is not lost by the plugin.
            assert!(victim == "left" || found.contains(&edited), "{seen}");
        }
    }
    Ok(())
}

/// Terminates the plugin before its k-th host call, for every k, and runs again without any flag.
/// Ends a run before each of its host calls, or before each `step`th one. `new` returns two empty
/// sides.
pub(crate) fn crash_everywhere(
    mut new: impl FnMut() -> anyhow::Result<Pair>,
    [baseline, left, right]: &[Tree; 3],
    step: usize,
) -> anyhow::Result<()> {
    let mut prepared = || -> anyhow::Result<Pair> {
        let pair = new()?;
        for side in [pair.left(), pair.right()] {
            trees::write(&side, baseline)?;
        }
        pair.sync()?;
        trees::write(&pair.left(), left)?;
        trees::write(&pair.right(), right)?;
        Ok(pair)
    };
    let reference = prepared()?;
    reference.sync()?;
    let expected = shape(&reference.trees()?[0], &["f5"]);
    // The number of calls depends on the time that they take.
    for k in (1..).step_by(step) {
        let pair = prepared()?;
        let existed = pair.findable()?;
        let count = AtomicUsize::new(0);
        let report =
            pair.sync_watched(Arc::new(move |_| count.fetch_add(1, Ordering::SeqCst) + 1 < k))?;
        if report.error().is_none() {
            assert!(k > 100, "the case is large enough: {k} calls");
            break;
        }
        let lost: Vec<_> = existed.difference(&pair.findable()?).cloned().collect();
        assert!(lost.is_empty(), "call {k} lost {lost:?}");

        let report = pair.sync()?;
        let [left, right] = pair.trees()?;
        assert_eq!(left, right, "call {k}: {:?}", report.log);
        let unfinished = pair.unfinished()?;
        assert!(unfinished.is_empty(), "the run after call {k} left {unfinished:?}");
        assert_eq!(shape(&left, &["f5"]), expected, "call {k}");
        let lost: Vec<_> = existed.difference(&pair.findable()?).cloned().collect();
        assert!(lost.is_empty(), "the run after call {k} lost {lost:?}");
        assert_eq!(work(&pair.sync()?)?, 0, "call {k}: nothing is left to do");
    }
    Ok(())
}

/// A baseline and edits of both sides, with changes of every kind.
pub(crate) fn all_changes() -> [Tree; 3] {
    let [mut baseline, mut left, mut right] = CASES[0].trees.map(tree);
    baseline.extend(tree("d/a=d a|d/e/b=d e b|t=t|gone/x=x"));
    left.extend(tree("d=was a directory|t=t"));
    right.extend(tree("d/a=d a|d/e/b=d e b|t/u=was a file|gone/x=x"));
    [baseline, left, right]
}

#[test]
fn a_crash_before_any_host_call_loses_nothing_and_needs_no_flag() -> anyhow::Result<()> {
    // One copy after the other, and all of them in a batch.
    for durable in ["false", "true"] {
        crash_everywhere(|| Ok(Pair::new()?.set("durable", durable)), &all_changes(), 1)
            .context(durable)?;
    }
    Ok(())
}

#[test]
fn an_unfinished_state_is_removed_even_if_none_is_saved() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    trees::write(&pair.left(), &tree("a=1"))?;
    let hour = std::time::Duration::from_secs(3600);
    let file = fs::File::options().write(true).open(pair.left().join("a"))?;
    file.set_modified(std::time::SystemTime::now() - hour)?;
    pair.sync()?;
    let names = fs::read_dir(pair.storage())?.map(|entry| entry.map(|entry| entry.path()));
    let state = names
        .filter_map(Result::ok)
        .find(|path| path.extension().is_some_and(|extension| extension == "state"))
        .context("there is a state")?;
    fs::write(state.with_extension("state.new"), "cut short")?;
    let (_, calls) = pair.sync_disturbed(|_, call| {
        anyhow::ensure!(call != "directory.create-file", "nothing has to be saved");
        Ok(())
    })?;
    assert!(calls > 0);
    assert_eq!(pair.unfinished()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn several_pairs_are_several_items() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let mut options =
        SessionOptions::new().allow(Capability::WallClock).setting("durable", "false");
    for name in ["docs.left", "docs.right", "pics.left", "pics.right", "storage"] {
        let place = home.path().join(name);
        fs::create_dir(&place)?;
        if name != "storage" {
            options = options.grant(Grant::new(name, &place, Access::ReadWrite)?);
        }
    }
    let options = options
        .storage(home.path().join("storage"))
        .setting("docs.name", "Documents")
        .setting("pics.mode", "mirror");
    fs::write(home.path().join("docs.right/a"), "1")?;
    fs::write(home.path().join("pics.right/b"), "2")?;
    let report = conformance::folder::plugin().run(options, Discard, &Default::default())?;
    let ends: Vec<_> = report.items.iter().map(|item| (item.name.as_str(), item.status)).collect();
    assert_eq!(ends, [("Documents", Status::Succeeded), ("pics", Status::Succeeded)]);
    assert!(home.path().join("docs.left/a").exists());
    assert!(!home.path().join("pics.right/b").exists());
    let warnings = report.log.iter().filter(|entry| entry.level == LogLevel::Warning).count();
    assert_eq!(warnings, 0, "{:?}", report.log);
    Ok(())
}

/// Two pairs in one folder, each with changes on both sides.
fn two_pairs(home: &Path) -> anyhow::Result<SessionOptions> {
    let mut options = SessionOptions::new().allow(Capability::WallClock);
    for name in ["one.left", "one.right", "two.left", "two.right"] {
        let place = home.join(name);
        fs::create_dir_all(place.join("d"))?;
        fs::write(place.join(format!("d/{}", name.replace('.', " "))), name)?;
        options = options.grant(Grant::new(name, &place, Access::ReadWrite)?);
    }
    fs::create_dir_all(home.join("storage"))?;
    Ok(options.storage(home.join("storage")))
}

#[test]
fn a_crash_in_or_between_two_items_needs_no_flag_and_leaves_nothing() -> anyhow::Result<()> {
    let sync = |options| conformance::folder::plugin().run(options, Discard, &Default::default());
    let mut k = 0;
    loop {
        k += 1;
        let home = tempfile::tempdir()?;
        let calls = Arc::new(AtomicUsize::new(0));
        let options = two_pairs(home.path())?.host_call_hook(Arc::new({
            let calls = calls.clone();
            move |_| calls.fetch_add(1, Ordering::SeqCst) + 1 < k
        }));
        sync(options)?;
        let report = sync(two_pairs(home.path())?)?;
        assert_eq!(report.hresult(), Hresult::S_OK, "call {k}: {report:?}");
        let found = trees::read(home.path())?;
        let files = found.keys().filter(|path| path.contains("/d/")).count();
        assert_eq!(files, 8, "call {k}: {found:?}");
        let unfinished: Vec<_> = found
            .keys()
            .filter(|path| path.contains(".syncmgr-tmp-") || path.ends_with(".state.new"))
            .collect();
        assert!(unfinished.is_empty(), "call {k}: {unfinished:?}");
        if calls.load(Ordering::SeqCst) < k {
            return Ok(());
        }
    }
}

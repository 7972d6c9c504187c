//! The `folder` plugin on real directories. Every case also checks that a second run changes
//! nothing, that no content is lost, and that exchanging the sides gives the same result.

pub(crate) mod cases;
#[cfg(unix)]
mod closed;
pub(crate) mod crashes;
mod dry_runs;
mod guards;
#[cfg(target_os = "linux")]
mod media;
mod moves;
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
use conformance::folder::{Pair, is_conflict_copy, only_item, without_conflict_copies, work};
use conformance::trees::{self, Entry, Tree, tree, tree_of};
use syncmgr_host::requests::SettingValues;
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
                anyhow::ensure!(*side == tree(expected), "got {side:?}: {report:?}");
            }
        }
        Expect::Conflicts(expected, copies) => {
            anyhow::ensure!(after[0] == after[1], "got {after:?}: {report:?}");
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
        ("max-delete", "many", "a number of files"),
        ("max-delete", "150%", "up to `100%`"),
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
    // The host knows these.
    for (name, value, words) in [
        ("mode", "both", "use `two-way-safe`, `prefer-left`, "),
        ("durable", "yes", "use `true` or `false`"),
        ("mdoe", "mirror", "no setting `mdoe`; did you mean `mode`?"),
        ("docs.durable", "1", "the setting `docs.durable` is `1`"),
    ] {
        let pair = Pair::new()?.set(name, value);
        trees::write(&pair.left(), &tree("a=1"))?;
        let refused = pair.sync().err().context("the start is refused")?;
        assert!(format!("{refused:#}").contains(words), "{name}: {refused:#}");
        assert!(trees::read(&pair.right())?.is_empty());
    }
    Ok(())
}

#[test]
fn the_plugin_accepts_each_value_that_it_declares() -> anyhow::Result<()> {
    let plugin = conformance::host().load_file(conformance::FOLDER)?;
    let settings = &plugin.description().requests.settings;
    assert_eq!(settings.len(), 9);
    for setting in settings {
        let mut values: Vec<_> = setting.default.iter().cloned().collect();
        if let SettingValues::OneOf(texts) = &setting.values {
            values.extend(texts.iter().cloned());
        }
        if setting.values == SettingValues::Boolean {
            values.extend(["true", "false"].map(str::to_owned));
        }
        for value in values {
            let pair = Pair::new()?.set(&setting.name, &value);
            trees::write(&pair.left(), &tree("a=1"))?;
            let report = pair.sync()?;
            assert_eq!(report.hresult(), Hresult::S_OK, "{}={value}: {report:?}", setting.name);
        }
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
                    fs::write(&place, "changed during the copy").is_ok()
                } else {
                    true
                }
            }))?;
            let seen = format!("{call} {bytes} {victim} {:?}", report.log);
            let [left, right] = pair.trees()?;
            // A change at the very last moment cannot be detected; every earlier one is.
            if call != "directory.rename" {
                let changed = Entry::File(b"changed during the copy".to_vec());
                let side = if victim == "left" { &left } else { &right };
                assert_eq!(side.get("a"), Some(&changed), "{seen}");
                assert_eq!(report.warnings, 1, "{seen}");
            }
            let report = pair.sync()?;
            let [left, right] = pair.trees()?;
            assert_eq!(left, right, "{seen} {:?}", report.log);
            let found = pair.findable()?;
            assert!(found.contains(b"changed during the copy".as_slice()), "{seen}");
            // An edit that the test itself has overwritten is not lost by the plugin.
            assert!(victim == "left" || found.contains(&edited), "{seen}");
        }
    }
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

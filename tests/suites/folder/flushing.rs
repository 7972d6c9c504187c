//! Flushing by `folder`: copies are flushed together, and no copy gets its name before it is on the
//! disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use conformance::folder::{self, Pair, only_item, work};
use conformance::limits;
use syncmgr_host::sink::{EventLog, Recorded};
use syncmgr_host::{CancelHandle, RunRequest, Status};

/// The size from which copies do not wait for others.
const BATCH_BYTES: usize = 8 << 20;

/// Returns a pair whose left side has this number of files of a length.
fn pair(files: usize, bytes: usize) -> anyhow::Result<Pair> {
    let pair = Pair::new()?;
    for number in 0..files {
        let directory = pair.left().join(format!("d{}", number / 50));
        fs::create_dir_all(&directory)?;
        let mut content = number.to_string().into_bytes();
        content.resize(bytes.max(content.len()), b'.');
        fs::write(directory.join(format!("f{number}")), content)?;
    }
    Ok(pair)
}

/// Returns the copies below a directory that are not renamed yet.
fn temporary_files(directory: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut files = files_below(directory)?;
    files.retain(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".syncmgr-tmp-"))
    });
    Ok(files)
}

/// Returns the files below a directory.
fn files_below(directory: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => files.extend(files_below(&entry.path())?),
            false => _ = files.insert(entry.path()),
        }
    }
    Ok(files)
}

/// Checks that the sides are in sync and contain only the files.
fn check_whole(pair: &Pair) -> anyhow::Result<()> {
    let [left, right] = pair.trees()?;
    let missing: Vec<_> = left.iter().filter(|(path, one)| right.get(*path) != Some(one)).collect();
    anyhow::ensure!(left == right, "these are missing on the right: {missing:?}");
    let temporary = temporary_files(&pair.right())?;
    anyhow::ensure!(temporary.is_empty(), "temporary files are left: {temporary:?}");
    anyhow::ensure!(work(&pair.sync()?)? == 0, "nothing is left to do");
    Ok(())
}

#[test]
fn copies_are_flushed_together() -> anyhow::Result<()> {
    for (durable, files, bytes, flushes) in [
        ("true", 0, 0, 0),
        ("true", 1, 0, 1),
        ("true", 64, 10, 1),
        ("true", 65, 10, 2),
        ("true", 500, 10, 8),
        // Large copies do not wait, because a cancellation would wait for them.
        ("true", 3, BATCH_BYTES, 3),
        ("true", 4, BATCH_BYTES / 2, 2),
        ("false", 100, 10, 0),
    ] {
        let pair = pair(files, bytes)?.set("durable", durable);
        let flushed = Arc::new(AtomicUsize::new(0));
        let (report, _) = pair.sync_disturbed({
            let flushed = flushed.clone();
            move |_, call| {
                flushed.fetch_add(usize::from(call == "flush-files"), SeqCst);
                Ok(())
            }
        })?;
        assert_eq!(only_item(&report)?.status, Status::Succeeded, "{report:?}");
        assert_eq!(flushed.load(SeqCst), flushes, "{files} files of {bytes} bytes");
        check_whole(&pair)?;
    }
    Ok(())
}

#[test]
fn a_copy_is_flushed_before_it_gets_its_name() -> anyhow::Result<()> {
    let pair = pair(300, 10)?;
    for side in [pair.left(), pair.right()] {
        fs::create_dir_all(side.join("d0"))?;
        fs::write(side.join("d0/f0"), "old")?;
    }
    pair.sync()?;
    for number in (0..300).step_by(2) {
        fs::write(pair.left().join(format!("d{}/f{number}", number / 50)), "a new content")?;
    }
    for large in ["large", "d3/large"] {
        fs::write(pair.left().join(large), vec![b'x'; BATCH_BYTES / 4])?;
    }
    let named = Arc::new(AtomicUsize::new(0));
    let (mut before, mut flushed) = (BTreeSet::new(), BTreeSet::new());
    let (report, _) = pair.sync_disturbed({
        let (right, named) = (pair.right(), named.clone());
        move |_, call| {
            // Other files are renamed too: the state, and the name of the pair in the trash.
            let now = temporary_files(&right)?;
            for gone in before.difference(&now) {
                anyhow::ensure!(flushed.contains(gone), "{gone:?} was not flushed");
                named.fetch_add(1, SeqCst);
            }
            if call == "flush-files" {
                flushed.extend(now.iter().cloned());
            }
            before = now;
            Ok(())
        }
    })?;
    assert_eq!(only_item(&report)?.status, Status::Succeeded, "{report:?}");
    assert_eq!(named.load(SeqCst), 150 + 2, "all are seen, also the large ones");
    check_whole(&pair)
}

#[test]
fn any_tree_is_synced_with_few_open_files() -> anyhow::Result<()> {
    let pair = pair(200, 10)?;
    // Copies that wait, and then directories that need more open files.
    for depth in 1..8 {
        let place = pair.left().join(vec!["deep"; depth].join("/"));
        fs::create_dir_all(&place)?;
        (0..3).try_for_each(|number| fs::write(place.join(number.to_string()), "deep"))?;
    }
    // A file that does not wait for the small ones in its directory.
    fs::write(pair.left().join("deep/deep/large"), vec![b'x'; BATCH_BYTES])?;
    fs::create_dir_all(pair.left().join("e/f/g/h/i/j"))?;
    let limits = limits(|limits| limits.open_files = 26);
    let report = pair.sync_with(pair.options()?.limits(limits))?;
    assert_eq!(only_item(&report)?.counts["not-done"], 0, "{report:?}");
    assert_eq!(work(&report)?, 200 + 4 + 7 * 4 + 6 + 1, "all files and directories");
    check_whole(&pair)
}

#[test]
fn files_copied_before_a_cancellation_are_kept() -> anyhow::Result<()> {
    // Small files are copied in batches, large ones separately.
    for (files, bytes, call, rows) in [
        (300, 10, "copy-files-with", [0, 20, 100]),
        (5, BATCH_BYTES / 2, "file.copy-from", [0, 2, 4]),
    ] {
        for at_least in rows {
            let pair = pair(files, bytes)?;
            let (cancel, right) = (CancelHandle::new(), pair.right());
            let options =
                pair.options()?.cancel_with(cancel.clone()).host_call_hook(Arc::new(move |now| {
                    if now == call && files_below(&right).is_ok_and(|files| files.len() >= at_least)
                    {
                        cancel.cancel_all();
                    }
                    true
                }));
            let report = pair.sync_with(options)?;
            let what = format!("{call}, cancelled after {at_least}");
            assert_eq!(only_item(&report)?.status, Status::Stopped, "{what}: {report:?}");
            let [left, right] = pair.trees()?;
            let copies: Vec<_> = right.iter().filter(|(path, _)| path.contains("/f")).collect();
            let are_whole = copies.iter().all(|(path, entry)| left.get(*path) == Some(entry));
            assert!(are_whole, "{what}");
            // The copy in progress may be counted; it is removed.
            let stayed = copies.len();
            assert!(stayed + 1 >= at_least && stayed < files, "{what}: {stayed} stayed");
            // The batches start small.
            assert!(at_least > 0 || stayed <= 8, "{what}: {stayed} stayed");
            assert_eq!(only_item(&pair.sync()?)?.status, Status::Succeeded);
            check_whole(&pair)?;
        }
    }
    Ok(())
}

#[test]
fn directories_are_flushed_together() -> anyhow::Result<()> {
    for (durable, files) in [("true", 2_000), ("false", 100)] {
        let pair = pair(files, 10)?.set("durable", durable);
        let (together, alone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (report, _) = pair.sync_disturbed({
            let (together, alone) = (together.clone(), alone.clone());
            move |_, call| {
                together.fetch_add(usize::from(call == "flush-directories"), SeqCst);
                alone.fetch_add(usize::from(call == "directory.flush"), SeqCst);
                Ok(())
            }
        })?;
        assert_eq!(only_item(&report)?.status, Status::Succeeded, "{report:?}");
        let is_durable = durable == "true";
        assert_eq!(together.load(SeqCst) > 0, is_durable, "durable={durable}");
        // The storage, for the state.
        assert_eq!(alone.load(SeqCst), usize::from(is_durable), "durable={durable}");
        check_whole(&pair)?;
    }
    Ok(())
}

/// Longer than flushing continues after a cancellation.
const TOO_LONG: Duration = Duration::from_millis(400);

#[test]
fn a_cancellation_waits_for_few_directory_flushes() -> anyhow::Result<()> {
    let pair = pair(5_000, 10)?;
    let hour = Duration::from_secs(3600);
    for number in 0..5_000 {
        // Old enough to be recognized without reading.
        let place = pair.left().join(format!("d{}/f{number}", number / 50));
        let file = fs::File::options().write(true).open(place)?;
        file.set_modified(SystemTime::now() - hour)?;
    }
    let (cancel, recorder) = (CancelHandle::new(), EventLog::new());
    let calls = Arc::new(AtomicUsize::new(0));
    let options = pair.options()?.cancel_with(cancel.clone()).host_call_hook(Arc::new({
        let calls = calls.clone();
        move |call| {
            if call == "flush-directories" {
                calls.fetch_add(1, SeqCst);
                cancel.cancel_all();
                std::thread::sleep(TOO_LONG);
            }
            true
        }
    }));
    let request = RunRequest::default();
    let report = folder::plugin().run(options, recorder.clone(), &request)?;
    let item = only_item(&report)?;
    assert_eq!(item.status, Status::Stopped, "{report:?}");
    assert!(item.text.starts_with("5000 copied, 100 directories, "), "{}", item.text);
    assert!(item.text.ends_with(" left for the next run"), "{}", item.text);
    assert_eq!(calls.load(SeqCst), 2, "one more, and no third");
    let texts: Vec<_> = recorder
        .recorded()
        .into_iter()
        .filter_map(|recorded| {
            let Recorded::Progress { reported, .. } = recorded else { return None };
            reported.status_text
        })
        .collect();
    let is_flushing = |text: &String| text == "flushing directory 8 of 101";
    assert!(texts.iter().any(is_flushing), "{:?}", texts.last());

    // Files that were not flushed are not in the baseline: only they are read again.
    let opened = Arc::new(AtomicUsize::new(0));
    let (report, _) = pair.sync_disturbed({
        let opened = opened.clone();
        move |_, call| {
            opened.fetch_add(usize::from(call == "directory.open-file"), SeqCst);
            Ok(())
        }
    })?;
    assert_eq!(only_item(&report)?.counts["copied"], 0, "{report:?}");
    let read_twice = opened.load(SeqCst) / 2;
    assert!((4_000..5_000).contains(&read_twice), "{read_twice} files are compared");
    check_whole(&pair)
}

#[test]
fn a_cancelled_run_reports_its_changes() -> anyhow::Result<()> {
    for (at, expected) in [
        ("directory.list", "nothing was changed"),
        ("file.copy-from", "nothing was changed"),
        ("flush-files", "1 copied, 2 left for the next run"),
    ] {
        let pair = pair(0, 0)?;
        for name in ["a", "b", "c"] {
            fs::write(pair.left().join(name), vec![b'.'; BATCH_BYTES])?;
        }
        let cancel = CancelHandle::new();
        let options =
            pair.options()?.cancel_with(cancel.clone()).host_call_hook(Arc::new(move |call| {
                if call == at {
                    cancel.cancel_all();
                }
                true
            }));
        let report = pair.sync_with(options)?;
        let item = only_item(&report)?;
        assert_eq!((item.status, item.text.as_str()), (Status::Stopped, expected), "{at}");
        pair.sync()?;
        check_whole(&pair)?;
    }
    Ok(())
}

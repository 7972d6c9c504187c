//! A run that is ended before a host call. The next one needs no flag, loses nothing and leaves
//! nothing.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use conformance::folder::{Pair, Shape, shape, work};
use conformance::trees::{self, Tree, tree};
use syncmgr_host::sink::Discard;
use syncmgr_host::{Access, Capability, Grant, Hresult, SessionOptions};

use super::cases::CASES;

/// Ends a run before each of its host calls, or before each `step`th one. `new` returns two empty
/// sides. `is_expected` compares the outcome with that of a run that was not ended.
pub(crate) fn crash_everywhere(
    mut new: impl FnMut() -> anyhow::Result<Pair>,
    [baseline, left, right]: &[Tree; 3],
    step: usize,
    is_expected: impl Fn(&Shape, &Shape) -> bool,
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
        assert!(is_expected(&shape(&left, &["f5"]), &expected), "call {k}: {left:?}");
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
        crash_everywhere(
            || Ok(Pair::new()?.set("durable", durable)),
            &all_changes(),
            1,
            PartialEq::eq,
        )
        .context(durable)?;
    }
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

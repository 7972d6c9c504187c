//! A dry run lists the changes of the run, and makes none.

use std::fs;

use anyhow::Context;
use conformance::folder::{Pair, only_item, work};
use conformance::trees::{self, tree};
use syncmgr_host::Hresult;

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

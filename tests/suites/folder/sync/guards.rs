//! Safety stops, entries that are not synced, and trees of any depth.

use super::*;

/// Returns the number of messages of a report that contain all of these words.
fn count_messages(report: &syncmgr_host::RunReport, words: &[&str]) -> usize {
    let has_all = |text: &str| words.iter().all(|words| text.contains(words));
    report.log.iter().filter(|entry| has_all(&entry.text)).count()
}

#[test]
fn a_replaced_medium_deletes_nothing() -> anyhow::Result<()> {
    for (files, words) in
        [(40, "41 of 41 files would be deleted"), (5, "has none of the 2 entries")]
    {
        for swapped in [false, true] {
            let pair = Pair::new()?.swapped(swapped);
            fs::create_dir(pair.left().join("d"))?;
            for number in 100..100 + files {
                fs::write(pair.left().join(format!("d/{number}")), number.to_string())?;
            }
            fs::write(pair.left().join("keep"), "keep")?;
            pair.sync()?;
            // Its files have the inode numbers and lengths of the first medium.
            fs::rename(pair.left().join("d"), pair.left().join("DCIM"))?;
            fs::rename(pair.left().join("keep"), pair.left().join("DCIM/keep"))?;
            for entry in fs::read_dir(pair.left().join("DCIM"))? {
                let place = entry?.path();
                let length = fs::metadata(&place)?.len();
                fs::write(&place, "x".repeat(usize::try_from(length)?))?;
            }
            let before = pair.trees()?;
            let report = pair.sync()?;
            let stopped = Hresult::HRESULT_ERROR_REQUEST_ABORTED;
            assert_eq!(only_item(&report)?.hresult(), stopped, "{:?}", report.log);
            assert_eq!(count_messages(&report, &[words]), 1, "{:?}", report.log);
            assert_eq!(pair.trees()?, before);
        }
    }
    Ok(())
}

#[test]
fn an_entry_under_the_name_of_an_ignored_one_is_reported() -> anyhow::Result<()> {
    for swapped in [false, true] {
        let pair = Pair::new()?.swapped(swapped).set("ignore", "/build/");
        trees::write(&pair.left(), &tree("build=script|k=k"))?;
        trees::write(&pair.right(), &tree("build/o=o"))?;
        let before = pair.trees()?;
        for _ in 0..2 {
            let report = pair.sync()?;
            assert_eq!(only_item(&report)?.counts["left-alone"], 1);
            let words = ["build: skipped", "ignored entry"];
            assert_eq!(count_messages(&report, &words), 1, "{:?}", report.log);
        }
        assert_eq!(pair.trees()?[0].get("build"), before[0].get("build"));
        assert_eq!(pair.trees()?[1].get("build"), before[1].get("build"));
    }
    Ok(())
}

#[test]
fn an_ignored_file_that_prevents_a_removal_is_named() -> anyhow::Result<()> {
    let pair = Pair::new()?.set("ignore", "*.o");
    trees::write(&pair.left(), &tree("p/q/a=1|k=k"))?;
    pair.sync()?;
    trees::write(&pair.left(), &tree("k=k"))?;
    fs::write(pair.right().join("p/q/x.o"), "object")?;
    for _ in 0..2 {
        let report = pair.sync()?;
        let words = ["p: deleted on left, but kept", "\"q/x.o\"", "ignored"];
        assert_eq!(count_messages(&report, &words), 1, "{:?}", report.log);
        assert_eq!(pair.trees()?[0], tree("k=k"));
        assert_eq!(pair.trees()?[1], tree("p/q/x.o=object|k=k"));
    }
    Ok(())
}

#[test]
fn a_pattern_with_a_comma_produces_a_hint_and_no_warning() -> anyhow::Result<()> {
    let pair = Pair::new()?.set("ignore", "*.log,*.tmp");
    trees::write(&pair.left(), &tree("a.log=1|b.log,x.tmp=2"))?;
    let report = pair.sync()?;
    assert_eq!(count_messages(&report, &["`*.log,*.tmp` has a comma"]), 1);
    assert_eq!(report.warnings, 0, "{:?}", report.log);
    assert_eq!(trees::read(&pair.right())?, tree("a.log=1"));
    Ok(())
}

#[cfg(unix)]
#[test]
fn skipped_links_have_one_reason() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    let long = format!("{}x", "./".repeat(2_047));
    trees::write(
        &pair.left(),
        &tree_of(&[("x", "1"), ("long@", &long), ("abs@", "/etc"), ("d/out@", "a/../../../x")]),
    )?;
    let report = pair.sync()?;
    assert_eq!(trees::read(&pair.right())?, tree_of(&[("x", "1"), ("long@", &long), ("d/", "")]));
    for words in [["abs: is a link", "is absolute"], ["d/out: is a link", "leads outside"]] {
        assert_eq!(count_messages(&report, &words), 1, "{:?}", report.log);
    }
    assert_eq!(report.warnings, 2);
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_tree_of_more_than_a_thousand_levels_is_synced() -> anyhow::Result<()> {
    for levels in [100, 1_500] {
        let pair = Pair::new()?.set("max-delete", "any").set("durable", "false");
        let deep = "d/".repeat(levels);
        let [left, right] = [pair.left(), pair.right()].map(|side| side.join(&deep));
        fs::create_dir_all(&left)?;
        // The traversal returns to directories with further entries.
        for level in (0..levels).step_by(7) {
            let place = pair.left().join("d/".repeat(level)).join("e");
            fs::create_dir(&place)?;
            fs::write(place.join("f"), level.to_string())?;
        }
        fs::write(left.join("f"), "1")?;
        let report = pair.sync()?;
        assert_eq!(report.warnings, 0, "{:?}", report.log);
        assert_eq!(fs::read_to_string(right.join("f"))?, "1");
        assert_eq!(work(&pair.sync()?)?, 0);
        // Replaced with the old version in the trash, and in conflict.
        fs::write(right.join("f"), "22")?;
        pair.sync()?;
        assert_eq!(fs::read_to_string(left.join("f"))?, "22");
        fs::write(left.join("f"), "left")?;
        fs::write(right.join("f"), "right")?;
        pair.sync()?;
        assert_eq!(fs::read_dir(&left)?.count(), 2);
        assert_eq!(fs::read_dir(&right)?.count(), 2);
        remove(&pair.left().join("d"))?;
        let report = pair.sync()?;
        assert_eq!(report.warnings, 0, "{:?}", report.log);
        assert!(!pair.right().join("d").exists());
        remove(&pair.storage())?;
    }
    Ok(())
}

/// Removes a tree that is too deep for the standard library.
#[cfg(unix)]
fn remove(place: &Path) -> anyhow::Result<()> {
    let status = std::process::Command::new("rm").arg("-rf").arg(place).status()?;
    anyhow::ensure!(status.success(), "{place:?} was not removed");
    Ok(())
}

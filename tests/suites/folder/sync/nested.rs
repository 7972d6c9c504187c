//! Pairs inside each other: the files that one pair keeps in a directory of another pair belong to
//! the first one.

use syncmgr_host::RunReport;

use super::*;

/// Runs a pair with directories anywhere.
fn sync(left: &Path, right: &Path, storage: &Path) -> anyhow::Result<RunReport> {
    let options = SessionOptions::new()
        .allow(Capability::WallClock)
        .storage(storage)
        .grant(Grant::new("left", left, Access::ReadWrite)?)
        .grant(Grant::new("right", right, Access::ReadWrite)?);
    Ok(conformance::folder::plugin().run(options, Discard, &Default::default())?)
}

#[test]
fn temporary_copies_of_an_inner_pair_are_neither_synced_nor_removed() -> anyhow::Result<()> {
    // Copied in a batch, and separately.
    for bytes in [10, LARGE] {
        let outer = Pair::new()?;
        let inner = outer.left().join("sub");
        for place in [&inner, &outer.home().join("c"), &outer.home().join("inner storage")] {
            fs::create_dir(place)?;
        }
        fs::write(outer.home().join("c/new"), vec![b'.'; bytes])?;
        let outer = Arc::new(outer);
        let options = SessionOptions::new()
            .allow(Capability::WallClock)
            .storage(outer.home().join("inner storage"))
            .grant(Grant::new("left", outer.home().join("c"), Access::ReadWrite)?)
            .grant(Grant::new("right", &inner, Access::ReadWrite)?)
            .host_call_hook(Arc::new({
                let (outer, inner) = (outer.clone(), inner.clone());
                move |call| {
                    // The copy exists, and is not renamed yet.
                    if call == "flush-files" {
                        let outer = outer.clone();
                        let synced = std::thread::spawn(move || outer.sync()).join();
                        let synced = synced.expect("the thread returns").expect("it starts");
                        assert_eq!(synced.hresult(), Hresult::S_OK, "{synced:?}");
                        let names = fs::read_dir(&inner).expect("it exists").flatten();
                        assert_eq!(names.count(), 1, "the copy is still there");
                    }
                    true
                }
            }));
        let report = conformance::folder::plugin().run(options, Discard, &Default::default())?;
        assert_eq!(report.hresult(), Hresult::S_OK, "{report:?}");
        let names = fs::read_dir(outer.right().join("sub"))?.flatten();
        assert_eq!(names.count(), 0, "the copy was not synced");
        outer.sync()?;
        let [left, right] = outer.trees()?;
        assert_eq!(left, right);
        assert!(left.contains_key("sub/new"), "{left:?}");
    }
    Ok(())
}

#[test]
fn the_trash_of_an_inner_pair_is_neither_synced_nor_removed() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    let files = tree("sub/a=1|b=2|c=3|d=4");
    for side in [pair.left(), pair.right()] {
        trees::write(&side, &files)?;
    }
    pair.sync()?;
    let kept = pair.left().join("sub/.syncmgr-trash/2026/old");
    fs::create_dir_all(kept.parent().context("it has one")?)?;
    fs::write(&kept, "kept")?;
    pair.sync()?;
    assert!(!pair.right().join("sub/.syncmgr-trash").exists());
    // Not as a part of its directory, either.
    fs::remove_dir_all(pair.right().join("sub"))?;
    let report = pair.sync()?;
    assert!(kept.exists(), "{:?}", report.log);
    assert!(!pair.left().join("sub/a").exists(), "{:?}", report.log);
    let said: Vec<_> = report.log.iter().map(|entry| entry.text.as_str()).collect();
    assert!(said.iter().any(|text| text.contains("sub")), "{said:?}");
    Ok(())
}

#[test]
fn leftovers_are_removed_only_by_their_pair() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    trees::write(&pair.left(), &tree("d/a=1"))?;
    // Terminates before the copy is renamed.
    let killed = pair.sync_watched(Arc::new(|call| call != "flush-files"))?;
    assert!(killed.error().is_some());
    let left = pair.unfinished()?;
    assert_eq!(left.len(), 1, "{left:?}");
    let (other, storage) = (tempfile::tempdir()?, tempfile::tempdir()?);
    sync(other.path(), &pair.right(), storage.path())?;
    assert_eq!(pair.unfinished()?, left, "it is not the other pair's");
    pair.sync()?;
    assert_eq!(pair.unfinished()?, Vec::<String>::new());
    Ok(())
}

#[cfg(target_os = "linux")]
fn overlaps() -> anyhow::Result<()> {
    use std::process::Command;
    let bind = |from: &Path, to: &Path| -> anyhow::Result<()> {
        let status = Command::new("mount").arg("--bind").arg(from).arg(to).status()?;
        anyhow::ensure!(status.success(), "mounting: {status}");
        Ok(())
    };
    for (name, from, to) in [
        ("the right side is a directory of the left one", "left/in", "right"),
        ("one deeper", "left/in/deep", "right"),
        ("the left side is a directory of the right one", "right/in", "left"),
        ("the right side is in the left one", "right", "left/in/deep"),
        ("the left side is in the right one", "left", "right/in"),
        ("what is around both is in the left one", "", "left/in"),
        ("both are the same", "left", "right"),
    ] {
        let pair = Pair::new()?;
        for side in [pair.left(), pair.right()] {
            fs::create_dir_all(side.join("in/deep"))?;
            fs::write(side.join("in/deep/f"), "f")?;
        }
        let (from, to) = (pair.home().join(from), pair.home().join(to));
        bind(&from, &to)?;
        let report = pair.sync()?;
        let place = pair.left().join("in/deep/f");
        let nested = fs::read_dir(pair.left())?.count() + fs::read_dir(pair.right())?.count();
        let kept = fs::read_dir(pair.storage())?.count();
        let unmounted = Command::new("umount").arg(&to).status()?;
        anyhow::ensure!(unmounted.success(), "{name}: {unmounted}");
        anyhow::ensure!(report.hresult() == Hresult::E_INVALIDARG, "{name}: {report:?}");
        let said = report.log.iter().any(|entry| entry.text.contains("neither is in the other"));
        anyhow::ensure!(said, "{name}: {:?}", report.log);
        anyhow::ensure!(nested <= 6 && kept == 0, "{name}: something was written, {place:?}");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_side_mounted_inside_the_other_is_rejected() -> anyhow::Result<()> {
    conformance::isolation::with_own_mounts(a_side_mounted_inside_the_other_is_rejected, overlaps)
}

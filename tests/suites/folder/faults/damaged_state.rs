//! A state file that is damaged, truncated, or replaced.

use super::*;

/// Returns a pair that would delete a file if its state were trusted, and the content of the state
/// with its path.
fn prepare() -> anyhow::Result<(Pair, Tree, PathBuf, Vec<u8>)> {
    let pair = Pair::new()?;
    let tree = trees::tree("a=1|d/b=2");
    for root in [pair.left(), pair.right()] {
        trees::write(&root, &tree)?;
    }
    pair.sync()?;
    let place = fs::read_dir(pair.storage())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "state"))
        .context("there is a state")?;
    let bytes = fs::read(&place)?;
    Ok((pair, tree, place, bytes))
}

/// Runs with this state, after one file was removed.
fn check(pair: &Pair, tree: &Tree, place: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::remove_file(pair.left().join("a"))?;
    fs::write(place, bytes)?;
    let report = pair.sync()?;
    anyhow::ensure!(report.error().is_none(), "it ended by itself: {:?}", report.outcome);
    anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
    let reported = report.log.iter().any(|entry| entry.text.contains("the state of the last run"));
    anyhow::ensure!(reported, "the user gets a message: {:?}", report.log);
    for side in pair.trees()? {
        anyhow::ensure!(side == *tree, "nothing was deleted, and all is back: {side:?}");
    }
    Ok(())
}

#[test]
fn a_damaged_state_is_detected_and_deletes_nothing() -> anyhow::Result<()> {
    let (pair, tree, place, bytes) = prepare()?;
    for len in 0..bytes.len() {
        check(&pair, &tree, &place, &bytes[..len]).with_context(|| format!("cut at {len}"))?;
    }
    for at in 0..bytes.len() {
        // One bit of each byte, and all eight bits of every 16th.
        let bits = if at % 16 == 0 { 0..8 } else { at % 8..at % 8 + 1 };
        for bit in bits {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            check(&pair, &tree, &place, &damaged)
                .with_context(|| format!("bit {bit} of byte {at} of {}", bytes.len()))?;
        }
    }
    for (name, damaged) in [
        ("followed by a byte", [&bytes[..], &[0]].concat()),
        ("twice", [&bytes[..], &bytes].concat()),
        ("of zeroes", vec![0; bytes.len()]),
        ("of text", b"{\"entries\": {}}\n".to_vec()),
    ] {
        check(&pair, &tree, &place, &damaged).context(name)?;
    }
    Ok(())
}

/// Without this test, the one above would pass if the state were never used.
#[test]
fn an_intact_state_is_trusted() -> anyhow::Result<()> {
    let (pair, _, _, _) = prepare()?;
    fs::remove_file(pair.left().join("a"))?;
    pair.sync()?;
    assert!(!pair.right().join("a").exists(), "the deletion was carried over");
    Ok(())
}

#[test]
fn a_state_that_is_not_a_file_deletes_nothing() -> anyhow::Result<()> {
    let (pair, tree, place, _) = prepare()?;
    fs::remove_file(pair.left().join("a"))?;
    fs::remove_file(&place)?;
    fs::create_dir(&place)?;
    let report = pair.sync()?;
    // A state that cannot be saved is a failure with a message for the user.
    assert_eq!(only_item(&report)?.status, Status::Failed, "{report:?}");
    assert_eq!(pair.trees()?, [tree.clone(), tree.clone()]);
    fs::remove_dir(&place)?;
    let report = pair.sync()?;
    assert_eq!(only_item(&report)?.status, Status::Succeeded, "{report:?}");
    assert_eq!(pair.trees()?, [tree.clone(), tree]);
    Ok(())
}

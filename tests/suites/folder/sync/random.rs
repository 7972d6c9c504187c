//! Random edits on both sides of random trees.

use super::*;
use proptest::prelude::*;

pub(crate) fn entries() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop::sample::select(vec!["a", "b", "c", "d"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|parts| parts.join("/"));
    let content = prop::sample::select(vec!["", "x", "yy", "zz", "longer content"]);
    prop::collection::vec((path, content.prop_map(str::to_owned)), 0..8)
}

/// Keeps the paths that can exist in one tree: a path is a file or a parent, not both.
pub(crate) fn plausible(rows: &[(String, String)]) -> Tree {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for (path, content) in rows {
        let fits = kept.iter().all(|(other, _)| {
            other != path
                && !other.starts_with(&format!("{path}/"))
                && !path.starts_with(&format!("{other}/"))
        });
        if fits {
            kept.push((path, content));
        }
    }
    tree_of(&kept)
}

/// Syncs a baseline, edits both sides and syncs again.
pub(crate) fn converges(pair: &Pair, [baseline, left, right]: &[Tree; 3]) -> anyhow::Result<()> {
    for side in [pair.left(), pair.right()] {
        trees::write(&side, baseline)?;
    }
    pair.sync()?;
    trees::write(&pair.left(), left)?;
    trees::write(&pair.right(), right)?;
    let existed = pair.findable()?;
    let report = pair.sync()?;
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left == right, "{left:?} and {right:?}: {:?}", report.log);
    let lost = pair.lost(&existed)?;
    anyhow::ensure!(lost.is_empty(), "lost {lost:?}");
    let again = pair.sync()?;
    anyhow::ensure!(work(&again)? == 0, "the second run: {again:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_edits_of_any_tree_converge_without_loss(
        baseline in entries(), left in entries(), right in entries(),
    ) {
        let check = || converges(&Pair::new()?.set("max-delete", "any"), &[baseline, left, right].map(|rows| plausible(&rows)));
        check().map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
    }
}

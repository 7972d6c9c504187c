//! Random edits on both sides of random trees.

use super::*;
use proptest::prelude::*;

fn entries() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop::sample::select(vec!["a", "b", "c", "d"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|parts| parts.join("/"));
    let content = prop::sample::select(vec!["", "x", "yy", "zz", "longer content"]);
    prop::collection::vec((path, content.prop_map(str::to_owned)), 0..8)
}

/// Keeps the paths that can exist in one tree: a path is a file or a parent, not both.
fn plausible(rows: &[(String, String)]) -> Tree {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_edits_of_any_tree_converge_without_loss(
        baseline in entries(), left in entries(), right in entries(),
    ) {
        let check = || -> anyhow::Result<()> {
            let pair = Pair::new()?.set("max-delete", "any");
            for side in [pair.left(), pair.right()] {
                trees::write(&side, &plausible(&baseline))?;
            }
            pair.sync()?;
            trees::write(&pair.left(), &plausible(&left))?;
            trees::write(&pair.right(), &plausible(&right))?;
            let existed = pair.findable()?;
            let report = pair.sync()?;
            let [left, right] = pair.trees()?;
            anyhow::ensure!(left == right, "{left:?} and {right:?}: {:?}", report.log);
            let lost: Vec<_> = existed.difference(&pair.findable()?).cloned().collect();
            anyhow::ensure!(lost.is_empty(), "lost {lost:?}");
            let again = pair.sync()?;
            anyhow::ensure!(work(&again)? == 0, "the second run: {again:?}");
            Ok(())
        };
        check().map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
    }
}

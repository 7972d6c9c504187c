//! Entries that are moved on one side.

use std::fs;

use conformance::folder::{Pair, only_item, work};
use conformance::trees::{self, tree};

use super::crashes::crash_everywhere;

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
    crash_everywhere(Pair::new, &trees, 1, PartialEq::eq)
}

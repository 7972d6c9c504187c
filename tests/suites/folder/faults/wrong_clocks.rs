//! Files with times far from the present.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Sets the times of all files below a directory.
fn set_times(root: &Path, time: SystemTime) -> anyhow::Result<()> {
    for (path, entry) in trees::read(root)? {
        if let Entry::File(_) = entry {
            let file = fs::File::options().write(true).open(root.join(path))?;
            file.set_modified(time)?;
        }
    }
    Ok(())
}

fn check(time: SystemTime, places: &[&str]) -> anyhow::Result<()> {
    let scene = Scene::everything(0);
    let (_, expected) = scene.reference()?;
    let pair = Pair::new()?;
    let set_times =
        || places.iter().try_for_each(|place| set_times(&pair.home().join(place), time));
    for root in [pair.left(), pair.right()] {
        trees::write(&root, &scene.baseline)?;
    }
    set_times()?;
    pair.sync()?;
    set_times()?;
    let report = pair.sync()?;
    anyhow::ensure!(work(&report)? == 0, "times alone are no change: {report:?}");

    trees::write(&pair.left(), &scene.left)?;
    trees::write(&pair.right(), &scene.right)?;
    set_times()?;
    let existed = pair.findable()?;
    let report = pair.sync()?;
    check_intact(&pair, &report, &existed)?;
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left == right, "{left:?} and {right:?}: {:?}", report.log);
    anyhow::ensure!(shape(&left, CONTESTED) == expected, "got {left:?}");
    set_times()?;
    check_next_run(&pair, &existed, Some(&expected))
}

#[test]
fn files_with_extreme_times_are_kept_unchanged() -> anyhow::Result<()> {
    let now = SystemTime::now();
    for (name, time) in [
        ("an hour ago", now - DAY / 24),
        ("in an hour", now + DAY / 24),
        ("a year ago", now - 365 * DAY),
        ("in a year", now + 365 * DAY),
        ("1970", UNIX_EPOCH + DAY),
        ("the first second", UNIX_EPOCH),
        ("1930", UNIX_EPOCH - 40 * 365 * DAY),
        ("2037", UNIX_EPOCH + 67 * 365 * DAY),
        ("2106", UNIX_EPOCH + 136 * 365 * DAY),
        // Above the range of nanoseconds in 64 bits.
        ("2400", UNIX_EPOCH + 430 * 365 * DAY),
    ] {
        for places in [&["left"][..], &["right"], &["storage"], &["left", "right", "storage"]] {
            check(time, places).with_context(|| format!("{places:?} {name}"))?;
        }
    }
    Ok(())
}

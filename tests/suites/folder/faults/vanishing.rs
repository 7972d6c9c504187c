//! Directories that are removed or replaced during a run.

use std::os::unix::fs::symlink;

use syncmgr_host::Hresult;

use super::*;

/// The fate of a directory.
#[derive(Clone, Copy, Debug)]
enum Fate {
    RenamedAway,
    Removed,
    ReplacedByNothing,
    ReplacedByFile,
    ReplacedByLinkToNothing,
    ReplacedByLinkToTheOther,
    ReplacedByLinkToAnother,
    ReplacedByLinkToNowhere,
}

const FATES: [Fate; 8] = [
    Fate::RenamedAway,
    Fate::Removed,
    Fate::ReplacedByNothing,
    Fate::ReplacedByFile,
    Fate::ReplacedByLinkToNothing,
    Fate::ReplacedByLinkToTheOther,
    Fate::ReplacedByLinkToAnother,
    Fate::ReplacedByLinkToNowhere,
];

/// The directory, the other one, and a location for removed entries.
struct Places {
    root: PathBuf,
    other: PathBuf,
    away: PathBuf,
    nothing: PathBuf,
    stand_in: PathBuf,
    /// A directory that is unrelated to the pair.
    another: PathBuf,
}

impl Places {
    fn new(pair: &Pair, name: &str) -> anyhow::Result<Self> {
        let (root, other) = match name {
            "left" => (pair.left(), pair.right()),
            "right" => (pair.right(), pair.left()),
            _ => (pair.storage(), pair.left()),
        };
        let [away, nothing, stand_in, another] =
            ["away", "nothing", "stand-in", "another"].map(|name| pair.home().join(name));
        fs::create_dir(&nothing)?;
        trees::write(&another, &self::another())?;
        Ok(Self { root, other, away, nothing, stand_in, another })
    }

    fn vanish(&self, fate: Fate) -> anyhow::Result<()> {
        if let Fate::Removed = fate {
            // Its content at that time is restored later, as from a backup.
            trees::write(&self.away, &trees::read(&self.root)?)?;
            return Ok(fs::remove_dir_all(&self.root)?);
        }
        fs::rename(&self.root, &self.away)?;
        match fate {
            Fate::RenamedAway | Fate::Removed => {}
            Fate::ReplacedByNothing => fs::create_dir(&self.root)?,
            Fate::ReplacedByFile => fs::write(&self.root, "")?,
            Fate::ReplacedByLinkToNothing => symlink(&self.nothing, &self.root)?,
            Fate::ReplacedByLinkToTheOther => symlink(&self.other, &self.root)?,
            Fate::ReplacedByLinkToAnother => symlink(&self.another, &self.root)?,
            Fate::ReplacedByLinkToNowhere => symlink("nowhere", &self.root)?,
        }
        Ok(())
    }

    /// Restores it. The replacement is kept elsewhere.
    fn put_back(&self) -> anyhow::Result<()> {
        if fs::symlink_metadata(&self.root).is_ok() {
            fs::rename(&self.root, &self.stand_in)?;
        }
        Ok(fs::rename(&self.away, &self.root)?)
    }

    /// Checks that the replacement of a side was not changed.
    fn check_untouched(&self) -> anyhow::Result<()> {
        for place in [&self.nothing, &self.stand_in] {
            if fs::symlink_metadata(place).is_ok_and(|metadata| metadata.is_dir()) {
                let found = trees::read(place)?;
                anyhow::ensure!(found.is_empty(), "{place:?} has {found:?}");
            }
        }
        let found = trees::read(&self.another)?;
        anyhow::ensure!(found == another(), "{:?} has {found:?}", self.another);
        Ok(())
    }
}

fn another() -> Tree {
    tree("a=another|z=another", 0)
}

fn check(scene: &Scene, expected: &Shape, name: &str, fate: Fate, k: usize) -> anyhow::Result<()> {
    let pair = Pair::new()?;
    scene.prepare(&pair)?;
    let places = Arc::new(Places::new(&pair, name)?);
    let before = pair.trees()?;
    let existed = pair.findable()?;
    let (report, _) = pair.sync_disturbed({
        let places = places.clone();
        move |call, _| if call == k { places.vanish(fate) } else { Ok(()) }
    })?;
    places.put_back()?;
    let is_side = name != "storage";
    if is_side {
        places.check_untouched()?;
    }
    check_intact(&pair, &report, &existed)?;
    check_kept(&before, &pair, expected).with_context(|| format!("{:?}", report.log))?;
    // With another storage, a run is like the first one, so edits are conflicts.
    check_next_run(&pair, &existed, is_side.then_some(expected))
}

#[test]
fn a_replaced_side_stops_the_run_before_any_write() -> anyhow::Result<()> {
    let scene = Scene::without_deletions();
    let is_stand_in = |fate: &Fate| !matches!(fate, Fate::RenamedAway | Fate::Removed);
    for fate in FATES.into_iter().filter(is_stand_in) {
        for name in ["left", "right"] {
            let pair = Pair::new()?;
            scene.prepare(&pair)?;
            let places = Arc::new(Places::new(&pair, name)?);
            let before = pair.trees()?;
            let (report, _) = pair.sync_disturbed({
                let places = places.clone();
                let mut is_first = true;
                move |_, call| match call == "open-grant" && std::mem::take(&mut is_first) {
                    true => places.vanish(fate),
                    false => Ok(()),
                }
            })?;
            places.put_back()?;
            places.check_untouched()?;
            let stopped = only_item(&report)?.hresult();
            anyhow::ensure!(
                stopped == Hresult::HRESULT_ERROR_REQUEST_ABORTED,
                "{name} {fate:?}: {report:?}"
            );
            anyhow::ensure!(pair.trees()? == before, "{name} {fate:?}: {:?}", report.log);
        }
    }
    Ok(())
}

#[test]
fn a_directory_that_vanishes_at_any_call_deletes_nothing_elsewhere() -> anyhow::Result<()> {
    let scene = Scene::without_deletions();
    let (calls, expected) = scene.reference()?;
    let all = ["left", "right", "storage"].into_iter();
    let rows = all.flat_map(|name| FATES.into_iter().map(move |fate| (name, fate)));
    // The plugin may write to its storage freely, even if a side is there.
    let rows = rows.filter(|row| !matches!(row, ("storage", Fate::ReplacedByLinkToTheOther)));
    for (number, (name, fate)) in rows.enumerate() {
        // A directory that is removed while the sides are scanned can look empty.
        let stride = if matches!(fate, Fate::Removed) { 1 } else { 4 };
        let reading = sample(number, calls.reading, stride);
        let rest = sample(number, calls.all, 12).filter(|k| *k > calls.reading);
        for k in reading.chain(rest) {
            check(&scene, &expected, name, fate, k)
                .with_context(|| format!("{name} {fate:?} at call {k}"))?;
        }
    }
    Ok(())
}

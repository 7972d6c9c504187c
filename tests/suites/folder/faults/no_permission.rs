//! Operations that the system denies, once or permanently.

use std::os::unix::fs::PermissionsExt;

use conformance::isolation;

use super::*;

/// The duration of the denial.
#[derive(Clone, Copy, Debug)]
enum For {
    TheRest,
    OneCall,
}

/// The denied path in the home folder, and its permissions at that time.
const DENIED: &[(&str, u32)] = &[
    ("left", 0o000),
    ("left", 0o555),
    ("right", 0o000),
    ("right", 0o555),
    ("storage", 0o000),
    ("storage", 0o555),
    ("left/d", 0o000),
    ("left/d", 0o555),
    ("right/d", 0o000),
    ("right/d/deep", 0o555),
    ("left/d/deep", 0o666),
    ("left/edited left", 0o000),
    ("right/edited left", 0o000),
    ("right/both", 0o000),
];

fn set_mode(place: &Path, mode: u32) -> anyhow::Result<()> {
    match fs::set_permissions(place, fs::Permissions::from_mode(mode)) {
        // The run has replaced or removed it in the meantime.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => Ok(result?),
    }
}

/// Restores access for the owner everywhere, whatever the run has moved.
fn permit(place: &Path) -> anyhow::Result<()> {
    let metadata = fs::symlink_metadata(place)?;
    let (needed, usual) = if metadata.is_dir() { (0o700, 0o755) } else { (0o600, 0o644) };
    if metadata.permissions().mode() & needed != needed {
        set_mode(place, usual)?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(place)? {
            permit(&entry?.path())?;
        }
    }
    Ok(())
}

fn body() -> anyhow::Result<()> {
    let scene = Scene::everything(0);
    let (calls, expected) = scene.reference()?;
    let rows = DENIED.iter().flat_map(|row| [(row, For::TheRest), (row, For::OneCall)]);
    for (number, ((path, denied), how_long)) in rows.enumerate() {
        let mut suffered = 0;
        for k in sample(number, calls.all, 16) {
            suffered += u32::from(
                deny(&scene, &expected, path, *denied, how_long, k)
                    .with_context(|| format!("{path} {denied:o} {how_long:?} from call {k}"))?,
            );
        }
        // A directory that its owner cannot write into is made writable for the operations in it.
        let is_overcome = *denied == 0o555 && path.contains('/');
        let is_lasting = matches!(how_long, For::TheRest);
        anyhow::ensure!(
            !is_lasting || (suffered == 0) == is_overcome,
            "{path} {denied:o} hinders {suffered} runs"
        );
    }
    Ok(())
}

/// Returns whether the denial affected the run.
fn deny(
    scene: &Scene,
    expected: &Shape,
    path: &str,
    denied: u32,
    how_long: For,
    k: usize,
) -> anyhow::Result<bool> {
    let pair = Pair::new()?;
    scene.prepare(&pair)?;
    let existed = pair.findable()?;
    let place = pair.home().join(path);
    let usual = fs::metadata(&place)?.permissions().mode() & 0o777;
    let before = pair.trees()?;
    let (report, _) = pair.sync_disturbed(move |call, _| match how_long {
        For::TheRest | For::OneCall if call == k => set_mode(&place, denied),
        For::OneCall if call == k + 1 => set_mode(&place, usual),
        For::TheRest | For::OneCall => Ok(()),
    })?;
    permit(pair.home())?;
    check_intact(&pair, &report, &existed)?;
    check_kept(&before, &pair, expected).with_context(|| format!("{:?}", report.log))?;
    // Without its state, a run is like the first one, and does not propagate deletions.
    let remembered =
        !report.log.iter().any(|entry| entry.text.contains("the state of the last run"));
    anyhow::ensure!(remembered || path == "storage", "{:?}", report.log);
    check_next_run(&pair, &existed, remembered.then_some(expected))?;
    let item = only_item(&report)?;
    let left_out = |name: &str| item.counts.get(name).is_some_and(|count| *count > 0);
    Ok(item.status == Status::Failed || left_out("not-done") || left_out("left-alone"))
}

#[test]
fn a_denial_at_any_call_loses_nothing_and_the_next_run_recovers() -> anyhow::Result<()> {
    isolation::where_permissions_hold(
        a_denial_at_any_call_loses_nothing_and_the_next_run_recovers,
        body,
    )
}

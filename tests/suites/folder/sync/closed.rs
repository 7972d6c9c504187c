//! Read-only directories (mode 555), as in a module cache or an unpacked archive.

use std::os::unix::fs::PermissionsExt;

use conformance::isolation;

use super::*;

fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

/// Returns the permission bits of each directory below.
fn modes(root: &Path) -> anyhow::Result<Vec<(String, u32)>> {
    let mut modes = Vec::new();
    for (path, entry) in trees::read(root)? {
        if let Entry::Directory = entry {
            let mode = fs::metadata(root.join(&path))?.permissions().mode() & 0o777;
            modes.push((path, mode));
        }
    }
    Ok(modes)
}

/// The edits on the left in directories that are read-only on both sides.
type Change = fn(&Path) -> std::io::Result<()>;

const CHANGES: &[(&str, Change)] = &[
    ("a file is changed", |root| fs::write(root.join("d/f"), "changed")),
    ("a large file is new", |root| fs::write(root.join("d/large"), vec![b'.'; LARGE])),
    ("a file is new", |root| fs::write(root.join("d/e/new"), "new")),
    ("a file is deleted", |root| fs::remove_file(root.join("d/f"))),
    ("a directory is new", |root| fs::create_dir_all(root.join("d/e/new/er"))),
    ("a link is new", |root| std::os::unix::fs::symlink("f", root.join("d/link"))),
    ("a directory is deleted", |root| fs::remove_dir_all(root.join("d/e"))),
    ("a file is moved", |root| fs::rename(root.join("d/f"), root.join("d/e/f"))),
    ("a directory is moved", |root| fs::rename(root.join("d/e"), root.join("moved"))),
    ("all of it is moved", |root| fs::rename(root.join("d"), root.join("moved"))),
    ("all of it is deleted", |root| fs::remove_dir_all(root.join("d"))),
    ("a directory becomes a file", |root| {
        fs::remove_dir_all(root.join("d/e"))?;
        fs::write(root.join("d/e"), "file")
    }),
];

/// Returns a pair with a nested pair of read-only directories, after an edit on the left.
fn prepare(change: fn(&Path) -> std::io::Result<()>) -> anyhow::Result<Pair> {
    let pair = Pair::new()?.set("max-delete", "any");
    for root in [pair.left(), pair.right()] {
        trees::write(&root, &tree("d/f=1|d/e/g=2|other=3"))?;
        set_mode(&root.join("d/e"), 0o555)?;
        set_mode(&root.join("d"), 0o555)?;
    }
    pair.sync()?;
    let (d, e) = (pair.left().join("d"), pair.left().join("d/e"));
    set_mode(&d, 0o755)?;
    set_mode(&e, 0o755)?;
    change(&pair.left())?;
    if e.is_dir() {
        set_mode(&e, 0o555)?;
    }
    if d.is_dir() {
        set_mode(&d, 0o555)?;
    }
    Ok(pair)
}

/// Makes the folders removable.
fn permit(root: &Path) -> anyhow::Result<()> {
    for (path, _) in modes(root)? {
        set_mode(&root.join(path), 0o755)?;
    }
    Ok(())
}

fn check_equal(pair: &Pair, expected: &[(String, u32)], what: &str) -> anyhow::Result<()> {
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left == right, "{what}: {left:?} and {right:?}");
    for root in [pair.left(), pair.right()] {
        let modes = modes(&root)?;
        anyhow::ensure!(modes == expected, "{what}: {modes:?} and not {expected:?}");
    }
    let unfinished = pair.unfinished()?;
    anyhow::ensure!(unfinished.is_empty(), "{what}: {unfinished:?} is left");
    Ok(())
}

fn body() -> anyhow::Result<()> {
    for (what, change) in CHANGES {
        let pair = prepare(*change)?;
        let expected = modes(&pair.left())?;
        let (report, calls) = pair.sync_disturbed(|_, _| Ok(()))?;
        anyhow::ensure!(report.warnings == 0, "{what}: {:?}", report.log);
        check_equal(&pair, &expected, what)?;
        anyhow::ensure!(work(&pair.sync()?)? == 0, "{what}: nothing is left to do");
        permit(pair.home())?;
        // After a termination at any call, the next run restores the permissions.
        for k in 1..=calls {
            let what = format!("{what}, ended before call {k}");
            let pair = prepare(*change)?;
            let count = AtomicUsize::new(0);
            pair.sync_watched(Arc::new(move |_| count.fetch_add(1, Ordering::SeqCst) + 1 < k))?;
            let report = pair.sync()?;
            anyhow::ensure!(report.warnings == 0, "{what}: {:?}", report.log);
            check_equal(&pair, &expected, &what)?;
            permit(pair.home())?;
        }
    }
    Ok(())
}

#[test]
fn a_closed_directory_is_synced_and_stays_closed() -> anyhow::Result<()> {
    isolation::where_permissions_hold(a_closed_directory_is_synced_and_stays_closed, body)
}

fn closed_root() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    for root in [pair.left(), pair.right()] {
        trees::write(&root, &tree("a=1|b=2|d/c=3|e/x=4"))?;
    }
    pair.sync()?;
    fs::write(pair.left().join("a"), "changed")?;
    fs::remove_file(pair.left().join("b"))?;
    fs::write(pair.left().join("new"), "new")?;
    fs::create_dir(pair.left().join("made"))?;
    std::os::unix::fs::symlink("a", pair.left().join("link"))?;
    set_mode(&pair.right(), 0o555)?;
    let report = pair.sync()?;
    set_mode(&pair.right(), 0o755)?;
    let mut said: Vec<_> = report.log.iter().map(|entry| entry.text.clone()).collect();
    said.sort();
    let why = "the directory itself is not writable (mode 555)";
    let expected = [
        "copy new to",
        "create the directory made in",
        "create the link link in",
        "delete b in",
        "replace a in",
    ];
    let expected = expected.map(|what| format!("cannot {what} the directory `right`: {why}"));
    anyhow::ensure!(said == expected, "{said:?}");
    Ok(())
}

#[test]
fn a_failure_names_the_operation_the_path_and_the_reason() -> anyhow::Result<()> {
    isolation::where_permissions_hold(
        a_failure_names_the_operation_the_path_and_the_reason,
        closed_root,
    )
}

fn unreadable() -> anyhow::Result<()> {
    for bytes in [1, LARGE] {
        let pair = Pair::new()?;
        fs::write(pair.left().join("secret"), vec![b'.'; bytes])?;
        set_mode(&pair.left().join("secret"), 0o000)?;
        let report = pair.sync()?;
        let said: Vec<_> = report.log.iter().map(|entry| entry.text.clone()).collect();
        let is_said = said.len() == 1
            && said[0]
                .starts_with("cannot read secret in the directory `left`: permission denied; ");
        anyhow::ensure!(is_said, "{said:?}");
    }
    Ok(())
}

#[test]
fn an_unreadable_file_is_named_with_its_side() -> anyhow::Result<()> {
    isolation::where_permissions_hold(an_unreadable_file_is_named_with_its_side, unreadable)
}

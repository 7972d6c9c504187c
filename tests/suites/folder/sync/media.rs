//! A side on a file system that stores no permissions and does not distinguish upper and lower
//! case.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::permissions::{mode, set_mode};
use super::*;

const IMAGE_BYTES: u64 = 64 << 20;

/// A mounted exFAT file system. It shows the permissions 777 for everything.
struct Stick {
    at: PathBuf,
    device: String,
}

fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program}: {}: {said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Stick {
    /// `None`: none is available, and a message says so.
    fn mount(image: PathBuf, at: PathBuf) -> anyhow::Result<Option<Self>> {
        match Self::try_mount(image, at) {
            Ok(stick) => Ok(Some(stick)),
            Err(error) => {
                anyhow::ensure!(
                    std::env::var_os("SYNCMGR_REQUIRE_EXFAT").is_none(),
                    "SYNCMGR_REQUIRE_EXFAT wants root, FUSE, loop devices, exfat-fuse and \
                     exfatprogs: {error:#}"
                );
                // Bypasses the test harness, which hides the output of a passing test.
                writeln!(
                    std::io::stderr(),
                    "SKIPPED: a side on exFAT ({error:#}). Run as root, with exfat-fuse and \
                     exfatprogs installed."
                )?;
                Ok(None)
            }
        }
    }

    fn try_mount(image: PathBuf, at: PathBuf) -> anyhow::Result<Self> {
        fs::File::create_new(&image)?.set_len(IMAGE_BYTES)?;
        run("mkfs.exfat", &[&image])?;
        let device = run("losetup", &["--find", "--show", &image.to_string_lossy()])?;
        let stick = Self { at, device };
        run("mount.exfat-fuse", &[OsStr::new(&stick.device), stick.at.as_os_str()])?;
        let begun = Instant::now();
        while run("mountpoint", &[OsStr::new("--quiet"), stick.at.as_os_str()]).is_err() {
            anyhow::ensure!(begun.elapsed().as_secs() < 20, "it is not mounted");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(stick)
    }
}

impl Drop for Stick {
    fn drop(&mut self) {
        let _ = run("umount", &[&self.at]);
        let _ = run("losetup", &["--detach", &self.device]);
    }
}

/// Runs a test with the right directory on the medium, or the left one if the sides are swapped.
fn with_stick(test: impl Fn(&Pair) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for swapped in [false, true] {
        let pair = Pair::new()?.swapped(swapped);
        let Some(_stick) = Stick::mount(pair.home().join("image"), pair.right())? else {
            return Ok(());
        };
        test(&pair).with_context(|| format!("swapped: {swapped}"))?;
    }
    Ok(())
}

/// Returns the permissions of a new file and a new directory of this process.
fn usual_modes(pair: &Pair) -> anyhow::Result<[u32; 2]> {
    let (file, directory) = (pair.home().join("usual"), pair.home().join("usual d"));
    fs::write(&file, "")?;
    fs::create_dir(&directory)?;
    Ok([mode(&file)?, mode(&directory)?])
}

fn no_work(pair: &Pair) -> anyhow::Result<()> {
    let report = pair.sync()?;
    anyhow::ensure!(work(&report)? == 0, "there is nothing to do: {report:?}");
    anyhow::ensure!(report.warnings == 0, "{:?}", report.log);
    Ok(())
}

#[test]
fn permissions_of_a_side_without_support_are_not_propagated() -> anyhow::Result<()> {
    with_stick(|pair| {
        let (left, right) = (pair.left(), pair.right());
        let [file, directory] = usual_modes(pair)?;
        trees::write(&left, &tree("key=1|run=1|same=1|d/f=1"))?;
        for (name, bits) in [("key", 0o600), ("run", 0o755), ("same", 0o640), ("d", 0o700)] {
            set_mode(&left.join(name), bits)?;
        }
        // A file that both sides have already.
        fs::write(right.join("same"), "1")?;
        pair.sync()?;
        no_work(pair)?;
        // Edited and new on the medium.
        fs::write(right.join("key"), "an edit")?;
        fs::write(right.join("run"), vec![b'x'; LARGE])?;
        trees::write(&right.join("new"), &tree("f=1|e/f=1"))?;
        fs::write(right.join("d/large"), vec![b'x'; LARGE])?;
        pair.sync()?;
        for (name, bits) in [
            ("key", 0o600),
            ("run", 0o755),
            ("same", 0o640),
            ("d", 0o700),
            ("d/large", file),
            ("new", directory),
            ("new/f", file),
            ("new/e", directory),
        ] {
            assert_eq!(mode(&left.join(name))?, bits, "{name}");
        }
        assert_eq!(fs::read_to_string(left.join("key"))?, "an edit");
        no_work(pair)?;
        // Permissions that are set on the side that stores them are kept.
        set_mode(&left.join("key"), 0o640)?;
        pair.sync()?;
        assert_eq!(mode(&left.join("key"))?, 0o640);
        no_work(pair)
    })
}

#[test]
fn both_versions_of_a_private_file_stay_private() -> anyhow::Result<()> {
    for newer in ["left", "right"] {
        with_stick(|pair| {
            let (left, right) = (pair.left(), pair.right());
            fs::write(left.join("key.txt"), "1")?;
            set_mode(&left.join("key.txt"), 0o600)?;
            pair.sync()?;
            fs::write(left.join("key.txt"), "the version of the left")?;
            fs::write(right.join("key.txt"), "the version of the right")?;
            let place = if newer == "left" { &left } else { &right }.join("key.txt");
            let later = std::time::SystemTime::now() + Duration::from_secs(60);
            fs::File::options().write(true).open(place)?.set_modified(later)?;
            pair.sync()?;
            let [tree, _] = pair.trees()?;
            assert_eq!(tree.len(), 2, "{tree:?}");
            for name in tree.keys() {
                assert_eq!(mode(&left.join(name))?, 0o600, "{name}, {newer} is newer");
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn without_a_state_permissions_stay_unchanged() -> anyhow::Result<()> {
    with_stick(|pair| {
        let (left, right) = (pair.left(), pair.right());
        for side in [&left, &right] {
            trees::write(side, &tree("key=1|d/f=1|edited=1"))?;
        }
        set_mode(&left.join("key"), 0o400)?;
        set_mode(&left.join("edited"), 0o600)?;
        set_mode(&left.join("d"), 0o750)?;
        for mode_setting in ["two-way-safe", "prefer-right", "newer"] {
            fs::remove_dir_all(pair.storage())?;
            pair.make_directories()?;
            fs::write(right.join("edited"), mode_setting)?;
            let options = pair.options()?.setting("mode", mode_setting);
            pair.sync_with(options)?;
            for (name, bits) in [("key", 0o400), ("edited", 0o600), ("d", 0o750)] {
                assert_eq!(mode(&left.join(name))?, bits, "{name} in {mode_setting}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_read_only_medium_open_to_all_has_no_permissions() -> anyhow::Result<()> {
    use syncmgr_host::{Access, Capability, Grant, SessionOptions};
    let pair = Pair::new()?;
    let Some(_stick) = Stick::mount(pair.home().join("image"), pair.right())? else {
        return Ok(());
    };
    let [file, directory] = usual_modes(&pair)?;
    trees::write(&pair.right(), &tree("f=1|d/f=1"))?;
    let options = SessionOptions::new()
        .allow(Capability::WallClock)
        .storage(pair.storage())
        .setting("mode", "mirror")
        .grant(Grant::new("left", pair.right(), Access::ReadOnly)?)
        .grant(Grant::new("right", pair.left(), Access::ReadWrite)?);
    pair.sync_with(options)?;
    for (name, bits) in [("f", file), ("d", directory), ("d/f", file)] {
        assert_eq!(mode(&pair.left().join(name))?, bits, "{name}");
    }
    Ok(())
}

/// Returns the names in a directory, as they are spelled there.
fn names(directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    // A side on another file system keeps replaced files.
    names.retain(|name| name != ".syncmgr-trash");
    names.sort_unstable();
    Ok(names)
}

#[test]
fn a_change_of_case_is_propagated_in_one_run() -> anyhow::Result<()> {
    // If the names are distinct, the result is the same.
    for sensitive in [false, true] {
        let test = |pair: &Pair| -> anyhow::Result<()> {
            let (left, right) = (pair.left(), pair.right());
            let many: Vec<_> = (0..40).map(|number| format!("Archive/f{number}")).collect();
            let mut rows: Vec<_> = many.iter().map(|path| (path.as_str(), "x")).collect();
            rows.extend([("Archive/Sub/Deep", "1"), ("read.me", "1"), ("edited", "1")]);
            trees::write(&left, &tree_of(&rows))?;
            pair.sync()?;
            fs::rename(left.join("Archive/Sub/Deep"), left.join("Archive/Sub/deep"))?;
            fs::rename(left.join("Archive/Sub"), left.join("Archive/sub"))?;
            fs::rename(left.join("Archive"), left.join("archive"))?;
            fs::write(left.join("archive/new"), "new")?;
            fs::rename(left.join("read.me"), left.join("READ.me"))?;
            fs::rename(left.join("edited"), left.join("Edited"))?;
            fs::write(left.join("Edited"), "an edit")?;
            let report = pair.sync()?;
            let item = only_item(&report)?;
            assert_eq!(report.warnings, 0, "{:?}", report.log);
            assert_eq!((item.counts["copied"], item.counts["deleted"]), (2, 0), "{item:?}");
            assert_eq!(names(&right)?, names(&left)?);
            assert_eq!(names(&right.join("archive"))?, names(&left.join("archive"))?);
            assert_eq!(names(&right.join("archive/sub"))?, ["deep"]);
            let [left_tree, right_tree] = pair.trees()?;
            assert_eq!(left_tree, right_tree);
            no_work(pair)?;
            // In the other direction.
            fs::rename(right.join("READ.me"), right.join("Read.Me"))?;
            fs::rename(right.join("archive/sub"), right.join("archive/SUB"))?;
            pair.sync()?;
            assert_eq!(names(&left)?, names(&right)?);
            assert_eq!(names(&left.join("archive"))?, names(&right.join("archive"))?);
            no_work(pair)
        };
        if sensitive {
            test(&Pair::new()?)?;
            test(&Pair::new()?.swapped(true))?;
        } else {
            with_stick(test)?;
        }
    }
    Ok(())
}

/// Returns the warnings of a run, without the names of the sides.
fn warnings(report: &syncmgr_host::RunReport) -> Vec<&str> {
    let entries = report.log.iter().filter(|entry| entry.level == LogLevel::Warning);
    entries.map(|entry| entry.text.as_str()).collect()
}

#[test]
fn an_unsupported_feature_of_a_side_is_reported_once() -> anyhow::Result<()> {
    with_stick(|pair| {
        let left = pair.left();
        let rows = [
            ("keep", "k"),
            ("10:30.txt", "c"),
            ("a|b/c", "c"),
            ("a|b/d/e", "e"),
            ("d/link@", "../keep"),
            ("Note", "A"),
            ("note", "b"),
            ("Docs/f", "1"),
            ("docs/f", "2"),
            ("docs/g", "2"),
            ("large?", "l"),
        ];
        trees::write(&left, &tree_of(&rows))?;
        fs::write(left.join("large?"), vec![b'x'; LARGE])?;
        let before = trees::read(&left)?;
        for run in 1..=3 {
            let report = pair.sync()?;
            assert_eq!(only_item(&report)?.status, Status::Succeeded, "run {run}");
            let warnings = warnings(&report);
            for (subject, reason) in [
                ("10:30.txt", "does not allow the name"),
                ("a|b", "does not allow the name"),
                ("large?", "does not allow the name"),
                ("d/link", "no symbolic links"),
                ("note", "upper and lower case"),
                ("docs", "upper and lower case"),
            ] {
                let about = |text: &&&str| text.contains(subject) && text.contains(reason);
                assert_eq!(warnings.iter().filter(about).count(), 1, "run {run}: {warnings:#?}");
            }
            assert_eq!(warnings.len(), 6, "run {run}: {warnings:#?}");
            for text in warnings {
                assert!(!text.contains("syncmgr-tmp"), "run {run}: {text}");
                assert!(!text.contains("next run"), "run {run}: {text}");
            }
            assert_eq!(trees::read(&left)?, before, "run {run}");
            let expected = [("keep", "k"), ("d/", ""), ("Note", "A"), ("Docs/f", "1")];
            assert_eq!(trees::read(&pair.right())?, tree_of(&expected), "run {run}");
            // A file that is known to be rejected is not copied.
            let copied = only_item(&report)?.counts["copied"];
            assert_eq!(copied, if run == 1 { 3 } else { 0 }, "run {run}");
        }
        Ok(())
    })
}

//! Permission bits, special files, and names that are not text.

use super::*;
use std::os::unix::fs::PermissionsExt;

pub(crate) fn mode(path: &Path) -> anyhow::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

#[test]
fn a_copy_keeps_private_and_executable_permissions() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    trees::write(&pair.left(), &tree("key=1|run=2|plain=3|d/x="))?;
    for (name, bits) in [("key", 0o600), ("run", 0o755), ("plain", 0o644), ("d", 0o700)] {
        set_mode(&pair.left().join(name), bits)?;
    }
    pair.sync()?;
    for (name, bits) in [("key", 0o600), ("run", 0o755), ("plain", 0o644), ("d", 0o700)] {
        assert_eq!(mode(&pair.right().join(name))?, bits, "{name}");
    }
    // Replaced by new content, and changed without it.
    fs::write(pair.left().join("key"), "new")?;
    set_mode(&pair.right().join("plain"), 0o600)?;
    let report = pair.sync()?;
    assert_eq!(mode(&pair.right().join("key"))?, 0o600, "{report:?}");
    assert_eq!(mode(&pair.left().join("plain"))?, 0o600, "{report:?}");
    // If both sides changed, the result is the intersection.
    set_mode(&pair.left().join("run"), 0o700)?;
    set_mode(&pair.right().join("run"), 0o655)?;
    pair.sync()?;
    assert_eq!(mode(&pair.left().join("run"))?, 0o600);
    assert_eq!(mode(&pair.right().join("run"))?, 0o600);
    assert_eq!(work(&pair.sync()?)?, 0);
    Ok(())
}

#[test]
fn special_files_are_reported_and_skipped() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    trees::write(&pair.left(), &tree("a=1"))?;
    let fifo = pair.left().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status()?.success());
    let socket = pair.left().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(socket)?;
    let report = pair.sync()?;
    assert_eq!(only_item(&report)?.status, Status::Succeeded);
    assert_eq!(report.warnings, 2, "{:?}", report.log);
    assert_eq!(trees::read(&pair.right())?, tree("a=1"));
    Ok(())
}

#[test]
fn a_non_unicode_name_is_reported_and_skipped() -> anyhow::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let pair = Pair::new()?;
    fs::write(pair.left().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "1")?;
    let report = pair.sync()?;
    assert_eq!(report.warnings, 1, "{:?}", report.log);
    assert!(trees::read(&pair.right())?.is_empty());
    Ok(())
}

/// A change to a directory `d` and its result: the permissions on each side at first, the new ones
/// on the left, and those after the runs.
struct DirectoryModes {
    first: [u32; 2],
    after: [u32; 2],
    set: Option<u32>,
    finally: [u32; 2],
}

#[test]
fn special_bits_of_directories_are_propagated_or_kept() -> anyhow::Result<()> {
    let row = |first, after, set, finally| DirectoryModes { first, after, set, finally };
    for swapped in [false, true] {
        for DirectoryModes { first, after, set, finally } in [
            row([0o775, 0o2775], [0o775, 0o2775], Some(0o770), [0o770, 0o2770]),
            row([0o777, 0o1777], [0o777, 0o1777], Some(0o755), [0o755, 0o1755]),
            row([0o755, 0o755], [0o755, 0o755], Some(0o1777), [0o1777, 0o1777]),
            row([0o2775, 0o2775], [0o2775, 0o2775], Some(0o775), [0o775, 0o775]),
            row([0o1777, 0o2777], [0o1777, 0o2777], None, [0o1777, 0o2777]),
        ] {
            let pair = Pair::new()?.swapped(swapped);
            let places = [pair.left().join("d"), pair.right().join("d")];
            for (place, bits) in places.iter().zip(first) {
                fs::create_dir(place)?;
                set_mode(place, bits)?;
            }
            let modes = || anyhow::Ok([mode(&places[0])?, mode(&places[1])?]);
            pair.sync()?;
            assert_eq!(modes()?, after, "{first:?} at first");
            if let Some(bits) = set {
                // `chmod(2)` clears the bits that it is not given.
                set_mode(&places[0], bits)?;
            }
            pair.sync()?;
            assert_eq!(modes()?, finally, "{first:?}, then {set:?}");
            assert_eq!(work(&pair.sync()?)?, 0, "{first:?}");
        }
    }
    Ok(())
}

#[test]
fn a_new_directory_has_special_bits_of_source_and_parent() -> anyhow::Result<()> {
    for (bits, parent, expected) in [
        (0o1777, 0o755, 0o1777),
        (0o2775, 0o755, 0o2775),
        (0o755, 0o2755, 0o2755),
        (0o3777, 0o2755, 0o3777),
        (0o1555, 0o755, 0o1555),
    ] {
        let pair = Pair::new()?;
        for side in [pair.left(), pair.right()] {
            fs::create_dir(side.join("parent"))?;
        }
        pair.sync()?;
        set_mode(&pair.right().join("parent"), parent)?;
        let source = pair.left().join("parent/d");
        trees::write(&source, &tree("f=1"))?;
        set_mode(&source, bits)?;
        // The new setgid bit of the parent is propagated after this.
        pair.sync()?;
        assert_eq!(mode(&pair.right().join("parent/d"))?, expected, "{bits:o} in {parent:o}");
        assert_eq!(fs::read_to_string(pair.right().join("parent/d/f"))?, "1");
        pair.sync()?;
        assert_eq!(work(&pair.sync()?)?, 0, "{bits:o} in {parent:o}");
    }
    Ok(())
}

#[test]
fn setuid_is_kept_unless_access_widens() -> anyhow::Result<()> {
    for (left, expected) in [(0o700, 0o4700), (0o755, 0o755)] {
        let pair = Pair::new()?;
        for (side, bits) in [(pair.left(), 0o750), (pair.right(), 0o4750)] {
            trees::write(&side, &tree("run=1"))?;
            set_mode(&side.join("run"), bits)?;
        }
        pair.sync()?;
        assert_eq!(mode(&pair.left().join("run"))?, 0o750);
        set_mode(&pair.left().join("run"), left)?;
        pair.sync()?;
        assert_eq!(mode(&pair.right().join("run"))?, expected);
        assert_eq!(work(&pair.sync()?)?, 0);
        // New content loses the setuid bit.
        fs::write(pair.left().join("run"), "new")?;
        pair.sync()?;
        assert_eq!(mode(&pair.right().join("run"))?, left);
    }
    Ok(())
}

#[test]
fn an_edit_propagates_only_changed_permissions() -> anyhow::Result<()> {
    for (on_editor, on_other, expected) in [
        (None, None, 0o640),
        (Some(0o600), None, 0o600),
        (None, Some(0o600), 0o600),
        (Some(0o644), Some(0o600), 0o600),
    ] {
        for editor in [0, 1] {
            let pair = Pair::new()?;
            let places = [pair.left().join("f"), pair.right().join("f")];
            for place in &places {
                fs::write(place, "1")?;
                set_mode(place, 0o640)?;
            }
            pair.sync()?;
            fs::write(&places[editor], "new")?;
            for (place, bits) in [(&places[editor], on_editor), (&places[1 - editor], on_other)] {
                bits.map_or(Ok(()), |bits| set_mode(place, bits))?;
            }
            pair.sync()?;
            for place in &places {
                assert_eq!(mode(place)?, expected, "{on_editor:?} {on_other:?} {editor}");
                assert_eq!(fs::read_to_string(place)?, "new");
            }
            assert_eq!(work(&pair.sync()?)?, 0);
        }
    }
    Ok(())
}

#[test]
fn a_changed_time_alone_is_propagated() -> anyhow::Result<()> {
    let second = std::time::Duration::from_secs(1);
    let then = std::time::UNIX_EPOCH + 1_234_567_890 * second;
    let touch =
        |place: &Path, time| fs::File::options().write(true).open(place)?.set_modified(time);
    for (mode, left, right, expected) in [
        ("two-way-safe", Some(7), None, [7, 7]),
        ("two-way-safe", None, Some(7), [7, 7]),
        ("two-way-safe", Some(8), Some(9), [9, 9]),
        ("one-way-safe", Some(7), None, [7, 7]),
        ("one-way-safe", None, Some(7), [0, 7]),
        ("mirror", None, Some(7), [0, 0]),
        // The times of a clock that was set back by an hour are not newer.
        ("two-way-safe", Some(3600), None, [3600, 0]),
    ] {
        let pair = Pair::new()?.set("mode", mode);
        let places = [pair.left().join("f"), pair.right().join("f")];
        fs::write(&places[0], "1")?;
        touch(&places[0], then)?;
        pair.sync()?;
        for (place, later) in places.iter().zip([left, right]) {
            later.map_or(Ok(()), |later| touch(place, then + later * second))?;
        }
        let report = pair.sync()?;
        assert_eq!(work(&report)?, 0, "nothing is copied: {report:?}");
        for (place, expected) in places.iter().zip(expected) {
            let modified = fs::metadata(place)?.modified()?;
            assert_eq!(modified, then + expected * second, "{mode} {left:?} {right:?}");
        }
        let again = pair.sync()?;
        assert_eq!(only_item(&again)?.counts.get("times"), Some(&0), "{mode} {left:?} {right:?}");
    }
    Ok(())
}

//! Permission bits, special files, and names that are no text.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn mode(path: &Path) -> anyhow::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

#[test]
fn a_private_file_stays_private_and_a_program_stays_one() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    trees::write(&pair.left(), &tree(&[("key", "1"), ("run", "2"), ("plain", "3"), ("d/x", "")]))?;
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
    // Where both sides changed, what both allow holds.
    set_mode(&pair.left().join("run"), 0o700)?;
    set_mode(&pair.right().join("run"), 0o655)?;
    pair.sync()?;
    assert_eq!(mode(&pair.left().join("run"))?, 0o600);
    assert_eq!(mode(&pair.right().join("run"))?, 0o600);
    assert_eq!(work(&pair.sync()?)?, 0);
    Ok(())
}

#[test]
fn special_files_are_reported_and_left_alone() -> anyhow::Result<()> {
    let pair = Pair::new()?;
    trees::write(&pair.left(), &tree(&[("a", "1")]))?;
    let fifo = pair.left().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status()?.success());
    let socket = pair.left().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(socket)?;
    let report = pair.sync()?;
    assert_eq!(only_item(&report)?.status, Status::Succeeded);
    assert_eq!(report.warnings, 2, "{:?}", report.log);
    assert_eq!(trees::read(&pair.right())?, tree(&[("a", "1")]));
    Ok(())
}

#[test]
fn a_name_that_is_no_text_is_reported_and_left_alone() -> anyhow::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let pair = Pair::new()?;
    fs::write(pair.left().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "1")?;
    let report = pair.sync()?;
    assert_eq!(report.warnings, 1, "{:?}", report.log);
    assert!(trees::read(&pair.right())?.is_empty());
    Ok(())
}

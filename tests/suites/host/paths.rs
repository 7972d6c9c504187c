//! Names and locations that no grant includes, through every path to them.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use conformance::isolation;
use conformance::script::Script;
use syncmgr_host::{Access, Grant, GrantError, SessionOptions, StartError};

/// Functions of WASI that `paths` calls, and the one that creates a link to the path.
const FUNCTIONS: usize = 19;

/// The result of each function for a path below a directory that is granted read-write.
fn answers(
    root: &Path,
    path: &str,
    options: impl FnOnce(SessionOptions) -> SessionOptions,
) -> Result<Vec<String>> {
    let grant = Grant::new("left", root, Access::ReadWrite)?;
    let ran = Script::new("a")
        .on("synchronize", &format!("reach path={path}\npaths path={path}"))
        .options(|given| options(given.grant(grant)))
        .run()?;
    let said: Vec<_> = ran.said_in_synchronize().into_iter().map(str::to_owned).collect();
    ensure!(said.len() == FUNCTIONS + 1, "{path}: {said:?} {:?}", ran.report.outcome);
    Ok(said)
}

/// A directory with `file`, `moved`, and this entry.
fn with_entry(path: &str) -> Result<tempfile::TempDir> {
    let home = tempfile::tempdir()?;
    fs::write(home.path().join("file"), "12345")?;
    fs::write(home.path().join("moved"), "")?;
    let entry = home.path().join(path);
    fs::create_dir_all(entry.parent().context("it has a parent")?)?;
    fs::write(entry, "12345")?;
    Ok(home)
}

#[test]
fn wasi_rejects_names_that_windows_reinterprets() -> Result<()> {
    for path in [
        "file:stream",
        "file::$DATA",
        ":stream",
        "C:file",
        "folder/file:stream",
        "folder:stream/file",
        "NUL",
        "con",
        "folder/aux",
        "prn/file",
        "nul.txt",
        "NUL.tar.gz",
        "aux.",
        "con_",
        "nul_.txt",
        "nul..._",
        "COM1",
        "com¹",
        "LPT³.log",
        "lpt9",
        "CONIN$",
        "conout$.x",
        "folder\\nul",
    ] {
        let home = with_entry(&path.replace('_', " "))?;
        for answer in &answers(home.path(), path, |options| options)?[1..] {
            ensure!(answer.ends_with("Err(\"invalid\")"), "{path}: {answer}");
        }
    }
    for path in ["console", "nuls", "folder/com10", "file.nul", "aux-", "a;b", "folder/lpt"] {
        let home = with_entry(path)?;
        let answers = answers(home.path(), path, |options| options)?;
        // Only links can be read as links.
        let mut others = answers.iter().filter(|answer| !answer.starts_with("readlink-at"));
        ensure!(others.all(|answer| !answer.contains("invalid")), "{path}: {answers:?}");
        ensure!(answers[0] == "reach: Ok(())", "{path}: {}", answers[0]);
        ensure!(answers[1] == "open-at: Ok(())", "{path}: {}", answers[1]);
    }
    // If the system permits a colon in names, the interface of the contract accepts it.
    let home = with_entry("12:30")?;
    ensure!(answers(home.path(), "12:30", |options| options)?[0] == "reach: Ok(())");
    Ok(())
}

/// Checks that no function accesses this path, whether it exists or not.
fn is_out_of_reach(root: &Path, path: &str, left_out: Option<&Path>) -> Result<()> {
    // If the last name is a link, only functions that follow it access the target.
    let is_link = root.join(path).is_symlink();
    let follows = ["open-at:", "stat-at:", "metadata-hash-at:", "open-at for writing:"];
    let answers = answers(root, path, |options| match left_out {
        Some(left_out) => options.leave_out(left_out),
        None => options,
    })?;
    let (reached, answers) = answers.split_first().context("it said something")?;
    // A link inside the path is never followed, and `..` is not a valid name.
    let codes = ["AccessDenied", "Changed", "InvalidArgument"];
    let refused = codes.iter().any(|code| reached.contains(code));
    ensure!(refused, "{path}: {reached}");
    for answer in &answers[..FUNCTIONS - 1] {
        let counts = !is_link || follows.iter().any(|function| answer.starts_with(function));
        let refused = answer.ends_with("Err(\"not-permitted\")");
        ensure!(refused || !counts, "{path} in {}: {answer}", root.display());
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn mount(arguments: &[&str], at: &Path) -> Result<()> {
    fs::create_dir_all(at)?;
    let mounted = std::process::Command::new("mount").args(arguments).arg(at).status()?;
    ensure!(mounted.success(), "mount {arguments:?} {} fails", at.display());
    Ok(())
}

#[cfg(target_os = "linux")]
fn kernel_file_systems() -> Result<()> {
    let home = with_entry("folder/inner/file")?;
    let root = home.path();
    mount(&["--bind", "/proc"], &root.join("folder/processes"))?;
    mount(&["--bind", "/sys"], &root.join("system"))?;
    mount(&["-t", "tmpfs", "tmpfs"], &root.join("other"))?;
    fs::write(root.join("other/file"), "12345")?;
    mount(&["--bind", "/proc"], &root.join("other/processes"))?;
    // A single file of such a file system.
    fs::write(root.join("environment"), "")?;
    let bound = std::process::Command::new("mount")
        .args(["--bind", "/proc/self/environ"])
        .arg(root.join("environment"))
        .status()?;
    ensure!(bound.success(), "a file cannot be mounted");
    symlink("folder/processes/self/environ", root.join("to-file"))?;
    symlink("folder/processes", root.join("to-directory"))?;
    symlink("to-directory", root.join("to-link"))?;
    for path in [
        "folder/processes",
        "folder/processes/self/environ",
        "folder/processes/none",
        "folder/./processes/self/environ",
        "folder/inner/../processes/self/environ",
        "system",
        "system/kernel/none",
        "system/kernel",
        "other/processes/1/environ",
        "to-directory/self/environ",
        "to-file",
        "to-link/self",
        "environment",
    ] {
        is_out_of_reach(root, path, None)?;
    }
    // Another file system of files is an ordinary directory.
    let answers = answers(root, "other/file", |options| options)?;
    ensure!(answers[0] == "reach: Ok(())" && answers[1] == "open-at: Ok(())", "{answers:?}");
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn kernel_file_systems_below_a_grant_are_inaccessible() -> Result<()> {
    isolation::with_own_mounts(
        kernel_file_systems_below_a_grant_are_inaccessible,
        kernel_file_systems,
    )
}

#[cfg(target_os = "linux")]
#[test]
fn kernel_file_systems_cannot_be_granted() -> Result<()> {
    for path in ["/proc", "/proc/self", "/sys", "/sys/kernel"] {
        for access in [Access::ReadOnly, Access::ReadWrite] {
            let grant = Grant::new("left", path, access)?;
            let started = Script::new("a").options(|options| options.grant(grant)).run();
            let error = started.err().context("it starts")?;
            let refused =
                matches!(error.downcast_ref(), Some(StartError::Grant(GrantError::NoFiles { .. })));
            ensure!(refused, "{path}: {error:#}");
        }
    }
    Ok(())
}

#[test]
fn excluded_paths_are_inaccessible_by_every_route() -> Result<()> {
    let home = with_entry("folder/state/inner/deep/file")?;
    let (root, state) = (home.path(), home.path().join("folder/state"));
    symlink("folder/state", root.join("to-directory"))?;
    symlink("folder/state/inner/deep/file", root.join("to-file"))?;
    for path in [
        "folder/state",
        "folder/state/inner/deep/file",
        "folder/state/inner",
        "folder/state/inner/none",
        "folder/state/none",
        "folder/../folder/state/inner",
        "to-directory/inner/deep/file",
        "to-file",
    ] {
        is_out_of_reach(root, path, Some(&state))?;
    }
    // The surrounding directories are granted normally.
    let given = answers(root, "folder/other", |options| options.leave_out(&state))?;
    ensure!(given.iter().any(|answer| answer == "link-at to it: Ok(())"), "{given:?}");
    Ok(())
}

#[cfg(target_os = "linux")]
fn under_another_name() -> Result<()> {
    let home = with_entry("state/inner/file")?;
    let granted = home.path().join("granted");
    let state = home.path().join("state");
    fs::create_dir(&granted)?;
    fs::write(granted.join("file"), "")?;
    fs::write(granted.join("moved"), "")?;
    let source = state.to_str().context("the path is text")?;
    mount(&["--bind", source], &granted.join("alias"))?;
    for path in ["alias", "alias/inner", "alias/inner/file", "alias/none"] {
        is_out_of_reach(&granted, path, Some(&state))?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn excluded_paths_are_inaccessible_under_other_names() -> Result<()> {
    isolation::with_own_mounts(
        excluded_paths_are_inaccessible_under_other_names,
        under_another_name,
    )
}

/// The plugin's storage is inside the state directory, and is still accessible.
#[test]
fn the_storage_is_accessible_inside_the_excluded_state() -> Result<()> {
    let home = tempfile::tempdir()?;
    let storage = home.path().join("state/plugins/a/storage");
    fs::create_dir_all(&storage)?;
    let ran = Script::new("a")
        .on(
            "synchronize",
            "mkdir path=/storage/folder
             fill path=/storage/folder/file bytes=5
             rename path=/storage/folder/file to=/storage/file
             read path=/storage/file",
        )
        .options(|options| options.storage(&storage).leave_out(home.path().join("state")))
        .run()?;
    let said = ran.said_in_synchronize();
    ensure!(said == ["mkdir: ok", "fill: ok", "rename: ok", "read: 5 bytes"], "{said:?}");
    Ok(())
}

//! Runs the body of a test in a separate process: one that does nothing else, one that may mount,
//! one with its own network, or one to which permissions apply. Without such a process, the test
//! fails; it never passes without running.

#![allow(clippy::print_stdout, reason = "a test prints what its process printed")]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
#[cfg(unix)]
use std::{os::unix::fs::PermissionsExt, process::Stdio};

#[cfg(unix)]
use anyhow::Context;

/// A test that the separate process runs.
pub trait Test: Fn() -> anyhow::Result<()> {
    /// Its path in the test program.
    fn path(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        path.split_once("::").map_or(path, |(_program, path)| path)
    }
}

impl<F: Fn() -> anyhow::Result<()>> Test for F {}

/// Set in the inner process to the path of the file that it creates after the body.
const INSIDE: &str = "SYNCMGR_TEST_INSIDE";

/// Runs the body in a process without other work, so that it can count resources of the process.
///
/// # Errors
/// Returns the errors of the body.
pub fn alone(test: impl Test, body: fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    match std::env::var_os(INSIDE) {
        Some(done) => run_inside(&done, body),
        None => run_in_child(Command::new(std::env::current_exe()?), test.path()),
    }
}

/// Runs the body in a mount namespace, which is removed with the process.
///
/// # Errors
/// Returns the errors of the body, and an error without root and user namespaces.
#[cfg(unix)]
pub fn with_own_mounts(test: impl Test, body: fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    in_namespaces(&["--mount"], test, body)
}

/// Runs the body in a mount namespace and a network namespace. Its only network is loopback, to
/// which it may add addresses.
///
/// # Errors
/// Returns the errors of the body, and an error without root and user namespaces.
#[cfg(unix)]
pub fn with_own_network(test: impl Test, body: fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    in_namespaces(&["--mount", "--net"], test, body)
}

#[cfg(unix)]
fn in_namespaces(
    kinds: &[&str],
    test: impl Test,
    body: fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if let Some(done) = std::env::var_os(INSIDE) {
        return run_inside(&done, body);
    }
    let ways = [&["unshare"][..], &["unshare", "--user", "--map-root-user"]];
    let ways = ways.map(|way| [way, kinds].concat());
    let folder = tempfile::tempdir()?;
    let can_mount = |way: &&Vec<&str>| {
        succeeds(command(way).args(["mount", "-t", "tmpfs", "tmpfs"]).arg(folder.path()))
    };
    let way = ways.iter().find(can_mount).context(
        "this test has to mount a small file system: run it as root, or allow user namespaces \
         (sysctl kernel.apparmor_restrict_unprivileged_userns=0, \
         kernel.unprivileged_userns_clone=1, user.max_user_namespaces)",
    )?;
    let mut inner = command(way);
    inner.arg(std::env::current_exe()?);
    run_in_child(inner, test.path())
}

/// Runs the body without root privileges, so that permissions of files apply.
///
/// # Errors
/// Returns the errors of the body, and an error if root cannot drop its privileges.
#[cfg(unix)]
pub fn where_permissions_hold(
    test: impl Test,
    body: fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if permissions_hold()? {
        return match std::env::var_os(INSIDE) {
            Some(done) => run_inside(&done, body),
            None => body(),
        };
    }
    let way = [
        "setpriv",
        "--inh-caps=-dac_override,-dac_read_search",
        "--bounding-set=-dac_override,-dac_read_search",
    ];
    anyhow::ensure!(
        std::env::var_os(INSIDE).is_none() && succeeds(command(&way).arg("true")),
        "permissions mean nothing to root, and setpriv(1) cannot take that away here: run this \
         test as another user"
    );
    let mut inner = command(&way);
    inner.arg(std::env::current_exe()?);
    run_in_child(inner, test.path())
}

#[cfg(unix)]
fn permissions_hold() -> anyhow::Result<bool> {
    let file = tempfile::NamedTempFile::new()?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o000))?;
    Ok(fs::File::open(file.path()).is_err())
}

#[cfg(unix)]
fn command(words: &[&str]) -> Command {
    let mut words = words.iter();
    let mut command = Command::new(words.next().unwrap_or(&"true"));
    command.args(words).stdin(Stdio::null());
    command
}

#[cfg(unix)]
fn succeeds(command: &mut Command) -> bool {
    let output = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    output.is_ok_and(|status| status.success())
}

fn run_inside(done: &OsStr, body: fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    body()?;
    Ok(fs::write(Path::new(done), "")?)
}

/// Runs one test of this program again. The exit status is not sufficient: the program also
/// succeeds without any test of that name.
fn run_in_child(mut way: Command, test: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let done = folder.path().join("done");
    let output = way
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, &done)
        .output()?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    anyhow::ensure!(
        output.status.success() && done.exists(),
        "{test}, in a separate process: {}\n{}{}",
        output.status,
        said(&output.stdout),
        said(&output.stderr)
    );
    print!("{}", said(&output.stdout));
    Ok(())
}

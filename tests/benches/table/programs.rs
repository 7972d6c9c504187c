//! Programs that sync two directories, including `syncmgr`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// Two directories to sync, and a directory for the state of a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) left: &'a Path,
    pub(crate) right: &'a Path,
    pub(crate) state: &'a Path,
}

/// Builds the command of a program for two directories; the flag is set for the first run.
type Call = fn(&Program, Pair<'_>, bool) -> Command;

/// A program, identified by its command.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    path: PathBuf,
    call: Call,
}

/// `syncmgr` without flushing, like the other programs.
pub(crate) const FOLDER: &str = "folder";
/// `syncmgr` with flushing of everything that it writes.
pub(crate) const FLUSHING: &str = "folder, flushing";
pub(crate) const UNISON: &str = "Unison";
pub(crate) const BISYNC: &str = "rclone bisync";
pub(crate) const RSYNC: &str = "rsync, one way";

impl Program {
    pub(crate) fn command(&self, pair: Pair<'_>, first: bool) -> Command {
        (self.call)(self, pair, first)
    }
}

fn folder(program: &Program, pair: Pair<'_>, durable: bool) -> Command {
    let mut command = Command::new(&program.path);
    let dir = |name: &str, path: &Path| format!("{name}={}", path.display());
    command
        .args(["run", "folder", "--set", "max-delete=any"])
        .args(["--set", if durable { "durable=true" } else { "durable=false" }])
        .args(["--dir", &dir("left", pair.left), "--dir", &dir("right", pair.right)])
        .arg("--state-dir")
        .arg(pair.state);
    command
}

fn flushing(program: &Program, pair: Pair<'_>, _first: bool) -> Command {
    folder(program, pair, true)
}

fn not_flushing(program: &Program, pair: Pair<'_>, _first: bool) -> Command {
    folder(program, pair, false)
}

fn unison(program: &Program, pair: Pair<'_>, _first: bool) -> Command {
    let mut command = Command::new(&program.path);
    command.env("UNISON", pair.state).arg(pair.left).arg(pair.right);
    command.args(["-batch", "-auto", "-times", "-silent", "-dumbtty", "-confirmbigdel=false"]);
    command
}

fn bisync(program: &Program, pair: Pair<'_>, first: bool) -> Command {
    let mut command = Command::new(&program.path);
    command.args(["--config", "/dev/null", "bisync", "-q", "--force", "--workdir"]);
    command.arg(pair.state).arg(pair.left).arg(pair.right);
    if first {
        command.arg("--resync");
    }
    command
}

fn rsync(program: &Program, pair: Pair<'_>, _first: bool) -> Command {
    let mut command = Command::new(&program.path);
    command.args(["-a", "--delete"]).arg(pair.left.join("")).arg(pair.right);
    command
}

/// Returns the first of these names that is an executable program on the search path.
fn find(names: &[&str], asked: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let candidates = names.iter().flat_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).collect::<Vec<_>>()
    });
    candidates.into_iter().find(|path| {
        let mut program = Command::new(path);
        program.arg(asked).stdout(Stdio::null()).stderr(Stdio::null());
        program.status().is_ok_and(|status| status.success())
    })
}

/// Returns `syncmgr` and the competitors that are installed.
pub(crate) fn found() -> Vec<Program> {
    let own = || Some(PathBuf::from(env!("CARGO_BIN_EXE_syncmgr")));
    let all: [(&str, Call, Option<PathBuf>); 5] = [
        (FOLDER, not_flushing, own()),
        (FLUSHING, flushing, own()),
        (UNISON, unison, find(&["unison-2.52", "unison"], "-version")),
        // Before 1.66, bisync is a different program.
        (BISYNC, bisync, find(&["rclone"], "--version")),
        (RSYNC, rsync, find(&["rsync"], "--version")),
    ];
    let mut found = Vec::new();
    for (name, call, path) in all {
        match path {
            Some(path) => found.push(Program { name, path, call }),
            None => println!("no {name}: it is not installed"),
        }
    }
    found
}

/// The resources that a process used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(crate) seconds: f64,
    /// The peak memory, in bytes.
    pub(crate) memory: f64,
}

/// Runs a process to its end. `place` is a folder for the record of its memory.
pub(crate) fn timed(command: &Command, place: &Path) -> Result<Took> {
    let note = place.join("memory");
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["-f", "%M", "-o"]).arg(&note).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        timed.env(name, value.unwrap_or_default());
    }
    let since = Instant::now();
    let output = timed.stdin(Stdio::null()).output().context("/usr/bin/time (Debian: time)")?;
    let seconds = since.elapsed().as_secs_f64();
    ensure!(
        output.status.success(),
        "{:?}: {}{}",
        command.get_program(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let kibibytes: f64 = fs::read_to_string(note)?.trim().parse()?;
    Ok(Took { seconds, memory: kibibytes * 1024.0 })
}

/// Syncs two empty directories, so that one-time work is not measured.
pub(crate) fn warm_up(program: &Program, state: &Path) -> Result<()> {
    let nothing = state.with_file_name("nothing");
    let (left, right) = (nothing.join("left"), nothing.join("right"));
    fs::create_dir_all(&left)?;
    fs::create_dir_all(&right)?;
    fs::create_dir_all(state)?;
    timed(&program.command(Pair { left: &left, right: &right, state }, true), state)?;
    Ok(())
}

//! The folder plugin on real trees, beside the programs that people use for that, on the same trees
//! in the same run: `cargo bench -p syncmgr --bench trees -- [FILES] [ROUNDS]`, in the folder that
//! `TMPDIR` names.
//!
//! Peers are run where they are found: `unison-2.52` or `unison`, `rclone` (1.66 or later; its
//! bisync is another program before that) and `rsync`, which goes one way. None of them flushes
//! what it wrote to the disk, and with `durable=false` we do not either. Each figure is the median
//! of the rounds, in seconds; memory is the most that a process had in the round's last step.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// Files in one directory.
const PER_DIRECTORY: usize = 100;
const FILE_BYTES: usize = 1024;

/// What is done, in this order, each time with what came before it in sync.
const STEPS: [&str; 4] = ["first sync", "no change", "600 changes", "1 % deleted"];

/// A program, by how it is called for two directories with a place of its own.
struct Program {
    name: &'static str,
    command: Call,
    path: PathBuf,
}

/// Two directories to be synced, and where a program may remember things.
#[derive(Clone, Copy)]
struct Pair<'a> {
    left: &'a Path,
    right: &'a Path,
    state: &'a Path,
}

fn ours(program: &Program, pair: Pair<'_>, durable: bool) -> Command {
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

fn durable(program: &Program, pair: Pair<'_>, _first: bool) -> Command {
    ours(program, pair, true)
}

fn not_durable(program: &Program, pair: Pair<'_>, _first: bool) -> Command {
    ours(program, pair, false)
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

fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let candidates = names.iter().flat_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).collect::<Vec<_>>()
    });
    candidates.into_iter().find(|path| {
        let mut asked = Command::new(path);
        asked.arg(if path.to_string_lossy().contains("unison") { "-version" } else { "--version" });
        asked.stdout(Stdio::null()).stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    })
}

/// How a program is called for a step, and whether that is the first one.
type Call = fn(&Program, Pair<'_>, bool) -> Command;

fn programs() -> Vec<Program> {
    let own = || Some(PathBuf::from(env!("CARGO_BIN_EXE_syncmgr")));
    let all: [(&str, Call, Option<PathBuf>); 5] = [
        ("folder", not_durable, own()),
        ("folder, flushing", durable, own()),
        ("Unison", unison, find(&["unison-2.52", "unison"])),
        ("rclone bisync", bisync, find(&["rclone"])),
        ("rsync, one way", rsync, find(&["rsync"])),
    ];
    let found = all
        .into_iter()
        .filter_map(|(name, command, path)| Some(Program { name, command, path: path? }));
    found.collect()
}

/// Content that differs from file to file and from step to step.
fn content(seed: usize) -> Vec<u8> {
    let mut state = seed as u64 | 1;
    let next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(FILE_BYTES).collect()
}

fn file(root: &Path, number: usize) -> PathBuf {
    root.join(format!("d{:05}", number / PER_DIRECTORY)).join(format!("f{number:07}"))
}

fn make(root: &Path, files: usize) -> Result<()> {
    for number in 0..files {
        if number % PER_DIRECTORY == 0 {
            fs::create_dir_all(root.join(format!("d{:05}", number / PER_DIRECTORY)))?;
        }
        fs::write(file(root, number), content(number))?;
    }
    Ok(())
}

/// Changes files before a step. All on the left, for the sake of the one that goes one way.
fn change(step: &str, root: &Path, files: usize) -> Result<()> {
    let spread = |count: usize, offset: usize| {
        let apart = (files / count.max(1)).max(1);
        (0..count).map(move |at| at * apart + offset).filter(move |&number| number < files)
    };
    match step {
        "600 changes" => {
            for number in spread(200.min(files / 10), 1) {
                fs::write(file(root, number), content(number + 1_000_003))?;
            }
            for number in spread(200.min(files / 10), 3) {
                fs::write(file(root, number).with_extension("new"), content(number + 7))?;
            }
            for number in spread(200.min(files / 10), 5) {
                fs::remove_file(file(root, number))?;
            }
        }
        "1 % deleted" => {
            for number in spread(files / 100, 7) {
                // It may have been deleted before.
                let _ = fs::remove_file(file(root, number));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Seconds, and the most memory in KiB.
fn timed(command: &Command, place: &Path) -> Result<(f64, u64)> {
    let memory = place.join("memory");
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["-f", "%M", "-o"]).arg(&memory).arg(command.get_program()).args(command.get_args());
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
    Ok((seconds, fs::read_to_string(memory)?.trim().parse()?))
}

/// Syncs two directories with nothing in them: what a program does once only is not measured.
fn warm_up(program: &Program, state: &Path) -> Result<()> {
    let (left, right) = (state.join("nothing/left"), state.join("nothing/right"));
    fs::create_dir_all(&left)?;
    fs::create_dir_all(&right)?;
    let pair = Pair { left: &left, right: &right, state };
    timed(&(program.command)(program, pair, true), state)?;
    Ok(())
}

/// Whether both sides have the same files with the same content.
fn equal(left: &Path, right: &Path) -> Result<bool> {
    let diff = Command::new("diff").args(["-rq"]).arg(left).arg(right).output()?;
    Ok(diff.status.success())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() -> Result<()> {
    // `cargo test` runs benchmarks, too, to see that they work.
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let small = !arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    let number = |at: usize, default: usize| -> Result<usize> {
        arguments.get(at).map_or(Ok(default), |text| text.parse().context("a number"))
    };
    let files = number(0, if small { 200 } else { 10_000 })?;
    let rounds = number(1, if small { 1 } else { 5 })?;
    if !Path::new("/usr/bin/time").exists() {
        println!("nothing is measured without /usr/bin/time");
        return Ok(());
    }
    let place = tempfile::tempdir()?;
    let source = place.path().join("source");
    make(&source, files)?;
    println!("{files} files of {FILE_BYTES} bytes, {rounds} rounds\n");
    println!("| program | {} | memory |", STEPS.join(" | "));
    println!("|---|{}---|", "---|".repeat(STEPS.len()));
    let mut own = Vec::new();
    for program in programs() {
        let mut figures = vec![Vec::new(); STEPS.len()];
        let mut memory = 0;
        let state = place.path().join(program.name).join("state");
        warm_up(&program, &state)?;
        for round in 0..rounds {
            let home = place.path().join(format!("{}-{round}", program.name));
            let (left, right) = (home.join("left"), home.join("right"));
            fs::create_dir_all(&right)?;
            let copied = Command::new("cp").arg("-a").arg(&source).arg(&left).status()?;
            ensure!(copied.success(), "cp: {copied}");
            let pair = Pair { left: &left, right: &right, state: &state };
            for (step, figures) in STEPS.iter().zip(&mut figures) {
                change(step, &left, files)?;
                let command = (program.command)(&program, pair, *step == STEPS[0]);
                let (seconds, kibibytes) = timed(&command, &home)?;
                figures.push(seconds);
                memory = kibibytes;
                if round == 0 {
                    ensure!(equal(&left, &right)?, "{}: {step}: the sides differ", program.name);
                }
            }
            // What is removed stays until the end: file systems avoid the places of files that have
            // just been removed, and the next round would pay for that.
        }
        let medians: Vec<f64> = figures.into_iter().map(median).collect();
        if own.is_empty() {
            own.clone_from(&medians);
        }
        let cell = |(seconds, own): (&f64, &f64)| format!("{seconds:.2} s ({:.2})", seconds / own);
        let cells: Vec<_> = medians.iter().zip(&own).map(cell).collect();
        println!("| {} | {} | {} MB |", program.name, cells.join(" | "), memory / 1024);
    }
    println!("\nIn brackets: the time divided by ours, without flushing.");
    Ok(())
}

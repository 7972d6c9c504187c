//! The folder plugin on real trees, beside the programs that people use for that, on the same trees
//! in the same run, in the folder that `TMPDIR` names.
//!
//! Peers are run where they are found. None of them flushes what it wrote to the disk, and with
//! `durable=false` we do not either. Each figure is the median of the rounds; memory is the most
//! that a process had in the first sync.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::Options;
use crate::programs::{
    self, BISYNC, FLUSHING, FOLDER, Pair, Program, RSYNC, Took, UNISON, timed, warm_up,
};
use crate::report::{Figure, Goal, Row, median};

/// Files in one directory.
const PER_DIRECTORY: usize = 100;
const FILE_BYTES: usize = 1024;

const FIRST: &str = "first sync";
const CHANGES: &str = "600 changes";
const DELETED: &str = "1 % deleted";
/// What is done, in this order, each time with what came before it in sync.
const STEPS: [&str; 4] = [FIRST, "no change", CHANGES, DELETED];

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
        CHANGES => {
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
        DELETED => {
            for number in spread(files / 100, 7) {
                // It may have been deleted before.
                let _ = fs::remove_file(file(root, number));
            }
        }
        _first_or_nothing => {}
    }
    Ok(())
}

/// Whether both sides have the same files with the same content.
fn equal(left: &Path, right: &Path) -> Result<bool> {
    let diff = Command::new("diff").args(["-rq"]).arg(left).arg(right).output()?;
    Ok(diff.status.success())
}

/// What the steps took, each as often as there are rounds.
type Steps = [Vec<Took>; STEPS.len()];

fn run(program: &Program, place: &Path, files: usize, rounds: usize) -> Result<Steps> {
    let mut steps = Steps::default();
    let state = place.join(program.name).join("state");
    warm_up(program, &state)?;
    for round in 0..rounds {
        let home = place.join(format!("{}-{round}", program.name));
        let (left, right) = (home.join("left"), home.join("right"));
        fs::create_dir_all(&right)?;
        let copied = Command::new("cp").arg("-a").arg(place.join("source")).arg(&left).status()?;
        ensure!(copied.success(), "cp: {copied}");
        let pair = Pair { left: &left, right: &right, state: &state };
        for (step, took) in STEPS.iter().zip(&mut steps) {
            change(step, &left, files)?;
            took.push(timed(&program.command(pair, *step == FIRST), &home)?);
            if round == 0 {
                ensure!(equal(&left, &right)?, "{}: {step}: the sides differ", program.name);
            }
        }
        // What is removed stays until the end: file systems avoid the places of files that have
        // just been removed, and the next round would pay for that.
    }
    Ok(steps)
}

/// One tree, with every program.
fn tree(files: usize, rounds: usize) -> Result<Vec<Row>> {
    let place = tempfile::tempdir()?;
    make(&place.path().join("source"), files)?;
    let mut all = Vec::new();
    for program in programs::found() {
        all.push((program.name, run(&program, place.path(), files, rounds)?));
    }
    let figure = |name: &str, step: usize, of: fn(&Took) -> f64| {
        let (_, steps) = all.iter().find(|(program, _)| *program == name)?;
        Some(median(steps[step].iter().map(of).collect()))
    };
    let seconds = |name: &str, step| figure(name, step, |took| took.seconds).map(Figure::Time);
    let mut rows = Vec::new();
    for (step, name) in STEPS.iter().enumerate() {
        for own in [FOLDER, FLUSHING] {
            let Some(ours) = seconds(own, step) else { continue };
            let row = Row::new(format!("{own}: {files} files, {name}"), ours)
                .peer(UNISON, seconds(UNISON, step))
                .peer(BISYNC, seconds(BISYNC, step))
                .peer(RSYNC, seconds(RSYNC, step));
            rows.push(match own {
                FOLDER => row.goal(Goal::Below(UNISON, 1.0)).goal(Goal::Below(BISYNC, 1.0)),
                _flushing if *name == FIRST => row,
                _flushing => row.goal(Goal::Below(BISYNC, 1.0)),
            });
        }
    }
    let memory = |name: &str| figure(name, 0, |took| took.memory);
    if let Some(ours) = memory(FOLDER) {
        rows.push(
            Row::new(format!("{FOLDER}: {files} files, most memory"), Figure::Memory(ours))
                .peer(UNISON, memory(UNISON).map(Figure::Memory))
                .peer(BISYNC, memory(BISYNC).map(Figure::Memory)),
        );
    }
    Ok(rows)
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    if !Path::new("/usr/bin/time").exists() {
        println!("no trees: they are measured with /usr/bin/time (Debian: time)");
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for files in &options.files {
        rows.extend(tree(*files, options.rounds)?);
    }
    Ok(rows)
}

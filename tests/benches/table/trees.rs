//! The `folder` plugin and comparable programs on real trees, on the same trees in the same run, in
//! the directory of `TMPDIR`.
//!
//! Competitors run if they are installed. Most of them do not flush files to the disk, so `folder`
//! is measured with `durable=false`, too. Each value is the median of the rounds; memory is the
//! maximum of a process in the first sync.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::Options;
use crate::programs::{
    self, BISYNC, FLUSHING, FOLDER, Pair, Program, RSYNC, Took, UNISON, timed, warm_up,
};
use crate::report::{Figure, Goal, Row, median};
use crate::syncthing::{SYNCTHING, first_sync};

/// Files in one directory.
const PER_DIRECTORY: usize = 100;
const FILE_BYTES: usize = 1024;
/// The minimal size of a file.
const BLOCK_BYTES: usize = 4096;
/// Trees larger than this are removed after each round.
const MOST_KEPT_BYTES: usize = 256 << 20;

const FIRST: &str = "first sync";
const CHANGES: &str = "600 changes";
const DELETED: &str = "1 % deleted";
/// The steps, in this order. Each starts from the synced result of the previous one.
const STEPS: [&str; 4] = [FIRST, "no change", CHANGES, DELETED];

/// Many small files, or a few large ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    files: usize,
    bytes: usize,
}

impl Shape {
    /// Many small files.
    pub(crate) const fn small(files: usize) -> Self {
        Self { files, bytes: FILE_BYTES }
    }

    fn name(self) -> String {
        let files = self.files;
        match self.bytes {
            FILE_BYTES => format!("{files} files"),
            bytes => format!("{files} files of {} MiB", bytes >> 20),
        }
    }
}

/// Content that differs per file and step.
fn content(seed: usize, bytes: usize) -> Vec<u8> {
    let mut state = seed as u64 | 1;
    let next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn file(root: &Path, number: usize) -> PathBuf {
    root.join(format!("d{:05}", number / PER_DIRECTORY)).join(format!("f{number:07}"))
}

pub(crate) fn make(root: &Path, shape: Shape) -> Result<()> {
    for number in 0..shape.files {
        if number % PER_DIRECTORY == 0 {
            fs::create_dir_all(root.join(format!("d{:05}", number / PER_DIRECTORY)))?;
        }
        fs::write(file(root, number), content(number, shape.bytes))?;
    }
    Ok(())
}

/// Changes files before a step. All changes are on the left, because rsync syncs one way.
fn change(step: &str, root: &Path, files: usize) -> Result<()> {
    let spread = |count: usize, offset: usize| {
        let apart = (files / count.max(1)).max(1);
        (0..count).map(move |at| at * apart + offset).filter(move |&number| number < files)
    };
    match step {
        CHANGES => {
            for number in spread(200.min(files / 10), 1) {
                fs::write(file(root, number), content(number + 1_000_003, FILE_BYTES))?;
            }
            for number in spread(200.min(files / 10), 3) {
                fs::write(
                    file(root, number).with_extension("new"),
                    content(number + 7, FILE_BYTES),
                )?;
            }
            for number in spread(200.min(files / 10), 5) {
                fs::remove_file(file(root, number))?;
            }
        }
        DELETED => {
            for number in spread(files / 100, 7) {
                // It may be deleted already.
                let _ = fs::remove_file(file(root, number));
            }
        }
        _first_or_nothing => {}
    }
    Ok(())
}

/// Returns whether both sides have the same files with the same content.
fn equal(left: &Path, right: &Path) -> Result<bool> {
    let diff = Command::new("diff").args(["-rq"]).arg(left).arg(right).output()?;
    Ok(diff.status.success())
}

/// The results of the steps, one per round.
type Steps = [Vec<Took>; STEPS.len()];

/// Creates a copy of the source on the left, and an empty right side.
pub(crate) fn sides(place: &Path, home: &Path) -> Result<(PathBuf, PathBuf)> {
    let (left, right) = (home.join("left"), home.join("right"));
    fs::create_dir_all(&right)?;
    let copied = Command::new("cp").arg("-a").arg(place.join("source")).arg(&left).status()?;
    ensure!(copied.success(), "cp: {copied}");
    Ok((left, right))
}

fn run(program: &Program, place: &Path, shape: Shape, rounds: usize) -> Result<Steps> {
    let mut steps = Steps::default();
    let state = place.join(program.name).join("state");
    warm_up(program, &state)?;
    // A tree of few large files has no step for small changes.
    let count = if shape.bytes == FILE_BYTES { STEPS.len() } else { 2 };
    for round in 0..rounds {
        let home = place.join(format!("{}-{round}", program.name));
        let (left, right) = sides(place, &home)?;
        let pair = Pair { left: &left, right: &right, state: &state };
        for (step, took) in STEPS.iter().zip(&mut steps).take(count) {
            change(step, &left, shape.files)?;
            took.push(timed(&program.command(pair, *step == FIRST), &home)?);
            if round == 0 {
                ensure!(equal(&left, &right)?, "{}: {step}: the sides differ", program.name);
            }
        }
        // Files are removed at the end only: file systems avoid the blocks of files that have just
        // been removed, which would slow down the next round. Large trees are removed earlier, to
        // save space.
        if shape.files * shape.bytes.max(BLOCK_BYTES) > MOST_KEPT_BYTES {
            fs::remove_dir_all(&home)?;
        }
    }
    Ok(steps)
}

fn syncthing(place: &Path, shape: Shape, rounds: usize) -> Result<Option<f64>> {
    let mut took = Vec::new();
    for round in 0..rounds {
        let home = place.join(format!("syncthing-{round}"));
        let (left, right) = sides(place, &home)?;
        let Some(seconds) = first_sync(&home, &left, &right, shape.files)? else { return Ok(None) };
        took.push(seconds);
        if round == 0 {
            for side in [&left, &right] {
                fs::remove_dir_all(side.join(".stfolder"))?;
            }
            ensure!(equal(&left, &right)?, "{SYNCTHING}: the sides differ");
        }
        fs::remove_dir_all(&home)?;
    }
    Ok(Some(median(took)))
}

/// Measures one tree with every program.
fn tree(shape: Shape, rounds: usize, small: bool) -> Result<Vec<Row>> {
    let place = tempfile::tempdir()?;
    make(&place.path().join("source"), shape)?;
    // A file that has just been written may change again within one step of its clock, so a careful
    // program reads it again in the next run.
    thread::sleep(Duration::from_secs(3));
    let mut all = Vec::new();
    for program in programs::found() {
        all.push((program.name, run(&program, place.path(), shape, rounds)?));
    }
    // It takes minutes where the others take seconds.
    let syncthing = match small {
        true => None,
        false => syncthing(place.path(), shape, rounds.min(1))?.map(Figure::Time),
    };
    let figure = |name: &str, step: usize, of: fn(&Took) -> f64| {
        let (_, steps) = all.iter().find(|(program, _)| *program == name)?;
        let figures: Vec<_> = steps[step].iter().map(of).collect();
        (!figures.is_empty()).then(|| median(figures))
    };
    let seconds = |name: &str, step| figure(name, step, |took| took.seconds).map(Figure::Time);
    let mut rows = Vec::new();
    for own in [FOLDER, FLUSHING] {
        for (step, name) in STEPS.iter().enumerate() {
            let Some(ours) = seconds(own, step) else { continue };
            let row = Row::new(format!("{own}: {}, {name}", shape.name()), ours)
                .competitor(UNISON, seconds(UNISON, step))
                .competitor(BISYNC, seconds(BISYNC, step))
                .competitor(RSYNC, seconds(RSYNC, step));
            rows.push(match own {
                FOLDER => row.goal(Goal::Below(UNISON, 1.0)).goal(Goal::Below(BISYNC, 1.0)),
                _flushing if *name == FIRST => {
                    row.competitor(SYNCTHING, syncthing).goal(Goal::Below(SYNCTHING, 1.0 / 3.0))
                }
                _flushing => row.goal(Goal::Below(BISYNC, 1.0)),
            });
        }
    }
    let memory = |name: &str, step| figure(name, step, |took| took.memory).map(Figure::Memory);
    for step in [0, 1] {
        let Some(ours) = memory(FOLDER, step) else { continue };
        rows.push(
            Row::new(format!("{FOLDER}: {}, {}, memory", shape.name(), STEPS[step]), ours)
                .competitor(UNISON, memory(UNISON, step))
                .competitor(BISYNC, memory(BISYNC, step)),
        );
    }
    Ok(rows)
}

/// The memory per file, and the time per file if nothing has changed: the differences between two
/// trees of different size.
fn per_file(sizes: &[usize], rows: &[Vec<Row>]) -> Vec<Row> {
    let (Some((&few, &many)), Some((first, last))) =
        (sizes.first().zip(sizes.last()), rows.first().zip(rows.last()))
    else {
        return Vec::new();
    };
    if few == many {
        return Vec::new();
    }
    let number = |rows: &[Row], files: usize, what: &str| {
        let case = format!("{FOLDER}: {files} files, {what}");
        rows.iter().find(|row| row.case() == case).map(|row| row.ours().number())
    };
    let more = |what: &str| {
        let difference = number(last, many, what)? - number(first, few, what)?;
        Some(difference / (many - few) as f64)
    };
    let mut added = Vec::new();
    for what in ["first sync, memory", "no change, memory"] {
        if let Some(bytes) = more(what) {
            added.push(
                Row::new(format!("{FOLDER}: {what} for each file"), Figure::Memory(bytes))
                    .goal(Goal::AtMost(Figure::Memory(512.0))),
            );
        }
    }
    for what in [FIRST, "no change"] {
        for (files, rows) in sizes.iter().zip(rows) {
            if let Some(seconds) = number(rows, *files, what) {
                let each = Figure::Time(seconds / *files as f64);
                added.push(Row::new(format!("{FOLDER}: {files} files, {what}, each"), each));
            }
        }
    }
    added
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    if !Path::new("/usr/bin/time").exists() {
        println!("no trees: they are measured with /usr/bin/time (Debian: time)");
        return Ok(Vec::new());
    }
    let mut trees = Vec::new();
    for files in &options.files {
        let shape = Shape::small(*files);
        trees.push(tree(shape, options.rounds, options.small)?);
    }
    let mut rows = per_file(&options.files, &trees);
    rows.extend(trees.into_iter().flatten());
    if options.large > 0 {
        let shape = Shape { files: options.large.div_ceil(100), bytes: 100 << 20 };
        rows.extend(tree(shape, options.rounds.min(3), options.small)?);
    }
    Ok(rows)
}

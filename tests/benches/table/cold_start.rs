//! A complete process without changes, on two empty directories.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::Options;
use crate::programs::{self, BISYNC, FOLDER, Pair, UNISON};
use crate::report::{Figure, Goal, Row, median};

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    let times = if options.small { 1 } else { 60 };
    let home = tempfile::tempdir()?;
    let programs = programs::found();
    let wanted = |name: &str| [FOLDER, UNISON, BISYNC].contains(&name);
    let mut took = Vec::new();
    for program in programs.iter().filter(|program| wanted(program.name)) {
        let place = home.path().join(program.name);
        let (left, right, state) = (place.join("left"), place.join("right"), place.join("state"));
        for folder in [&left, &right, &state] {
            fs::create_dir_all(folder)?;
        }
        // It rejects empty directories.
        if program.name == BISYNC {
            fs::write(left.join("file"), "the only one")?;
            fs::write(right.join("file"), "the only one")?;
        }
        let run = move |first: bool| -> Result<f64> {
            let pair = Pair { left: &left, right: &right, state: &state };
            let mut command = program.command(pair, first);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let since = Instant::now();
            let status = command.status()?;
            ensure!(status.success(), "{}: {status}", program.name);
            Ok(since.elapsed().as_secs_f64())
        };
        run(true)?;
        took.push((program.name, Vec::new(), run));
    }
    // Alternately, so that disturbances affect all programs. Each program starts a round equally
    // often, because a large program leaves the caches of the processor full.
    let count = took.len();
    for time in 0..times {
        for turn in 0..count {
            let (_, took, run) = &mut took[(time + turn) % count];
            took.push(run(false)?);
        }
    }
    let median = |name: &str| {
        let found = took.iter().find(|(program, ..)| *program == name);
        found.map(|(_, took, _)| Figure::Time(median(took.clone())))
    };
    let Some(ours) = median(FOLDER) else { return Ok(Vec::new()) };
    Ok(vec![
        Row::new("`syncmgr run folder`, nothing to do", ours)
            .competitor(UNISON, median(UNISON))
            .competitor(BISYNC, median(BISYNC))
            .goal(Goal::Below(UNISON, 1.0))
            .goal(Goal::Below(BISYNC, 1.0)),
    ])
}

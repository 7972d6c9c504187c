//! `webdav` and `rclone bisync` with the same server and the same trees, in turns.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use conformance::fault_proxy::{Fault, FaultProxy};
use conformance::servers::{self, Server};

use crate::Options;
use crate::programs::{BISYNC, Took, timed};
use crate::report::{Figure, Goal, Row, median};

/// The round trips that are added to each request.
const ROUND_TRIPS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(20)];
/// Files in one directory.
const PER_DIRECTORY: usize = 100;
/// The maximum memory of a first sync.
const MEMORY: f64 = (64 << 20) as f64;

/// The steps of small files. Each starts from the synced result of the previous one.
const STEPS: [&str; 3] = ["first sync", "no change", "100 changes on each side"];

/// One of the two programs, with its own collection.
struct Side<'a> {
    name: &'static str,
    home: &'a Path,
    /// The URL of the collection.
    url: String,
    /// The files of the collection.
    files: std::path::PathBuf,
    /// The password for rclone, which names the state after it.
    password: &'a str,
}

impl Side<'_> {
    fn ours(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncmgr"));
        command
            .args(["run", "webdav", "--set", "max-delete=any", "--set", "durable=false"])
            .args(["--dir", &format!("local={}", self.home.join("local").display())])
            .args(["--http", &format!("remote={}", self.url)])
            .args(["--http-auth", "remote=basic:env:LOGIN"])
            .env("LOGIN", "me:hunter2")
            .arg("--state-dir")
            .arg(self.home.join("state"));
        command
    }

    fn bisync(&self, first: bool) -> Command {
        let mut command = Command::new("rclone");
        command
            .env("RCLONE_CONFIG_DAV_TYPE", "webdav")
            .env("RCLONE_CONFIG_DAV_URL", &self.url)
            .env("RCLONE_CONFIG_DAV_USER", "me")
            .env("RCLONE_CONFIG_DAV_PASS", self.password)
            .args(["--config", "/dev/null", "bisync", "-q", "--force", "--transfers", "8"])
            .arg("--workdir")
            .arg(self.home.join("state"))
            .arg(self.home.join("local"))
            .arg("dav:");
        if first {
            command.arg("--resync");
        }
        command
    }

    fn sync(&self, first: bool) -> Result<Took> {
        let command = if self.name == BISYNC { self.bisync(first) } else { self.ours() };
        let took = timed(&command, self.home)?;
        let equal = Command::new("diff")
            .args(["-rq", "--exclude=.syncmgr-trash", "--exclude=.DAV"])
            .args([&self.home.join("local"), &self.files])
            .output()?;
        let found = String::from_utf8_lossy(&equal.stdout);
        ensure!(equal.status.success(), "{} made no equal sides: {found}", self.name);
        Ok(took)
    }
}

fn write(root: &Path, number: usize, bytes: usize, seed: u8) -> Result<()> {
    let directory = root.join(format!("d{:03}", number / PER_DIRECTORY));
    fs::create_dir_all(&directory)?;
    let content: Vec<u8> =
        (0..bytes).map(|at| (at * 31 + number).to_le_bytes()[0] ^ seed).collect();
    Ok(fs::write(directory.join(format!("f{number:06}")), content)?)
}

/// The results of one program by step, one for each round.
type Results = [Vec<Took>; STEPS.len()];

/// Runs one program through the steps.
fn run(side: &Side<'_>, files: usize, bytes: usize, results: &mut Results, seed: u8) -> Result<()> {
    let local = side.home.join("local");
    for number in 0..files {
        // Half of the files come from each side.
        write(if number % 2 == 0 { &local } else { &side.files }, number, bytes, seed)?;
    }
    for (step, results) in results.iter_mut().enumerate() {
        if step == 2 {
            for number in 0..100.min(files / 2) {
                write(&local, 2 * number, bytes + 1, seed)?;
                write(&side.files, 2 * number + 1, bytes + 1, seed)?;
            }
        }
        results.push(side.sync(step == 0)?);
    }
    Ok(())
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    for program in ["apache2", "rclone"] {
        if !servers::has(program)? {
            return Ok(Vec::new());
        }
    }
    let shapes: &[(usize, usize)] = match options.small {
        true => &[(20, 1024)],
        false => &[(1_000, 1024), (10, 50 << 20)],
    };
    let rounds = if options.small { 1 } else { options.rounds };
    let obscured = Command::new("rclone").args(["obscure", "hunter2"]).output()?;
    let password = String::from_utf8(obscured.stdout)?.trim().to_owned();
    let mut rows = Vec::new();
    for round_trip in ROUND_TRIPS {
        for &(files, bytes) in shapes {
            let server: Server = servers::plain_apache()?;
            let delayed = FaultProxy::start(server.ports[0], move |_, _| match round_trip {
                Duration::ZERO => Fault::Passed,
                time => Fault::Delayed(time),
            })?;
            let origin = match round_trip {
                Duration::ZERO => format!("http://127.0.0.1:{}", server.ports[0]),
                _ => delayed.url(),
            };
            let [mut ours, mut theirs] = [Results::default(), Results::default()];
            for round in 0..rounds {
                let home = tempfile::tempdir()?;
                for (name, results) in [("webdav", &mut ours), (BISYNC, &mut theirs)] {
                    let home = home.path().join(name);
                    fs::create_dir_all(home.join("local"))?;
                    let collection = format!("{name}-{round}").replace(' ', "-");
                    let files_of = server.files().join(&collection);
                    fs::create_dir(&files_of)?;
                    let url = format!("{origin}/{collection}/");
                    let password = &password;
                    let side = Side { name, home: &home, url, files: files_of, password };
                    run(&side, files, bytes, results, u8::try_from(round)?)?;
                    fs::remove_dir_all(&side.files)?;
                }
            }
            let what = match bytes {
                1024 => format!("webdav, {files} files of 1 KiB, {} ms", round_trip.as_millis()),
                _ => format!("webdav, {files} files of 50 MiB, {} ms", round_trip.as_millis()),
            };
            let seconds =
                |all: &[Took]| Figure::Time(median(all.iter().map(|one| one.seconds).collect()));
            for ((step, ours), theirs) in STEPS.iter().zip(&ours).zip(&theirs) {
                let row = Row::new(format!("{what}: {step}"), seconds(ours))
                    .competitor(BISYNC, Some(seconds(theirs)));
                rows.push(row.goal(Goal::Ahead(BISYNC, 1.0)));
            }
            let memory = ours[0].iter().map(|one| one.memory).fold(0.0, f64::max);
            rows.push(
                Row::new(format!("{what}: memory"), Figure::Memory(memory))
                    .goal(Goal::AtMost(Figure::Memory(MEMORY))),
            );
        }
    }
    Ok(rows)
}

//! `s3`, `rclone bisync` and `rclone sync` with the same bucket and the same trees, in turns.
//!
//! A proxy counts the requests and the bytes of each program.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use conformance::fault_proxy::{Fault, FaultProxy};
use conformance::servers::{self, Bucket, Files, Server, Usage};

use crate::Options;
use crate::programs::{BISYNC, Took, timed};
use crate::report::{Figure, Goal, Row, median};

/// The round trips that are added to each request.
const ROUND_TRIPS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(20)];
/// Files in one directory.
const PER_DIRECTORY: usize = 100;
/// The maximum memory of a first sync.
const MEMORY: f64 = (64 << 20) as f64;

/// The steps. Each starts from the synced result of the previous one.
const STEPS: [&str; 3] = ["first sync", "no change", "100 changes on each side"];
const ONE_WAY_STEPS: [&str; 3] = ["upload", "no change", "100 changes"];

const S3: &str = "s3";
const SYNC: &str = "rclone sync";

/// One of the programs, with its own part of the bucket.
struct Side<'a> {
    name: &'static str,
    is_one_way: bool,
    home: &'a Path,
    origin: String,
    /// The part of the bucket.
    part: String,
    bucket: &'a Bucket,
    proxy: &'a Server,
}

impl Side<'_> {
    fn ours(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncmgr"));
        let mode = if self.is_one_way { "mode=mirror" } else { "mode=two-way" };
        command
            .args(["run", "s3", "--set", "max-delete=any", "--set", "durable=false"])
            .args(["--set", mode])
            .args(["--dir", &format!("local={}", self.home.join("local").display())])
            .args(["--http", &format!("remote={}/bucket/{}/", self.origin, self.part)])
            .args(["--http-auth", &format!("remote=aws-sigv4:{}:env:KEYS", servers::REGION)])
            .env("KEYS", format!("{}:{}", servers::ACCESS_KEY, servers::SECRET_KEY))
            .arg("--state-dir")
            .arg(self.home.join("state"));
        command
    }

    fn rclone(&self, first: bool) -> Command {
        let mut command = Command::new("rclone");
        command
            .env("RCLONE_CONFIG_S3_TYPE", "s3")
            .env("RCLONE_CONFIG_S3_PROVIDER", "Other")
            .env("RCLONE_CONFIG_S3_ENDPOINT", &self.origin)
            .env("RCLONE_CONFIG_S3_REGION", servers::REGION)
            .env("RCLONE_CONFIG_S3_ACCESS_KEY_ID", servers::ACCESS_KEY)
            .env("RCLONE_CONFIG_S3_SECRET_ACCESS_KEY", servers::SECRET_KEY)
            .args(["--config", "/dev/null", "-q", "--transfers", "8"]);
        match self.is_one_way {
            true => command.arg("sync"),
            false => command.args(["bisync", "--force", "--workdir"]).arg(self.home.join("state")),
        };
        command.arg(self.home.join("local")).arg(format!("s3:bucket/{}", self.part));
        if first && !self.is_one_way {
            command.arg("--resync");
        }
        command
    }

    fn sync(&self, first: bool) -> Result<(Took, Usage)> {
        let command = if self.name == S3 { self.ours() } else { self.rclone(first) };
        let before = self.proxy.usage()?;
        let took = timed(&command, self.home)?;
        let after = self.proxy.usage()?;
        self.expect_equal().with_context(|| format!("{} made no equal sides", self.name))?;
        let usage = Usage {
            requests: after.requests - before.requests,
            bytes_up: after.bytes_up - before.bytes_up,
            bytes_down: after.bytes_down - before.bytes_down,
        };
        Ok((took, usage))
    }

    fn expect_equal(&self) -> Result<()> {
        let below = format!("{}/", self.part);
        let mut count = 0;
        for key in self.bucket.keys(&below)? {
            let path = &key[below.len()..];
            if path.is_empty() || path.ends_with('/') || path.starts_with(".syncmgr-trash/") {
                continue;
            }
            let local = fs::read(self.home.join("local").join(path)).context(key.clone())?;
            ensure!(local == self.bucket.get(&key)?, "{path} differs");
            count += 1;
        }
        let mut files = 0;
        for directory in fs::read_dir(self.home.join("local"))? {
            files += fs::read_dir(directory?.path())?.count();
        }
        ensure!(files == count, "{files} files and {count} objects");
        Ok(())
    }

    /// Writes a file on the local side, or on the server.
    fn write(&self, number: usize, bytes: usize, seed: u8, on_server: bool) -> Result<()> {
        let directory = format!("d{:03}", number / PER_DIRECTORY);
        let content: Vec<u8> =
            (0..bytes).map(|at| (at * 31 + number).to_le_bytes()[0] ^ seed).collect();
        if on_server {
            let key = format!("{}/{directory}/f{number:06}", self.part);
            return self.bucket.put(&key, &content);
        }
        let directory = self.home.join("local").join(directory);
        fs::create_dir_all(&directory)?;
        Ok(fs::write(directory.join(format!("f{number:06}")), content)?)
    }
}

/// The results of one program by step, one for each round.
type Results = [Vec<(Took, Usage)>; STEPS.len()];

/// Runs one program through the steps. Half of the files come from each side, unless it is one way.
fn run(side: &Side<'_>, files: usize, bytes: usize, results: &mut Results, seed: u8) -> Result<()> {
    for number in 0..files {
        side.write(number, bytes, seed, !side.is_one_way && number % 2 == 1)?;
    }
    for (step, results) in results.iter_mut().enumerate() {
        if step == 2 {
            for number in 0..100.min(files / 2) {
                side.write(2 * number, bytes + 1, seed, false)?;
                if !side.is_one_way {
                    side.write(2 * number + 1, bytes + 1, seed, true)?;
                }
            }
        }
        results.push(side.sync(step == 0)?);
    }
    Ok(())
}

/// The rows of one comparison: times, then requests and bytes, then memory.
fn rows(
    what: &str,
    steps: [&str; 3],
    rival: &'static str,
    ours: &Results,
    theirs: &Results,
) -> Vec<Row> {
    let of = |all: &[(Took, Usage)], number: fn(&(Took, Usage)) -> f64| {
        median(all.iter().map(number).collect())
    };
    let seconds = |all: &[(Took, Usage)]| Figure::Time(of(all, |(took, _)| took.seconds));
    let requests =
        |all: &[(Took, Usage)]| Figure::Ratio(of(all, |(_, usage)| usage.requests as f64));
    let bytes = |all: &[(Took, Usage)]| {
        Figure::Memory(of(all, |(_, usage)| (usage.bytes_up + usage.bytes_down) as f64))
    };
    // Where it does the same work, it may take 1.2 times as long.
    let times = if rival == SYNC { 1.0 / 1.2 } else { 1.0 };
    let mut rows = Vec::new();
    for ((step, ours), theirs) in steps.iter().zip(ours).zip(theirs) {
        let row = |unit: &str, ours: Figure, theirs: Figure, goal: Goal| {
            Row::new(format!("{what}: {step}{unit}"), ours)
                .competitor(rival, Some(theirs))
                .goal(goal)
        };
        rows.push(row("", seconds(ours), seconds(theirs), Goal::Ahead(rival, times)));
        rows.push(row(", requests", requests(ours), requests(theirs), Goal::Below(rival, 1.0)));
        rows.push(row(", bytes", bytes(ours), bytes(theirs), Goal::Below(rival, 1.0)));
    }
    let memory = ours[0].iter().map(|(took, _)| took.memory).fold(0.0, f64::max);
    rows.push(
        Row::new(format!("{what}: memory"), Figure::Memory(memory))
            .goal(Goal::AtMost(Figure::Memory(MEMORY))),
    );
    rows
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    for program in ["weed", "rclone", servers::NGINX_DAV_EXT] {
        if !servers::has(program)? {
            return Ok(Vec::new());
        }
    }
    let shapes: &[(usize, usize)] = match options.small {
        true => &[(20, 1024)],
        false => &[(1_000, 1024), (10, 50 << 20)],
    };
    let rounds = if options.small { 1 } else { options.rounds };
    let mut all = Vec::new();
    for round_trip in ROUND_TRIPS {
        for &(files, bytes) in shapes {
            let server = servers::plain_seaweedfs_s3()?;
            let Files::Bucket(bucket) = server.all_files() else { return Ok(all) };
            let delayed =
                FaultProxy::start(server.ports[0], move |_, _| Fault::Delayed(round_trip))?;
            let behind = match round_trip {
                Duration::ZERO => server.ports[0],
                _ => delayed.port(),
            };
            let proxy = servers::counted(behind)?;
            let origin = format!("http://127.0.0.1:{}", proxy.ports[0]);
            let size = if bytes == 1024 { "1 KiB" } else { "50 MiB" };
            let delay = round_trip.as_millis();
            for (is_one_way, rival, steps) in [(false, BISYNC, STEPS), (true, SYNC, ONE_WAY_STEPS)]
            {
                let [mut ours, mut theirs] = [Results::default(), Results::default()];
                for round in 0..rounds {
                    let home = tempfile::tempdir()?;
                    for (name, results) in [(S3, &mut ours), (rival, &mut theirs)] {
                        let home = home.path().join(name);
                        fs::create_dir_all(home.join("local"))?;
                        let part = format!("{name}-{is_one_way}-{round}").replace(' ', "-");
                        let (origin, bucket, proxy) = (origin.clone(), &bucket, &proxy);
                        let home = &home;
                        let side = Side { name, is_one_way, home, origin, part, bucket, proxy };
                        run(&side, files, bytes, results, u8::try_from(round)?)?;
                        bucket.remove(&side.part)?;
                    }
                }
                let way = if is_one_way { ", one way" } else { "" };
                let what = format!("s3{way}, {files} files of {size}, {delay} ms");
                all.extend(rows(&what, steps, rival, &ours, &theirs));
            }
        }
    }
    Ok(all)
}

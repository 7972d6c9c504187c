//! Kills the program at random moments of a real sync, and runs it again.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use conformance::folder::{Pair, only_item, work};
use conformance::mirror::Mirror;
use conformance::servers::{self, Files, Server};
use syncmgr_host::Status;

/// The number of kills in one pair of directories. The trash is read after each kill, so a pair is
/// replaced before it becomes too large.
const KILLS_PER_PAIR: u32 = 25;
/// The number of files that each side changes before a run: enough that the run takes a while.
const EDITS_PER_SIDE: u32 = 24;
/// The maximum size of these files, in bytes.
const MAX_FILE_BYTES: u64 = 60_000;

/// The time that a server takes for a request.
const SERVED: Duration = Duration::from_millis(50);

/// The number of kills. `SYNCMGR_KILLS` overrides it.
fn kills() -> u32 {
    std::env::var("SYNCMGR_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(25)
}

/// Returns a pair with the storage of the program.
fn pair() -> anyhow::Result<Pair> {
    Ok(Pair::new()?.stored_in("state/plugins/folder/storage"))
}

/// Returns a directory and a new collection of a server, with the storage of the program.
fn pair_with(server: &Server, number: u32) -> anyhow::Result<Pair> {
    let files = server.files().join(number.to_string());
    fs::create_dir(&files)?;
    let url = format!("http://127.0.0.1:{}/{number}/", server.ports[0]);
    Ok(Pair::new()?.with_server(url, files).stored_in("state/plugins/webdav/storage"))
}

/// Returns a directory and a new part of a bucket, with the storage of the program.
fn pair_with_bucket(server: &Server, number: u32) -> anyhow::Result<Pair> {
    let Files::Bucket(bucket) = server.all_files() else { anyhow::bail!("it has no bucket") };
    let url = format!("http://127.0.0.1:{}/bucket/{number}/", server.ports[0]);
    let mirror = Mirror::new(bucket, number.to_string());
    Ok(Pair::new()?.with_bucket(url, mirror).stored_in("state/plugins/s3/storage"))
}

/// A running program.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts the program, and returns when the plugin has started its item. Compilation, which
    /// takes longer than the sync, is done by then.
    fn start(pair: &Pair) -> anyhow::Result<Self> {
        pair.push()?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_syncmgr"))
            .args(pair.arguments())
            .arg("--json")
            .env("LOGIN", pair.login())
            .current_dir(pair.home())
            .env("SYNCMGR_STATE_DIR", pair.home().join("state"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("the output is piped")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        anyhow::ensure!(line.contains(r#""event":"started""#), "the first line is {line:?}");
        Ok(Self { child, output })
    }

    /// Waits for its end. Returns whether it printed its report, which is last.
    fn end(mut self) -> anyhow::Result<bool> {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest)?;
        self.child.wait()?;
        Ok(rest.contains(r#""event":"report""#))
    }

    /// Kills it. Returns whether it was still running.
    fn kill(mut self) -> anyhow::Result<bool> {
        self.child.kill()?;
        self.end().map(|done| !done)
    }
}

/// A small random number generator with a seed, so that failures are reproducible.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Edits, deletes and creates files on both sides, some on both.
fn edit(pair: &Pair, random: &mut Random, round: u32) -> anyhow::Result<()> {
    for (side, root) in [("left", pair.left()), ("right", pair.right())] {
        for number in 0..EDITS_PER_SIDE {
            let name = format!("d{}/f{}", random.next(8), random.next(10));
            let place = root.join(&name);
            if random.next(5) == 0 && place.exists() {
                fs::remove_file(&place)?;
                continue;
            }
            fs::create_dir_all(root.join(name.split('/').next().unwrap_or_default()))?;
            let len = usize::try_from(random.next(MAX_FILE_BYTES)).unwrap_or(0);
            let mut content = format!("{round} {side} {number} {name} ").into_bytes();
            content.resize(content.len() + len, b'.');
            fs::write(&place, content)?;
        }
    }
    Ok(())
}

/// Waits for a short time until a side has a temporary copy. Not every run copies.
fn wait_for_a_copy(pair: &Pair, patience: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    // On a server, copies are in a temporary collection.
    let is_copy = |entry: &fs::DirEntry| {
        let is_temp = entry.file_name().to_string_lossy().starts_with(".syncmgr-tmp-");
        let is_filled = match fs::read_dir(entry.path()) {
            Ok(mut inside) => inside.next().is_some(),
            // It is a file.
            Err(_) => true,
        };
        is_temp && is_filled
    };
    let has_copy = |directory: &Path| {
        fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| is_copy(&entry))
    };
    while begun.elapsed() < patience {
        for side in [pair.left(), pair.right()] {
            let directories = fs::read_dir(&side)?.flatten().map(|entry| entry.path());
            if has_copy(&side) || directories.into_iter().any(|directory| has_copy(&directory)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The next run needs no flag, syncs the sides and leaves no temporary files. It runs in this
/// process, where the plugin is compiled already.
fn recover(pair: &Pair) -> anyhow::Result<()> {
    let report = pair.sync()?;
    anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left.keys().eq(right.keys()), "the names differ: {:?}", report.log);
    anyhow::ensure!(left == right, "the contents differ: {:?}", report.log);
    let unfinished = pair.unfinished()?;
    anyhow::ensure!(unfinished.is_empty(), "{unfinished:?} is left: {report:?}");
    anyhow::ensure!(work(&pair.sync()?)? == 0, "the run after that has nothing to do");
    Ok(())
}

/// The database of the history is intact, with every run that began.
fn check_history(pair: &Pair) -> anyhow::Result<()> {
    let database = rusqlite::Connection::open(pair.home().join("state/history.db"))?;
    let text = |query| database.query_row(query, [], |row| row.get::<_, String>(0));
    anyhow::ensure!(text("PRAGMA integrity_check")? == "ok", "{}", text("PRAGMA integrity_check")?);
    let runs: i64 = database.query_row("SELECT count(*) FROM run", [], |row| row.get(0))?;
    anyhow::ensure!(runs > 0, "no run is recorded");
    Ok(())
}

#[test]
fn a_killed_run_loses_nothing_and_the_next_run_converges() -> anyhow::Result<()> {
    kill_runs(|_| pair())
}

#[test]
fn a_killed_run_with_a_server_loses_nothing_and_the_next_run_converges() -> anyhow::Result<()> {
    for (program, start) in [
        ("apache2", servers::plain_apache as fn() -> anyhow::Result<Server>),
        ("rclone", servers::plain_rclone),
    ] {
        if servers::has(program)? {
            let server = start()?;
            kill_runs(|number| pair_with(&server, number)).context(program)?;
        }
    }
    Ok(())
}

#[test]
fn a_killed_run_with_a_bucket_loses_nothing_and_the_next_run_converges() -> anyhow::Result<()> {
    if servers::has("weed")? {
        let server = servers::plain_seaweedfs_s3()?;
        kill_runs(|number| pair_with_bucket(&server, number))?;
    }
    Ok(())
}

fn kill_runs(new: impl Fn(u32) -> anyhow::Result<Pair>) -> anyhow::Result<()> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut pair = new(0)?;
    // The duration of the work, from its first output to its end.
    let mut whole = Duration::ZERO;
    let mut live = 0;
    let mut unfinished = 0;
    for round in 1..=kills() {
        if round % KILLS_PER_PAIR == 1 {
            pair = new(round)?;
            edit(&pair, &mut random, 0)?;
            let running = Running::start(&pair)?;
            let begun = Instant::now();
            anyhow::ensure!(running.end()?, "the program runs to its end");
            pair.pull()?;
            whole = whole.max(begun.elapsed());
        }
        edit(&pair, &mut random, round)?;
        let existed = pair.findable()?;
        let running = Running::start(&pair)?;
        let is_timed = round % 3 > 0;
        if is_timed {
            std::thread::sleep(whole.mul_f64(random.next(1000) as f64 / 1000.0));
        } else {
            // During a copy.
            wait_for_a_copy(&pair, 4 * whole)?;
            std::thread::sleep(Duration::from_micros(random.next(400)));
        }
        let hit = running.kill()?;
        check_history(&pair)?;
        // A server may still answer the last requests.
        std::thread::sleep(SERVED);
        pair.pull()?;
        if is_timed {
            // The duration of runs varies with the load of the machine. With this delay, about four
            // of five kills hit a running program.
            whole = whole.mul_f64(if hit { 1.025 } else { 0.9 });
        }
        live += u32::from(hit);
        unfinished += u32::from(!pair.unfinished()?.is_empty());

        let lost = pair.lost(&existed)?;
        anyhow::ensure!(lost.is_empty(), "round {round}, after the kill: {lost:?}");
        recover(&pair).with_context(|| format!("round {round}, the run after the kill"))?;
        let lost = pair.lost(&existed)?;
        anyhow::ensure!(lost.is_empty(), "round {round}, after the next run: {lost:?}");
    }
    writeln!(
        std::io::stderr(),
        "{} kills: {live} of a run at work, {unfinished} left something unfinished, none lost \
         anything",
        kills()
    )?;
    anyhow::ensure!(live * 3 >= kills(), "only {live} of {} kills came in time", kills());
    Ok(())
}

//! What recording a run costs, and a page with many runs.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::Options;
use crate::programs::{self, FOLDER, Pair, timed, warm_up};
use crate::report::{Figure, Goal, Row, median};
use crate::trees::{Shape, make, sides};

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    if !Path::new("/usr/bin/time").exists() {
        println!("no history: it is measured with /usr/bin/time (Debian: time)");
        return Ok(Vec::new());
    }
    let (files, runs) = if options.small { (200, 100) } else { (100_000, 10_000) };
    let mut rows = vec![first_sync(files, options.rounds)?];
    rows.extend(pages(runs, if options.small { 1 } else { 50 })?);
    Ok(rows)
}

/// Measures first syncs with and without the history, in turns.
fn first_sync(files: usize, rounds: usize) -> Result<Row> {
    let place = tempfile::tempdir()?;
    make(&place.path().join("source"), Shape::small(files))?;
    let programs = programs::found();
    let folder = programs.iter().find(|program| program.name == FOLDER).context("our program")?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for (took, more) in [(&mut with, &[][..]), (&mut without, &["--no-history"])] {
            let home = place.path().join(format!("{round}{}", more.len()));
            let state = home.join("state");
            fs::create_dir_all(&home)?;
            warm_up(folder, &state)?;
            let (left, right) = sides(place.path(), &home)?;
            let mut command =
                folder.command(Pair { left: &left, right: &right, state: &state }, true);
            command.args(more);
            took.push(timed(&command, &home)?.seconds);
            fs::remove_dir_all(&home)?;
        }
    }
    let (with, without) = (Figure::Time(median(with)), Figure::Time(median(without)));
    Ok(Row::new(format!("{FOLDER}: {files} files, first sync with the history"), with)
        .limit("without", without)
        .goal(Goal::TimesLimit(1.03)))
}

/// A running `syncmgr serve`.
struct Server {
    child: Child,
    port: u16,
    cookie: String,
}

impl Server {
    fn start(state: &Path) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncmgr"));
        command.args(["serve", "--state-dir"]).arg(state);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut server = Self { child, port: 0, cookie: String::new() };
        let mut url = String::new();
        let output = server.child.stdout.take().context("an output")?;
        BufReader::new(output).read_line(&mut url)?;
        let url = url.trim().strip_prefix("http://127.0.0.1:").context("an address")?;
        let (port, path) = url.split_once('/').context("a path")?;
        server.port = port.parse()?;
        let entered = server.get(&format!("/{path}"))?;
        let cookie = entered.split("\r\nset-cookie: ").nth(1).context("a cookie")?;
        server.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(server)
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.port, self.cookie
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Returns the median time of a page in seconds.
    fn time(&self, path: &str, times: usize) -> Result<f64> {
        let mut took = Vec::new();
        for _ in 0..times {
            let since = Instant::now();
            let answer = self.get(path)?;
            took.push(since.elapsed().as_secs_f64());
            ensure!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer:.100}");
        }
        Ok(median(took))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a history with this many runs in the directory `state` of `home`.
fn recorded(home: &Path, state: &Path, runs: usize) -> Result<()> {
    let (left, right) = (home.join("left"), home.join("right"));
    fs::create_dir_all(&left)?;
    fs::create_dir_all(&right)?;
    let programs = programs::found();
    let folder = programs.iter().find(|program| program.name == FOLDER).context("our program")?;
    let ran = folder.command(Pair { left: &left, right: &right, state }, true).output()?;
    ensure!(ran.status.success(), "{ran:?}");
    let database = rusqlite::Connection::open(state.join("history.db"))?;
    database.execute_batch(&format!(
        "BEGIN;
         WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < {runs})
         INSERT INTO run (uuid, job, plugin, trigger, started, ended, exit_code)
         SELECT printf('%08x-many', n), 'many', 'many', 'manual', n, n + 5, 0 FROM n;
         INSERT INTO item (run, job, uuid, name, status)
         SELECT id, job, 'many', 'Many', 'succeeded' FROM run WHERE job = 'many';
         COMMIT;"
    ))?;
    Ok(())
}

/// Measures pages with few and with many runs.
fn pages(runs: usize, times: usize) -> Result<Vec<Row>> {
    let home = tempfile::tempdir()?;
    let mut servers = Vec::new();
    // A page shows 50 runs.
    for (name, runs) in [("few", 60), ("many", runs)] {
        let home = home.path().join(name);
        let state = home.join("state");
        recorded(&home, &state, runs)?;
        servers.push(Server::start(&state)?);
    }
    let [few, many] = &servers[..] else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for path in ["/", "/history"] {
        let (few, many) = (few.time(path, times)?, many.time(path, times)?);
        rows.push(
            Row::new(format!("`syncmgr serve`: {path} with {runs} runs"), Figure::Time(many))
                .limit("60 runs", Figure::Time(few))
                .goal(Goal::TimesLimit(1.5)),
        );
    }
    Ok(rows)
}

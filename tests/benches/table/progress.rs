//! The cost of one report.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use conformance::com::{Client, agree_quietly, class};
use conformance::{limits, script, workspace};
use syncmgr_com::handler;
use syncmgr_com::user_interface::Silent;
use syncmgr_host::sink::{Discard, Progress, Sink};
use syncmgr_host::{ProgressResponse, RunRequest, SessionOptions};

use crate::Options;
use crate::bare::{Bare, Core, Text, plain};
use crate::report::{Figure, Goal, Row};

/// 33 bytes.
const TEXT: &str = "copying-photographs/2026/0042.jpg";

/// A sink that reads everything and ignores it.
struct Reads(u64);

impl Sink for Reads {
    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        self.0 += progress.reported.status_text.as_ref().map_or(0, |text| text.len() as u64);
        ProgressResponse::Continue
    }
}

fn commands(times: u32, text: &str) -> String {
    let text = if text.is_empty() { String::new() } else { format!(" text={text}") };
    format!("progress item=a status=updating value=1 times={times} quiet=1{text}")
}

fn options(times: u32, text: &str) -> SessionOptions {
    // Every report must reach the sink separately.
    let limits = limits(|limits| limits.progress_per_second = u64::MAX);
    SessionOptions::new()
        .limits(limits)
        .setting("items", "a")
        .setting("synchronize", commands(times, text))
}

fn ours(times: u32, text: &str, sink: impl Sink + 'static) -> Result<Duration> {
    let since = Instant::now();
    script::plugin().run(options(times, text), sink, &RunRequest::default())?;
    Ok(since.elapsed())
}

fn through_com(times: u32, text: &str) -> Result<Duration> {
    let class = class(script::plugin(), options(times, text), Silent);
    let client = Client::with(handler::create(Arc::clone(&class)), "a", agree_quietly());
    let since = Instant::now();
    let _ = client.run(0x203, "a")?;
    Ok(since.elapsed())
}

/// A function that reports this number of times.
type Contender<'a> = Box<dyn FnMut(u32) -> Result<Duration> + 'a>;

/// Returns the seconds per report: the additional time of additional reports, from the best of
/// several rounds. Disturbances only make a round slower.
fn cost(contenders: &mut [Contender<'_>], small: bool) -> Result<Vec<f64>> {
    let (counts, rounds) = if small { ([100, 1_000], 1) } else { ([30_000, 300_000], 9) };
    let mut best = vec![[Duration::MAX; 2]; contenders.len()];
    for _ in 0..rounds {
        for (contender, best) in contenders.iter_mut().zip(&mut best) {
            for (count, best) in counts.into_iter().zip(best) {
                *best = contender(count)?.min(*best);
            }
        }
    }
    let more = f64::from(counts[1] - counts[0]);
    Ok(best.iter().map(|[few, many]| many.saturating_sub(*few).as_secs_f64() / more).collect())
}

/// Builds the competitor on Extism. It has a separate runtime, and takes minutes the first time.
fn extism(small: bool) -> Result<Option<[Figure; 2]>> {
    if small {
        return Ok(None);
    }
    let manifest = workspace().join("tests/competitors/Cargo.toml");
    let target = PathBuf::from(env!("CARGO_BIN_EXE_syncmgr"));
    let target = target.parent().and_then(|profile| profile.parent()).context("a target folder")?;
    let target = target.join("competitors");
    let build = |arguments: &[&str]| -> Result<bool> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--release", "--locked", "--manifest-path"]).arg(&manifest);
        cargo.arg("--target-dir").arg(&target).args(arguments);
        Ok(cargo.status()?.success())
    };
    const TRIPLE: &str = "wasm32-unknown-unknown";
    if !build(&["--package", "extism-guest", "--target", TRIPLE])?
        || !build(&["--package", "competitors"])?
    {
        println!("no Extism: it cannot be built (rustup target add {TRIPLE})");
        return Ok(None);
    }
    let guest = target.join(TRIPLE).join("release/extism_guest.wasm");
    let measure = |text: &str| -> Result<Figure> {
        let output =
            Command::new(target.join("release/competitors")).arg(&guest).arg(text).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let nanoseconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
        Ok(Figure::Time(nanoseconds * 1e-9))
    };
    Ok(Some([measure("")?, measure(TEXT)?]))
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    let (left, copied) =
        (Bare::new(Text::Left).map_err(plain)?, Bare::new(Text::Copied).map_err(plain)?);
    let mut core = Core::new().map_err(plain)?;
    let native = Client::new(SessionOptions::new(), "a", agree_quietly());
    let mut contenders: [Contender<'_>; 10] = [
        Box::new(|times| left.synchronize(&commands(times, "")).map_err(plain)),
        Box::new(|times| left.synchronize(&commands(times, TEXT)).map_err(plain)),
        Box::new(|times| copied.synchronize(&commands(times, TEXT)).map_err(plain)),
        Box::new(|times| ours(times, "", Discard)),
        Box::new(|times| ours(times, TEXT, Discard)),
        Box::new(|times| ours(times, TEXT, Reads(0))),
        Box::new(|times| through_com(times, "")),
        Box::new(|times| through_com(times, TEXT)),
        Box::new(|times| core.synchronize(times).map_err(plain)),
        Box::new(|times| {
            let since = Instant::now();
            native.report(times);
            Ok(since.elapsed())
        }),
    ];
    let cost = cost(&mut contenders, options.small)?;
    let extism = extism(options.small)?;
    let [left, left_text, copied, ours, unread, read, com, com_text, core, native] =
        <[f64; 10]>::try_from(cost).map_err(|_| anyhow::anyhow!("one for each"))?.map(Figure::Time);
    const LIMIT: &str = "bare `func_wrap`";
    Ok(vec![
        Row::new("a report", ours)
            .limit(LIMIT, left)
            .competitor("Extism", extism.map(|[without, _]| without))
            .competitor("core-wasm call", Some(core))
            .competitor("C callback", Some(native))
            .goal(Goal::TimesLimit(1.15))
            .goal(Goal::AtMost(Figure::Time(150e-9)))
            .goal(Goal::Ahead("Extism", 5.0)),
        Row::new("a report, 33 bytes of text that are read", read)
            .limit("bare, to a `String`", copied)
            .competitor("Extism", extism.map(|[_, with]| with))
            .goal(Goal::TimesLimit(1.15))
            .goal(Goal::AtMost(Figure::Time(250e-9)))
            .goal(Goal::Ahead("Extism", 5.0)),
        Row::new("a report, 33 bytes of text that are not read", unread)
            .limit(LIMIT, left_text)
            .goal(Goal::TimesLimit(1.15)),
        Row::new("a report through COM", com).competitor("without COM", Some(ours)),
        Row::new("a report through COM, 33 bytes of text", com_text)
            .competitor("without COM", Some(read)),
    ])
}

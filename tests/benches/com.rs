//! What one report costs through COM, beside the same report to a sink of the host: the same
//! plugin, the same engine, taken in turns, the best of several rounds.
//!
//! `cargo bench -p conformance --bench com`

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use conformance::com::{Client, agree_quietly, class};
use conformance::script;
use syncmgr_com::handler;
use syncmgr_com::user_interface::Silent;
use syncmgr_host::sink::Discard;
use syncmgr_host::{Limits, RunRequest, SessionOptions};

const REPORTS: u32 = 300_000;
const ROUNDS: usize = 9;

fn options(reports: u32) -> SessionOptions {
    let limits = Limits { progress_per_second: u64::MAX, ..Limits::default() };
    SessionOptions::new()
        .limits(limits)
        .setting("items", "a")
        .setting("synchronize", format!("work item=a steps={reports}"))
}

/// A whole run to a sink that does nothing.
fn direct(reports: u32) -> Result<Duration> {
    let since = Instant::now();
    script::plugin().run_blocking(options(reports), Discard, &RunRequest::default())?;
    Ok(since.elapsed())
}

/// A whole run through the vtables, to a callback that does nothing.
fn through_com(reports: u32) -> Result<Duration> {
    let since = Instant::now();
    let class = class(script::plugin(), options(reports), Silent);
    let client = Client::with(handler::create(Arc::clone(&class)), "a", agree_quietly());
    let _ = client.run(0x203, "a")?;
    Ok(since.elapsed())
}

fn main() -> Result<()> {
    // `cargo test` runs benchmarks, too, to see that they work.
    if !std::env::args().any(|argument| argument == "--bench") {
        direct(1000)?;
        through_com(1000)?;
        return Ok(());
    }
    // What more reports take longer, of the best runs: whatever disturbs makes them slower.
    let counts = [REPORTS / 10, REPORTS];
    let mut best = [[Duration::MAX; 2]; 2];
    for _ in 0..ROUNDS {
        for (best, run) in best.iter_mut().zip([direct, through_com]) {
            for (best, count) in best.iter_mut().zip(counts) {
                *best = run(count)?.min(*best);
            }
        }
    }
    let more = f64::from(counts[1] - counts[0]);
    let [direct, com] = best.map(|[few, many]| many.saturating_sub(few).as_secs_f64() * 1e9 / more);
    println!("| one report | cost | ratio |");
    println!("|---|---|---|");
    println!("| to a sink of the host | {direct:.0} ns | 1.00 |");
    println!("| through COM, to a callback's vtable | {com:.0} ns | {:.2} |", com / direct);
    Ok(())
}

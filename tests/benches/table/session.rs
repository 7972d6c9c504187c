//! The start time of a session.

use std::fs;

use anyhow::{Context, Result, ensure};
use conformance::SCRIPT;
use std::time::Instant;
use syncmgr_host::sink::Discard;
use syncmgr_host::{Access, Allocation, Grant, Host, HostOptions, Plugin, SessionOptions};
use tokio::runtime::Runtime;

use crate::Options;
use crate::bare::{Bare, Text, plain};
use crate::report::{Figure, Goal, Row, median, percentile};

/// Starts and ends sessions, optionally with two directories. Returns seconds.
fn starts(runtime: &Runtime, plugin: &Plugin, grants: &[Grant], times: usize) -> Result<Vec<f64>> {
    let options = SessionOptions::new().setting("items", "a");
    let options = grants.iter().cloned().fold(options, SessionOptions::grant);
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let options = options.clone();
        let since = Instant::now();
        let session = runtime.block_on(plugin.start(options, Discard))?;
        took.push(since.elapsed().as_secs_f64());
        drop(session);
    }
    Ok(took)
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    let times = if options.small { 5 } else { 5_000 };
    let home = tempfile::tempdir()?;
    let mut grants = Vec::new();
    for name in ["left", "right"] {
        let path = home.path().join(name);
        fs::create_dir(&path)?;
        grants.push(Grant::new(name, &path, Access::ReadWrite)?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let on_demand = Host::new()?.load_file(SCRIPT)?;
    let host = Host::with_options(HostOptions::new().pooled(100))?;
    if let Allocation::PoolRefused { reason, .. } = host.allocation() {
        println!("no pool: {reason}");
    }
    let pooled = host.load_file(SCRIPT)?;
    ensure!(pooled.excess_grants(&SessionOptions::new().grant(grants[0].clone())).is_empty());
    let bare = Bare::new(Text::Left).map_err(plain)?;
    let bare: Result<Vec<_>> =
        (0..times).map(|_| Ok(bare.instantiate().map_err(plain)?.as_secs_f64())).collect();
    let bare = Figure::Time(median(bare?));
    let none = median(starts(&runtime, &pooled, &[], times)?);
    let mut with = starts(&runtime, &pooled, &grants, times)?;
    let late = percentile(&mut with, 99);
    let mut demand = starts(&runtime, &on_demand, &grants, times)?;
    let demand_late = percentile(&mut demand, 99);
    const LIMIT: &str = "bare store and instance, on demand";
    let row =
        |what: &str, seconds| Row::new(format!("a session's start, {what}"), Figure::Time(seconds));
    demand.first().context("some")?;
    Ok(vec![
        row("pooled, no directories", none).limit(LIMIT, bare),
        row("pooled, two directories", median(with))
            .limit(LIMIT, bare)
            .goal(Goal::AtMost(Figure::Time(20e-6))),
        row("pooled, two directories, p99", late),
        row("on demand, two directories", median(demand)).limit(LIMIT, bare),
        row("on demand, two directories, p99", demand_late),
    ])
}

//! Measures the cost of one report through Extism, in nanoseconds: `competitors GUEST TEXT`, with
//! the compiled guest and the text of each report.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use extism::{CurrentPlugin, Function, Manifest, PTR, Plugin, UserData, Val, Wasm};

const REPORTS: u32 = 100_000;
const ROUNDS: usize = 9;

/// Receives a report like a sink that reads the complete text.
fn progress(
    plugin: &mut CurrentPlugin,
    inputs: &[Val],
    outputs: &mut [Val],
    heard: UserData<u64>,
) -> Result<(), extism::Error> {
    let report: &[u8] = plugin.memory_get_val(&inputs[0])?;
    let text = std::str::from_utf8(&report[28..])?;
    let length = text.len() as u64;
    let heard = heard.get()?;
    *heard.lock().map_err(|_| anyhow::anyhow!("poisoned"))? += length;
    outputs[0] = Val::I64(0);
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let guest = arguments.next().context("GUEST")?;
    let text = arguments.next().unwrap_or_default();
    let heard = UserData::new(0_u64);
    let function = Function::new("progress", [PTR], [PTR], heard.clone(), progress);
    let manifest = Manifest::new([Wasm::data(std::fs::read(guest)?)]);
    let mut plugin = Plugin::new(&manifest, [function], false)?;
    let mut run = |reports: u32| -> Result<Duration> {
        let mut input = reports.to_le_bytes().to_vec();
        input.extend(text.as_bytes());
        let since = Instant::now();
        plugin.call::<_, Vec<u8>>("synchronize", input)?;
        Ok(since.elapsed())
    };
    let counts = [REPORTS / 10, REPORTS];
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (best, count) in best.iter_mut().zip(counts) {
            *best = run(count)?.min(*best);
        }
    }
    let more = f64::from(counts[1] - counts[0]);
    println!("{:.1}", best[1].saturating_sub(best[0]).as_secs_f64() * 1e9 / more);
    Ok(())
}

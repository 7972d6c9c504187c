//! Drawings of runs, as SVG without scripts and styles.

use maud::{Markup, html};
use syncmgr_install::{HistoryRun, ItemRun};

use super::super::rates::Rates;
use super::parts::{bytes, changed_bytes, class, result_class};
use crate::exit::Exit;
use crate::output::{duration, local_time};
use crate::past::{End, result};

/// The width and the height of a run in a strip.
const STEP: usize = 8;
const HEIGHT: usize = 20;

/// The size of a plot.
const PLOT_WIDTH: usize = 600;
const PLOT_HEIGHT: usize = 120;

/// The width and the height of a curve, before it is stretched.
pub(super) const CURVE_SIZE: u32 = 120;

/// Returns the last runs of an item, oldest first. The height of a bar says the same as its color.
pub(super) fn strip(runs: &[ItemRun]) -> Markup {
    let ends: Vec<_> = runs.iter().map(|run| (run, End::from(run).state())).collect();
    let good = ends.iter().filter(|(_, (_, exit))| *exit == Exit::InSync).count();
    let label = match runs.len() {
        1 => format!("the last run: {}", ends[0].1.0),
        number => format!("the last {number} runs: {good} in sync, {} not", number - good),
    };
    html! {
        svg.strip viewBox=(format!("0 0 {} {HEIGHT}", STEP * runs.len().max(1)))
            width=(STEP * runs.len().max(1)) height=(HEIGHT) role="img" aria-label=(label)
        {
            @for (at, (run, (state, exit))) in ends.iter().enumerate() {
                @let color = if run.ended.is_none() { "idle" } else { class(*exit) };
                @let height = match color { "good" => 8, "bad" => HEIGHT, _ => 14 };
                @let words = match run.exit_code { Some(1) => result(Some(1)), _ => state };
                rect class=(color) x=(at * STEP) y=(HEIGHT - height) width=(STEP - 2)
                    height=(height)
                {
                    title { (local_time(run.started)) ": " (words) }
                }
            }
        }
    }
}

/// Returns the rate of an item over time. The words next to it state the average.
pub(super) fn curve(id: &str, rates: &Rates) -> Markup {
    html! {
        svg.curve viewBox=(format!("0 0 {CURVE_SIZE} {CURVE_SIZE}")) preserveAspectRatio="none"
            aria-hidden="true"
        {
            polyline id=(id) points=(rates.points(CURVE_SIZE)) {}
        }
    }
}

/// Returns the sizes and the durations of runs, which are newest first.
pub(super) fn plots(runs: &[HistoryRun]) -> Markup {
    let sizes = plot("Bytes of created and replaced files", runs, changed_bytes, bytes);
    let time = |run: &HistoryRun| {
        let time = run.ended.map_or(0, |ended| ended.saturating_sub(run.started));
        u64::try_from(time).unwrap_or(0)
    };
    let words = |time: u64| duration(i64::try_from(time).unwrap_or(i64::MAX));
    html! {
        @if runs.len() > 1 {
            div.plots { (sizes) (plot("Duration", runs, time, words)) }
        }
    }
}

fn plot(
    name: &str,
    runs: &[HistoryRun],
    value: impl Fn(&HistoryRun) -> u64,
    words: impl Fn(u64) -> String,
) -> Markup {
    let most = runs.iter().map(&value).max().unwrap_or(0);
    let step = PLOT_WIDTH / runs.len().max(1);
    // One unit at least, so that each run is visible.
    let height = |value: u64| {
        let height = u128::from(value) * (PLOT_HEIGHT as u128 - 1) / u128::from(most.max(1));
        usize::try_from(height).unwrap_or(0) + 1
    };
    html! {
        figure {
            figcaption { (name) " by run; at most " (words(most)) }
            svg.plot viewBox=(format!("0 0 {PLOT_WIDTH} {PLOT_HEIGHT}"))
                preserveAspectRatio="none" role="img"
                aria-label=(format!("{name} of {} runs, at most {}", runs.len(), words(most)))
            {
                @for (at, run) in runs.iter().rev().enumerate() {
                    @let height = height(value(run));
                    rect class=(result_class(run.exit_code)) x=(at * step)
                        y=(PLOT_HEIGHT - height) width=(step.saturating_sub(2).max(1))
                        height=(height)
                    {
                        title { (local_time(run.started)) ": " (words(value(run))) }
                    }
                }
            }
        }
    }
}

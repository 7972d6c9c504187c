//! The runs in progress, and the last ones that the page started.

use maud::{Markup, html};
use serde::Serialize;
use syncmgr_install::RunFilter;

use super::super::children::Run;
use super::super::places::Places;
use super::super::progress::{Item, Progress};
use super::super::server::Server;
use super::page;
use super::parts::{bytes, more, outcome, run_link, table, time};
use super::plot::{CURVE_SIZE, curve};
use super::treemap::{directory, treemap, words};
use crate::output::duration;

/// The maximum number of runs of others.
const SHOWN_ELSEWHERE: u32 = 50;

/// The maximum number of items of a run whose values change without loading the page again.
const LIVE_ITEMS: usize = 50;

pub(in crate::serve) fn running(server: &Server) -> anyhow::Result<String> {
    let runs = server.children.all();
    let own: Vec<_> = runs.iter().filter_map(|run| run.progress().run.clone()).collect();
    let mut elsewhere = match server.history()? {
        None => Vec::new(),
        Some(history) => {
            let limit = Some(SHOWN_ELSEWHERE);
            history.runs(&RunFilter { unended: true, limit, ..RunFilter::default() })?
        }
    };
    elsewhere.retain(|run| !own.contains(&run.id));
    let (running, ended): (Vec<_>, Vec<_>) =
        runs.into_iter().rev().partition(|run| run.is_running());
    let body = html! {
        div id="live" data-shape=(live_values(server).shape) {
            @if running.is_empty() { p { "This page runs nothing at the moment." } }
            @for run in &running { (in_progress(server, run)) }
        }
        p { a href="/running" { "Refresh" } }
        @if !elsewhere.is_empty() {
            h2 { "Running elsewhere, or killed" }
            p.note { "These runs have no end: another program runs them, or they were killed." }
            ul {
                @for run in &elsewhere {
                    li { (run_link(&run.id)) " " code { (run.job) } ", started " (time(run.started)) }
                }
            }
        }
        @if !ended.is_empty() {
            h2 { "Ended" }
            @for run in &ended { (has_ended(server, run)) }
        }
    };
    Ok(page("/running", "Running", &body))
}

fn title(run: &Run) -> Markup {
    html! { h3 { @if run.is_preview() { "Preview of " } (run.job) } }
}

fn in_progress(server: &Server, run: &Run) -> Markup {
    let progress = run.progress();
    let label = format!("Cancel {}", run.job);
    let word = if run.is_cancelled() { "Terminate the plugin" } else { "Cancel" };
    html! {
        article.item {
            (title(run))
            p.note { "started " (time(run.started)) }
            ul {
                @for (at, item) in progress.items.iter().enumerate() {
                    @let id = format!("run-{}-{at}", run.number);
                    li {
                        strong { (item.name) } " "
                        progress id=(format!("{id}-bar")) max=(item.max.max(1))
                            value=(item.value) aria-label=(item.name) {}
                        span.text id=(id) { (item_words(item)) }
                        (curve(&format!("{id}-curve"), &item.rates))
                    }
                }
            }
            (more(progress.more_items, "items"))
            p.note id=(format!("run-{}", run.number)) { (counts(&progress)) }
            form.buttons method="post" action="/cancel" {
                input type="hidden" name="token" value=(server.form.text());
                input type="hidden" name="run" value=(run.number);
                button.cancel aria-label=(label) { (word) }
            }
        }
    }
}

fn has_ended(server: &Server, run: &Run) -> Markup {
    let stopped = run.stopped_deletions();
    let progress = run.progress();
    let end = progress.end.as_ref();
    html! {
        article.item {
            (title(run))
            p {
                (outcome(end.and_then(|end| end.exit)))
                " started " (time(run.started))
                @if let (Some(id), false) = (&progress.run, run.is_preview()) { " · run " (run_link(id)) }
            }
            @if let Some(error) = end.and_then(|end| end.error.as_ref()) { p.bad { (error) } }
            ul {
                @for item in &progress.items {
                    li { strong { (item.name) } ": " (item.status) " " (item.text) }
                }
            }
            @if run.is_preview() { (by_directory(&progress.places)) }
            @if let Some(deletions) = stopped { (once(server, run, deletions)) }
            @if !progress.messages.is_empty() {
                details open[run.is_preview()] {
                    summary {
                        @if run.is_preview() { "What would be done" } @else { "Messages" }
                    }
                    @if progress.more_messages > 0 {
                        p.note { (progress.more_messages) " earlier lines are not shown" }
                    }
                    ul.actions { @for line in &progress.messages { li { (line) } } }
                }
            }
        }
    }
}

/// Returns what a preview would change, by directory.
fn by_directory(places: &Places) -> Markup {
    let rows = html! {
        @for (name, place) in places.iter() {
            tr {
                td { code { (directory(name)) } }
                td { (words(place)) }
                td { (bytes(place.bytes)) }
            }
        }
    };
    html! {
        @if places.iter().next().is_some() {
            (treemap(places))
            (table("Changes by directory", &["Directory", "Changes", "Size"], &rows))
        }
    }
}

/// Returns the button for a preview that stopped for safety.
fn once(server: &Server, run: &Run, deletions: u64) -> Markup {
    let label = format!("Do it once: {}", run.job);
    html! {
        form.buttons method="post" action="/start" {
            input type="hidden" name="token" value=(server.form.text());
            input type="hidden" name="job" value=(run.key);
            input type="hidden" name="preview" value=(run.number);
            p {
                "The run stops for safety. Do it once to permit " (deletions)
                " deletions on a side of an item, as in this preview."
            }
            button.cancel name="mode" value="once" aria-label=(label) { "Do it once" }
        }
    }
}

/// Returns the progress of an item in words.
fn item_words(item: &Item) -> String {
    let mut words = vec![item.status.clone(), item.text.clone()];
    if item.max > 0 {
        words.push(format!("{} of {}", item.value, item.max));
    }
    if let Some((done, all)) = item.bytes() {
        words.push(format!("{} of {}", bytes(done), bytes(all)));
    }
    if let Some(rate) = item.bytes_per_second() {
        words.push(format!("{}/s", bytes(rate)));
    }
    if let Some(left) = item.left() {
        let left = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        words.push(format!("{} left", duration(left)));
    }
    words.retain(|word| !word.is_empty());
    words.join(", ")
}

fn counts(progress: &Progress) -> String {
    let counts = progress.actions.iter();
    counts.map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

/// The values that change while runs are in progress. The script writes them into the page as text.
#[derive(Serialize)]
pub(in crate::serve) struct Values {
    /// If it changes, the page has to be loaded again.
    pub(super) shape: String,
    texts: Vec<(String, String)>,
    bars: Vec<(String, i32, i32)>,
    curves: Vec<(String, String)>,
}

pub(in crate::serve) fn live_values(server: &Server) -> Values {
    let (mut shape, mut texts) = (Vec::new(), Vec::new());
    let (mut bars, mut curves) = (Vec::new(), Vec::new());
    for run in server.children.all() {
        let (is_running, is_cancelled) = (run.is_running(), run.is_cancelled());
        let progress = run.progress();
        let items = progress.items.len();
        shape.push(format!("{}:{is_running}:{is_cancelled}:{items}", run.number));
        if !is_running {
            continue;
        }
        texts.push((format!("run-{}", run.number), counts(&progress)));
        for (at, item) in progress.items.iter().take(LIVE_ITEMS).enumerate() {
            let id = format!("run-{}-{at}", run.number);
            bars.push((format!("{id}-bar"), item.value, item.max.max(1)));
            curves.push((format!("{id}-curve"), item.rates.points(CURVE_SIZE)));
            texts.push((id, item_words(item)));
        }
    }
    let texts = texts.into_iter().map(|(id, text)| (id, crate::escape::escape(&text).into_owned()));
    Values { shape: shape.join(" "), texts: texts.collect(), bars, curves }
}

//! The items, and the page without a server.

use std::collections::BTreeMap;

use jiff::Zoned;
use maud::{Markup, html};
use syncmgr_install::{History, ItemState, RunFilter};

use super::super::job::Job;
use super::super::jobs::MAX_ITEMS;
use super::super::scheduler::scheduled;
use super::super::server::Server;
use super::history::{SHOWN_RUNS, runs_table};
use super::parts::{age_class, class, more, time};
use super::{page, plot, standalone};
use crate::output::local_time;
use crate::past::{End, state_words};
use crate::schedule::{next_after, next_runs};

/// The number of runs in the strip of an item.
const STRIP_RUNS: u32 = 50;

pub(in crate::serve) fn items(server: &Server) -> anyhow::Result<String> {
    let body = match server.history()? {
        None => nothing(),
        Some(history) => list(&history, Some(server))?,
    };
    let body = html! { (body) (registered(server)?) };
    Ok(page("/", "Items", &body))
}

/// Returns the items and the last runs as a page that needs no server and changes nothing.
pub(in crate::serve) fn once(server: &Server) -> anyhow::Result<String> {
    let body = match server.history()? {
        None => nothing(),
        Some(history) => {
            let filter = RunFilter { limit: Some(SHOWN_RUNS), ..RunFilter::default() };
            let runs = history.runs(&filter)?;
            html! {
                p.note { "Written " (time(crate::output::now())) }
                (list(&history, None)?)
                h2 { "Last runs" }
                (plot::plots(&runs))
                (runs_table(&runs, false))
            }
        }
    };
    Ok(standalone("Items and last runs", &body))
}

fn nothing() -> Markup {
    html! { p { "No run has been recorded yet. Run " code { "syncmgr run" } ", or a plugin below." } }
}

/// Returns the items, with buttons if there is a server.
fn list(history: &History, server: Option<&Server>) -> anyhow::Result<Markup> {
    let states = history.states()?;
    let next = server.map(next).unwrap_or_default();
    let mut articles = Vec::new();
    for item in states.iter().take(MAX_ITEMS) {
        articles.push(article(item, history, server, next.get(&item.job).copied())?);
    }
    Ok(html! {
        div.items { @for article in articles { (article) } }
        (more(states.len().saturating_sub(MAX_ITEMS), "items"))
    })
}

/// Returns the time of the next run of each job, by the system or by this program.
fn next(server: &Server) -> BTreeMap<String, i64> {
    let mut next = next_runs(server.registrations.state_dir());
    let now = Zoned::now();
    for (job, schedule) in scheduled(server) {
        if let Some(time) = next_after(&schedule, &now) {
            next.insert(job.name, time.timestamp().as_millisecond());
        }
    }
    next
}

fn article(
    item: &ItemState,
    history: &History,
    server: Option<&Server>,
    next: Option<i64>,
) -> anyhow::Result<Markup> {
    let exit = End::from(item).state().1;
    let strip = plot::strip(&history.last_runs(&item.job, &item.id, STRIP_RUNS)?);
    let job = server.and_then(|server| Some((server, Job::of(item, server, history)?)));
    Ok(html! {
        article.item {
            h2 { (item.name) }
            p {
                span class={ "state " (class(exit)) } { (state_words(item)) }
                @if let Some(ended) = item.succeeded {
                    span class={ "age " (age_class(ended)) } { "last success " (time(ended)) }
                } @else {
                    span.age.bad { "never succeeded" }
                }
            }
            @if !item.text.is_empty() { p.text { (item.text) } }
            (strip)
            p.job {
                code { (item.job) }
                @if server.is_some() {
                    " · last run " (super::parts::run_link(&item.run))
                    @if item.conflicts > 0 { " · " a href="/conflicts" { "conflicts" } }
                    @if let Some(next) = next { " · next run " (local_time(next)) }
                }
            }
            @match (server, job) {
                (None, _) => {}
                (Some(_), Some((server, job))) => (buttons(server, &job, &item.name)),
                (Some(_), None) => p.note {
                    "To run this here, register the plugin or use a job file: the settings of the \
                     last run are not known."
                },
            }
        }
    })
}

/// Returns the plugins that are registered, to run them for the first time.
fn registered(server: &Server) -> anyhow::Result<Markup> {
    let jobs = super::super::jobs::all(server)?;
    let plugins: Vec<_> = server.registrations.list().into_iter().flatten().collect();
    let jobs = jobs.into_iter().filter(|job| plugins.iter().any(|plugin| plugin.name == job.name));
    let mut jobs: Vec<_> = jobs.collect();
    jobs.dedup_by(|one, other| one.key == other.key);
    Ok(html! {
        @if !jobs.is_empty() {
            h2 { "Registered plugins" }
            div.items {
                @for job in jobs {
                    article.item { h3 { (job.name) } (buttons(server, &job, &job.name)) }
                }
            }
        }
    })
}

fn buttons(server: &Server, job: &Job, name: &str) -> Markup {
    let label = |what: &str| format!("{what} {name} ({})", job.name);
    html! {
        form.buttons method="post" action="/start" {
            input type="hidden" name="token" value=(server.form.text());
            input type="hidden" name="job" value=(job.key);
            button name="mode" value="run" aria-label=(label("Run")) { "Run" }
            button name="mode" value="preview" aria-label=(label("Preview")) { "Preview" }
        }
    }
}

//! One run, with its actions.

use maud::{Markup, html};
use syncmgr_install::{ActionPlace, HistoryRun, RunFilter};

use super::super::form::Form;
use super::super::server::Server;
use super::page;
use super::parts::{bytes, changed_bytes, outcome, time, took};
use crate::past::{action, changes, short};

/// The number of actions on a page.
const SHOWN_ACTIONS: usize = 500;

/// Returns the page of a run; `None`: there is no such run.
pub(in crate::serve) fn one_run(
    server: &Server,
    id: &str,
    query: &Form,
) -> anyhow::Result<Option<String>> {
    let Some(history) = server.history()? else { return Ok(None) };
    let filter = RunFilter { id: Some(id.to_owned()), limit: Some(2), ..RunFilter::default() };
    let runs = history.runs(&filter)?;
    let [run] = &runs[..] else { return Ok(None) };
    let after = ActionPlace {
        item: query.number("item").unwrap_or(0),
        action: query.number("action").unwrap_or(0),
    };
    let (actions, next) = history.actions_page(&run.id, after, SHOWN_ACTIONS)?;
    let mut item = None;
    let body = html! {
        (head(run))
        h2 { "Items" }
        ul.items {
            @for item in &run.items {
                li.item {
                    h3 { (item.name) }
                    p { strong { (item.status.as_deref().unwrap_or("not ended")) } " " (item.text) }
                    p.note { (changes(item)) }
                }
            }
        }
        h2 { "Changes" }
        @if actions.is_empty() { p { "None." } }
        ul.actions {
            @for one in &actions {
                @if run.items.len() > 1 && item.replace(&one.item) != Some(&one.item) {
                    li { strong { (one.item) } }
                }
                li { (action(one)) }
            }
        }
        nav.pages aria-label="Changes" {
            @if after != ActionPlace::default() {
                a href=(format!("/run/{}", run.id)) { "First changes" }
            }
            @if let Some(next) = next {
                a href=(format!("/run/{}?item={}&action={}", run.id, next.item, next.action)) {
                    "More changes"
                }
            }
        }
        @if run.dropped_actions > 0 {
            p.note { (run.dropped_actions) " more changes exceed the limit `actions`" }
        }
    };
    Ok(Some(page("/history", &format!("Run {}", short(&run.id)), &body)))
}

fn head(run: &HistoryRun) -> Markup {
    html! {
        dl {
            dt { "Result" } dd { (outcome(run.exit_code)) }
            @if let Some((code, message)) = &run.error {
                dt { "Error" } dd { code { (code) } " " (message) }
            }
            dt { "Job" } dd { code { (run.job) } }
            @if run.plugin != run.job { dt { "Plugin" } dd { (run.plugin) } }
            dt { "Trigger" } dd { (run.trigger) }
            dt { "Start" } dd { (time(run.started)) }
            @if let Some(took) = took(run) { dt { "Duration" } dd { (took) } }
            dt { "Created and replaced files" } dd { (bytes(changed_bytes(run))) }
            @if run.bytes_up.saturating_add(run.bytes_down) > 0 {
                dt { "Network" }
                dd { (bytes(run.bytes_up)) " sent, " (bytes(run.bytes_down)) " received" }
            }
            @if run.peak_memory > 0 { dt { "Peak memory" } dd { (bytes(run.peak_memory)) } }
            @for (name, path) in &run.directories {
                dt { "Directory " (name) } dd { code { (path) } }
            }
            dt { "Id" } dd { code { (run.id) } }
        }
    }
}

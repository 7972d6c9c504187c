//! The history: runs, or what happened to a path.

use maud::{Markup, html};
use syncmgr_install::{ActionFilter, HistoryRun, RunFilter};

use super::super::form::{Form, link};
use super::super::server::Server;
use super::parts::{bytes, changed_bytes, outcome, run_link, table, time, took};
use super::{page, plot};
use crate::past::{action, items, short};

/// The number of runs on a page.
pub(super) const SHOWN_RUNS: u32 = 50;

/// The maximum number of actions on a path.
const SHOWN_ACTIONS: u32 = 200;

/// The maximum number of runs to go back.
const MAX_SKIP: u32 = 1_000_000;

pub(in crate::serve) fn history(server: &Server, query: &Form) -> anyhow::Result<String> {
    let found = match (server.history()?, query.get("path")) {
        (None, _) => html! { p { "No run has been recorded yet." } },
        (Some(history), Some(path)) => {
            let filter = ActionFilter {
                path: Some(path.to_owned()),
                item: query.get("item").map(str::to_owned),
                limit: Some(SHOWN_ACTIONS),
                ..ActionFilter::default()
            };
            let mut actions = Vec::new();
            history.actions(&filter, |action| {
                actions.push(action);
                true
            })?;
            html! {
                @if actions.is_empty() { p { "Nothing happened to " code { (path) } "." } }
                ul.actions {
                    @for one in &actions {
                        li {
                            (time(one.started)) " " (run_link(&one.run)) " " (one.item) ": "
                            (action(one))
                        }
                    }
                }
                @if actions.len() == SHOWN_ACTIONS as usize {
                    p.note { "Only the last " (SHOWN_ACTIONS) " are shown." }
                }
            }
        }
        (Some(history), None) => {
            let skip = query.number("skip").unwrap_or(0).min(MAX_SKIP);
            let filter = RunFilter {
                item: query.get("item").map(str::to_owned),
                failed: query.get("failed").is_some(),
                skip,
                // One more, to know whether there are older ones.
                limit: Some(SHOWN_RUNS + 1),
                ..RunFilter::default()
            };
            let mut runs = history.runs(&filter)?;
            let has_more = runs.len() > SHOWN_RUNS as usize;
            runs.truncate(SHOWN_RUNS as usize);
            html! {
                (plot::plots(&runs))
                (runs_table(&runs, true))
                @if runs.is_empty() { p { "No run matches." } }
                nav.pages aria-label="Older and newer runs" {
                    @if skip > 0 {
                        a href=(at(query, skip.saturating_sub(SHOWN_RUNS))) { "Newer" }
                    }
                    @if has_more { a href=(at(query, skip + SHOWN_RUNS)) { "Older" } }
                }
            }
        }
    };
    Ok(page("/history", "History", &html! { (filter_form(query)) (found) }))
}

fn at(query: &Form, skip: u32) -> String {
    let skip = skip.to_string();
    let fields =
        [("item", query.get("item")), ("failed", query.get("failed")), ("skip", Some(&*skip))];
    link("/history", &fields)
}

fn filter_form(query: &Form) -> Markup {
    html! {
        form.filter method="get" action="/history" role="search" {
            label { "Item, by name or id" input name="item" value=(query.get("item").unwrap_or("")); }
            label {
                "Path or name of a file"
                input name="path" value=(query.get("path").unwrap_or(""));
            }
            label.check {
                input type="checkbox" name="failed" value="1"
                    checked[query.get("failed").is_some()];
                "only failed runs"
            }
            button { "Show" }
        }
    }
}

/// Returns a table of runs.
pub(super) fn runs_table(runs: &[HistoryRun], links: bool) -> Markup {
    let rows = html! {
        @for run in runs {
            tr {
                td { @if links { (run_link(&run.id)) } @else { code { (short(&run.id)) } } }
                td { (time(run.started)) }
                td { (outcome(run.exit_code)) }
                td { (took(run).unwrap_or_default()) }
                td { (bytes(changed_bytes(run))) }
                td { (items(run)) }
                td { code { (run.job) } }
            }
        }
    };
    let columns = ["Run", "Start", "Result", "Duration", "Bytes", "Changes", "Job"];
    table("Runs", &columns, &rows)
}

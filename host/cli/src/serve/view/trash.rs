//! The files that runs replaced or deleted.

use maud::{Markup, html};

use super::super::server::Server;
use super::page;
use super::parts::{bytes, more, table, time};
use crate::escape::quote;
use crate::trash::{Run, Trash};

/// The maximum number of runs of a plugin.
const SHOWN: usize = 100;

pub(in crate::serve) fn trash(server: &Server) -> anyhow::Result<String> {
    let all = Trash::all(Some(server.registrations.state_dir()))?;
    let mut plugins = Vec::new();
    for trash in &all {
        let runs = Run::all(trash)?;
        if !runs.is_empty() {
            plugins.push(plugin(&trash.plugin, &runs));
        }
    }
    let body = html! {
        @if plugins.is_empty() { p { "There is nothing in the trash." } }
        @for plugin in plugins { (plugin) }
    };
    Ok(page("/trash", "Trash", &body))
}

fn plugin(name: &str, runs: &[Run<'_>]) -> Markup {
    let total = runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.bytes));
    let rows = html! {
        @for run in runs.iter().take(SHOWN) {
            tr {
                td { code { (run.part.run) } }
                td { @if let Some(of) = run.part.time() { (time(of)) } }
                td { (run.files) }
                td { (bytes(run.bytes)) }
                td { (run.part.origin_words()) }
            }
        }
    };
    html! {
        h2 { (name) }
        p { (bytes(total)) " of " (runs.len()) " runs" }
        (table(&format!("Trash of {name}"), &["Run", "Time", "Files", "Size", "From"], &rows))
        (more(runs.len().saturating_sub(SHOWN), "runs"))
        p.note { "To see the files, and to restore one:" }
        p {
            code.command { "syncmgr trash list " (quote(name)) }
            code.command { "syncmgr trash restore " (quote(name)) " PATH" }
        }
    }
}

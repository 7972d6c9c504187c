//! The entries that the last run of each item skipped.

use maud::{Markup, html};
use syncmgr_install::HistoryAction;

use super::super::jobs::MAX_ITEMS;
use super::super::server::Server;
use super::page;
use super::parts::{run_link, table, time};

/// The maximum number of entries of an item.
const SHOWN: usize = 200;

pub(in crate::serve) fn skipped(server: &Server) -> anyhow::Result<String> {
    let mut groups = Vec::new();
    if let Some(history) = server.history()? {
        for item in history.states()?.into_iter().take(MAX_ITEMS) {
            let entries = history.skipped(&item.job, &item.id, SHOWN)?;
            if !entries.is_empty() {
                groups.push((item, entries));
            }
        }
    }
    let body = html! {
        @if groups.is_empty() { p { "The last run of each item skipped nothing." } }
        @for (item, entries) in &groups {
            h2 { (item.name) }
            p.note { (time(item.started)) ", run " (run_link(&item.run)) }
            (table(&format!("Skipped in {}", item.name), &["Path", "Side", "Reason"], &rows(entries)))
            @if entries.len() == SHOWN { p.note { "Only the first " (SHOWN) " are shown." } }
        }
    };
    Ok(page("/skipped", "Skipped entries", &body))
}

fn rows(entries: &[HistoryAction]) -> Markup {
    html! {
        @for entry in entries {
            tr {
                td { code { (entry.path) } }
                td { (entry.side.as_deref().unwrap_or("")) }
                td { (entry.detail.as_deref().unwrap_or("")) }
            }
        }
    }
}

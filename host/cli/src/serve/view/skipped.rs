//! The entries that the last run of each item skipped.

use maud::html;

use super::super::jobs::MAX_ITEMS;
use super::super::server::Server;
use super::page;
use super::parts::{run_link, time};

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
            div.scroll tabindex="0" role="region" aria-label=(format!("Skipped in {}", item.name)) {
                table {
                    thead {
                        tr {
                            th scope="col" { "Path" }
                            th scope="col" { "Side" }
                            th scope="col" { "Reason" }
                        }
                    }
                    tbody {
                        @for entry in entries {
                            tr {
                                td { code { (entry.path) } }
                                td { (entry.side.as_deref().unwrap_or("")) }
                                td { (entry.detail.as_deref().unwrap_or("")) }
                            }
                        }
                    }
                }
            }
            @if entries.len() == SHOWN { p.note { "Only the first " (SHOWN) " are shown." } }
        }
    };
    Ok(page("/skipped", "Skipped entries", &body))
}

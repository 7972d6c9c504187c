//! The conflicts that are not settled.

use maud::{Markup, html};
use syncmgr_install::OpenConflict;

use super::super::server::Server;
use super::super::versions::versions;
use super::page;
use super::parts::{bytes, time};
use crate::escape::quote;

/// The maximum number of conflicts that are shown.
const SHOWN: usize = 200;

pub(in crate::serve) fn conflicts(server: &Server) -> anyhow::Result<String> {
    let mut conflicts = match server.history()? {
        None => Vec::new(),
        // One more, to know whether there are more.
        Some(history) => history.open_conflicts(SHOWN + 1)?,
    };
    let has_more = conflicts.len() > SHOWN;
    conflicts.truncate(SHOWN);
    let body = html! {
        @if conflicts.is_empty() { p { "There are no conflicts." } }
        @else {
            p {
                "Both sides changed these entries, and both versions are kept. Compare them, keep "
                "one, and run again. The command does the same."
            }
        }
        div.items { @for conflict in &conflicts { (article(conflict)) } }
        @if has_more { p.note { "Only the first " (SHOWN) " are shown." } }
    };
    Ok(page("/conflicts", "Conflicts", &body))
}

fn article(conflict: &OpenConflict) -> Markup {
    let found = versions(&conflict.directories, [&conflict.path, &conflict.copy]);
    html! {
        article.item {
            h2 { (conflict.path) }
            p {
                (conflict.item)
                @if let Some(since) = conflict.since { ", since " (time(since)) }
                " · " code { (conflict.job) }
            }
            ul {
                @for version in &found {
                    li {
                        code { (version.path) } " on " (version.side)
                        @if let Some(size) = version.size { ", " (bytes(size)) }
                        @if let Some(modified) = version.modified { ", changed " (time(modified)) }
                    }
                }
                @if found.is_empty() {
                    li { code { (conflict.path) } } li { code { (conflict.copy) } }
                }
            }
            p {
                code.command {
                    // A path may look like an option.
                    "syncmgr resolve --keep newer -- " (quote(&conflict.item)) " "
                    (quote(&conflict.path))
                }
                " (or " code { "left" } ", " code { "right" } ", " code { "both" } ")"
            }
        }
    }
}

//! The files that runs replaced or deleted.

use maud::{Markup, html};

use super::super::server::Server;
use super::super::trash::{find, part_key, path_key, run_key};
use super::page;
use super::parts::{bytes, more, table, time};
use crate::escape::quote;
use crate::output::milliseconds;
use crate::trash::{Part, Run, Trash, walk};

/// The maximum number of runs of a plugin.
const SHOWN: usize = 100;

/// The maximum number of files of a side.
const SHOWN_FILES: usize = 500;

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
                td {
                    a href=(format!("/trash/{}", run_key(name, &run.part.run))) {
                        code { (run.part.run) }
                    }
                }
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
        p.note { "A run shows its files, and restores them. To restore one to another place:" }
        p { code.command { "syncmgr trash restore " (quote(name)) " PATH --to PLACE" } }
    }
}

/// Returns the page of a run, with its files; `None`: there is no such run.
pub(in crate::serve) fn trash_run(server: &Server, wanted: &str) -> anyhow::Result<Option<String>> {
    let parts = find(server, |plugin, part| run_key(plugin, &part.run) == wanted)?;
    let Some((plugin, first)) = parts.first() else { return Ok(None) };
    let title = format!("Trash of {plugin}");
    let mut sides = Vec::new();
    for (plugin, part) in &parts {
        sides.push(side(server, plugin, part)?);
    }
    let body = html! {
        p {
            "Files that the run of "
            @if let Some(of) = first.time() { (time(of)) } @else { code { (first.run) } }
            " replaced or deleted. To restore a file is to move it back."
        }
        @for side in sides { (side) }
        p { a href="/trash" { "All runs" } }
    };
    Ok(Some(page("/trash", &title, &body)))
}

fn side(server: &Server, plugin: &str, part: &Part) -> anyhow::Result<Markup> {
    let (mut files, mut hidden) = (Vec::new(), 0);
    walk(&part.open()?, "", |path, entry| -> std::io::Result<()> {
        match files.len() < SHOWN_FILES {
            true => files.push((path.to_owned(), entry.size(), milliseconds(entry.modified()))),
            false => hidden += 1,
        }
        Ok(())
    })?;
    let rows = html! {
        @for (path, size, changed) in &files {
            tr {
                td { code { (path) } }
                td { (bytes(*size)) }
                td { (time(*changed)) }
                td {
                    button name="one" value=(path_key(path))
                        aria-label={ "Restore " (path) } { "Restore" }
                }
            }
        }
    };
    let from = part.origin_words();
    Ok(html! {
        h2 { (from) }
        form method="post" action="/restore" {
            input type="hidden" name="token" value=(server.form.text());
            input type="hidden" name="part" value=(part_key(plugin, part));
            // The Return key must not press the first button.
            button disabled hidden {}
            p {
                label.check {
                    input type="checkbox" name="replace" value="1";
                    "If a file exists, move it to the trash first"
                }
            }
            (table(&format!("Files of {from}"), &["Path", "Size", "Changed", "Restore"], &rows))
            (more(hidden, "files"))
            div.buttons { button name="all" value="1" { "Restore all of this side" } }
        }
    })
}

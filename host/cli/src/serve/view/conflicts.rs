//! The conflicts that are not settled.

use std::collections::BTreeSet;

use clap::ValueEnum as _;
use maud::{Markup, html};
use syncmgr_install::HistoryConflict;

use super::super::conflicts::{conflict_key, standing};
use super::super::form::{Form, link};
use super::super::server::Server;
use super::page;
use super::parts::{bytes, time};
use crate::args::Keep;
use crate::resolve::{Comparison, Resolver};

/// The number of conflicts on a page.
const SHOWN: usize = 50;

/// The maximum number of lines of differences.
const SHOWN_LINES: usize = 2_000;

pub(in crate::serve) fn conflicts(server: &Server, query: &Form) -> anyhow::Result<String> {
    let body = match standing(server)? {
        Some((conflicts, resolver)) if !conflicts.is_empty() => {
            let skip = query.number("skip").unwrap_or(0).min(conflicts.len());
            list(server, &conflicts, skip, resolver)
        }
        Some(_) | None => html! { p { "There are no conflicts." } },
    };
    Ok(page("/conflicts", "Conflicts", &body))
}

fn list(
    server: &Server,
    conflicts: &[HistoryConflict],
    skip: usize,
    mut resolver: Resolver,
) -> Markup {
    let shown = conflicts.iter().skip(skip).take(SHOWN);
    let compared = shown.map(|conflict| {
        let compared = resolver.compare(conflict, false);
        (conflict, compared.map(|(_, compared)| compared).map_err(|refusal| refusal.message))
    });
    let compared: Vec<_> = compared.collect();
    let keeps: BTreeSet<_> = compared.iter().flat_map(|(_, compared)| keeps(compared)).collect();
    let at = |skip: usize| link("/conflicts", &[("skip", Some(&*skip.to_string()))]);
    html! {
        p {
            "Both sides changed these entries, and both versions are kept. Keep one of them or both "
            "here. The next run of the item changes the other side. Nothing is deleted: a version \
             that is not kept is moved to the trash of the directory."
        }
        form method="post" action="/resolve" {
            input type="hidden" name="token" value=(server.form.text());
            // The Return key must not press the first button.
            button disabled hidden {}
            div.items {
                @for (conflict, compared) in &compared {
                    article.item {
                        h2 {
                            label.check {
                                input type="checkbox" name="conflict" value=(conflict_key(conflict));
                                (conflict.path)
                            }
                        }
                        (about(conflict))
                        (versions(conflict, compared))
                        (buttons(conflict, compared))
                        p { a href=(format!("/conflict/{}", conflict_key(conflict))) { "Compare" } }
                    }
                }
            }
            h2 { "All selected conflicts" }
            div.buttons {
                @for (name, keep) in keeps { button name="keep" value=(keep) { (name) } }
            }
        }
        nav.pages aria-label="More conflicts" {
            @if skip > 0 { a href=(at(skip.saturating_sub(SHOWN))) { "Previous" } }
            @if conflicts.len() > skip + SHOWN { a href=(at(skip + SHOWN)) { "Next" } }
        }
    }
}

/// Returns the page of a conflict, with its differences; `None`: there is no such conflict.
pub(in crate::serve) fn conflict(server: &Server, wanted: &str) -> anyhow::Result<Option<String>> {
    let Some((conflicts, mut resolver)) = standing(server)? else { return Ok(None) };
    let Some(conflict) = conflicts.iter().find(|conflict| conflict_key(conflict) == wanted) else {
        return Ok(None);
    };
    let compared = resolver.compare(conflict, true);
    let compared = compared.map(|(_, compared)| compared).map_err(|refusal| refusal.message);
    let body = html! {
        (about(conflict))
        (versions(conflict, &compared))
        form method="post" action="/resolve" {
            input type="hidden" name="token" value=(server.form.text());
            (buttons(conflict, &compared))
        }
        @if let Ok(compared) = &compared {
            h2 { "Differences" }
            (differences(compared))
        }
        p { a href="/conflicts" { "All conflicts" } }
    };
    Ok(Some(page("/conflicts", &conflict.path, &body)))
}

fn about(conflict: &HistoryConflict) -> Markup {
    html! {
        p.note {
            (conflict.item)
            @if let Some(since) = conflict.since { ", since " (time(since)) }
            " · " code { (conflict.job) }
        }
    }
}

fn versions(conflict: &HistoryConflict, compared: &Result<Comparison, String>) -> Markup {
    html! {
        @match compared {
            Ok(compared) => dl {
                @for version in &compared.versions {
                    dt { (version.side) }
                    dd {
                        code { (version.path) } ", " (bytes(version.size)) ", changed "
                        (time(version.milliseconds))
                    }
                }
            },
            Err(reason) => {
                p { code { (conflict.copy) } }
                p.bad { (reason) }
            }
        }
    }
}

/// Returns the choices: words, and the values of the command.
fn keeps(compared: &Result<Comparison, String>) -> Vec<(String, String)> {
    let Ok(Comparison { versions, .. }) = compared else { return Vec::new() };
    let sides = versions.iter().map(|version| &*version.side);
    let sides = sides.filter(|side| Keep::from_str(side, false).is_ok());
    let sides = sides.map(|side| (format!("Keep {side}"), side.to_owned()));
    let others = [("Keep newer", "newer"), ("Keep both", "both")];
    sides.chain(others.map(|(name, keep)| (name.to_owned(), keep.to_owned()))).collect()
}

fn buttons(conflict: &HistoryConflict, compared: &Result<Comparison, String>) -> Markup {
    let label = |name: &str| format!("{name} of {}", conflict.path);
    html! {
        div.buttons {
            @for (name, keep) in keeps(compared) {
                button name="one" value=(format!("{keep}:{}", conflict_key(conflict)))
                    aria-label=(label(&name)) { (name) }
            }
        }
    }
}

fn differences(compared: &Comparison) -> Markup {
    let class = |line: &str| match line.as_bytes().first() {
        Some(b'+') => "good",
        Some(b'-') => "bad",
        Some(b'@') => "note",
        Some(_) | None => "same",
    };
    html! {
        @match compared.diff.as_deref() {
            None => p { "They are not both texts of at most 1 MiB." },
            Some("") => p { "The versions are equal." },
            Some(diff) => {
                div.diff role="region" aria-label="Differences" tabindex="0" {
                    @for line in diff.split_terminator('\n').take(SHOWN_LINES) {
                        div class=(class(line)) { (line.replace('\t', "    ")) }
                    }
                }
                @if diff.split_terminator('\n').nth(SHOWN_LINES).is_some() {
                    p.note { "Only the first " (SHOWN_LINES) " lines are shown." }
                }
            }
        }
    }
}

//! The commands `status` and `conflicts`.

use std::io::Write;

use serde::Serialize;
use syncmgr_host::text::to_json;
use syncmgr_install::History;

use crate::args::{Conflicts, Status};
use crate::escape::{escape, quote};
use crate::exit::Exit;
use crate::output::{self, ago, local_time, rfc3339};
use crate::past::{End, state_words, success_words};
use crate::plugin_source::registrations;
use crate::schedule::next_runs;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StateLine<'a> {
    job: &'a str,
    item: &'a str,
    name: &'a str,
    state: &'static str,
    conflicts: u64,
    run: &'a str,
    started: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    succeeded: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_run: Option<String>,
    text: &'a str,
}

#[derive(Serialize)]
struct ConflictLine<'a> {
    job: &'a str,
    id: &'a str,
    item: &'a str,
    path: &'a str,
    copy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

pub(crate) fn status(args: &Status) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let state_dir = registrations.state_dir();
    let Some(history) = History::open(state_dir)? else { return Ok(Exit::InSync) };
    let next_runs = next_runs(state_dir);
    let mut to = output::stdout();
    let mut exits = vec![Exit::InSync];
    for item in history.states()? {
        let (state, exit) = End::from(&item).state();
        exits.push(exit);
        let next = next_runs.get(&item.job).copied();
        if args.json {
            let line = StateLine {
                job: &item.job,
                item: &item.id,
                name: &item.name,
                state,
                conflicts: item.conflicts,
                run: &item.run,
                started: rfc3339(item.started),
                ended: item.ended.map(rfc3339),
                succeeded: item.succeeded.map(rfc3339),
                next_run: next.map(rfc3339),
                text: &item.text,
            };
            writeln!(to, "{}", to_json(&line, false)?)?;
            continue;
        }
        let (state, last) = (state_words(&item), success_words(&item));
        let (name, job) = (escape(&item.name), escape(&item.job));
        let next = next.map(|next| format!(", next run {}", local_time(next))).unwrap_or_default();
        writeln!(to, "{name}: {state}, {last}{next} ({job})")?;
    }
    Ok(Exit::of_all(&exits))
}

pub(crate) fn conflicts(args: &Conflicts) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let Some(history) = History::open(registrations.state_dir())? else { return Ok(Exit::InSync) };
    let conflicts = history.conflicts()?;
    let mut to = output::stdout();
    for conflict in &conflicts {
        if args.json {
            let line = ConflictLine {
                job: &conflict.job,
                id: &conflict.id,
                item: &conflict.item,
                path: &conflict.path,
                copy: &conflict.copy,
                since: conflict.since.map(rfc3339),
            };
            writeln!(to, "{}", to_json(&line, false)?)?;
            continue;
        }
        let since = conflict.since.map(|since| format!(", {}", ago(since)));
        writeln!(
            to,
            "{}: {} and {}{} ({})",
            escape(&conflict.item),
            quote(&conflict.path),
            quote(&conflict.copy),
            since.unwrap_or_default(),
            escape(&conflict.job)
        )?;
    }
    Ok(if conflicts.is_empty() { Exit::InSync } else { Exit::Remaining })
}

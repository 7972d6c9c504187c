//! The command `history`: past runs, and what they did.

use std::io::{self, Write};
use std::path::Path;

use indicatif::HumanBytes;
use serde::Serialize;
use syncmgr_host::text::to_json;
use syncmgr_install::{ActionFilter, History, HistoryAction, HistoryRun, RunFilter};

use crate::args;
use crate::escape::escape;
use crate::exit::{Exit, UsageError};
use crate::output::{self, Stdout, duration, local_time, parse_since, rfc3339};
use crate::past::{self, short};
use crate::plugin_source::registrations;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RunLine<'a> {
    run: &'a str,
    job: &'a str,
    plugin: &'a str,
    trigger: &'a str,
    started: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hresult: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorLine<'a>>,
    peak_memory_bytes: u64,
    bytes_up: u64,
    bytes_down: u64,
    dropped_actions: u64,
    directories: std::collections::BTreeMap<&'a str, &'a str>,
    items: Vec<ItemLine<'a>>,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ItemLine<'a> {
    item: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    text: &'a str,
    warnings: u64,
    errors: u64,
    counts: &'a std::collections::BTreeMap<String, u64>,
    actions: &'a std::collections::BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct ActionLine<'a> {
    run: &'a str,
    time: String,
    job: &'a str,
    item: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'a str>,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

pub(crate) fn run(args: &args::History) -> anyhow::Result<Exit> {
    let since = args.since.as_deref();
    let since = since.map(|since| parse_since(since, output::now())).transpose()?;
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let Some(history) = History::open(registrations.state_dir())? else {
        match args.run {
            Some(_) => return Err(UsageError("no run has been recorded yet".to_owned()).into()),
            None => return Ok(Exit::InSync),
        }
    };
    let mut to = output::stdout();
    match (&args.run, &args.path) {
        (Some(id), path) => one(&history, id, path.as_deref(), args, &mut to)?,
        (None, Some(path)) => {
            let filter = ActionFilter {
                path: Some(path.clone()),
                item: args.item.clone(),
                since,
                limit: Some(args.limit),
                ..ActionFilter::default()
            };
            actions(&history, &filter, args.json, true, &mut to)?;
        }
        (None, None) => {
            let filter = RunFilter {
                job: args.job.as_deref().map(job_name),
                item: args.item.clone(),
                since,
                failed: args.failed,
                limit: Some(args.limit),
                ..RunFilter::default()
            };
            for run in history.runs(&filter)? {
                match args.json {
                    true => writeln!(to, "{}", run_json(&run)?)?,
                    false => writeln!(to, "{}", run_line(&run))?,
                }
            }
        }
    }
    Ok(Exit::InSync)
}

/// Returns the name under which the runs of a job file are recorded: its full path.
pub(crate) fn job_name(job: &str) -> String {
    match Path::new(job).canonicalize() {
        Ok(path) if path.is_file() => path.display().to_string(),
        Ok(_) | Err(_) => job.to_owned(),
    }
}

/// Shows one run.
fn one(
    history: &History,
    id: &str,
    path: Option<&str>,
    args: &args::History,
    to: &mut Stdout,
) -> anyhow::Result<()> {
    let filter = RunFilter { id: Some(id.to_owned()), limit: Some(2), ..RunFilter::default() };
    let runs = history.runs(&filter)?;
    let [run] = &runs[..] else {
        let problem = match runs.is_empty() {
            true => format!("no run `{id}` in the history; `syncmgr history` lists the last runs"),
            false => format!("several runs have ids that begin with `{id}`; use more digits"),
        };
        return Err(UsageError(problem).into());
    };
    match args.json {
        true => writeln!(to, "{}", run_json(run)?)?,
        false => head(run, to)?,
    }
    let filter = ActionFilter {
        run: Some(run.id.clone()),
        item: args.item.clone(),
        path: path.map(str::to_owned),
        ..ActionFilter::default()
    };
    actions(history, &filter, args.json, false, to)
}

fn actions(
    history: &History,
    filter: &ActionFilter,
    json: bool,
    with_run: bool,
    to: &mut Stdout,
) -> anyhow::Result<()> {
    let mut written: anyhow::Result<()> = Ok(());
    history.actions(filter, |action| {
        let line = match json {
            true => action_json(&action),
            false if with_run => {
                let (time, id) = (local_time(action.started), short(&action.run));
                Ok(format!("{time}  {id}  {}: {}", escape(&action.item), past::action(&action)))
            }
            false => Ok(format!("  {}", past::action(&action))),
        };
        written = line.map_err(Into::into).and_then(|line| Ok(writeln!(to, "{line}")?));
        written.is_ok()
    })?;
    written
}

fn run_line(run: &HistoryRun) -> String {
    let took = run.ended.map(|ended| format!(" ({})", duration(ended - run.started)));
    format!(
        "{}  {}  {}  {}{}  {}",
        short(&run.id),
        local_time(run.started),
        escape(&run.job),
        past::result(run.exit_code),
        took.unwrap_or_default(),
        past::items(run),
    )
    .trim_end()
    .to_owned()
}

fn head(run: &HistoryRun, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "run: {}", run.id)?;
    writeln!(to, "of: {}", escape(&run.job))?;
    if run.plugin != run.job {
        writeln!(to, "plugin: {}", escape(&run.plugin))?;
    }
    writeln!(to, "trigger: {}", escape(&run.trigger))?;
    for (name, path) in &run.directories {
        writeln!(to, "directory `{}`: {}", escape(name), escape(path))?;
    }
    writeln!(to, "started: {}", local_time(run.started))?;
    if let Some(ended) = run.ended {
        writeln!(to, "took: {}", duration(ended - run.started))?;
    }
    writeln!(to, "result: {}", past::result(run.exit_code))?;
    if let Some((code, message)) = &run.error {
        writeln!(to, "error[{}]: {}", escape(code), escape(message))?;
    }
    if run.bytes_up + run.bytes_down > 0 {
        let (up, down) = (HumanBytes(run.bytes_up), HumanBytes(run.bytes_down));
        writeln!(to, "network: {up} sent, {down} received")?;
    }
    if run.peak_memory > 0 {
        writeln!(to, "peak memory: {}", HumanBytes(run.peak_memory))?;
    }
    for item in &run.items {
        let status = item.status.as_deref().unwrap_or("not ended");
        writeln!(to, "{}: {}, {}", escape(status), escape(&item.name), escape(&item.text))?;
    }
    if run.dropped_actions > 0 {
        writeln!(to, "{} more changes exceed the limit `actions`", run.dropped_actions)?;
    }
    Ok(())
}

fn run_json(run: &HistoryRun) -> serde_json::Result<String> {
    let items = run.items.iter().map(|item| ItemLine {
        item: &item.id,
        name: &item.name,
        status: item.status.as_deref(),
        code: item.code.as_deref(),
        text: &item.text,
        warnings: item.warnings,
        errors: item.errors,
        counts: &item.counts,
        actions: &item.actions,
    });
    let line = RunLine {
        run: &run.id,
        job: &run.job,
        plugin: &run.plugin,
        trigger: &run.trigger,
        started: rfc3339(run.started),
        ended: run.ended.map(rfc3339),
        outcome: run.outcome.as_deref(),
        exit_code: run.exit_code,
        hresult: run.hresult.map(|hresult| format!("0x{hresult:08X}")),
        error: run.error.as_ref().map(|(code, message)| ErrorLine { code, message }),
        peak_memory_bytes: run.peak_memory,
        bytes_up: run.bytes_up,
        bytes_down: run.bytes_down,
        dropped_actions: run.dropped_actions,
        directories: run.directories.iter().map(|(name, path)| (&**name, &**path)).collect(),
        items: items.collect(),
    };
    to_json(&line, false)
}

fn action_json(action: &HistoryAction) -> serde_json::Result<String> {
    let line = ActionLine {
        run: &action.run,
        time: rfc3339(action.started),
        job: &action.job,
        item: &action.item,
        kind: &action.kind,
        side: action.side.as_deref(),
        path: &action.path,
        size: action.size,
        detail: action.detail.as_deref(),
    };
    to_json(&line, false)
}

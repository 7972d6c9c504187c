//! The command `resolve`: settles or compares conflicts.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use syncmgr_host::text::to_json;
use syncmgr_install::{History, HistoryConflict, Registrations};

use crate::args::Resolve;
use crate::command::history::job_name;
use crate::escape::{escape, quote};
use crate::exit::{self, Exit, UsageError};
use crate::output;
use crate::plugin_source::registrations;
use crate::resolve::{Comparison, Refusal, Resolver, Settled, key};

/// A conflict, and what was done about it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Line<'a> {
    job: &'a str,
    item: &'a str,
    path: &'a str,
    copy: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    #[serde(flatten)]
    settled: Option<&'a Settled>,
    #[serde(flatten)]
    compared: Option<&'a Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// What was done about a conflict in a directory.
enum Done {
    Settled(PathBuf, Settled),
    Compared(PathBuf, Comparison),
}

pub(crate) fn run(args: &Resolve) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let history = History::open(registrations.state_dir())?;
    let standing = history.as_ref().map(History::conflicts).transpose()?;
    let chosen = chosen(standing.unwrap_or_default(), args)?;
    let Some(history) = history else { return Ok(Exit::InSync) };
    let resolver = Resolver::new(history, &chosen);
    let mut command = Command { args, resolver, changed: BTreeSet::new() };
    let mut exits = Vec::new();
    for conflict in &chosen {
        let done = command.act(conflict);
        command.print(conflict, done.as_ref())?;
        exits.push(match done {
            Ok(_) => Exit::InSync,
            Err(refusal) => refusal.exit,
        });
    }
    if !args.json {
        let mut to = output::stdout();
        for (job, root) in &command.changed {
            writeln!(to, "{}", next_run(job, root, &registrations))?;
        }
    }
    Ok(Exit::of_all(&exits))
}

/// Returns the conflicts to settle or to compare.
fn chosen(
    mut conflicts: Vec<HistoryConflict>,
    args: &Resolve,
) -> anyhow::Result<Vec<HistoryConflict>> {
    if let Some(job) = args.job.as_deref().map(job_name) {
        conflicts.retain(|conflict| conflict.job == job);
    }
    if let Some(item) = &args.item {
        let is_id = |conflict: &HistoryConflict| item.eq_ignore_ascii_case(&conflict.id);
        conflicts.retain(|conflict| conflict.item == *item || is_id(conflict));
    }
    if !args.all {
        let is_at = |conflict: &HistoryConflict, path: &str| {
            let key = key(path.trim_start_matches("./"));
            conflict.path == key || conflict.copy == key
        };
        let paths = &args.paths;
        if let Some(path) = paths.iter().find(|path| !conflicts.iter().any(|one| is_at(one, path)))
        {
            let item = args.item.as_deref().unwrap_or_default();
            return Err(UsageError(format!(
                "item `{item}` has no conflict at `{path}`; `syncmgr conflicts` lists all conflicts"
            ))
            .into());
        }
        conflicts.retain(|conflict| paths.iter().any(|path| is_at(conflict, path)));
    }
    let items: BTreeSet<_> = conflicts.iter().map(|one| (&one.id, &one.job)).collect();
    match &args.item {
        Some(item) if items.len() > 1 => {
            let items: Vec<_> = items.iter().map(|(id, job)| format!("{id} of `{job}`")).collect();
            Err(UsageError(format!(
                "`{item}` is the name of several items: {}; select one by its id, or with `--of`",
                items.join(", ")
            ))
            .into())
        }
        Some(_) | None => Ok(conflicts),
    }
}

/// Returns which run syncs a directory.
fn next_run(job: &str, root: &Path, registrations: &Registrations) -> String {
    let grants = registrations.find(job).map(|registration| registration.grants);
    let is_registered =
        grants.is_ok_and(|grants| grants.directories.iter().any(|grant| grant.path() == root));
    let file = Path::new(job);
    let is_job_file = file.is_file() && file.extension().is_none_or(|end| end != "wasm");
    let root = root.display().to_string();
    let root = escape(&root);
    match (is_registered, is_job_file) {
        (true, _) => format!("run `syncmgr run {}` to sync {root}", quote(job)),
        (false, true) => format!("run `syncmgr run --job {}` to sync {root}", quote(job)),
        (false, false) => format!("the next run of {} syncs {root}", quote(job)),
    }
}

/// The command, between two conflicts.
struct Command<'a> {
    args: &'a Resolve,
    resolver: Resolver,
    /// What was run, and the directories that are changed.
    changed: BTreeSet<(String, PathBuf)>,
}

impl Command<'_> {
    /// Settles or compares a conflict.
    fn act(&mut self, conflict: &HistoryConflict) -> Result<Done, Refusal> {
        let Some(keep) = self.args.keep else {
            let (root, comparison) = self.resolver.compare(conflict, true)?;
            return Ok(Done::Compared(root, comparison));
        };
        let (root, settled) = self.resolver.settle(conflict, keep, self.args.dry_run)?;
        if !self.args.dry_run {
            self.changed.insert((conflict.job.clone(), root.clone()));
        }
        Ok(Done::Settled(root, settled))
    }

    fn print(
        &self,
        conflict: &HistoryConflict,
        done: Result<&Done, &Refusal>,
    ) -> anyhow::Result<()> {
        let mut to = output::stdout();
        if self.args.json {
            writeln!(to, "{}", to_json(&self.line(conflict, done), false)?)?;
            return Ok(());
        }
        let item = escape(&conflict.item);
        match done {
            Ok(Done::Settled(_, settled)) => {
                writeln!(to, "{item}: {}", settled.words(conflict))?;
            }
            Ok(Done::Compared(_, comparison)) => {
                write!(to, "{item}: {}", comparison.words(conflict))?;
            }
            Err(Refusal { message, .. }) => {
                to.flush()?;
                let (path, message) = (quote(&conflict.path), escape(message));
                exit::print_error(&anyhow::anyhow!("{item}: {path}: {message}"));
            }
        }
        Ok(())
    }

    fn line<'a>(
        &self,
        conflict: &'a HistoryConflict,
        done: Result<&'a Done, &'a Refusal>,
    ) -> Line<'a> {
        let (job, item, path, copy) =
            (&*conflict.job, &*conflict.item, &*conflict.path, &*conflict.copy);
        let outcome = match (done, self.args.dry_run) {
            (Ok(Done::Settled(..)), false) => "settled",
            (Ok(Done::Settled(..)), true) => "preview",
            (Ok(Done::Compared(..)), _) => "compared",
            (Err(_), _) => "refused",
        };
        let (mut directory, mut settled, mut compared, mut error) = (None, None, None, None);
        match done {
            Ok(Done::Settled(root, done)) => (directory, settled) = (Some(root), Some(done)),
            Ok(Done::Compared(root, done)) => (directory, compared) = (Some(root), Some(done)),
            Err(refusal) => error = Some(&*refusal.message),
        }
        let directory = directory.map(|root| root.display().to_string());
        Line { job, item, path, copy, outcome, directory, settled, compared, error }
    }
}

//! The command `resolve`: settles conflicts in one directory of their item. The next run of the
//! item changes the other side.

mod copy_name;
mod diff;
mod refusal;
mod settle;
mod versions;

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use syncmgr_host::text::to_json;
use syncmgr_install::{History, HistoryConflict, Registrations, RunFilter};

use self::diff::Comparison;
use self::refusal::Refusal;
use self::settle::{Settled, settle};
use self::versions::{key, root};
use crate::args::{Keep, Resolve};
use crate::command::history::job_name;
use crate::escape::{escape, quote};
use crate::exit::{self, Exit, UsageError};
use crate::output;
use crate::plugin_source::registrations;

/// The form of the names in the trash of a directory, as of those that plugins create.
const STAMP: &str = "%Y-%m-%dT%H%M%S.%9fZ";

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
    let mut command = Command {
        args,
        history,
        stamp: Timestamp::now().strftime(STAMP).to_string(),
        several: several_copies(&chosen),
        directories: BTreeMap::new(),
        changed: BTreeSet::new(),
    };
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

/// An entry of an item: the job, the id and the path.
type Entry = (String, String, String);

fn entry(conflict: &HistoryConflict) -> Entry {
    (conflict.job.clone(), conflict.id.clone(), conflict.path.clone())
}

/// Returns the entries with several conflicts.
fn several_copies(conflicts: &[HistoryConflict]) -> BTreeSet<Entry> {
    let mut seen = BTreeSet::new();
    conflicts.iter().map(entry).filter(|entry| !seen.insert(entry.clone())).collect()
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
    history: History,
    /// The name of the directory in the trash.
    stamp: String,
    several: BTreeSet<Entry>,
    /// The directories of the last run of each item, by job and id.
    directories: BTreeMap<(String, String), Vec<(String, String)>>,
    /// What was run, and the directories that are changed.
    changed: BTreeSet<(String, PathBuf)>,
}

impl Command<'_> {
    /// Settles or compares a conflict.
    fn act(&mut self, conflict: &HistoryConflict) -> Result<Done, Refusal> {
        let root = root(self.directories(conflict)?, conflict)?;
        let Some(keep) = self.args.keep else {
            let comparison = Comparison::of(&root, conflict)?;
            return Ok(Done::Compared(root, comparison));
        };
        match keep {
            Keep::Left | Keep::Right | Keep::Local | Keep::Remote
                if self.several.contains(&entry(conflict)) =>
            {
                return Err(Refusal::remaining(
                    "it has several conflicts; settle each by the path of its copy, or all of \
                     them with `--keep newer` or `--keep both`"
                        .to_owned(),
                ));
            }
            Keep::Left | Keep::Right | Keep::Local | Keep::Remote | Keep::Newer | Keep::Both => {}
        }
        let settled = settle(&root, conflict, keep, &self.stamp, self.args.dry_run)?;
        if !self.args.dry_run {
            self.changed.insert((conflict.job.clone(), root.clone()));
            if let Err(error) = self.history.settle(conflict) {
                let error = syncmgr_host::full_message(&error);
                let note = format!("the history still lists the conflict: {}", escape(&error));
                // The next run records it.
                let _ = writeln!(std::io::stderr(), "note: {note}");
            }
        }
        Ok(Done::Settled(root, settled))
    }

    /// Returns the directories of the last run of a conflict's item.
    fn directories(&mut self, of: &HistoryConflict) -> Result<&[(String, String)], Refusal> {
        let place = match self.directories.entry((of.job.clone(), of.id.clone())) {
            btree_map::Entry::Occupied(known) => return Ok(known.into_mut()),
            btree_map::Entry::Vacant(place) => place,
        };
        let filter = RunFilter {
            job: Some(of.job.clone()),
            item: Some(of.id.clone()),
            limit: Some(1),
            ..RunFilter::default()
        };
        let runs = self.history.runs(&filter).map_err(|error| Refusal {
            exit: Exit::Crashed,
            message: syncmgr_host::full_message(&error),
        })?;
        let directories = runs.into_iter().next().map(|run| run.directories);
        Ok(place.insert(directories.unwrap_or_default()))
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

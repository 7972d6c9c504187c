//! The command `trash`: lists, restores and removes replaced and deleted files.

mod show;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;
use indicatif::HumanBytes;
use syncmgr_host::files::EntryKind;

use crate::args::{TrashCommand, TrashEmpty, TrashOf, TrashRestore};
use crate::escape::escape;
use crate::exit::{Exit, UsageError, print_error};
use crate::output::{self, parse_since};
use crate::trash::{Destination, Part, Restore, Restored, Run, Trash, lock, plain_path, remove};

pub(crate) fn run(args: &crate::args::Trash) -> anyhow::Result<Exit> {
    match &args.command {
        TrashCommand::List(list) => show::list(list),
        TrashCommand::Du(usage) => show::usage(usage),
        TrashCommand::Restore(restore) => self::restore(restore),
        TrashCommand::Empty(empty) => self::empty(empty),
    }
}

/// Returns whether the name of a run starts with a text, if there is one.
fn is_run(part: &Part, start: Option<&str>) -> bool {
    start.is_none_or(|start| part.run.starts_with(start))
}

fn restore(args: &TrashRestore) -> anyhow::Result<Exit> {
    // With a job file, the first argument is not a plugin.
    let (of, path) = match (&args.of.job, &args.of.plugin, &args.path) {
        (Some(_), path, None) => (TrashOf { plugin: None, ..args.of.clone() }, path.as_deref()),
        (Some(_), _, Some(_)) | (None, ..) => (args.of.clone(), args.path.as_deref()),
    };
    let path = path.map(plain_path).transpose()?;
    if path.is_none() && args.run.is_none() {
        let error =
            "name a file or directory, or a run with `--run`; `syncmgr trash list` shows them";
        return Err(UsageError(error.to_owned()).into());
    }
    let trash = Trash::find(&of)?;
    let is_meant = |part: &&Part| {
        let side = args.side.map(crate::args::TrashSide::name);
        is_run(part, args.run.as_deref()) && side.is_none_or(|side| part.side == Some(side))
    };
    let part = select(trash.parts.iter().filter(is_meant), path)?;
    let destination = match &args.to {
        Some(to) => Destination::Elsewhere(to),
        None => Destination::Origin,
    };
    let restore = Restore::new(part, path.unwrap_or(""), &destination, args.replace)?;
    let _locks = match destination {
        Destination::Origin => lock(std::iter::once(part))?,
        Destination::Elsewhere(_) => Vec::new(),
    };
    let (mut exits, mut to) = (vec![Exit::InSync], output::stdout());
    restore.run(|path, new, entry, restored| {
        let path = escape(path);
        let new = new.display().to_string();
        let size = match entry.kind() {
            EntryKind::File => format!(" ({})", HumanBytes(entry.size())),
            EntryKind::Directory | EntryKind::SymbolicLink | EntryKind::Other => String::new(),
        };
        match restored {
            Ok(Restored::Moved) => writeln!(to, "restored {path} to {}{size}", escape(&new)),
            Ok(Restored::Copied) => {
                let new = escape(&new);
                writeln!(to, "copied {path} to {new}{size}; it remains in the trash")
            }
            Ok(Restored::Refused { why, remedy }) => {
                exits.push(Exit::Remaining);
                let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
                say(&format!("did not restore {path}: {}{remedy}", escape(&why)));
                Ok(())
            }
            Err(error) => {
                exits.push(Exit::Failed);
                say(&format!("cannot restore {path}: {}", escape(&error.to_string())));
                Ok(())
            }
        }
    })?;
    Ok(Exit::of_all(&exits))
}

/// Prints the reason why an entry remains. There is no other output for it.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Returns the newest part with a path, unless it is unclear which pair is meant.
fn select<'a>(
    parts: impl Iterator<Item = &'a Part>,
    path: Option<&str>,
) -> anyhow::Result<&'a Part> {
    let mut found = Vec::new();
    for part in parts {
        if path.map_or(Ok(true), |path| part.has(path)).context("cannot read the trash")? {
            found.push(part);
        }
    }
    let Some(newest) = found.first() else {
        return Err(UsageError(match path {
            Some(path) => format!(
                "{path} is not in the trash; `syncmgr trash list` shows what is in it, and `--path` \
                 finds a name"
            ),
            None => "the trash has no such run; `syncmgr trash list` shows them".to_owned(),
        })
        .into());
    };
    let what = path.unwrap_or("entries");
    if let Some(other) = found[1..].iter().find(|other| other.run == newest.run) {
        return Err(UsageError(format!(
            "the run {} has {what} of {} and of {}; choose one with `--side`, or a longer `--run`",
            newest.run,
            newest.origin_words(),
            other.origin_words(),
        ))
        .into());
    }
    // The newest version is that of the run with the latest name.
    if let Some(other) = found[1..].iter().find(|other| !newest.is_related(other)) {
        return Err(UsageError(format!(
            "several pairs have {what}: the run {} of {}, and the run {} of {}; choose one with \
             `--run`",
            newest.run,
            newest.origin_words(),
            other.run,
            other.origin_words(),
        ))
        .into());
    }
    Ok(newest)
}

fn empty(args: &TrashEmpty) -> anyhow::Result<Exit> {
    let before = args.older_than.as_deref();
    let before = before.map(|time| parse_since(time, output::now())).transpose()?;
    let mut trash = Trash::find(&args.of)?;
    trash.parts.retain(|part| {
        let is_old = |before| part.time().is_some_and(|time| time < before);
        is_run(part, args.run.as_deref()) && before.is_none_or(is_old)
    });
    let runs = Run::all(&trash)?;
    if runs.is_empty() {
        writeln!(output::stdout(), "nothing to remove")?;
        return Ok(Exit::InSync);
    }
    let words = words(&runs);
    if !args.yes && !is_confirmed(&format!("Remove {words} from the trash of {}?", trash.plugin))? {
        return Err(UsageError(format!(
            "{words} would be removed from the trash; confirm with `--yes`"
        ))
        .into());
    }
    let _locks = lock(trash.parts.iter())?;
    if self::words(&Run::all(&trash)?) != words {
        let changed = "the trash has changed in the meantime; try again";
        return Err(UsageError(changed.to_owned()).into());
    }
    let (mut exits, mut removed) = (vec![Exit::InSync], 0);
    for run in &runs {
        match remove(run.part).with_context(|| format!("cannot remove the run {}", run.part.run)) {
            Ok(()) => removed += 1,
            Err(error) => {
                print_error(&error);
                exits.push(Exit::Failed);
            }
        }
    }
    let done = match removed == runs.len() {
        true => words,
        false => format!("{removed} of {words}"),
    };
    writeln!(output::stdout(), "removed {done}")?;
    Ok(Exit::of_all(&exits))
}

fn words(runs: &[Run<'_>]) -> String {
    format!(
        "{} with {} ({})",
        count(runs.len() as u64, "run"),
        count(runs.iter().map(|run| run.files).sum(), "file"),
        HumanBytes(runs.iter().map(|run| run.bytes).sum())
    )
}

/// Returns a number with its noun.
fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// Asks on a terminal. Elsewhere, nothing is confirmed.
fn is_confirmed(question: &str) -> io::Result<bool> {
    let (input, mut error) = (io::stdin(), io::stderr());
    if !input.is_terminal() || !error.is_terminal() {
        return Ok(false);
    }
    write!(error, "{} [y/N] ", escape(question))?;
    error.flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

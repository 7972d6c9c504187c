//! Shows what is in the trash.

use std::io::Write as _;

use anyhow::Context as _;
use indicatif::HumanBytes;
use serde::Serialize;
use syncmgr_host::files::{EntryKind, UserEntry};
use syncmgr_host::text::to_json;

use super::{count, is_run};
use crate::args::{TrashList, TrashOf, TrashUsage};
use crate::escape::escape;
use crate::exit::Exit;
use crate::output::{self, Stdout, local_time, milliseconds, rfc3339};
use crate::trash::{Part, Run, Trash, is_at, walk};

#[derive(Serialize)]
struct FileLine<'a> {
    plugin: &'a str,
    run: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    path: &'a str,
    kind: &'static str,
    size: u64,
    modified: String,
}

#[derive(Serialize)]
struct RunLine<'a> {
    plugin: &'a str,
    run: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    files: u64,
    bytes: u64,
}

/// Finds the trash that arguments name, or that of every plugin.
fn find(of: &TrashOf) -> anyhow::Result<Vec<Trash>> {
    match (&of.plugin, &of.job) {
        (None, None) if of.dirs.is_empty() => Trash::all(of.state_dir.path.as_deref()),
        (_, _) => Ok(vec![Trash::find(of)?]),
    }
}

pub(super) fn list(args: &TrashList) -> anyhow::Result<Exit> {
    let mut to = output::stdout();
    for trash in find(&args.of)? {
        let parts = trash.parts.iter().filter(|part| is_run(part, args.run.as_deref()));
        for part in parts {
            list_part(&trash, part, args, &mut to)?;
        }
    }
    Ok(Exit::InSync)
}

fn list_part(trash: &Trash, part: &Part, args: &TrashList, to: &mut Stdout) -> anyhow::Result<()> {
    let mut has_head = args.json;
    let files = part.open().with_context(|| part.unreadable())?;
    walk(&files, "", |path, entry| -> anyhow::Result<()> {
        if args.path.as_deref().is_some_and(|wanted| !is_at(path, wanted)) {
            return Ok(());
        }
        if !std::mem::replace(&mut has_head, true) {
            let from = part.origin_words();
            let (plugin, run) = (escape(&trash.plugin), escape(&part.run));
            writeln!(to, "{run} ({plugin}), from {}", escape(&from))?;
        }
        match args.json {
            true => writeln!(to, "{}", file_json(trash, part, path, entry)?)?,
            false => writeln!(to, "  {}{}", escape(path), details(entry))?,
        }
        Ok(())
    })
    .with_context(|| part.unreadable())?;
    Ok(())
}

fn details(entry: &UserEntry) -> String {
    match entry.kind() {
        EntryKind::File => {
            let time = local_time(milliseconds(entry.modified()));
            format!(" ({}, {time})", HumanBytes(entry.size()))
        }
        kind @ (EntryKind::Directory | EntryKind::SymbolicLink | EntryKind::Other) => {
            format!(" ({})", kind_words(kind))
        }
    }
}

const fn kind_words(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::SymbolicLink => "symbolic link",
        EntryKind::Other => "special file",
    }
}

fn file_json(
    trash: &Trash,
    part: &Part,
    path: &str,
    entry: &UserEntry,
) -> serde_json::Result<String> {
    let line = FileLine {
        plugin: &trash.plugin,
        run: &part.run,
        time: part.time().map(rfc3339),
        side: part.side,
        directory: part.origin.as_ref().map(|grant| grant.path().display().to_string()),
        path,
        kind: kind_words(entry.kind()),
        size: entry.size(),
        modified: rfc3339(milliseconds(entry.modified())),
    };
    to_json(&line, false)
}

pub(super) fn usage(args: &TrashUsage) -> anyhow::Result<Exit> {
    let mut to = output::stdout();
    for trash in find(&args.of)? {
        let runs = Run::all(&trash)?;
        for run in &runs {
            let (name, plugin) = (&run.part.run, &trash.plugin);
            if args.json {
                let time = run.part.time().map(rfc3339);
                let (files, bytes) = (run.files, run.bytes);
                let line = RunLine { plugin, run: name, time, files, bytes };
                writeln!(to, "{}", to_json(&line, false)?)?;
                continue;
            }
            let (files, bytes) = (count(run.files, "file"), HumanBytes(run.bytes).to_string());
            writeln!(to, "{bytes:>12}  {}: {files}", escape(name))?;
        }
        if !args.json && !runs.is_empty() {
            let bytes = HumanBytes(runs.iter().map(|run| run.bytes).sum()).to_string();
            let runs = count(runs.len() as u64, "run");
            writeln!(to, "{bytes:>12}  {}: {runs}", escape(&trash.plugin))?;
        }
    }
    Ok(Exit::InSync)
}

//! A conforming copier, except for the fault of the plugin that includes it.

#![allow(dead_code, reason = "no plugin has a use for all of it")]

use syncmgr_plugin::directories::{Directory, open_grant};
use syncmgr_plugin::prelude::*;

/// The bytes to copy between two reports.
const CHUNK: u64 = 1024;

pub(crate) fn item() -> ItemId {
    ItemId::from_name("copy")
}

pub(crate) fn items() -> Result<ItemList> {
    Ok([Item::new(item(), "Copy")].into())
}

pub(crate) fn directories() -> Result<(Directory, Directory)> {
    Ok((open_grant("source")?, open_grant("target")?))
}

/// Returns the names of the files in a directory.
pub(crate) fn files(directory: &Directory) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in directory.list()? {
        let entry = entry?;
        let kind = entry.metadata.map_err(Error::from)?.kind;
        let name = entry.name.display();
        if kind == directories::EntryKind::File && !name.starts_with('.') {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Copies a file under a name, unless the name is used.
pub(crate) fn copy(
    context: &mut SyncContext,
    (source, target): (&Directory, &Directory),
    name: &str,
    as_name: &str,
) -> Result<(), Interrupt> {
    let from = source.open_file(name)?;
    let to = target.create_file(as_name)?;
    loop {
        let bytes = to.copy_from(&from, CHUNK)?;
        if bytes == 0 {
            return Ok(to.flush()?);
        }
        context.report().status(Status::Updating).text(name).send()?;
    }
}

/// Copies a missing file correctly.
pub(crate) fn copy_well(
    context: &mut SyncContext,
    (source, target): (&Directory, &Directory),
    name: &str,
) -> Result<(), Interrupt> {
    const UNFINISHED: &str = ".unfinished";
    // The leftover of an interrupted run.
    if target.stat(UNFINISHED)?.is_some() {
        target.remove_file(UNFINISHED)?;
    }
    if target.stat(name)?.is_none() {
        copy(context, (source, target), name, UNFINISHED)?;
        target.rename(UNFINISHED, target, name)?;
    }
    Ok(())
}

/// Copies all missing files correctly.
pub(crate) fn copy_all(context: &mut SyncContext) -> Result<(), Interrupt> {
    let (source, target) = directories()?;
    context.check_cancelled()?;
    for name in files(&source)? {
        copy_well(context, (&source, &target), &name)?;
    }
    Ok(())
}

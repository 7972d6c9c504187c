//! {{name}}: copies new and changed files from the directory `source` to the directory `target`.
//! It deletes nothing, follows no links, and can be cancelled at any time.

use syncmgr_plugin::directories::{Directory, EntryKind, EntryMetadata, open_grant};
use syncmgr_plugin::prelude::*;

/// The id of the item. Never change it: the sync manager keeps the user's choices under it.
const COPY: ItemId = ItemId::from_uuid(Uuid::from_u64_pair(0x{{id-high}}, 0x{{id-low}}));

/// How much of a file is copied between two reports.
const CHUNK: u64 = 1 << 20;

/// What a file is called until it is complete.
const UNFINISHED: &str = ".{{name}}.part";

#[derive(Default)]
struct Copy;

impl Plugin for Copy {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("{{name}}"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(COPY, "Copy files")].into())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let source = open_grant("source")?;
        let target = open_grant("target")?;
        // Two runs at once would write to the same unfinished file.
        target.lock()?;
        let mut failures = 0;
        let total = weigh(context, &source, &target)?;
        context.set_total_bytes(total)?;
        copy_directory(context, &source, &target, "", &mut failures)?;
        match failures {
            0 => Ok(()),
            count => Err(Error::failed(format!("{count} entries were not copied")).into()),
        }
    }
}

export!(Copy);

/// Whether the copy is as the original was: the time of change is the last thing that is set.
fn is_same(original: &EntryMetadata, copy: Option<&EntryMetadata>) -> bool {
    copy.is_some_and(|copy| {
        copy.kind == original.kind
            && copy.size == original.size
            && copy.modified == original.modified
    })
}

/// How many bytes there are to copy.
fn weigh(context: &mut SyncContext, from: &Directory, to: &Directory) -> Result<u64, Interrupt> {
    let mut total = 0;
    for entry in from.list()? {
        let entry = entry?;
        context.working(|| entry.name.clone())?;
        let Ok(original) = entry.metadata else { continue };
        match original.kind {
            EntryKind::File if !is_same(&original, to.stat(&entry.name)?.as_ref()) => {
                total += original.size;
            }
            EntryKind::Directory => {
                let inner = from.open_directory(&entry.name)?;
                total += match to.open_directory(&entry.name) {
                    Ok(copy) => weigh(context, &inner, &copy)?,
                    // It is yet to be made; nothing in it is there. What is inside is not counted.
                    Err(_) => 0,
                };
            }
            EntryKind::File | EntryKind::SymbolicLink | EntryKind::Other => {}
        }
    }
    Ok(total)
}

/// Copies what is new or changed. What fails is logged, and the rest goes on.
fn copy_directory(
    context: &mut SyncContext,
    from: &Directory,
    to: &Directory,
    path: &str,
    failures: &mut u32,
) -> Result<(), Interrupt> {
    // What an interrupted run has left.
    match to.remove_file(UNFINISHED) {
        Err(error) if error.code != ErrorCode::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    for entry in from.list()? {
        let entry = entry?;
        let path = format!("{path}/{}", entry.name);
        match copy_entry(context, from, to, &entry.name, entry.metadata, &path, failures) {
            Err(Interrupt::Failed(error)) => {
                *failures += 1;
                context.log(LogLevel::Error, &format!("{path}: {error}"));
            }
            other => other?,
        }
    }
    Ok(())
}

fn copy_entry(
    context: &mut SyncContext,
    from: &Directory,
    to: &Directory,
    name: &str,
    original: std::result::Result<EntryMetadata, impl Into<Error>>,
    path: &str,
    failures: &mut u32,
) -> Result<(), Interrupt> {
    let original = original.map_err(Into::into)?;
    match original.kind {
        EntryKind::Directory => {
            if to.stat(name)?.is_none() {
                to.create_directory(name, None)?;
            }
            let (from, to) = (from.open_directory(name)?, to.open_directory(name)?);
            copy_directory(context, &from, &to, path, failures)
        }
        EntryKind::File if is_same(&original, to.stat(name)?.as_ref()) => Ok(()),
        EntryKind::File => copy_file(context, from, to, name, path),
        EntryKind::SymbolicLink | EntryKind::Other => {
            context.log(LogLevel::Warning, &format!("{path} is no file, and was left out"));
            Ok(())
        }
    }
}

/// Copies one file. Under its own name there is always either the old or the whole new one.
fn copy_file(
    context: &mut SyncContext,
    from: &Directory,
    to: &Directory,
    name: &str,
    path: &str,
) -> Result<(), Interrupt> {
    let source = from.open_file(name)?;
    let before = source.metadata()?;
    let target = to.create_file(UNFINISHED)?;
    let copied = (|| {
        loop {
            let bytes = target.copy_from(&source, CHUNK)?;
            if bytes == 0 {
                break;
            }
            context.advance(bytes, || path.to_owned())?;
        }
        let after = source.metadata()?;
        if (after.size, after.modified) != (before.size, before.modified) {
            return Err(Error::new(ErrorCode::Changed, "it changed while it was copied").into());
        }
        if let Some(mode) = before.mode {
            target.set_mode(mode)?;
        }
        target.set_modified(before.modified)?;
        target.flush()?;
        to.rename(UNFINISHED, to, name)?;
        Ok(to.flush()?)
    })();
    if copied.is_err() {
        // The first failure is the one to tell; the next run tries again to remove it.
        let _ = to.remove_file(UNFINISHED);
    }
    copied
}

#[cfg(test)]
mod tests;

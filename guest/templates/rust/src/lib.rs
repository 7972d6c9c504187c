//! {{name}}: copies new and changed files from the directory `source` to the directory `target`.
//! It deletes nothing, follows no links, and can be cancelled at any time.

use syncmgr_plugin::directories::{Entry, open_grant};
use syncmgr_plugin::prelude::*;

/// The id of the item. Never change it: the sync manager stores the user's choices under it.
const COPY: ItemId = ItemId::from_uuid(Uuid::from_u64_pair(0x{{id-high}}, 0x{{id-low}}));

/// The bytes to copy between two reports.
const CHUNK: u64 = 1 << 20;

/// The name of a file until it is complete.
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
        // Two runs at the same time would write to the same unfinished file.
        let _lock = target.lock()?;
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

/// Returns whether a copy is complete and current. The modification time is set last.
fn is_same(original: &EntryMetadata, copy: Option<&EntryMetadata>) -> bool {
    copy.is_some_and(|copy| {
        copy.kind == original.kind
            && copy.size == original.size
            && copy.modified == original.modified
    })
}

/// Returns the number of bytes to copy.
fn weigh(context: &mut SyncContext, from: &Directory, to: &Directory) -> Result<u64, Interrupt> {
    let mut total = 0;
    for entry in from.list()? {
        let entry = entry?;
        context.working(|| entry.name.display().to_owned())?;
        let (Some(name), Ok(original)) = (entry.name.text(), &entry.metadata) else { continue };
        match original.kind {
            EntryKind::File if !is_same(original, to.stat(name)?.as_ref()) => {
                total += original.size;
            }
            EntryKind::Directory => {
                let inner = from.open_directory(name)?;
                total += match to.open_directory(name) {
                    Ok(copy) => weigh(context, &inner, &copy)?,
                    // The directory does not exist yet; its content is not counted.
                    Err(_) => 0,
                };
            }
            EntryKind::File | EntryKind::SymbolicLink | EntryKind::Other => {}
        }
    }
    Ok(total)
}

/// Copies new and changed entries. Logs failures and continues.
fn copy_directory(
    context: &mut SyncContext,
    from: &Directory,
    to: &Directory,
    path: &str,
    failures: &mut u32,
) -> Result<(), Interrupt> {
    // An interrupted run may have left it.
    match to.remove_file(UNFINISHED) {
        Err(error) if error.code != ErrorCode::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    for entry in from.list()? {
        let entry = entry?;
        let path = format!("{path}/{}", entry.name.display());
        match copy_entry(context, from, to, entry, &path, failures) {
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
    entry: Entry,
    path: &str,
    failures: &mut u32,
) -> Result<(), Interrupt> {
    let name = entry.name.text().ok_or_else(|| Error::failed("its name is not Unicode"))?;
    let original = entry.metadata.map_err(Error::from)?;
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
            context.log(LogLevel::Warning, &format!("{path} is not a regular file; skipped"));
            Ok(())
        }
    }
}

/// Copies one file. Its name always refers to the old or the complete new content.
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
            return Err(Error::new(ErrorCode::Changed, "the file changed during the copy").into());
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
        // The first failure is the one to report; the next run tries to remove it again.
        let _ = to.remove_file(UNFINISHED);
    }
    copied
}

#[cfg(test)]
mod tests;

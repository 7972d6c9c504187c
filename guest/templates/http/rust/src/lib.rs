//! {{name}}: downloads files from the server `remote` to the directory `files`, and uploads files
//! to it. It can be cancelled at any time.

use std::io::{self, Read};

use syncmgr_plugin::directories::{File, open_grant};
use syncmgr_plugin::prelude::*;

/// The id of the item. Never change it: the sync manager stores the user's choices under it.
const TRANSFER: ItemId = ItemId::from_uuid(Uuid::from_u64_pair(0x{{id-high}}, 0x{{id-low}}));

/// The size of reads and writes.
const CHUNK: usize = 64 << 10;

/// The name of a download until it is complete.
const UNFINISHED: &str = ".{{name}}.part";

#[derive(Default)]
struct Transfer;

impl Plugin for Transfer {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("{{name}}"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(TRANSFER, "Transfer files")].into())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        // The granted URL is the setting with the name of the server.
        let server = settings::get(None, "remote").ok_or_else(|| {
            Error::new(ErrorCode::AccessDenied, "the server `remote` is not granted")
        })?;
        let files = open_grant("files")?;
        // Two runs at the same time would write to the same unfinished file.
        let _lock = files.lock()?;
        for name in settings::get(None, "download").unwrap_or_default().split_whitespace() {
            let downloaded = download(context, &files, &server, name);
            if downloaded.is_err() {
                // The failure is the one to report; the next run replaces the file.
                let _ = files.remove_file(UNFINISHED);
            }
            downloaded?;
        }
        for name in settings::get(None, "upload").unwrap_or_default().split_whitespace() {
            upload(context, &files, &server, name)?;
        }
        Ok(())
    }
}

export!(Transfer);

/// Downloads a file. Its name always refers to the old or the complete new content.
fn download(
    context: &mut SyncContext,
    files: &Directory,
    server: &str,
    name: &str,
) -> Result<(), Interrupt> {
    context.set_status_text(name)?;
    let mut response = http::get(&format!("{server}{name}")).send()?.check_status()?;
    context.set_total_bytes(response.content_length().unwrap_or(0))?;
    match files.remove_file(UNFINISHED) {
        Err(error) if error.code != ErrorCode::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let file = files.create_file(UNFINISHED)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = response.read(&mut chunk).map_err(http::interrupt)?;
        if read == 0 {
            break;
        }
        file.write(&chunk[..read])?;
        context.advance(read as u64, || name.to_owned())?;
    }
    file.flush()?;
    let (_, name) = name.rsplit_once('/').unwrap_or(("", name));
    files.rename(UNFINISHED, files, name)?;
    Ok(files.flush()?)
}

/// Uploads a file in chunks, so that its size does not matter.
fn upload(
    context: &mut SyncContext,
    files: &Directory,
    server: &str,
    name: &str,
) -> Result<(), Interrupt> {
    let file = files.open_file(name)?;
    let length = file.metadata()?.size;
    context.set_total_bytes(length)?;
    let mut body = Body { file, context, name, interrupt: None };
    let sent = http::put(&format!("{server}{name}")).body_from(length, &mut body).send();
    // A failed report is the reason why sending failed.
    if let Some(interrupt) = body.interrupt {
        return Err(interrupt);
    }
    sent?.check_status()?;
    Ok(())
}

/// A file that reports the progress of reading it.
struct Body<'a> {
    file: File,
    context: &'a mut SyncContext,
    name: &'a str,
    interrupt: Option<Interrupt>,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let name = self.name;
        let mut read = || -> Result<usize, Interrupt> {
            let bytes = self.file.read(buffer.len().min(CHUNK) as u32)?;
            buffer[..bytes.len()].copy_from_slice(&bytes);
            self.context.advance(bytes.len() as u64, || name.to_owned())?;
            Ok(bytes.len())
        };
        read().map_err(|interrupt| {
            self.interrupt = Some(interrupt);
            io::Error::other("the file cannot be read")
        })
    }
}

#[cfg(test)]
mod tests;

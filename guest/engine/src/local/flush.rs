//! Flushes directories together.

use syncmgr_plugin::directories::{self, Directory};
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Local;

impl Local {
    /// Flushes directories of the side or of its trash.
    pub(super) fn flush_all(&mut self, directories: &[&str], in_trash: bool) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(directories.len());
        let mut open: Vec<Option<Directory>> = Vec::with_capacity(directories.len());
        for path in directories {
            let mut opened = self.open_to_flush(path, in_trash);
            if opened.as_ref().is_err_and(|error| error.code == ErrorCode::Failed)
                && open.iter().any(Option::is_some)
            {
                // There may be too many open files.
                flush_open(&mut open, &mut results);
                opened = self.open_to_flush(path, in_trash);
            }
            match opened {
                Ok(found) => open.push(found),
                Err(error) => {
                    flush_open(&mut open, &mut results);
                    // It was removed since, and there may be a file in its place.
                    let is_gone = matches!(error.code, ErrorCode::NotFound | ErrorCode::Changed);
                    results.push(if is_gone { Ok(()) } else { Err(error) });
                }
            }
        }
        flush_open(&mut open, &mut results);
        results
    }

    /// Opens a directory to flush; `None`: it is no longer there.
    fn open_to_flush(&mut self, path: &str, in_trash: bool) -> Result<Option<Directory>> {
        let directory = match in_trash {
            true => match self.trash.directory(path) {
                Some(directory) => directory?,
                None => return Ok(None),
            },
            false => self.walker.directory(path, false)?,
        };
        directory.reopen().map(Some)
    }
}

fn flush_open(open: &mut Vec<Option<Directory>>, results: &mut Vec<Result<()>>) {
    let handles: Vec<_> = open.iter().flatten().collect();
    let mut flushed = directories::flush_directories(&handles).into_iter();
    results.extend(open.iter().map(|directory| match directory {
        Some(_) => flushed.next().unwrap_or_else(|| Err(Error::failed("no result"))),
        None => Ok(()),
    }));
    open.clear();
}

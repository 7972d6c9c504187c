//! Opens directories by path.

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, Result};

/// Opens directories by path, from a root, keeping those on the way for the next path.
pub(crate) struct Walker {
    root: Option<Directory>,
    open: Vec<(String, Directory)>,
}

impl Walker {
    pub(crate) fn new(root: Option<Directory>) -> Self {
        Self { root, open: Vec::new() }
    }

    /// The directory at a path; with `make`, directories on the way are made where they miss.
    pub(crate) fn directory(&mut self, path: &str, make: bool) -> Result<&Directory> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let same =
            self.open.iter().zip(&parts).take_while(|((name, _), part)| name == *part).count();
        self.open.truncate(same);
        let missing = || Error::new(ErrorCode::NotFound, "the root is not open");
        for part in &parts[same..] {
            let parent = match self.open.last() {
                Some((_, directory)) => directory,
                None => self.root.as_ref().ok_or_else(missing)?,
            };
            if make {
                match parent.create_directory(part, Some(0o700)) {
                    Ok(()) => {}
                    Err(error) if error.code == ErrorCode::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            let directory = parent.open_directory(part)?;
            self.open.push(((*part).to_owned(), directory));
        }
        match self.open.last() {
            Some((_, directory)) => Ok(directory),
            None => self.root.as_ref().ok_or_else(missing),
        }
    }

    pub(crate) fn forget(&mut self) {
        self.open.clear();
    }
}

pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

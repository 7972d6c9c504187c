//! Open directories.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file::File;
use super::metadata::{check_kind, metadata, set_mode, system_time};
use crate::bindings::syncmgr::plugin::directories::{Access, Entry, EntryMetadata, EntryName};
use crate::bindings::syncmgr::plugin::types::ErrorCode;
use crate::native::answer::{Answer, refuse};
use crate::native::session;

/// The most entries that one call lists.
const PAGE: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    access: Access,
    /// How far below the grant it is.
    depth: usize,
}

impl Directory {
    pub(super) fn root(path: PathBuf, access: Access) -> Self {
        Self { path, access, depth: 0 }
    }

    pub(super) fn enter(&self, call: &str) -> Answer<()> {
        session::enter(&format!("directory.{call}"))
    }

    /// Returns the path of an entry.
    pub(super) fn at(&self, name: &str) -> Answer<PathBuf> {
        let bad = name.is_empty()
            || name == "."
            || name == ".."
            || name.len() > 255
            || name.contains(['/', '\0'])
            || (cfg!(windows) && name.contains(['\\', ':']));
        match bad {
            true => refuse(ErrorCode::InvalidArgument, "not a valid entry name"),
            false => Ok(self.path.join(name)),
        }
    }

    /// Returns the path of an entry to be changed.
    pub(super) fn change(&self, name: &str) -> Answer<PathBuf> {
        match self.access {
            Access::ReadWrite => self.at(name),
            Access::ReadOnly => {
                refuse(ErrorCode::AccessDenied, "the directory is granted read-only")
            }
        }
    }

    pub(crate) fn metadata(&self) -> Answer<EntryMetadata> {
        self.enter("metadata")?;
        Ok(metadata(&self.path.symlink_metadata()?))
    }

    pub(crate) fn reopen(&self) -> Answer<Self> {
        self.enter("reopen")?;
        Ok(Self { path: self.path.clone(), access: self.access, depth: self.depth })
    }

    pub(crate) fn list(&self) -> Answer<Listing> {
        self.enter("list")?;
        Ok(Listing(RefCell::new(fs::read_dir(&self.path)?)))
    }

    pub(crate) fn stat(&self, name: &str) -> Answer<Option<EntryMetadata>> {
        self.enter("stat")?;
        match self.at(name)?.symlink_metadata() {
            Ok(found) => Ok(Some(metadata(&found))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn open_directory(&self, name: &str) -> Answer<Self> {
        self.enter("open-directory")?;
        let path = self.at(name)?;
        check_kind(&path, fs::FileType::is_dir, "not a directory")?;
        Ok(Self { path, access: self.access, depth: self.depth + 1 })
    }

    pub(crate) fn create_directory(&self, name: &str, mode: Option<u32>) -> Answer<()> {
        self.enter("create-directory")?;
        create_directory(&self.change(name)?, mode)
    }

    pub(crate) fn create_directory_like(
        &self,
        name: &str,
        source: &Self,
        mode: Option<u32>,
    ) -> Answer<()> {
        self.enter("create-directory-like")?;
        let path = self.change(name)?;
        source.path.symlink_metadata()?;
        create_directory(&path, mode)
    }

    pub(crate) fn open_file(&self, name: &str) -> Answer<File> {
        self.enter("open-file")?;
        File::open(self.at(name)?)
    }

    pub(crate) fn create_file(&self, name: &str) -> Answer<File> {
        self.enter("create-file")?;
        File::create(self.change(name)?)
    }

    pub(crate) fn read_link(&self, name: &str) -> Answer<String> {
        self.enter("read-link")?;
        let path = self.at(name)?;
        check_kind(&path, fs::FileType::is_symlink, "not a symbolic link")?;
        match fs::read_link(path)?.into_os_string().into_string() {
            Ok(text) => Ok(text),
            Err(_) => refuse(ErrorCode::InvalidArgument, "the link target is not valid Unicode"),
        }
    }

    pub(crate) fn create_link(&self, name: &str, target: &str) -> Answer<()> {
        self.enter("create-link")?;
        let path = self.change(name)?;
        let levels = target.split('/').try_fold(self.depth, |level, part| match part {
            "" | "." => Some(level),
            ".." => level.checked_sub(1),
            _ => Some(level + 1),
        });
        if target.is_empty() || Path::new(target).has_root() || levels.is_none() {
            return refuse(ErrorCode::AccessDenied, "the link target is outside the grant");
        }
        #[cfg(unix)]
        return Ok(std::os::unix::fs::symlink(target, path)?);
        #[cfg(not(unix))]
        {
            let _ = path;
            refuse(ErrorCode::NotImplemented, "symbolic links are not supported here")
        }
    }

    pub(crate) fn remove_file(&self, name: &str) -> Answer<()> {
        self.enter("remove-file")?;
        Ok(fs::remove_file(self.change(name)?)?)
    }

    pub(crate) fn remove_directory(&self, name: &str) -> Answer<()> {
        self.enter("remove-directory")?;
        Ok(fs::remove_dir(self.change(name)?)?)
    }

    pub(crate) fn rename(&self, name: &str, to: &Self, to_name: &str, replace: bool) -> Answer<()> {
        self.enter("rename")?;
        let (from, to) = (self.change(name)?, to.change(to_name)?);
        match to.symlink_metadata() {
            Ok(there) if !replace || there.is_dir() => {
                refuse(ErrorCode::AlreadyExists, "an entry with the new name exists")
            }
            Ok(_) | Err(_) => Ok(fs::rename(from, to)?),
        }
    }

    pub(crate) fn link(&self, name: &str, to: &Self, to_name: &str) -> Answer<()> {
        self.enter("link")?;
        Ok(fs::hard_link(self.at(name)?, to.change(to_name)?)?)
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) -> Answer<()> {
        self.enter("set-mode")?;
        let path = self.change(name)?;
        check_kind(&path, |kind| !kind.is_symlink(), "the entry is a symbolic link")?;
        Ok(set_mode(&path, Some(mode))?)
    }

    pub(crate) fn set_modified(&self, name: &str, modified: i64) -> Answer<()> {
        self.enter("set-modified")?;
        let path = self.change(name)?;
        check_kind(&path, fs::FileType::is_file, "not a regular file")?;
        let file = fs::File::options().write(true).open(path)?;
        Ok(file.set_modified(system_time(modified))?)
    }

    pub(crate) fn flush(&self) -> Answer<()> {
        self.enter("flush")
    }

    pub(crate) fn lock(&self) -> Answer<DirectoryLock> {
        self.enter("lock").map(|()| DirectoryLock)
    }
}

fn create_directory(path: &Path, mode: Option<u32>) -> Answer<()> {
    fs::create_dir(path)?;
    Ok(set_mode(path, mode)?)
}

/// Natively, a test is the only run.
#[derive(Debug)]
pub(crate) struct DirectoryLock;

impl DirectoryLock {
    pub(crate) fn unlock(&self) {
        // The function cannot fail.
        let _ = session::enter("directory-lock.unlock");
    }
}

#[derive(Debug)]
pub(crate) struct Listing(RefCell<fs::ReadDir>);

impl Listing {
    pub(crate) fn next(&self) -> Answer<Vec<Entry>> {
        session::enter("listing.next")?;
        let mut page = Vec::new();
        for entry in self.0.borrow_mut().by_ref().take(PAGE) {
            let entry = entry?;
            let name = match entry.file_name().into_string() {
                Ok(name) => EntryName::Text(name),
                Err(other) => EntryName::Undecodable(other.to_string_lossy().into_owned()),
            };
            let found = entry.path().symlink_metadata();
            let metadata = found.map(|found| metadata(&found)).map_err(Into::into);
            page.push(Entry { name, metadata });
        }
        Ok(page)
    }
}

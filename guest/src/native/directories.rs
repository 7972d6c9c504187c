//! The `directories` interface on real files. Like the host, it never follows a link.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bindings::syncmgr::plugin::directories::{
    Access, Entry, EntryKind, EntryMetadata, EntryName, Grant,
};
use crate::bindings::syncmgr::plugin::types as wit;
use crate::bindings::syncmgr::plugin::types::ErrorCode;
use crate::error::Error;
use crate::native::script::Granted;
use crate::native::session;

type Answer<T> = Result<T, wit::Error>;

/// The most entries that one call lists.
const PAGE: usize = 1_024;
/// The most bytes that one call reads.
const READ_BYTES: u32 = 1 << 20;
/// The most files or directories that one call flushes.
const FLUSHED_FILES: usize = 1_024;
/// The most files that one call copies.
const COPIED_FILES: usize = 1_024;

fn refuse<T>(code: ErrorCode, message: &str) -> Answer<T> {
    Err(wit::Error { code, message: message.to_owned() })
}

fn io<T>(result: io::Result<T>) -> Answer<T> {
    result.map_err(|error| Error::from(error).into())
}

fn id(name: &str) -> wit::Guid {
    let (high, low) = crate::guid::ItemId::from_name(name).as_uuid().as_u64_pair();
    wit::Guid { high, low }
}

pub(crate) fn get_grants() -> Vec<Grant> {
    let grant = |granted: &Granted| Grant {
        name: granted.name.clone(),
        access: granted.access,
        id: id(&granted.path.to_string_lossy()),
    };
    session::with(|state| state.script.grants.iter().map(grant).collect())
}

pub(crate) fn open_grant(name: &str) -> Answer<Directory> {
    session::enter("open-grant")?;
    let found = session::with(|state| {
        let mut grants = state.script.grants.iter();
        grants.find(|granted| granted.name == name).map(|one| (one.path.clone(), one.access))
    });
    match found {
        None => refuse(ErrorCode::AccessDenied, "no directory with this name is granted"),
        Some((path, access)) if path.is_dir() => Ok(Directory { path, access, depth: 0 }),
        Some(_) => refuse(ErrorCode::NotFound, "the directory does not exist"),
    }
}

pub(crate) fn open_storage() -> Answer<Directory> {
    session::enter("open-storage")?;
    match session::with(|state| state.script.storage.clone()) {
        Some(path) => Ok(Directory { path, access: Access::ReadWrite, depth: 0 }),
        None => refuse(ErrorCode::AccessDenied, "there is no storage"),
    }
}

pub(crate) fn flush_files(files: &[&File]) -> Vec<Answer<()>> {
    let entered = session::enter("flush-files");
    let flush = |(index, file): (usize, &&File)| match (&entered, index < FLUSHED_FILES) {
        (Err(error), _) => Err(error.clone()),
        (Ok(()), false) => refuse(ErrorCode::InvalidArgument, "too many files in one call"),
        (Ok(()), true) => file.sync(),
    };
    files.iter().enumerate().map(flush).collect()
}

pub(crate) fn flush_directories(directories: &[&Directory]) -> Vec<Answer<()>> {
    let entered = session::enter("flush-directories");
    let flush = |index: usize| match (&entered, index < FLUSHED_FILES) {
        (Err(error), _) => Err(error.clone()),
        (Ok(()), false) => refuse(ErrorCode::InvalidArgument, "too many directories in one call"),
        (Ok(()), true) => Ok(()),
    };
    (0..directories.len()).map(flush).collect()
}

pub(crate) struct CopyRequest<'a> {
    pub(crate) source: &'a Directory,
    pub(crate) name: String,
    pub(crate) target: &'a Directory,
    pub(crate) target_name: String,
    pub(crate) max_size: u64,
    pub(crate) verify: bool,
}

pub(crate) struct CopiedFile {
    pub(crate) source: EntryMetadata,
    pub(crate) digest: Vec<u8>,
    pub(crate) copy: File,
}

pub(crate) struct CopyAttributes {
    pub(crate) mode: Option<u32>,
    pub(crate) replaces: Option<String>,
    /// Natively, no file changes its owner.
    #[allow(dead_code, reason = "the contract has it")]
    pub(crate) owner: bool,
}

impl CopyAttributes {
    fn check(&self, directory: &Directory) -> Answer<()> {
        self.replaces.as_ref().map_or(Ok(()), |name| directory.at(name).map(drop))
    }
}

pub(crate) fn copy_files(requests: &[CopyRequest<'_>]) -> Vec<Answer<CopiedFile>> {
    let copy = |(index, request)| copy_one("copy-files", index, request, None);
    requests.iter().enumerate().map(copy).collect()
}

pub(crate) fn copy_files_with(
    requests: &[(CopyRequest<'_>, CopyAttributes)],
) -> Vec<Answer<CopiedFile>> {
    let requests = requests.iter().enumerate();
    let copy = |(index, (request, attributes)): (usize, &(CopyRequest<'_>, CopyAttributes))| {
        copy_one("copy-files-with", index, request, Some(attributes))
    };
    requests.map(copy).collect()
}

fn copy_one(
    call: &str,
    index: usize,
    request: &CopyRequest<'_>,
    attributes: Option<&CopyAttributes>,
) -> Answer<CopiedFile> {
    // Each counts, so that a test can let any of them fail.
    session::enter(call)?;
    match index < COPIED_FILES {
        true => request.copy(attributes),
        false => refuse(ErrorCode::InvalidArgument, "too many files in one call"),
    }
}

impl CopyRequest<'_> {
    fn copy(&self, attributes: Option<&CopyAttributes>) -> Answer<CopiedFile> {
        attributes.map_or(Ok(()), |attributes| attributes.check(self.target))?;
        let (path, new) = (self.source.at(&self.name)?, self.target.change(&self.target_name)?);
        if !io(path.symlink_metadata())?.is_file() {
            return refuse(ErrorCode::Changed, "not a regular file");
        }
        let from = io(fs::File::open(&path))?;
        let source = io(from.metadata())?;
        if source.len() > self.max_size {
            return refuse(ErrorCode::Changed, "the file is larger than requested");
        }
        let copy = io(fs::File::options().read(true).write(true).create_new(true).open(&new))?;
        let fill = || {
            let mut content = Vec::new();
            (&from).take(source.len() + 1).read_to_end(&mut content)?;
            if content.len() as u64 != source.len() {
                return Ok(None);
            }
            (&copy).write_all(&content)?;
            if self.verify && fs::read(&new)? != content {
                return Err(io::Error::other("the copy reads back differently"));
            }
            copy.set_modified(source.modified()?)?;
            let source = metadata(&source);
            let mode = attributes.map_or(source.mode, |attributes| attributes.mode);
            mode.map_or(Ok(()), |mode| set_mode(&new, mode & 0o777))?;
            Ok(Some((source, blake3::hash(&content).as_bytes().to_vec())))
        };
        let filled = match io(fill()) {
            Ok(Some(filled)) => Ok(filled),
            Ok(None) => refuse(ErrorCode::Changed, "the file size changed during the copy"),
            Err(error) => Err(error),
        };
        if filled.is_err() {
            let _ = fs::remove_file(&new);
        }
        let (source, digest) = filled?;
        Ok(CopiedFile { source, digest, copy: File::new(copy, new, Access::ReadWrite) })
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |before| -before)
        }
    }
}

fn system_time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

fn metadata(metadata: &fs::Metadata) -> EntryMetadata {
    let kind = match metadata.file_type() {
        file if file.is_file() => EntryKind::File,
        folder if folder.is_dir() => EntryKind::Directory,
        link if link.is_symlink() => EntryKind::SymbolicLink,
        _other => EntryKind::Other,
    };
    #[cfg(unix)]
    let (mode, file_id, device_id) = {
        use std::os::unix::fs::MetadataExt as _;
        (Some(metadata.mode() & 0o7777), metadata.ino(), metadata.dev())
    };
    #[cfg(not(unix))]
    let (mode, file_id, device_id) = (None, 0, 0);
    EntryMetadata {
        kind,
        size: if kind == EntryKind::Directory { 0 } else { metadata.len() },
        modified: metadata.modified().map_or(0, nanoseconds),
        changed: None,
        mode,
        file_id,
        device_id,
    }
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o3777))
    }
    #[cfg(not(unix))]
    {
        let _ = (path, mode);
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    access: Access,
    /// How far below the grant it is.
    depth: usize,
}

impl Directory {
    fn enter(&self, call: &str) -> Answer<()> {
        session::enter(&format!("directory.{call}"))
    }

    /// Returns the path of an entry.
    fn at(&self, name: &str) -> Answer<PathBuf> {
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
    fn change(&self, name: &str) -> Answer<PathBuf> {
        match self.access {
            Access::ReadWrite => self.at(name),
            Access::ReadOnly => {
                refuse(ErrorCode::AccessDenied, "the directory is granted read-only")
            }
        }
    }

    pub(crate) fn metadata(&self) -> Answer<EntryMetadata> {
        self.enter("metadata")?;
        io(self.path.symlink_metadata()).map(|found| metadata(&found))
    }

    pub(crate) fn reopen(&self) -> Answer<Self> {
        self.enter("reopen")?;
        Ok(Self { path: self.path.clone(), access: self.access, depth: self.depth })
    }

    pub(crate) fn list(&self) -> Answer<Listing> {
        self.enter("list")?;
        Ok(Listing(RefCell::new(io(fs::read_dir(&self.path))?)))
    }

    pub(crate) fn stat(&self, name: &str) -> Answer<Option<EntryMetadata>> {
        self.enter("stat")?;
        match self.at(name)?.symlink_metadata() {
            Ok(found) => Ok(Some(metadata(&found))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => io(Err(error)),
        }
    }

    pub(crate) fn open_directory(&self, name: &str) -> Answer<Self> {
        self.enter("open-directory")?;
        let path = self.at(name)?;
        match io(path.symlink_metadata())?.is_dir() {
            true => Ok(Self { path, access: self.access, depth: self.depth + 1 }),
            false => refuse(ErrorCode::Changed, "not a directory"),
        }
    }

    pub(crate) fn create_directory(&self, name: &str, mode: Option<u32>) -> Answer<()> {
        self.enter("create-directory")?;
        let path = self.change(name)?;
        io(fs::create_dir(&path))?;
        mode.map_or(Ok(()), |mode| io(set_mode(&path, mode)))
    }

    pub(crate) fn create_directory_like(
        &self,
        name: &str,
        source: &Self,
        mode: Option<u32>,
    ) -> Answer<()> {
        self.enter("create-directory-like")?;
        let path = self.change(name)?;
        io(source.path.symlink_metadata())?;
        io(fs::create_dir(&path))?;
        mode.map_or(Ok(()), |mode| io(set_mode(&path, mode)))
    }

    pub(crate) fn create_copy(
        &self,
        name: &str,
        _source: &File,
        attributes: &CopyAttributes,
    ) -> Answer<File> {
        self.enter("create-copy")?;
        attributes.check(self)?;
        let path = self.change(name)?;
        let file = io(fs::File::options().read(true).write(true).create_new(true).open(&path))?;
        attributes.mode.map_or(Ok(()), |mode| io(set_mode(&path, mode & 0o777)))?;
        Ok(File::new(file, path, Access::ReadWrite))
    }

    pub(crate) fn open_file(&self, name: &str) -> Answer<File> {
        self.enter("open-file")?;
        let path = self.at(name)?;
        if !io(path.symlink_metadata())?.is_file() {
            return refuse(ErrorCode::Changed, "not a regular file");
        }
        Ok(File::new(io(fs::File::open(&path))?, path, Access::ReadOnly))
    }

    pub(crate) fn create_file(&self, name: &str) -> Answer<File> {
        self.enter("create-file")?;
        let path = self.change(name)?;
        let file = io(fs::File::options().read(true).write(true).create_new(true).open(&path))?;
        Ok(File::new(file, path, Access::ReadWrite))
    }

    pub(crate) fn read_link(&self, name: &str) -> Answer<String> {
        self.enter("read-link")?;
        let path = self.at(name)?;
        if !io(path.symlink_metadata())?.is_symlink() {
            return refuse(ErrorCode::Changed, "not a symbolic link");
        }
        match io(fs::read_link(path))?.into_os_string().into_string() {
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
        return io(std::os::unix::fs::symlink(target, path));
        #[cfg(not(unix))]
        {
            let _ = path;
            refuse(ErrorCode::NotImplemented, "symbolic links are not supported here")
        }
    }

    pub(crate) fn remove_file(&self, name: &str) -> Answer<()> {
        self.enter("remove-file")?;
        io(fs::remove_file(self.change(name)?))
    }

    pub(crate) fn remove_directory(&self, name: &str) -> Answer<()> {
        self.enter("remove-directory")?;
        io(fs::remove_dir(self.change(name)?))
    }

    pub(crate) fn rename(&self, name: &str, to: &Self, to_name: &str, replace: bool) -> Answer<()> {
        self.enter("rename")?;
        let (from, to) = (self.change(name)?, to.change(to_name)?);
        match to.symlink_metadata() {
            Ok(there) if !replace || there.is_dir() => {
                refuse(ErrorCode::AlreadyExists, "an entry with the new name exists")
            }
            Ok(_) | Err(_) => io(fs::rename(from, to)),
        }
    }

    pub(crate) fn link(&self, name: &str, to: &Self, to_name: &str) -> Answer<()> {
        self.enter("link")?;
        io(fs::hard_link(self.at(name)?, to.change(to_name)?))
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) -> Answer<()> {
        self.enter("set-mode")?;
        let path = self.change(name)?;
        if io(path.symlink_metadata())?.is_symlink() {
            return refuse(ErrorCode::Changed, "the entry is a symbolic link");
        }
        io(set_mode(&path, mode))
    }

    pub(crate) fn set_modified(&self, name: &str, modified: i64) -> Answer<()> {
        self.enter("set-modified")?;
        let path = self.change(name)?;
        if !io(path.symlink_metadata())?.is_file() {
            return refuse(ErrorCode::Changed, "not a regular file");
        }
        let file = io(fs::File::options().write(true).open(path))?;
        io(file.set_modified(system_time(modified)))
    }

    pub(crate) fn flush(&self) -> Answer<()> {
        self.enter("flush")
    }

    pub(crate) fn lock(&self) -> Answer<DirectoryLock> {
        self.enter("lock").map(|()| DirectoryLock)
    }
}

/// Natively, a test is the only run.
#[derive(Debug)]
pub(crate) struct DirectoryLock;

#[derive(Debug)]
pub(crate) struct Listing(RefCell<fs::ReadDir>);

impl Listing {
    pub(crate) fn next(&self) -> Answer<Vec<Entry>> {
        session::enter("listing.next")?;
        let mut page = Vec::new();
        for entry in self.0.borrow_mut().by_ref().take(PAGE) {
            let entry = io(entry)?;
            let name = match entry.file_name().into_string() {
                Ok(name) => EntryName::Text(name),
                Err(other) => EntryName::Undecodable(other.to_string_lossy().into_owned()),
            };
            let metadata = io(entry.path().symlink_metadata()).map(|found| metadata(&found));
            page.push(Entry { name, metadata });
        }
        Ok(page)
    }
}

#[derive(Debug)]
pub(crate) struct File {
    file: fs::File,
    path: PathBuf,
    access: Access,
    hasher: RefCell<blake3::Hasher>,
    buffer: RefCell<Vec<u8>>,
}

impl File {
    fn new(file: fs::File, path: PathBuf, access: Access) -> Self {
        Self { file, path, access, hasher: RefCell::default(), buffer: RefCell::default() }
    }

    fn enter(call: &str) -> Answer<()> {
        session::enter(&format!("file.{call}"))
    }

    fn change(&self) -> Answer<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => refuse(ErrorCode::AccessDenied, "the file is open read-only"),
        }
    }

    pub(crate) fn metadata(&self) -> Answer<EntryMetadata> {
        Self::enter("metadata")?;
        io(self.file.metadata()).map(|found| metadata(&found))
    }

    pub(crate) fn read(&self, len: u32) -> Answer<Vec<u8>> {
        Self::enter("read")?;
        let mut bytes = Vec::new();
        io((&self.file).take(len.min(READ_BYTES).into()).read_to_end(&mut bytes))?;
        Ok(bytes)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Answer<()> {
        Self::enter("write")?;
        self.change()?;
        io((&self.file).write_all(bytes))
    }

    /// Reads on, for the digest.
    fn take_in(&self, len: u64) -> Answer<Vec<u8>> {
        let mut bytes = self.buffer.take();
        bytes.clear();
        io((&self.file).take(len.min(READ_BYTES.into())).read_to_end(&mut bytes))?;
        self.hasher.borrow_mut().update(&bytes);
        Ok(bytes)
    }

    pub(crate) fn hash(&self, len: u64) -> Answer<u64> {
        Self::enter("hash")?;
        let bytes = self.take_in(len)?;
        let count = bytes.len() as u64;
        self.buffer.replace(bytes);
        Ok(count)
    }

    pub(crate) fn copy_from(&self, source: &Self, len: u64) -> Answer<u64> {
        Self::enter("copy-from")?;
        self.change()?;
        let bytes = source.take_in(len)?;
        let written = io((&self.file).write_all(&bytes));
        let count = bytes.len() as u64;
        source.buffer.replace(bytes);
        written.map(|()| count)
    }

    pub(crate) fn digest(&self) -> Vec<u8> {
        self.hasher.borrow().finalize().as_bytes().to_vec()
    }

    pub(crate) fn set_modified(&self, modified: i64) -> Answer<()> {
        Self::enter("set-modified")?;
        self.change()?;
        io(self.file.set_modified(system_time(modified)))
    }

    pub(crate) fn set_mode(&self, mode: u32) -> Answer<()> {
        Self::enter("set-mode")?;
        self.change()?;
        io(set_mode(&self.path, mode))
    }

    pub(crate) fn flush(&self) -> Answer<()> {
        Self::enter("flush")?;
        self.sync()
    }

    fn sync(&self) -> Answer<()> {
        self.change()?;
        io(self.file.sync_all())
    }
}

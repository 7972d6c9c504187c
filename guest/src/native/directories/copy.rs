//! Copies of files.

use std::fs;
use std::io::{Read, Write};

use super::batch;
use super::directory::Directory;
use super::file::File;
use super::metadata::{metadata, set_mode};
use crate::bindings::syncmgr::plugin::directories::EntryMetadata;
use crate::bindings::syncmgr::plugin::types::ErrorCode;
use crate::native::answer::{Answer, refuse};
use crate::native::session;

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
    // Each file counts as a call, so that a test can make any of them fail.
    batch(requests, "files", || session::enter("copy-files"), |request| request.copy(None))
}

pub(crate) fn copy_files_with(
    requests: &[(CopyRequest<'_>, CopyAttributes)],
) -> Vec<Answer<CopiedFile>> {
    let enter = || session::enter("copy-files-with");
    batch(requests, "files", enter, |(request, attributes)| request.copy(Some(attributes)))
}

impl CopyRequest<'_> {
    fn copy(&self, attributes: Option<&CopyAttributes>) -> Answer<CopiedFile> {
        attributes.map_or(Ok(()), |attributes| attributes.check(self.target))?;
        let (path, new) = (self.source.at(&self.name)?, self.target.change(&self.target_name)?);
        let from = File::open(path)?.file;
        let found = from.metadata()?;
        if found.len() > self.max_size {
            return refuse(ErrorCode::Changed, "the file is larger than requested");
        }
        let copy = File::create(new)?;
        let source = metadata(&found);
        let mode = attributes.map_or(source.mode, |attributes| attributes.mode);
        let filled = self.fill(&from, &found, &copy, mode);
        if filled.is_err() {
            let _ = fs::remove_file(&copy.path);
        }
        Ok(CopiedFile { source, digest: filled?, copy })
    }

    /// Copies the content, the time and the permission bits, and returns the digest.
    fn fill(
        &self,
        from: &fs::File,
        found: &fs::Metadata,
        copy: &File,
        mode: Option<u32>,
    ) -> Answer<Vec<u8>> {
        let mut content = Vec::new();
        from.take(found.len() + 1).read_to_end(&mut content)?;
        if content.len() as u64 != found.len() {
            return refuse(ErrorCode::Changed, "the file size changed during the copy");
        }
        (&copy.file).write_all(&content)?;
        if self.verify && fs::read(&copy.path)? != content {
            return refuse(ErrorCode::InputOutput, "the copy reads back differently");
        }
        copy.file.set_modified(found.modified()?)?;
        set_mode(&copy.path, mode.map(|mode| mode & 0o777))?;
        Ok(blake3::hash(&content).as_bytes().to_vec())
    }
}

impl Directory {
    pub(crate) fn create_copy(
        &self,
        name: &str,
        _source: &File,
        attributes: &CopyAttributes,
    ) -> Answer<File> {
        self.enter("create-copy")?;
        attributes.check(self)?;
        let file = File::create(self.change(name)?)?;
        set_mode(&file.path, attributes.mode.map(|mode| mode & 0o777))?;
        Ok(file)
    }
}

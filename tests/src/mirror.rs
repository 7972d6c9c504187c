//! A directory that shows a part of a bucket.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::servers::Bucket;
use crate::trees::{self, Entry, Tree};

/// The objects below a path of a bucket, and their state when the directory was equal to them.
#[derive(Debug)]
pub struct Mirror {
    bucket: Bucket,
    path: String,
    known: Mutex<Tree>,
}

impl Mirror {
    /// Mirrors a path without objects.
    pub fn new(bucket: Bucket, path: String) -> Self {
        Self { bucket, path, known: Mutex::default() }
    }

    /// Makes the changes of the directory in the bucket. An empty directory is an object whose name
    /// ends with `/`.
    ///
    /// # Errors
    /// Returns the errors of the server and of the file system.
    pub fn push(&self, directory: &Path) -> Result<()> {
        let now = trees::read(directory)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |path: &str, entry: &Entry| match entry {
            Entry::Directory => format!("{}/{path}/", self.path),
            Entry::File(_) | Entry::Link(_) => format!("{}/{path}", self.path),
        };
        for (path, entry) in known.iter() {
            let is_same_kind = |new: &Entry| key(path, new) == key(path, entry);
            if !now.get(path).is_some_and(is_same_kind) {
                self.bucket.delete(&key(path, entry))?;
            }
        }
        for (path, entry) in &now {
            let content: &[u8] = match entry {
                Entry::File(content) => content,
                Entry::Directory => b"",
                Entry::Link(_) => bail!("a bucket has no links: {path}"),
            };
            let below = format!("{path}/");
            let holds_more = |tree: &Tree| tree.keys().any(|one| one.starts_with(&below));
            let needs_object = match entry {
                Entry::Directory => {
                    !holds_more(&now) && (known.get(path) != Some(entry) || holds_more(&known))
                }
                Entry::File(_) | Entry::Link(_) => known.get(path) != Some(entry),
            };
            if needs_object {
                self.bucket.put(&key(path, entry), content)?;
            }
        }
        *known = now;
        Ok(())
    }

    /// Makes the changes of the bucket in the directory.
    ///
    /// # Errors
    /// Returns the errors of the server and of the file system. An object that has others below it
    /// is an error.
    pub fn pull(&self, directory: &Path) -> Result<()> {
        let mut now = Tree::new();
        for (path, content) in self.bucket.tree(&self.path)? {
            let (path, entry) = match path.strip_suffix('/') {
                Some(path) => (path.to_owned(), Entry::Directory),
                None => (path, Entry::File(content)),
            };
            if let Some(other) = now.insert(path.clone(), entry) {
                bail!("{path} is two objects; one is {other:?}");
            }
        }
        trees::write(directory, &now)?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }

    /// Returns the keys of the uploads that are not finished.
    ///
    /// # Errors
    /// Returns the errors of the server.
    pub fn uploads(&self) -> Result<Vec<String>> {
        self.bucket.uploads(&format!("{}/", self.path))
    }
}

//! Edits of one side, by the user or by another client.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use syncmgr_engine::Endpoint;
use syncmgr_engine::tree::{moved_path, split};

use crate::scene::{contents_below, memory};

/// An edit.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Writes a file. Of these numbers, 0 makes it empty.
    Write(String, u8),
    /// Writes a file with the content of another one.
    Copy(String, String),
    Delete(String),
    /// Deletes a directory with everything in it.
    DeleteAll(String),
    /// Moves a file or a directory, if it exists and its new path does not.
    Rename(String, String),
}

/// The contents that an edit wrote and replaced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed {
    pub(crate) written: BTreeSet<Vec<u8>>,
    pub(crate) replaced: BTreeSet<Vec<u8>>,
}

impl Edit {
    /// Makes the edit in memory or in a directory, if it is possible. Contents are unique by the
    /// numbers; files in the directory have an age in seconds.
    pub(crate) fn make(&self, local: Option<&Path>, numbers: [u8; 3], age: u64) -> Changed {
        let before = contents(local);
        match (self, local) {
            (Self::Write(path, text), _) => {
                let content = match text {
                    0 => Vec::new(),
                    text => [&[*text], &numbers[..]].concat(),
                };
                write(local, path, &content, age);
            }
            (Self::Copy(path, to), _) => {
                let content = match local {
                    Some(local) => fs::read(local.join(path)).ok(),
                    None => memory().files().remove(path),
                };
                if let Some(content) = content {
                    write(local, to, &content, age);
                }
            }
            (Self::Delete(path), None) => drop(memory().remove(path, None)),
            (Self::Delete(path), Some(local)) => drop(fs::remove_file(local.join(path))),
            (Self::DeleteAll(path), None) => {
                let mut memory = memory();
                for file in memory.files().into_keys() {
                    if moved_path(&file, path, "").is_some_and(|rest| !rest.is_empty()) {
                        memory.remove(&file, None).unwrap();
                    }
                }
                for directory in ["d/e", "f/e", path] {
                    if moved_path(directory, path, "").is_some() {
                        let _ = memory.remove_directory(directory);
                    }
                }
            }
            (Self::DeleteAll(path), Some(local)) => drop(fs::remove_dir_all(local.join(path))),
            (Self::Rename(path, to), _) if moved_path(to, path, "").is_some() => {}
            (Self::Rename(path, to), None) => {
                let mut memory = memory();
                if memory.stat(path).unwrap().is_some() {
                    if !split(to).0.is_empty() {
                        let _ = memory.create_directory(split(to).0, None);
                    }
                    let _ = memory.rename(path, to);
                }
            }
            (Self::Rename(path, to), Some(local)) => {
                let [path, to] = [path, to].map(|path| local.join(path));
                if path.exists() && !to.exists() {
                    let _ = fs::create_dir_all(to.parent().unwrap());
                    let _ = fs::rename(path, to);
                }
            }
        }
        let after = contents(local);
        Changed {
            written: after.difference(&before).cloned().collect(),
            replaced: before.difference(&after).cloned().collect(),
        }
    }
}

fn write(local: Option<&Path>, path: &str, content: &[u8], age: u64) {
    let Some(local) = local else {
        memory().put(path, content);
        return;
    };
    let file = local.join(path);
    // There may be a file above it, or a directory in its place.
    if fs::create_dir_all(file.parent().unwrap()).is_err() || fs::write(&file, content).is_err() {
        return;
    }
    let file = fs::File::options().write(true).open(&file).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
}

fn contents(local: Option<&Path>) -> BTreeSet<Vec<u8>> {
    match local {
        Some(local) => contents_below(local),
        None => memory().files().into_values().collect(),
    }
}

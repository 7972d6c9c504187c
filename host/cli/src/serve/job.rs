//! A job that the page can run.

use std::ffi::OsString;

use super::key::key;

/// A job that can be run.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Identifies the job in a form.
    pub(super) key: String,
    /// The name of the plugin, or the path of the job file.
    pub(super) name: String,
    /// The arguments of `syncmgr run`.
    pub(super) arguments: Vec<OsString>,
    /// The schedule of the registration or the job file.
    pub(super) schedule: Option<String>,
}

impl Job {
    pub(super) fn new(name: &str, arguments: Vec<OsString>, schedule: Option<String>) -> Self {
        let key = key(arguments.iter().map(|argument| argument.as_encoded_bytes()));
        Self { key, name: name.to_owned(), arguments, schedule }
    }
}

//! Embedded files: templates, the contract, and the SDK.

/// One file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    /// The path in the project, with `/` as separator.
    pub(crate) path: &'static str,
    pub(crate) bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/project_files.rs"));

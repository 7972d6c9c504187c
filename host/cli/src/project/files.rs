//! What is part of this library: templates, the contract, and the SDK.

/// One file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    /// Where it goes, with `/` between the parts.
    pub(crate) path: &'static str,
    pub(crate) bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/project_files.rs"));

/// The first plugin of the SDK's documentation.
pub(crate) const HELLO: &[u8] = include_bytes!("../../../../guest/plugins/hello/src/lib.rs");

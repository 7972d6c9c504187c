//! What authors of plugins need beside their own language: a project to start with, the call of the
//! language's own tool, and what makes of its result a file to ship.
//!
//! A project is a folder with a [`Manifest`] in the file [`MANIFEST`]. [`create`] makes one,
//! [`Project::build`] builds it, and [`Project::pack`] makes the file that others get.

#![deny(missing_docs)]

mod build;
mod create;
mod error;
mod files;
mod language;
mod manifest;
mod metadata;
mod pack;
mod project;
mod stamp;
mod tool;

pub use build::Built;
pub use create::create;
pub use error::AuthoringError;
pub use files::write;
pub use language::Language;
pub use manifest::{About, Fixture, Manifest};
pub use metadata::{Metadata, embed_requests};
pub use pack::Packed;
pub use project::{MANIFEST, Project, sources};

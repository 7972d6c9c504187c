//! The program `syncmgr`.

mod blocks;
mod compiling;
mod errors;
mod history;
mod home;
mod hooks;
mod kill;
mod program;
mod project;
mod registration;
#[cfg(feature = "registry")]
mod registry;
mod resolve;
mod s3;
mod schedule;
#[cfg(feature = "serve")]
mod serve;
mod trash;
mod watch;
mod webdav;

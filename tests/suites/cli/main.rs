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
mod resolve;
mod s3;
mod schedule;
#[cfg(feature = "serve")]
mod serve;
mod trash;
mod watch;
mod webdav;

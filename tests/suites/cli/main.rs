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
#[cfg(feature = "serve")]
mod serve;
mod schedule;
mod trash;
mod watch;
mod webdav;

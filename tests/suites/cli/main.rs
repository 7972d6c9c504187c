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
mod s3;
mod schedule;
mod watch;
mod webdav;

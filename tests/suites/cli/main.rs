//! The program `syncmgr`.

mod blocks;
mod compiling;
mod errors;
mod history;
mod home;
mod kill;
mod program;
mod project;
mod registration;
mod resolve;
mod s3;
mod trash;
mod webdav;

//! The program `syncmgr`.

mod authoring;
mod blocks;
mod compiling;
mod errors;
mod home;
mod kill;
mod program;
mod registration;

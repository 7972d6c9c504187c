//! The history of runs: what each run did, in a database of the state directory.
//!
//! - `database`: the file, its schema, and what happens to a damaged one.
//! - `recorder`: [`HistoryRecorder`], which records a run without delaying it; `writer`: its thread.
//! - `query`: [`History`], which answers questions about past runs; `records`: the answers. `page`
//!   answers those of `syncmgr serve`. `condition`: the `WHERE` clauses of both.

mod condition;
mod database;
mod page;
#[cfg(test)]
mod plans;
mod query;
mod recorder;
mod records;
mod writer;

pub use database::HistoryError;
pub use page::{ActionPlace, ItemRun};
pub use query::{ActionFilter, History, RunFilter};
pub use recorder::{HistoryRecorder, HistorySink};
pub use records::{HistoryAction, HistoryConflict, HistoryItem, HistoryRun, ItemState};
pub use writer::NewRun;

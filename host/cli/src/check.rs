//! Conformance checks for plugins in any language, recordings and replays.
//!
//! [`test()`] runs a plugin through named checks, each in its own session on a copy of a
//! [`Fixture`], and returns a [`Verdict`] for each. A [`Recording`] holds the calls between a
//! plugin and its sync manager in one run; `replay` runs a plugin against one and finds the first
//! difference.

mod checks;
mod content;
mod drive;
mod error;
mod event;
mod exchange;
mod fixture;
mod property;
mod recording;
mod replay;
mod run;
mod server;
mod temp_fixture;
mod verdict;

pub use checks::{CHECKS, CheckInfo, test};
pub use drive::{Drive, Driven, drive};
pub use error::CheckError;
pub use event::Event;
pub use exchange::Exchange;
pub use fixture::Fixture;
pub use property::PropertyData;
pub use recording::{RecordedFile, RecordedServer, Recording, RecordingHead, RecordingSink};
pub use replay::{Divergence, Replayed, replay};
pub use temp_fixture::TempFixture;
pub use verdict::{CheckOutcome, TestReport, Verdict};

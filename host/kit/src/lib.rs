//! Whether a plugin behaves, whatever language it is written in.
//!
//! [`test()`] runs a plugin through named checks, each in a session of its own on a copy of a
//! [`Fixture`], and comes back with a [`Verdict`] for each. A [`Recording`] is what a plugin and its
//! sync manager said to each other in one run; [`replay`] runs a plugin against one and finds the
//! first thing that is different.

#![deny(missing_docs)]

mod checks;
mod drive;
mod error;
mod event;
mod fixture;
mod property;
mod recording;
mod replay;
mod run;
mod stage;
mod verdict;

pub use checks::{CHECKS, CheckInfo, test};
#[doc(hidden)]
pub use drive::{Drive, Driven, drive};
pub use error::KitError;
pub use event::Event;
pub use fixture::Fixture;
pub use property::PropertyData;
pub use recording::{RecordedFile, Recorder, Recording, RecordingHead};
pub use replay::{Divergence, Replayed, replay};
pub use stage::Stage;
pub use verdict::{CheckOutcome, TestReport, Verdict};

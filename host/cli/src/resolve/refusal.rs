//! Why a conflict is not settled.

use std::fmt::Display;

use crate::exit::Exit;

/// The reason why a conflict is not settled.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Refusal {
    /// The conflict remains until the user changes something.
    pub(super) fn remaining(message: String) -> Self {
        Self { exit: Exit::Remaining, message }
    }

    /// An error of the system.
    pub(super) fn failed(what: impl Display, error: &std::io::Error) -> Self {
        Self { exit: Exit::Crashed, message: format!("{what}: {error}") }
    }
}

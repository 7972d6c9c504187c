//! The output of commands. Everything goes through [`stdout`], so that a failed write is an error
//! and never a panic.

mod bars;
mod json;
mod lines;
mod time;
mod view;

use std::io::{self, Write};

use crate::escape::escape;
pub(crate) use bars::Bars;
pub(crate) use json::Json;
pub(crate) use lines::Lines;
pub(crate) use time::{
    ago, duration, local_time, milliseconds, now, parse_duration, parse_since, rfc3339,
};
pub(crate) use view::{
    View, action_words, error_word, grant_option, print_to_stderr, show_output, summary,
};

/// Returns standard output.
pub(crate) fn stdout() -> Stdout {
    Stdout(io::stdout())
}

/// Prints a note to standard error, on which nothing depends.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "note: {}", escape(text));
}

/// Standard output, with errors that name it.
#[derive(Debug)]
pub(crate) struct Stdout(io::Stdout);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(OutputError::wrap)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(OutputError::wrap)
    }
}

/// Standard output cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub(crate) struct OutputError(io::Error);

impl OutputError {
    pub(crate) fn wrap(error: io::Error) -> io::Error {
        // `write_all` retries after an interruption.
        if error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        io::Error::new(error.kind(), Self(error))
    }

    /// Returns whether a command failed because the reader closed its output.
    pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
        error.chain().any(|cause| {
            let error = cause.downcast_ref::<io::Error>();
            error.is_some_and(|error| {
                error.kind() == io::ErrorKind::BrokenPipe
                    && error.get_ref().is_some_and(|inner| inner.is::<Self>())
            })
        })
    }
}

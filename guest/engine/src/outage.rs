//! Stops a run when a side becomes unreachable: otherwise, each of its entries would wait for a
//! connection.

use syncmgr_plugin::{Error, ErrorCode, Interrupt};

/// The number of failures in a row that stop the run. A side has repeated each of them.
const MAX_FAILURES: u32 = 8;

/// Failures of the connection, since the last success.
#[derive(Debug, Default)]
pub(crate) struct Outage(u32);

impl Outage {
    /// Records a success.
    pub(crate) fn works(&mut self) {
        self.0 = 0;
    }

    /// Records a failure.
    ///
    /// # Errors
    /// Fails if the run must stop.
    pub(crate) fn failed(&mut self, error: &Error) -> Result<(), Interrupt> {
        match [ErrorCode::NotConnected, ErrorCode::Timeout].contains(&error.code) {
            true => self.0 += 1,
            false => self.works(),
        }
        match self.0 < MAX_FAILURES {
            true => Ok(()),
            false => {
                let message = format!("the connection failed {MAX_FAILURES} times in a row");
                Err(error.clone().context(message).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_of_the_connection_in_a_row_stop_the_run() {
        use ErrorCode::{Changed, NotConnected, Timeout};
        for (codes, stops) in [
            (&[NotConnected; 7][..], false),
            (&[NotConnected; 8], true),
            (&[Timeout, NotConnected, Timeout, Timeout, Timeout, Timeout, Timeout, Timeout], true),
            (&[Changed; 20], false),
            (
                &[Timeout, Timeout, Timeout, Timeout, Timeout, Timeout, Timeout, Changed, Timeout],
                false,
            ),
        ] {
            let mut outage = Outage::default();
            let failed = |code: &ErrorCode| outage.failed(&Error::new(*code, "x")).is_err();
            assert_eq!(codes.iter().any(failed), stops, "{codes:?}");
        }
    }
}

//! Sends requests, some of them at once.

use syncmgr_engine::endpoint::without_cancellation;
use syncmgr_plugin::http::{self, Request, Response};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::Collection;

/// How often a request is repeated if the server is busy.
pub(super) const RETRIES: u32 = 4;

impl Collection {
    /// Sends requests, and returns the results in their order.
    pub(super) fn send_all<T>(
        &self,
        requests: impl IntoIterator<Item = Request<'static>>,
        mut convert: impl FnMut(Result<Response, Interrupt>) -> Result<T>,
    ) -> Vec<Result<T>> {
        let mut results = Vec::new();
        let sent = http::send_all(requests, self.in_flight, |_, response| {
            results.push(convert(response));
            Ok(())
        });
        if let Err(interrupt) = sent {
            results.push(without_cancellation(Err(interrupt)));
        }
        results
    }
}

/// Returns a request that is repeated if the server is busy and if that is safe.
pub(super) fn request(method: &str, url: &str) -> Request<'static> {
    http::request(method, url).retry(RETRIES)
}

/// Returns one result for each of `count` entries. The last ones have none after a cancellation.
pub(super) fn complete<T>(mut results: Vec<Result<T>>, count: usize) -> Vec<Result<T>> {
    results.truncate(count);
    results.resize_with(count, || Err(Error::new(ErrorCode::Cancelled, "cancelled")));
    results
}

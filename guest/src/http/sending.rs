//! A request on its way.

use std::time::Duration;

use super::date::retry_after;
use super::{Body, Request, Response, shown, split, transport};
use crate::error::{Error, ErrorCode, Interrupt};
use crate::sync_context;

/// The maximum number of redirects of one request.
const MAX_REDIRECTS: u32 = 10;

/// The wait before the first repetition. It doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The maximum wait before a repetition.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// A request on its way, with its redirects and repetitions.
pub(super) struct Sending<'a> {
    request: Request<'a>,
    state: State<'a>,
    redirects: u32,
    repeated: u32,
}

enum State<'a> {
    Exchange(transport::Exchange<'a>),
    /// Until the next repetition.
    Waits(transport::Timer),
    /// `None` once it was returned.
    Over(Option<Result<Response, Interrupt>>),
}

impl<'a> Sending<'a> {
    pub(super) fn new(mut request: Request<'a>) -> Self {
        let state = begin(&mut request);
        Self { request, state, redirects: 0, repeated: 0 }
    }

    /// Does what is possible without waiting. Returns the result, once.
    pub(super) fn step(&mut self) -> Option<Result<Response, Interrupt>> {
        self.advance();
        match &mut self.state {
            State::Over(result) => result.take(),
            State::Exchange(_) | State::Waits(_) => None,
        }
    }

    pub(super) fn advance(&mut self) {
        loop {
            self.state = match &mut self.state {
                State::Over(_) => return,
                State::Waits(timer) if !timer.is_over() => return,
                State::Waits(_) => begin(&mut self.request),
                State::Exchange(exchange) => {
                    let Some(result) = exchange.step() else { return };
                    match self.follow(&result) {
                        Ok(Some(next)) => next,
                        Ok(None) => State::Over(Some(result)),
                        Err(error) => State::Over(Some(Err(error.into()))),
                    }
                }
            };
        }
    }

    /// Returns the state after a response, if it is not the result.
    fn follow(&mut self, result: &Result<Response, Interrupt>) -> Result<Option<State<'a>>, Error> {
        if let Some(wait) = self.repeats_after(result) {
            self.repeated += 1;
            return Ok(Some(State::Waits(transport::Timer::new(wait))));
        }
        let Ok(response) = result else { return Ok(None) };
        let location = match response.status {
            301 | 302 | 303 | 307 | 308 if self.request.follows_redirects() => {
                response.header("location")
            }
            _ => None,
        };
        let Some(location) = location else { return Ok(None) };
        self.redirects += 1;
        if self.redirects > MAX_REDIRECTS {
            let url = shown(&self.request.url);
            let message = format!("{url} exceeded {MAX_REDIRECTS} redirects");
            return Err(Error::new(ErrorCode::InputOutput, message));
        }
        self.request.url = join(&self.request.url, location)?;
        Ok(Some(begin(&mut self.request)))
    }

    /// Returns the time until the next repetition, or `None` if there is none.
    fn repeats_after(&self, result: &Result<Response, Interrupt>) -> Option<Duration> {
        if self.repeated >= self.request.repetitions || !self.request.is_repeatable() {
            return None;
        }
        let required = match result {
            Ok(response)
                if matches!(response.status, 429 | 502 | 503 | 504)
                    || self.request.repeated_statuses.contains(&response.status) =>
            {
                let value = response.header("retry-after");
                value.and_then(|value| retry_after(value, response.header("date")))
            }
            Err(Interrupt::Failed(error)) if is_transient(error.code) => None,
            Err(Interrupt::Failed(_)) => return None,
            Ok(_) | Err(Interrupt::Item | Interrupt::All) => return None,
        };
        let doubled = FIRST_WAIT.saturating_mul(1 << self.repeated.min(16));
        Some(required.unwrap_or(doubled).min(MAX_WAIT))
    }
}

/// Returns whether the connection failed, so that the next one may succeed.
fn is_transient(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NotConnected | ErrorCode::Timeout | ErrorCode::InputOutput)
}

/// Starts a request. Its body is taken, unless it can be sent again.
fn begin<'a>(request: &mut Request<'a>) -> State<'a> {
    let opened = match &mut request.opener {
        Some((length, open)) => match open() {
            Ok(reader) => Some(Body::Reader(*length, reader)),
            Err(error) => return State::Over(Some(Err(error.into()))),
        },
        None => None,
    };
    let body = opened.or_else(|| match &mut request.body {
        Some(Body::Bytes(bytes)) => Some(Body::Bytes(bytes)),
        body @ (Some(Body::Reader(..)) | None) => body.take(),
    });
    match transport::Exchange::start(request, body) {
        Ok(exchange) => State::Exchange(exchange),
        Err(error) => State::Over(Some(Err(error.into()))),
    }
}

/// Waits until one of the requests can make progress, or the user cancels.
pub(super) fn wait(sending: &[Sending<'_>]) -> Result<(), Interrupt> {
    let mut waits = Vec::new();
    for one in sending {
        match &one.state {
            State::Exchange(exchange) => exchange.add_pollables(&mut waits),
            State::Waits(timer) => waits.push(timer.pollable()),
            State::Over(_) => {}
        }
    }
    transport::wait(&waits)?;
    sync_context::check_cancelled()
}

/// Returns the target of a redirect.
fn join(from: &str, location: &str) -> Result<String, Error> {
    let (scheme, authority, path) = split(from)?;
    let to = match location {
        absolute if absolute.contains("://") => absolute.to_owned(),
        other_host if other_host.starts_with("//") => format!("{scheme}:{other_host}"),
        other_path if other_path.starts_with('/') => format!("{scheme}://{authority}{other_path}"),
        relative => {
            let path = path.split('?').next().unwrap_or(path);
            let directory = path.rfind('/').map_or("/", |end| &path[..=end]);
            format!("{scheme}://{authority}{directory}{relative}")
        }
    };
    let (to_scheme, ..) = split(&to)?;
    if scheme.eq_ignore_ascii_case("https") && !to_scheme.eq_ignore_ascii_case("https") {
        let message =
            format!("{} redirects to {}, which is not encrypted", shown(from), shown(&to));
        return Err(Error::new(ErrorCode::AccessDenied, message));
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved() {
        for (from, location, to) in [
            ("https://a.example/x/y?q", "z", Some("https://a.example/x/z")),
            ("https://a.example/x/y", "/z", Some("https://a.example/z")),
            ("https://a.example/x", "//b.example/z", Some("https://b.example/z")),
            ("https://a.example", "https://b.example/z?q", Some("https://b.example/z?q")),
            ("http://a.example/", "https://a.example/", Some("https://a.example/")),
            ("https://a.example/", "http://a.example/", None),
            ("https://a.example/", "ftp://a.example/", None),
        ] {
            assert_eq!(join(from, location).ok().as_deref(), to, "{from} to {location}");
        }
    }
}

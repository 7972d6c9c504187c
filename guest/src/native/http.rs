//! HTTP in tests: no server is granted, so every request is denied.

use std::io::{self, Read as _};

use crate::error::{Error, ErrorCode, Interrupt};
use crate::http::{Body, Request, Response, split};
use crate::sync_context;

/// The body of a response, which no test has.
#[derive(Debug)]
pub(crate) enum ResponseBody {}

impl ResponseBody {
    pub(crate) fn read(&mut self, _: &mut [u8]) -> Result<usize, Interrupt> {
        match *self {}
    }
}

pub(crate) fn send(request: &Request, body: Body<'_>) -> Result<Response, Interrupt> {
    // The host takes the body of a denied request, too.
    if let Body::Reader(length, reader) = body {
        io::copy(&mut reader.take(length), &mut io::sink())?;
    }
    sync_context::check_cancelled()?;
    let (scheme, authority, _) = split(&request.url)?;
    let message = format!("{scheme}://{authority}: HTTP-request-denied");
    Err(Error::new(ErrorCode::AccessDenied, message).into())
}

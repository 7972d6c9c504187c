//! Moves entries on the server, and finds out what happened if the answer was lost.

use syncmgr_engine::endpoint::{Metadata, without_cancellation};
use syncmgr_engine::tree::split;
use syncmgr_plugin::http::{Request, Response};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::listing::{alike, is_same};
use super::{Collection, is_collection, request};
use crate::answer::expect;
use crate::server::Destination;

impl Collection {
    /// Returns a request that moves an entry to an unused name. Some servers remove an existing
    /// target even if they cannot move the entry. It is safe to repeat: once the source is gone, the
    /// server does nothing.
    pub(super) fn move_request(&self, from: &str, to: &str) -> Request<'static> {
        let to = self.server.destination.unwrap_or(Destination::Url).write(to);
        request("MOVE", from).header("Destination", &to).header("Overwrite", "F").safe_to_repeat()
    }

    /// Moves a file, or a collection, to an unused path.
    pub(super) fn relocate(&self, from: &str, to: &str, source: Metadata) -> Result<()> {
        let is_collection = is_collection(source);
        // lighttpd replaces a file by a collection even with `Overwrite: F`.
        if is_collection || !self.server.refuses_overwrites {
            self.expect_new(from, to)?;
        }
        let urls = match is_collection {
            true => [self.collection(from), self.collection(to)],
            false => [self.file(from), self.file(to)],
        };
        let sent = moved(self.move_request(&urls[0], &urls[1]).send());
        self.settle_move(from, to, Some(source), sent)
    }

    /// Fails if another entry has the new path. Where case is ignored, a request for it may find the
    /// entry itself, whose name is listed.
    fn expect_new(&self, from: &str, to: &str) -> Result<()> {
        let ((parent, from_name), (to_parent, to_name)) = (split(from), split(to));
        if parent != to_parent || alike(from_name) != alike(to_name) {
            return self.expect_unused(&[to]).pop().unwrap_or(Ok(()));
        }
        let listed = self.fingerprints(parent)?;
        match listed.keys().any(|name| is_same(name, to_name)) {
            true => Err(Error::new(ErrorCode::AlreadyExists, "the name is used")),
            false => Ok(()),
        }
    }

    /// Returns the result of a MOVE whose answer may be that to its repetition: the entry was moved
    /// if it is at the new place only. An entry of another size there is one of another client.
    /// `source`: the entry that is moved; `None`: no other client changes the two places.
    pub(super) fn settle_move(
        &self,
        from: &str,
        to: &str,
        source: Option<Metadata>,
        sent: Result<()>,
    ) -> Result<()> {
        let Err(error) = sent else { return Ok(()) };
        let is_unclear = match error.code {
            ErrorCode::AlreadyExists
            | ErrorCode::NotFound
            | ErrorCode::NotConnected
            | ErrorCode::Timeout
            | ErrorCode::InputOutput => true,
            ErrorCode::Failed
            | ErrorCode::InvalidArgument
            | ErrorCode::Unexpected
            | ErrorCode::NotImplemented
            | ErrorCode::OutOfMemory
            | ErrorCode::AccessDenied
            | ErrorCode::Cancelled
            | ErrorCode::Busy
            | ErrorCode::Changed
            | ErrorCode::SafetyStop
            | ErrorCode::NoSpace => false,
        };
        if !is_unclear {
            return Err(error);
        }
        let mut found = self.stat_many(&[from, to]).into_iter();
        match (found.next(), found.next()) {
            (Some(Ok(None)), Some(Ok(Some(now)))) if source.is_none_or(|it| is_alike(it, now)) => {
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// Returns whether an entry can be another one after a move.
fn is_alike(source: Metadata, now: Metadata) -> bool {
    source.kind == now.kind && source.fingerprint.size == now.fingerprint.size
}

/// Returns the result of MOVE.
pub(super) fn moved(response: Result<Response, Interrupt>) -> Result<()> {
    let names = [
        (412, ErrorCode::AlreadyExists, "the name is used"),
        (404, ErrorCode::NotFound, "it does not exist"),
        (409, ErrorCode::NotFound, "the collection of the new name does not exist"),
        (207, ErrorCode::InputOutput, "only a part of it was moved"),
    ];
    without_cancellation(expect(response, &names).map(drop))
}

/// Returns the result of DELETE. A missing entry counts as deleted.
pub(super) fn deleted(response: Result<Response, Interrupt>) -> Result<()> {
    match without_cancellation(expect(response, &[]).map(drop)) {
        Err(Error { code: ErrorCode::NotFound, .. }) => Ok(()),
        result => result,
    }
}

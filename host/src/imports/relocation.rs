//! Renaming and linking: an entry gets another name.

use std::io;

use wasmtime::component::Resource;

use super::answer::{Answer, refuse};
use super::directory::writable;
use super::names::checked_name;
use crate::fs::directory::Directory;
use crate::fs::links::may_move;
use crate::state::SyncMgrCtx;
use crate::types::ErrorCode;

impl SyncMgrCtx {
    /// Gives an entry a new name, which it may have afterwards in addition to the old one (`keeps`).
    #[expect(clippy::too_many_arguments, reason = "the contract has them")]
    pub(super) fn relocate(
        &mut self,
        call: &'static str,
        this: &Resource<Directory>,
        name: &str,
        to: &Resource<Directory>,
        to_name: &str,
        keeps: bool,
        operation: impl FnOnce(&Directory, &Directory) -> io::Result<()>,
    ) -> Answer<()> {
        let (from, to) = (self.directory(this)?, self.directory(to)?);
        let admitted = writable(&to)
            .and_then(|()| checked_name(to_name))
            .and_then(|_| self.admit(&from, name, &to, keeps));
        let crossing = match admitted {
            Ok(crossing) => crossing,
            Err(error) => {
                self.enter(call)?;
                return Ok(Err(error));
            }
        };
        let moved = self.on_entry(call, this, name, true, |from, name| {
            let allowed = may_move(from, name, &to)?;
            if allowed {
                operation(from, &to)?;
            }
            Ok(allowed)
        })?;
        Ok(match moved {
            Ok(true) => {
                crossing.done(self.storage.as_ref());
                Ok(())
            }
            Ok(false) => refuse(
                ErrorCode::AccessDenied,
                format!("{name}: a link would lead out of the directory from there"),
            ),
            Err(error) => Err(error),
        })
    }
}

//! The directories of a pair: opened, locked, and checked against each other.

use syncmgr_plugin::directories::{self, Directory, DirectoryLock};
use syncmgr_plugin::{Error, ErrorCode, LogLevel, Result, SyncContext};

use crate::options::{Mode, Options};
use crate::pair::Pair;
use crate::scan::{self, Identity, Scan};
use crate::tree::Side;

/// Opens and locks both directories; the locks last until they are dropped. A missing one stops the
/// run: an unmounted file system must not look like a directory whose files were all deleted.
pub(super) fn open_roots(
    pair: &Pair,
    options: &Options,
    context: &SyncContext,
) -> Result<([Directory; 2], Vec<DirectoryLock>)> {
    let open = |side: Side| {
        let grant = &pair.grants[side.index()];
        let one_way = matches!(options.mode, Mode::OneWaySafe | Mode::Mirror);
        let needs_writing = !(options.dry_run || one_way && side == Side::Left);
        if needs_writing && !pair.is_writable(side) {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "the directory `{}` is granted read-only, and this mode writes to it; drop \
                     the `:ro`, or use mode=mirror or mode=one-way-safe with it on the left",
                    grant.name
                ),
            ));
        }
        directories::open_grant(&grant.name).map_err(|error| {
            let message = if error.code == ErrorCode::NotFound {
                let directory = pair.directory(side);
                format!("{directory} does not exist; create it, or mount its file system")
            } else if error.code == ErrorCode::Changed {
                format!("{}; restore the directory", error.message)
            } else {
                return error;
            };
            Error::new(ErrorCode::SafetyStop, format!("{message}, then run again"))
        })
    };
    let roots = [open(Side::Left)?, open(Side::Right)?];
    let mut locks = Vec::new();
    for side in Side::BOTH {
        let name = &pair.grants[side.index()].name;
        match roots[side.index()].lock() {
            Ok(lock) => locks.push(lock),
            Err(error) if error.code == ErrorCode::Busy => {
                return Err(Error::new(
                    ErrorCode::Busy,
                    format!("another run holds the directory `{name}`; run again after it ends"),
                ));
            }
            Err(error) => context.log(
                LogLevel::Information,
                &format!(
                    "the directory `{name}` cannot be locked ({error}); do not run twice at once"
                ),
            ),
        }
    }
    Ok((roots, locks))
}

/// Returns the identities of the sides, which must be different directories.
pub(super) fn identities(pair: &Pair, roots: &[Directory; 2]) -> Result<[Identity; 2]> {
    let identity = |root: &Directory| root.metadata().map(|metadata| scan::identity(&metadata));
    let identities = [identity(&roots[0])?, identity(&roots[1])?];
    match identities[0].is_some() && identities[0] == identities[1] {
        true => Err(overlaps(format!(
            "the directories `{}` and `{}` are the same",
            pair.grants[0].name, pair.grants[1].name
        ))),
        false => Ok(identities),
    }
}

/// Refuses a side that is mounted inside the other one: it would be copied into itself.
pub(super) fn refuse_overlap(scans: &[Scan; 2]) -> Result<()> {
    for (side, scan) in Side::BOTH.into_iter().zip(scans) {
        if let Some(path) = &scan.overlap {
            return Err(overlaps(format!(
                "the directory {path} on the {} is one of the two sides, mounted there, and would be \
                 copied into itself",
                side.name()
            )));
        }
    }
    Ok(())
}

fn overlaps(message: String) -> Error {
    let message = format!("{message}; sync two directories of which neither is in the other");
    Error::new(ErrorCode::InvalidArgument, message)
}

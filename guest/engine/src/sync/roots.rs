//! Checks the two sides against the settings and against each other.

use syncmgr_plugin::{Error, ErrorCode, Result};

use crate::apply::Endpoints;
use crate::endpoint::Identity;
use crate::options::{Mode, Options};
use crate::pair::Pair;
use crate::scan::Scan;
use crate::tree::Side;

/// Refuses a mode that changes a side that is granted read-only.
pub(super) fn check_writable(pair: &Pair, options: &Options) -> Result<()> {
    let one_way = matches!(options.mode, Mode::OneWaySafe | Mode::Mirror);
    for side in Side::BOTH {
        let needs_writing = !(options.dry_run || one_way && side == Side::Left);
        if needs_writing && !pair.is_writable(side) {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "{} is granted read-only, and this mode writes to it; drop the `:ro`, or use \
                     mode=mirror or mode=one-way-safe with it on the {}",
                    pair.description(side),
                    pair.label(Side::Left)
                ),
            ));
        }
    }
    Ok(())
}

/// Returns the identities of the sides, which must be different directories.
pub(super) fn identities(pair: &Pair, ends: &Endpoints) -> Result<[Identity; 2]> {
    let identities = ends.each_ref().map(|end| end.identity());
    match identities[0].is_some() && identities[0] == identities[1] {
        true => Err(overlaps(format!(
            "{} and {} are the same",
            pair.description(Side::Left),
            pair.description(Side::Right)
        ))),
        false => Ok(identities),
    }
}

/// Refuses a side that is mounted inside the other one: it would be copied into itself.
pub(super) fn refuse_overlap(pair: &Pair, scans: &[Scan; 2]) -> Result<()> {
    for (side, scan) in Side::BOTH.into_iter().zip(scans) {
        if let Some(path) = &scan.overlap {
            return Err(overlaps(format!(
                "the directory {path} on the {} is one of the two sides, mounted there, and would be \
                 copied into itself",
                pair.label(side)
            )));
        }
    }
    Ok(())
}

fn overlaps(message: String) -> Error {
    let message = format!("{message}; sync two directories of which neither is in the other");
    Error::new(ErrorCode::InvalidArgument, message)
}

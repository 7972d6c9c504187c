//! Tests for a side: whether it keeps the promises of [`Endpoint`], and sides to test with.
//!
//! [`check_side`] checks a side. [`Memory`] is a side in memory, for the other end of a pair,
//! and [`Faulty`] makes any side fail, at the call that a test chooses.

mod check;
mod faulty;
mod memory;
mod promises;

use std::fmt;

use uuid::Uuid;

use crate::endpoint::{Endpoint, Keep, Run};
use crate::names::{self, TempNames};
use crate::tree::split;
use check::Check;
pub use faulty::{Faulty, Turn};
pub use memory::Memory;

/// A promise that a side does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The promise, such as "a name that is used is not replaced".
    pub promise: &'static str,
    /// The observed behaviour.
    pub found: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.found)
    }
}

/// Checks a side, and returns the promises that it breaks. Its root must be empty and writable.
/// The run of the check has a trash and is durable.
///
/// # Examples
/// ```
/// use syncmgr_engine::testing::{Memory, check_side};
///
/// assert_eq!(check_side(&mut Memory::default()), []);
/// ```
pub fn check_side(side: &mut dyn Endpoint) -> Vec<Broken> {
    let temps = TempNames::new(TAG, 0);
    side.begin(&Run {
        stamp: "2026-01-01T000000.000000000Z".to_owned(),
        verify: false,
        durable: true,
        trash: true,
        temps: temps.clone(),
        pair: [Uuid::nil(); 2],
        keep: Keep::default(),
    });
    let mut broken = Vec::new();
    for (number, (promise, keeps)) in promises::ALL.iter().enumerate() {
        let directory = format!("check {number}");
        let checked = match side.create_directory(&directory, None) {
            Ok(()) => keeps(&mut Check::new(side, &temps, directory)),
            Err(error) => Err(format!("cannot create its directory: {error}")),
        };
        broken.extend(checked.err().map(|found| Broken { promise, found }));
    }
    let failed = side.finish().into_iter().map(|(what, path, error)| Broken {
        promise: FINISHES,
        found: format!("cannot {what} {path}: {error}"),
    });
    broken.extend(failed);
    let mut left = Vec::new();
    let listed = side.list("", &mut |entry| {
        let name = entry.name.display().to_owned();
        left.extend(names::is_temp(split(&name).1).then_some(name));
        Ok(())
    });
    let found = match (listed, left.is_empty()) {
        (Err(stop), _) => Some(format!("cannot list the root: {stop:?}")),
        (Ok(()), false) => Some(format!("it left {left:?}")),
        (Ok(()), true) => None,
    };
    broken.extend(found.map(|found| Broken { promise: FINISHES, found }));
    broken
}

const FINISHES: &str = "the end of a run leaves nothing behind";
/// Any number.
const TAG: u32 = 0x7e57_0000;

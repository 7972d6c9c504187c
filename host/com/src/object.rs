//! Counts the objects, to decide whether the library may be unloaded.

use std::sync::atomic::{AtomicUsize, Ordering};

static OBJECTS: AtomicUsize = AtomicUsize::new(0);
static LOCKS: AtomicUsize = AtomicUsize::new(0);

/// Counts one object, or one thread that works for one, until dropped.
#[derive(Debug)]
pub(crate) struct Counted(());

impl Counted {
    pub(crate) fn new() -> Self {
        OBJECTS.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OBJECTS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Returns the number of objects, plus the number of `LockServer` locks.
pub fn count() -> usize {
    OBJECTS.load(Ordering::Acquire) + LOCKS.load(Ordering::Acquire)
}

/// Implements `LockServer`. An unlock without a lock is ignored.
pub(crate) fn lock_server(lock: bool) {
    let change = |locks: usize| if lock { locks.checked_add(1) } else { locks.checked_sub(1) };
    let _ = LOCKS.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
}

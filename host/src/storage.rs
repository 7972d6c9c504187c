//! The plugin's own storage, and how much it holds.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::clock;
use crate::grants::Access;

/// What the storage is called where a grant would have its name.
pub(crate) const STORAGE: &str = "storage";

/// How often the storage is measured anew at most, in nanoseconds.
const MEASURE_EVERY: u64 = 1_000_000_000;

/// How long the first look at the storage may hold up the plugin.
const PATIENCE: Duration = Duration::from_millis(50);

/// The storage of one session.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
    account: Arc<Account>,
}

/// What is in it, by all that is known.
#[derive(Debug)]
struct Account {
    path: PathBuf,
    quota: u64,
    /// What was there when it was measured; grows while that goes on.
    before: Arc<AtomicU64>,
    /// What came to it since.
    added: AtomicU64,
    /// When it was measured; 0: never.
    measured: Mutex<u64>,
}

/// The storage is full: the number of bytes that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full(pub(crate) u64);

impl Storage {
    pub(crate) fn new(path: PathBuf, access: Access, quota: u64) -> Self {
        let account = Account {
            path: path.clone(),
            quota,
            before: Arc::default(),
            added: AtomicU64::new(0),
            measured: Mutex::new(0),
        };
        Self { path, access, account: Arc::new(account) }
    }

    /// Takes room for so many bytes.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), Full> {
        let account = &self.account;
        if bytes == 0 {
            return Ok(());
        }
        account.measure_once();
        let fits = || account.used().saturating_add(bytes) <= account.quota;
        if !fits() {
            // Files that were replaced or removed may have given room back.
            account.measure_again();
            if !fits() {
                return Err(Full(account.used()));
            }
        }
        account.added.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Gives room back.
    pub(crate) fn release(&self, bytes: u64) {
        let less = |added: u64| Some(added.saturating_sub(bytes));
        let _ = self.account.added.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl Account {
    fn used(&self) -> u64 {
        self.before.load(Ordering::Relaxed).saturating_add(self.added.load(Ordering::Relaxed))
    }

    /// Adds up what was there before, on a thread of its own: it may be much, and nothing waits
    /// long for it. What comes to it meanwhile may be counted twice.
    fn measure_once(&self) {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if *measured != 0 {
            return;
        }
        *measured = clock::now();
        let (path, before) = (self.path.clone(), Arc::clone(&self.before));
        let (done, wait) = mpsc::sync_channel(1);
        // Without a thread to measure it, what was there before does not count.
        let _ = std::thread::Builder::new().name("syncmgr-storage".to_owned()).spawn(move || {
            add_up(&path, |bytes| {
                before.fetch_add(bytes, Ordering::Relaxed);
            });
            let _ = done.send(());
        });
        let _ = wait.recv_timeout(PATIENCE);
    }

    /// Measures it exactly, unless that was just done.
    fn measure_again(&self) {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if clock::now().saturating_sub(*measured) < MEASURE_EVERY {
            return;
        }
        let mut total = 0_u64;
        add_up(&self.path, |bytes| total = total.saturating_add(bytes));
        self.before.store(total, Ordering::Relaxed);
        self.added.store(0, Ordering::Relaxed);
        *measured = clock::now();
    }
}

/// Passes on the size of everything below a directory.
fn add_up(directory: &Path, mut add: impl FnMut(u64)) {
    let mut rest = vec![directory.to_owned()];
    while let Some(directory) = rest.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => rest.push(entry.path()),
                Ok(metadata) => add(metadata.len()),
                Err(_) => {}
            }
        }
    }
}

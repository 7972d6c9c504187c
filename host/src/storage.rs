//! The plugin's own storage, and how much it holds.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

use crate::clock;
use crate::grants::Access;

/// What the storage is called where a grant would have its name.
pub(crate) const STORAGE: &str = "storage";

/// How often the storage is measured anew at most, in nanoseconds.
const MEASURE_EVERY: u64 = 1_000_000_000;

/// How long measuring may hold up the plugin.
const PATIENCE: Duration = Duration::from_millis(50);

/// What an entry takes beside its content.
pub(crate) const ENTRY_BYTES: u64 = 4096;

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
    /// Files that are open. They take room even when they have no name any more.
    open: Mutex<Vec<Weak<File>>>,
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
            open: Mutex::default(),
        };
        Self { path, access, account: Arc::new(account) }
    }

    /// Takes room for so many bytes. What is removed gives its room back when it is missing the
    /// next time that the storage is measured, which is when it is full.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), Full> {
        let account = &self.account;
        if bytes == 0 {
            return Ok(());
        }
        let fits = || account.used().saturating_add(bytes) <= account.quota;
        if account.measure(false) || !fits() {
            account.measure(true);
            if !fits() {
                return Err(Full(account.used()));
            }
        }
        account.added.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// A file in the storage is open.
    pub(crate) fn opened(&self, file: &Arc<File>) {
        let mut open = self.account.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|file| file.strong_count() > 0);
        open.push(Arc::downgrade(file));
    }
}

impl Account {
    fn used(&self) -> u64 {
        self.before.load(Ordering::Relaxed).saturating_add(self.added.load(Ordering::Relaxed))
    }

    /// Adds up what is there, on a thread of its own: it may be much, and the plugin's thread must
    /// not wait long for it. What comes to it meanwhile may be counted twice. Without `again` only
    /// the first time; whether that was now.
    fn measure(&self, again: bool) -> bool {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let due = *measured == 0 || (again && now.saturating_sub(*measured) >= MEASURE_EVERY);
        if !due {
            return false;
        }
        *measured = now;
        let nameless = self.nameless_bytes();
        let first = self.before.load(Ordering::Relaxed) == 0;
        let (path, before) = (self.path.clone(), Arc::clone(&self.before));
        let (done, wait) = mpsc::sync_channel(1);
        // Without a thread to measure it, what was there before does not count.
        let _ = std::thread::Builder::new().name("syncmgr-storage".to_owned()).spawn(move || {
            let mut total = nameless;
            add_up(&path, |bytes| {
                total = total.saturating_add(bytes);
                if first {
                    before.store(total, Ordering::Relaxed);
                }
            });
            let _ = done.send(total);
        });
        // What takes longer than this stays counted as it was.
        if let Ok(total) = wait.recv_timeout(PATIENCE) {
            self.before.store(total, Ordering::Relaxed);
            self.added.store(0, Ordering::Relaxed);
        }
        true
    }

    /// The size of files that are open and have no name.
    fn nameless_bytes(&self) -> u64 {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let files = open.iter().filter_map(Weak::upgrade);
        files.filter_map(|file| file.metadata().ok()).map(|metadata| nameless(&metadata)).sum()
    }
}

#[cfg(unix)]
fn nameless(metadata: &std::fs::Metadata) -> u64 {
    let names = std::os::unix::fs::MetadataExt::nlink(metadata);
    if names == 0 { metadata.len() } else { 0 }
}

/// Where a file that is open keeps its name.
#[cfg(not(unix))]
fn nameless(_metadata: &std::fs::Metadata) -> u64 {
    0
}

/// Passes on what everything below a directory takes.
fn add_up(directory: &Path, mut add: impl FnMut(u64)) {
    let mut rest = vec![directory.to_owned()];
    while let Some(directory) = rest.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => {
                    add(ENTRY_BYTES);
                    rest.push(entry.path());
                }
                Ok(metadata) => add(metadata.len().saturating_add(ENTRY_BYTES)),
                Err(_) => {}
            }
        }
    }
}

//! Flushing several files at once, which file systems answer together: one commit of their journal
//! is enough for all that wait for it.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// Files that are flushed at the same time.
const AT_ONCE: usize = 16;

/// What one file may take without more threads being started, which takes as long.
const SOON: Duration = Duration::from_micros(200);

/// Flushes the files for as long as it is to go on. Absent: it did not come to that one.
pub(super) fn flush_all(
    files: &[Arc<File>],
    go_on: impl Fn() -> bool + Sync,
) -> Vec<Option<io::Result<()>>> {
    let flushed: Vec<OnceLock<io::Result<()>>> = files.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    // Whether there was one more.
    let flush_one = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let (true, Some(file), Some(flushed)) = (go_on(), files.get(index), flushed.get(index))
        else {
            return false;
        };
        flushed.get_or_init(|| file.sync_all());
        true
    };
    let takes_long = || {
        let begun = Instant::now();
        flush_one().then(|| begun.elapsed() > SOON)
    };
    // In memory, or where a disk only says that it flushes, one is done sooner than a thread starts.
    while takes_long() == Some(false) {}
    let rest = files.len().saturating_sub(next.load(Ordering::Relaxed));
    thread::scope(|scope| {
        for _ in 1..rest.min(AT_ONCE) {
            // Without another thread it takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, || while flush_one() {});
        }
        while flush_one() {}
    });
    flushed.into_iter().map(OnceLock::into_inner).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn files(count: usize) -> io::Result<Vec<Arc<File>>> {
        let file = |number: usize| {
            let mut file = tempfile::tempfile()?;
            file.write_all(&number.to_le_bytes())?;
            Ok(Arc::new(file))
        };
        (0..count).map(file).collect()
    }

    #[test]
    fn every_file_is_flushed_however_many_there_are() -> io::Result<()> {
        for count in [0, 1, 2, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 100] {
            let flushed = flush_all(&files(count)?, || true);
            assert_eq!(flushed.len(), count);
            assert!(flushed.iter().all(|one| matches!(one, Some(Ok(())))), "{count}: {flushed:?}");
        }
        Ok(())
    }

    #[test]
    fn files_that_it_does_not_come_to_have_no_answer() -> io::Result<()> {
        let asked = AtomicUsize::new(0);
        let flushed = flush_all(&files(100)?, || asked.fetch_add(1, Ordering::Relaxed) < 10);
        assert_eq!(flushed.iter().flatten().count(), 10);
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn each_answer_is_that_of_its_file() -> io::Result<()> {
        let mut files = files(20)?;
        // A device that has nothing to flush says so.
        files[7] = Arc::new(File::open("/dev/null")?);
        let flushed = flush_all(&files, || true);
        for (index, one) in flushed.iter().enumerate() {
            assert_eq!(matches!(one, Some(Err(_))), index == 7, "{index}: {one:?}");
        }
        Ok(())
    }
}

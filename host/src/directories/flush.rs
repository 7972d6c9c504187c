//! Flushing several files or directories at once, which file systems answer together: one commit of
//! their journal is enough for all that wait for it.

use std::io;

use super::threads;

/// Files or directories that are flushed at the same time.
const AT_ONCE: usize = 16;

/// Flushes all for as long as it is to go on. Absent: it did not come to that one.
pub(super) fn flush_all<T: Sync>(
    all: &[T],
    go_on: impl Fn() -> bool + Sync,
    flush: impl Fn(&T) -> io::Result<()> + Sync,
) -> Vec<Option<io::Result<()>>> {
    threads::share(all.len(), AT_ONCE, go_on, |index| flush(&all[index]))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;

    fn files(count: usize) -> io::Result<Vec<File>> {
        let file = |number: usize| {
            let mut file = tempfile::tempfile()?;
            file.write_all(&number.to_le_bytes())?;
            Ok(file)
        };
        (0..count).map(file).collect()
    }

    #[test]
    fn every_file_is_flushed_however_many_there_are() -> io::Result<()> {
        for count in [0, 1, 2, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 100] {
            let flushed = flush_all(&files(count)?, || true, File::sync_all);
            assert_eq!(flushed.len(), count);
            assert!(flushed.iter().all(|one| matches!(one, Some(Ok(())))), "{count}: {flushed:?}");
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn each_answer_is_that_of_its_file() -> io::Result<()> {
        let mut files = files(20)?;
        // A device that has nothing to flush says so.
        files[7] = File::open("/dev/null")?;
        let flushed = flush_all(&files, || true, File::sync_all);
        for (index, one) in flushed.iter().enumerate() {
            assert_eq!(matches!(one, Some(Err(_))), index == 7, "{index}: {one:?}");
        }
        Ok(())
    }
}

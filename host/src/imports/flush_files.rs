//! Flushes several files or directories at once. File systems serve them together: one journal
//! commit is sufficient for all concurrent requests.

use std::io;
use std::sync::Arc;

use wasmtime::component::Resource;

use super::answer::{failure, refuse};
use crate::bindings::types;
use crate::fs::parallel;
use crate::state::ParkedCtx;
use crate::types::ErrorCode;

/// The maximum number of files that one call of `flush-files` flushes, and of directories for
/// `flush-directories`.
const FLUSHED_FILES: usize = 1024;
/// The maximum number of concurrent flushes.
const AT_ONCE: usize = 16;

/// Flushes all entries while `go_on` returns true. An entry that was not reached has no result.
fn flush_all<T: Sync>(
    all: &[T],
    go_on: impl Fn() -> bool + Sync,
    flush: impl Fn(&T) -> io::Result<()> + Sync,
) -> Vec<Option<io::Result<()>>> {
    parallel::share(all.len(), AT_ONCE, go_on, |index| flush(&all[index]))
}

/// The resources to flush, or the errors of those that are not flushed.
pub(super) type Admitted<T> = Vec<Result<T, types::Error>>;

/// Admits the first resources, up to the maximum of one call.
pub(super) fn admit_first<R, T>(
    resources: &[Resource<R>],
    admit: impl Fn(&Resource<R>) -> wasmtime::Result<(Result<(), types::Error>, T)>,
) -> wasmtime::Result<Admitted<T>> {
    let mut admitted = Vec::with_capacity(resources.len().min(FLUSHED_FILES));
    for (index, resource) in resources.iter().enumerate() {
        let (allowed, opened) = admit(resource)?;
        admitted.push(match index < FLUSHED_FILES {
            true => allowed.map(|()| opened),
            false => refuse(ErrorCode::InvalidArgument, "1,024 came before it".to_owned()),
        });
    }
    Ok(admitted)
}

impl ParkedCtx<'_> {
    /// Flushes the admitted resources, and returns a result for each.
    pub(super) fn flush_admitted<T: Send + Sync>(
        &mut self,
        admitted: Admitted<T>,
        what: &str,
        flush: impl Fn(&T) -> io::Result<()> + Sync,
    ) -> wasmtime::Result<Vec<Result<(), types::Error>>> {
        let open: Vec<&T> = admitted.iter().flatten().collect();
        let monitor = Arc::clone(&self.monitor);
        let done = flush_all(&open, || monitor.terminated().is_none(), |one| flush(one));
        let mut done = done.into_iter();
        self.check_ended()?;
        let answer = |admitted: Result<T, types::Error>| match admitted {
            Ok(_) => match done.next().flatten() {
                Some(done) => done.map_err(|error| failure(&error, what)),
                None => refuse(ErrorCode::Failed, "it was not flushed".to_owned()),
            },
            Err(error) => Err(error),
        };
        Ok(admitted.into_iter().map(answer).collect())
    }
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
    fn every_file_is_flushed() -> io::Result<()> {
        for count in [0, 1, 2, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 100] {
            let flushed = flush_all(&files(count)?, || true, File::sync_all);
            assert_eq!(flushed.len(), count);
            assert!(flushed.iter().all(|one| matches!(one, Some(Ok(())))), "{count}: {flushed:?}");
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn results_are_in_the_order_of_the_files() -> io::Result<()> {
        let mut files = files(20)?;
        // A device without a cache reports an error.
        files[7] = File::open("/dev/null")?;
        let flushed = flush_all(&files, || true, File::sync_all);
        for (index, one) in flushed.iter().enumerate() {
            assert_eq!(matches!(one, Some(Err(_))), index == 7, "{index}: {one:?}");
        }
        Ok(())
    }
}

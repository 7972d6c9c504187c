//! Processes many files on a few temporary threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The remaining work for which a thread is started, since starting one takes some of it.
const SOON: Duration = Duration::from_micros(100);

/// Calls `one` for the numbers below `count` while `go_on` returns true, on at most `at_once`
/// threads including this one. A number that was not reached has no result.
pub(crate) fn share<T: Send + Sync>(
    count: usize,
    threads: usize,
    go_on: impl Fn() -> bool + Sync,
    one: impl Fn(usize) -> T + Sync,
) -> Vec<Option<T>> {
    let done: Vec<OnceLock<T>> = (0..count).map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    // Returns the number of remaining tasks before this one, if there was one.
    let take_one = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let (true, Some(done)) = (go_on(), done.get(index)) else { return None };
        done.get_or_init(|| one(index));
        Some(count - index)
    };
    // In memory, a task often takes less time than starting a thread.
    let mut rest = count;
    let mut useful = 1;
    while rest > 0 && useful < 2 {
        let begun = Instant::now();
        rest = take_one().map_or(0, |left| left - 1);
        let takes = begun.elapsed().as_nanos() * rest as u128;
        useful = usize::try_from(takes / SOON.as_nanos()).unwrap_or(usize::MAX);
    }
    if rest > 0 {
        thread::scope(|scope| {
            for _ in 1..rest.min(threads).min(useful) {
                // Without another thread, the work just takes longer.
                let _ =
                    thread::Builder::new().spawn_scoped(scope, || while take_one().is_some() {});
            }
            while take_one().is_some() {}
        });
    }
    done.into_iter().map(OnceLock::into_inner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for (count, threads, each) in [
            (0, 4, Duration::ZERO),
            (1, 4, Duration::from_millis(1)),
            (2, 1, Duration::from_millis(1)),
            (100, 4, Duration::ZERO),
            (100, 16, Duration::from_millis(1)),
            (7, 16, Duration::from_millis(1)),
        ] {
            let calls = AtomicUsize::new(0);
            let done = share(
                count,
                threads,
                || true,
                |index| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(each);
                    index
                },
            );
            assert_eq!(done, (0..count).map(Some).collect::<Vec<_>>());
            assert_eq!(calls.into_inner(), count);
        }
    }

    #[test]
    fn long_tasks_are_shared_among_at_most_the_allowed_threads() {
        for (threads, at_least) in [(1, 1), (4, 2)] {
            let (working, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            share(
                40,
                threads,
                || true,
                |_| {
                    most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(5));
                    working.fetch_sub(1, Ordering::SeqCst);
                },
            );
            let most = most.into_inner();
            assert!((at_least..=threads).contains(&most), "{most} of {threads}");
        }
    }

    #[test]
    fn tasks_that_are_not_reached_have_no_result() {
        for each in [Duration::ZERO, Duration::from_millis(1)] {
            let asked = AtomicUsize::new(0);
            let go_on = || asked.fetch_add(1, Ordering::Relaxed) < 10;
            let done = share(100, 4, go_on, |_| thread::sleep(each));
            assert_eq!(done.iter().flatten().count(), 10);
        }
    }
}

//! Work on many files at once, shared by a few threads for as long as it takes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The work that a thread is started for, which takes some of that itself.
const SOON: Duration = Duration::from_micros(100);

/// Does `one` for the numbers below `count`, for as long as it is to go on, on at most so many
/// threads, this one among them. Absent: it did not come to that one.
pub(crate) fn share<T: Send + Sync>(
    count: usize,
    threads: usize,
    go_on: impl Fn() -> bool + Sync,
    one: impl Fn(usize) -> T + Sync,
) -> Vec<Option<T>> {
    let done: Vec<OnceLock<T>> = (0..count).map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    // How many were left before it, if there was one.
    let take_one = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let (true, Some(done)) = (go_on(), done.get(index)) else { return None };
        done.get_or_init(|| one(index));
        Some(count - index)
    };
    // In memory, one is often done sooner than a thread starts.
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
                // Without another thread it takes longer.
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
    fn everything_is_done_once_however_long_it_takes() {
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
    fn what_takes_long_is_shared_and_no_more_threads_than_allowed_work() {
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
    fn what_it_does_not_come_to_has_no_answer() {
        for each in [Duration::ZERO, Duration::from_millis(1)] {
            let asked = AtomicUsize::new(0);
            let go_on = || asked.fetch_add(1, Ordering::Relaxed) < 10;
            let done = share(100, 4, go_on, |_| thread::sleep(each));
            assert_eq!(done.iter().flatten().count(), 10);
        }
    }
}

//! The host processes a report without allocations.

#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use conformance::{limits, script};
use syncmgr_host::sink::{Discard, Progress, Sink};
use syncmgr_host::{ProgressResponse, RunRequest, SessionOptions};

struct Counting;

/// The allocations of the process.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: what the caller vouches for is what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Reads every text and keeps none.
struct Looks;

impl Sink for Looks {
    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        std::hint::black_box(progress.current.status_text.len());
        ProgressResponse::Continue
    }
}

/// Returns the allocations of a run with this number of reports.
fn allocations(text: &str, reports: u32, sink: impl Sink + 'static) -> Result<u64> {
    let limits = limits(|limits| limits.progress_per_second = u64::MAX);
    let work =
        format!("progress item=a status=updating value=1 max=9 {text} quiet=1 times={reports}");
    let options =
        SessionOptions::new().limits(limits).setting("items", "a").setting("synchronize", work);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    script::plugin().run(options, sink, &RunRequest::default())?;
    Ok(ALLOCATIONS.load(Ordering::Relaxed) - before)
}

#[test]
fn reports_allocate_nothing() -> anyhow::Result<()> {
    conformance::isolation::alone(reports_allocate_nothing, count_allocations)
}

fn count_allocations() -> anyhow::Result<()> {
    const TEXT: &str = "text=thirty-three_bytes_of_status_text";
    const MORE: u32 = 10_000;
    for (name, text) in [("without a text", ""), ("with one", TEXT)] {
        for looks in [false, true] {
            let run = |reports| match looks {
                true => allocations(text, reports, Looks),
                false => allocations(text, reports, Discard),
            };
            // One-time allocations are done.
            run(10)?;
            let few = run(10)?;
            let many = run(10 + MORE)?;
            // Other threads may allocate at the same time.
            let more = many.saturating_sub(few);
            assert!(more < u64::from(MORE) / 100, "{name}: {few} allocations, then {many}");
        }
    }
    Ok(())
}

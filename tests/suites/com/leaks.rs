//! A released handler leaves no object, no reference to the callback and no thread.

#![allow(unsafe_code, reason = "COM methods are called through pointers")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "what a C program would do")]

use std::ptr::null_mut;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use conformance::com::{Client, agree, answer, ours};
use syncmgr_com::object_count;
use syncmgr_com::task_memory;
use syncmgr_host::{Hresult, SessionOptions};

const RUNS: usize = 1_000;

fn run(round: usize) -> Result<()> {
    let work = match round % 4 {
        0 => "progress item=a status=updating\nprogress item=a status=succeeded",
        1 => "panic text=no",
        2 => "work item=a",
        _ => "log item=a level=error text=one id=e jump=1\nprogress item=a status=failed",
    };
    let options = SessionOptions::new().setting("synchronize", work);
    let cancel = answer("Progress", "a", 3, Hresult::S_SYNCMGR_CANCELALL);
    let mut client = Client::new(options, "a b", if round % 4 == 2 { cancel } else { agree() });
    let _ = client.run(0x203, "a b")?;
    client.items().ok();
    let mut info = null_mut();
    // SAFETY: there is a place for the pointer.
    if ours(unsafe { client.handler().GetHandlerInfo(&raw mut info) }).is_success() {
        // SAFETY: it is ours to free.
        unsafe { task_memory::free(info) };
    }
    // Half of the managers release the handler early.
    if round.is_multiple_of(2) {
        assert_eq!(client.clear_callback(), Hresult::S_OK);
    }
    client.release();
    client.forget_callback();
    ensure!(client.callback_is_gone(), "a reference to the callback is left after round {round}");
    Ok(())
}

#[test]
fn a_thousand_runs_leave_nothing_behind() -> anyhow::Result<()> {
    conformance::isolation::alone(a_thousand_runs_leave_nothing_behind, count_what_is_left)
}

fn count_what_is_left() -> anyhow::Result<()> {
    // One-time allocations are done.
    (0..8).try_for_each(run)?;
    settle()?;
    let threads = threads();
    (0..RUNS).try_for_each(run)?;
    settle()?;
    assert!(self::threads() <= threads, "{threads} threads before, {} after", self::threads());
    Ok(())
}

/// Handler threads end shortly after their handler.
fn settle() -> Result<()> {
    let since = Instant::now();
    while object_count() > 0 {
        ensure!(since.elapsed() < Duration::from_secs(20), "{} objects are left", object_count());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(200));
    Ok(())
}

/// Returns the number of threads of this process, if known.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

//! Limits the compiler's process. The process sets its limits before it reads a component, which
//! needs no privileges and works the same on every system.

use std::io;
use std::thread;
use std::time::Duration;

/// The message of a process that terminates itself because of its memory limit.
pub(super) const OUT_OF_MEMORY: &str = "syncmgr: the compiler reached its memory limit";

/// Limits this process permanently.
pub(super) fn confine(memory_bytes: u64, time: Option<Duration>) -> io::Result<()> {
    #[cfg(unix)]
    limit_resources(memory_bytes)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Signal};
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        // Without its host, the answer has no receiver.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    #[cfg(not(target_os = "linux"))]
    watch_memory(memory_bytes)?;
    // The host terminates it, too, unless the host is gone.
    if let Some(time) = time {
        let end = move || {
            thread::sleep(time.saturating_add(Duration::from_secs(1)));
            std::process::abort();
        };
        thread::Builder::new().name("syncmgr-time".to_owned()).spawn(end)?;
    }
    Ok(())
}

#[cfg(unix)]
fn limit_resources(memory_bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let lower = |resource, most: u64| {
        let Rlimit { current, maximum } = getrlimit(resource);
        let most = [current, maximum].into_iter().flatten().fold(most, u64::min);
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
    };
    lower(Resource::Core, 0)?;
    lower(Resource::Fsize, 0)?;
    // Reserved, unused memory does not count here, unlike for `Resource::As`: each thread of the C
    // library reserves 64 MiB.
    #[cfg(target_os = "linux")]
    lower(Resource::Data, memory_bytes)?;
    #[cfg(not(target_os = "linux"))]
    let _ = memory_bytes;
    Ok(())
}

/// Terminates the process if it exceeds its memory limit, on systems without such a limit or
/// without a safe interface to it.
#[cfg(not(target_os = "linux"))]
fn watch_memory(memory_bytes: u64) -> io::Result<()> {
    const EVERY: Duration = Duration::from_millis(10);
    let watch = move || {
        loop {
            let used = memory_stats::memory_stats().map_or(0, |used| used.physical_mem as u64);
            if used > memory_bytes {
                use std::io::Write as _;
                let _ = writeln!(io::stderr(), "{OUT_OF_MEMORY}");
                std::process::abort();
            }
            thread::sleep(EVERY);
        }
    };
    thread::Builder::new().name("syncmgr-memory".to_owned()).spawn(watch)?;
    Ok(())
}

//! The memory pool for sessions.

use conformance::session::DrivenSession;
use conformance::{HELLO, SCRIPT};
use syncmgr_host::sink::Discard;
use syncmgr_host::{
    Allocation, Host, HostOptions, RunRequest, SessionError, SessionOptions, StartError,
};

#[test]
fn a_pool_holds_its_configured_number_of_sessions() -> anyhow::Result<()> {
    let host = Host::with_options(HostOptions::new().pooled(3))?;
    assert_eq!(*host.allocation(), Allocation::Pooled { sessions: 3 });
    let plugin = host.load_file(HELLO)?;
    let open = || DrivenSession::start(&plugin, SessionOptions::new(), Discard);
    let mut sessions = vec![open()?, open()?, open()?];
    match open() {
        Err(StartError::Session(error @ SessionError::Host { .. })) => {
            assert!(error.to_string().contains("room for one more session"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // A released slot is reused.
    sessions.pop();
    sessions.push(open()?);
    drop(sessions);
    let report = plugin.run(SessionOptions::new(), Discard, &RunRequest::default())?;
    assert_eq!(report.totals().succeeded, 1);
    Ok(())
}

#[test]
fn reused_memory_is_cleared() -> anyhow::Result<()> {
    let host = Host::with_options(HostOptions::new().pooled(1))?;
    let plugin = host.load_file(SCRIPT)?;
    // It fills most of its memory, and the next session expects zeros there.
    let fill = SessionOptions::new()
        .setting("items", "a")
        .setting("synchronize", "allocate bytes=50000000\nprogress item=a status=succeeded");
    for _ in 0..3 {
        let report = plugin.run(fill.clone(), Discard, &RunRequest::default())?;
        assert_eq!(report.totals().succeeded, 1, "{report:?}");
    }
    Ok(())
}

#[test]
fn a_failed_pool_is_reported_and_not_used() -> anyhow::Result<()> {
    // More address space than any machine has.
    let host = Host::with_options(HostOptions::new().pooled(1 << 20))?;
    let Allocation::PoolRefused { sessions, reason } = host.allocation() else {
        panic!("{:?}", host.allocation());
    };
    assert_eq!(*sessions, 1 << 20);
    assert!(!reason.is_empty());
    let plugin = host.load_file(HELLO)?;
    let report = plugin.run(SessionOptions::new(), Discard, &RunRequest::default())?;
    assert_eq!(report.totals().succeeded, 1);
    Ok(())
}

#[test]
fn compiled_code_is_the_same_with_and_without_a_pool() -> anyhow::Result<()> {
    let pooled = Host::with_options(HostOptions::new().pooled(2))?;
    assert_eq!(pooled.compatibility(), Host::new()?.compatibility());
    Ok(())
}

//! Locks of directories.

use conformance::script::Script;
use conformance::session::DrivenSession;
use syncmgr_host::sink::EventLog;
use syncmgr_host::{Access, Grant};

#[test]
fn readers_share_the_lock_of_a_directory() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let run = |access: Access, commands: &str| {
        let grant = Grant::new("left", home.path(), access)?;
        let script = Script::new("a").on("synchronize", commands);
        script.options(|options| options.grant(grant)).start(EventLog::new())
    };
    // A session holds the lock of an open directory until it is dropped.
    let hold = |access: Access| -> anyhow::Result<(DrivenSession, String)> {
        let mut session = run(access, "lock dir=left")?;
        let report = session.block_on(async |session| {
            Ok(session.run(&syncmgr_host::RunRequest::default()).await)
        })?;
        let said = report.log.last().map(|entry| entry.text.clone()).unwrap_or_default();
        Ok((session, said))
    };
    let (reader, said) = hold(Access::ReadOnly)?;
    assert_eq!(said, "lock: ok");
    let (other, said) = hold(Access::ReadOnly)?;
    assert_eq!(said, "lock: ok", "another reader");
    let (_, said) = hold(Access::ReadWrite)?;
    assert_eq!(said, "lock: ErrorCode::Busy", "a writer and readers");
    drop((reader, other));
    let (writer, said) = hold(Access::ReadWrite)?;
    assert_eq!(said, "lock: ok", "a writer alone");
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let (_, said) = hold(access)?;
        assert_eq!(said, "lock: ErrorCode::Busy", "{access:?} and a writer");
    }
    drop(writer);
    Ok(())
}

#[test]
fn a_dropped_lock_is_released() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let run = |commands: &str| -> anyhow::Result<(DrivenSession, Vec<String>)> {
        let grant = Grant::new("left", home.path(), Access::ReadWrite)?;
        let script = Script::new("a").on("synchronize", commands);
        let mut session = script.options(|options| options.grant(grant)).start(EventLog::new())?;
        let report = session.block_on(async |session| {
            Ok(session.run(&syncmgr_host::RunRequest::default()).await)
        })?;
        let said = report.log.iter().map(|entry| entry.text.clone());
        Ok((session, said.filter(|text| text.starts_with("lock: ")).collect()))
    };
    // The first lock is kept; dropping a second one on the same directory releases nothing.
    let (holder, said) = run("lock dir=left\nlock dir=left release=1")?;
    assert_eq!(said, ["lock: ok", "lock: ok"]);
    assert_eq!(run("lock dir=left")?.1, ["lock: ErrorCode::Busy"]);
    drop(holder);
    let (_released, said) = run("lock dir=left release=1")?;
    assert_eq!(said, ["lock: ok"]);
    assert_eq!(run("lock dir=left")?.1, ["lock: ok"]);
    Ok(())
}

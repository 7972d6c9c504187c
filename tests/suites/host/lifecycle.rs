//! The host as sync manager: the order of calls, permitted callers, cancellation, and the end of
//! items.

mod cancelling;
mod crash;
mod reports;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::limits;
use conformance::script::{Ran, Script, item};
use syncmgr_host::sink::{Discard, EventLog, Progress, Recorded, Sink};
use syncmgr_host::{
    Access, CancelHandle, ErrorId, Grant, Hresult, Item, LogLevel, Outcome, Participation,
    PrepareOutcome, ProgressResponse, PropertiesOutcome, PropertyValue, Question, Selection,
    Status, SyncEvent, Trigger,
};

/// Answers the reports of selected items with a cancellation.
#[derive(Clone, Default)]
struct Answers {
    rows: Vec<(&'static str, usize, ProgressResponse)>,
    calls: Arc<Mutex<Vec<&'static str>>>,
    choice: Option<usize>,
    cancel: Arc<Mutex<Option<CancelHandle>>>,
}

impl Answers {
    fn on(mut self, name: &'static str, nth: usize, response: ProgressResponse) -> Self {
        self.rows.push((name, nth, response));
        self
    }
}

impl Sink for Answers {
    fn started(&mut self, _items: &[Item]) {
        self.calls.lock().expect("the lock is not poisoned").clear();
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let mut calls = self.calls.lock().expect("the lock is not poisoned");
        let mut answer = ProgressResponse::Continue;
        for (name, nth, response) in &self.rows {
            if item(name) == progress.item {
                calls.push(name);
                let count = calls.iter().filter(|called| *called == name).count();
                if count == *nth {
                    answer = *response;
                }
            }
        }
        answer
    }

    fn question(&mut self, _question: &Question) -> Option<usize> {
        if let Some(cancel) = &*self.cancel.lock().expect("the lock is not poisoned") {
            cancel.cancel_all();
        }
        self.choice
    }
}

fn run_with_answers(script: Script, answers: Answers) -> anyhow::Result<Ran> {
    // The event log does not record answers, so the plugin logs them.
    let report = script.report(answers)?;
    Ok(Ran { report, recorded: Vec::new() })
}

const THREE_STEPS: &str = "progress item=a status=updating max=10
    progress item=a value=5
    progress item=a status=succeeded
    progress item=b status=succeeded";

#[test]
fn an_ordinary_run_completes_with_every_item_in_sync() -> anyhow::Result<()> {
    let ran = Script::new("a b").on("synchronize", THREE_STEPS).run()?;
    assert!(matches!(ran.report.outcome, Outcome::Completed));
    assert_eq!(ran.ends(), [("a", Status::Succeeded), ("b", Status::Succeeded)]);
    assert_eq!(ran.report.hresult(), Hresult::S_OK);
    assert_eq!(
        ran.said()[..3],
        ["initialize: SyncEvent::Manual 2 None", "prepare-for-sync: 2 items", "synchronize"]
    );
    Ok(())
}

#[test]
fn only_checked_or_selected_items_run() -> anyhow::Result<()> {
    let only = |names: &[&str]| Selection::Only(names.iter().map(ToString::to_string).collect());
    let id_of_b = item("b").to_string().to_uppercase();
    for (selection, expected) in [
        (Selection::Checked, &["a", "c"][..]),
        (only(&["b"]), &["b"]),
        (only(&[&id_of_b, "a"]), &["b", "a"]),
        (only(&["a", "a"]), &["a"]),
    ] {
        let script = Script::new("a b c").on("unchecked", "b");
        let ran = script.request(|request| request.selection = selection.clone()).run()?;
        let names: Vec<_> = ran.ends().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, expected, "{selection:?}");
    }
    Ok(())
}

#[test]
fn an_unknown_item_is_reported_before_prepare() -> anyhow::Result<()> {
    let script = Script::new("a b");
    let ran =
        script.request(|request| request.selection = Selection::Only(vec!["x".into()])).run()?;
    let error = ran.report.error().map(ToString::to_string).unwrap_or_default();
    assert!(error.contains("unknown item \"x\"; the plugin has `a`, `b`"), "{error}");
    assert_eq!(ran.report.hresult(), Hresult::E_INVALIDARG);
    Ok(())
}

#[test]
fn without_items_prepare_is_not_called() -> anyhow::Result<()> {
    let ran = Script::new("").run()?;
    assert!(matches!(ran.report.outcome, Outcome::NothingSelected));
    assert_eq!(ran.said().len(), 1, "{:?}", ran.said());
    Ok(())
}

#[test]
fn a_handler_may_decline_or_need_the_user() -> anyhow::Result<()> {
    let declined = Script::new("a").on("declines", "yes").run()?;
    assert!(matches!(declined.report.outcome, Outcome::Declined));
    assert_eq!(declined.said().len(), 1, "nothing is called after that");
    assert_eq!(declined.report.hresult(), Hresult::S_FALSE);

    let waiting = Script::new("a").on("needs-user", "yes").run()?;
    assert!(matches!(waiting.report.outcome, Outcome::NeedsUser));
    assert_eq!(waiting.ends(), [("a", Status::Skipped)]);
    assert_eq!(waiting.report.hresult(), Hresult::S_FALSE);
    Ok(())
}

#[test]
fn the_plugin_receives_the_trigger_and_the_cookie() -> anyhow::Result<()> {
    for (event, name) in [
        (SyncEvent::Connect, "Connect"),
        (SyncEvent::PendingDisconnect, "PendingDisconnect"),
        (SyncEvent::Manual, "Manual"),
        (SyncEvent::Idle, "Idle"),
        (SyncEvent::Invoke, "Invoke"),
        (SyncEvent::Scheduled, "Scheduled"),
    ] {
        let ran = Script::new("")
            .request(|request| {
                request.trigger = Trigger { event, settings: false, may_bother_user: false };
                request.cookie = (event == SyncEvent::Invoke).then(|| vec![1, 2]);
            })
            .run()?;
        let cookie = if event == SyncEvent::Invoke { "Some([1, 2])" } else { "None" };
        let expected = format!("initialize: SyncEvent::{name} 0 {cookie}");
        assert_eq!(ran.said(), [expected]);
    }
    Ok(())
}

#[test]
fn calls_out_of_order_are_refused() -> anyhow::Result<()> {
    let mut session = Script::new("a").start(Discard)?;
    session.block_on(async |session| {
        const ORDER: &str = "session-out-of-order";
        assert_eq!(session.enum_items().await.unwrap_err().code(), ORDER);
        assert_eq!(session.synchronize().await.unwrap_err().code(), ORDER);
        let started = session.initialize(Trigger::MANUAL, None).await?;
        assert_eq!(started, Participation::Participates);
        assert_eq!(session.initialize(Trigger::MANUAL, None).await.unwrap_err().code(), ORDER);
        assert_eq!(session.synchronize().await.unwrap_err().code(), ORDER);
        assert_eq!(session.prepare_for_sync(&[]).await.unwrap_err().code(), ORDER);
        // Preparing requires neither the handler's info nor its items.
        let prepared = session.prepare_for_sync(&[item("a")]).await?;
        assert_eq!(prepared, PrepareOutcome::Prepared);
        session.synchronize().await?;
        assert_eq!(session.synchronize().await.unwrap_err().code(), ORDER);
        Ok(())
    })?;

    let mut settings_only = Script::new("a").start(Discard)?;
    settings_only.block_on(async |session| {
        let trigger = Trigger { settings: true, ..Trigger::MANUAL };
        session.initialize(trigger, None).await?;
        assert_eq!(session.enum_items().await?.items.len(), 1);
        assert!(session.prepare_for_sync(&[item("a")]).await.is_err());
        Ok(())
    })?;
    Ok(())
}

#[test]
fn errors_of_each_call_carry_their_hresult() -> anyhow::Result<()> {
    for export in
        ["initialize", "get-handler-info", "enum-items", "prepare-for-sync", "synchronize"]
    {
        let ran = Script::new("a").on(export, "fail code=busy text=somebody_else").run()?;
        let message = ran.report.error().map(ToString::to_string).unwrap_or_default();
        assert_eq!(message, format!("script: {export} failed: somebody else"));
        assert_eq!(ran.report.hresult(), Hresult::HRESULT_ERROR_BUSY, "{export}");
        for (_, status) in ran.ends() {
            assert_eq!(status, Status::Failed, "{export}");
        }
    }
    Ok(())
}

#[test]
fn unacceptable_answers_are_refused_with_a_reason() -> anyhow::Result<()> {
    for (items, name, words) in [
        ("a a", "Script", "duplicate item id"),
        ("null", "Script", "GUID_NULL"),
        ("a", "", "name is empty"),
    ] {
        let ran = Script::new(items).on("name", name).run()?;
        let message = ran.report.error().map(ToString::to_string).unwrap_or_default();
        assert!(message.contains(words), "{message}");
        assert_eq!(ran.report.hresult(), Hresult::HRESULT_ERROR_INVALID_DATA);
    }
    Ok(())
}

#[test]
fn show_error_can_synchronize_items_again() -> anyhow::Result<()> {
    let commands = "log level=error text=try_again item=b id=x jump=1 code=no-space
        progress item=a status=succeeded
        progress item=b status=failed";
    let again = Script::new("a b").on("synchronize", commands).on("retry", "b");
    let ran = again.request(|request| request.retries = 2).run()?;
    let prepared: Vec<_> = ran
        .said()
        .into_iter()
        .filter(|line| line.starts_with("prepare"))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        prepared,
        ["prepare-for-sync: 2 items", "prepare-for-sync: 1 items", "prepare-for-sync: 1 items"]
    );
    assert_eq!(ran.ends(), [("a", Status::Succeeded), ("b", Status::Failed)]);

    let mut session = Script::new("a").on("detail", "all of it").start(Discard)?;
    session.block_on(async |session| {
        session.initialize(Trigger::MANUAL, None).await?;
        let detail = session.show_error(ErrorId::from_uuid(item("x").as_uuid())).await?;
        assert_eq!((detail.text.as_str(), detail.retry.len()), ("all of it", 0));
        Ok(())
    })?;
    Ok(())
}

#[test]
fn properties_are_returned_as_data() -> anyhow::Result<()> {
    let mut session = Script::new("a").start(Discard)?;
    session.block_on(async |session| {
        session.initialize(Trigger::MANUAL, None).await?;
        let properties = session.properties(Some(item("a"))).await?;
        assert_eq!(properties[0].name, "speed");
        let change = [("speed", PropertyValue::Choice(0))];
        let outcome = session.set_properties(None, &change).await?;
        assert_eq!(outcome, PropertiesOutcome::EnumItems);
        Ok(())
    })?;
    Ok(())
}

#[test]
fn nothing_is_granted_by_default() -> anyhow::Result<()> {
    let ran = Script::new("a")
        .on(
            "synchronize",
            "read path=/etc/passwd\nread path=Cargo.toml\nwrite path=/x text=x\nconnect",
        )
        .run()?;
    let said = ran.said_in_synchronize();
    assert!(
        said[..3].iter().all(|line| !line.contains("bytes") && !line.contains("ok")),
        "{said:?}"
    );
    assert_eq!(said[3], "connect: ErrorCode::NotImplemented");
    Ok(())
}

#[test]
fn granted_directories_are_reached_by_name_and_read_only_ones_are_not_written() -> anyhow::Result<()>
{
    let home = tempfile::tempdir()?;
    for name in ["open", "closed", "storage"] {
        std::fs::create_dir(home.path().join(name))?;
        std::fs::write(home.path().join(name).join("file"), "12345")?;
    }
    std::fs::write(home.path().join("secret"), "x")?;
    let grant = |name: &str, access| Grant::new(name, home.path().join(name), access);
    let open = grant("open", Access::ReadWrite)?;
    let closed = grant("closed", Access::ReadOnly)?;
    let ran = Script::new("a")
        .on(
            "synchronize",
            "read path=/open/file
             write path=/open/new text=x
             read path=/closed/file
             write path=/closed/file text=x
             write path=/closed/new text=x
             read path=/storage/file
             read path=/open/../secret
             read path=/secret",
        )
        .options(|options| options.grant(open).grant(closed).storage(home.path().join("storage")))
        .run()?;
    let said = ran.said_in_synchronize();
    assert_eq!(said[..3], ["read: 5 bytes", "write: ok", "read: 5 bytes"]);
    assert!(said[3..5].iter().all(|line| !line.contains("ok")), "{said:?}");
    assert_eq!(said[5], "read: 5 bytes");
    assert!(said[6..].iter().all(|line| !line.contains("bytes")), "{said:?}");
    assert_eq!(std::fs::read_to_string(home.path().join("closed/file"))?, "12345");
    assert!(!home.path().join("closed/new").exists());
    Ok(())
}

#[test]
fn one_directory_is_not_granted_to_an_item_twice() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join("inner"))?;
    let outer = Grant::new("left", home.path(), Access::ReadWrite)?;
    let inner = Grant::new("right", home.path().join("inner"), Access::ReadWrite)?;
    let script = Script::new("a").options(|options| options.grant(outer).grant(inner));
    let error = script.start(Discard).unwrap_err().to_string();
    assert!(error.contains("overlap"), "{error}");
    Ok(())
}

#[test]
fn concurrent_sessions_are_independent() -> anyhow::Result<()> {
    let cancel = CancelHandle::new();
    let handle = cancel.clone();
    let doomed = std::thread::spawn(move || {
        Script::new("a")
            .on("synchronize", "spin")
            .options(|options| options.cancel_with(handle))
            .report(Discard)
    });
    for _ in 0..20 {
        let ran = Script::new("a").on("synchronize", "progress item=a status=succeeded").run()?;
        assert_eq!(ran.ends(), [("a", Status::Succeeded)]);
    }
    cancel.kill();
    let report = doomed.join().expect("the thread returns")?;
    assert_eq!(report.error().map(syncmgr_host::SessionError::code), Some("ended-killed"));
    Ok(())
}

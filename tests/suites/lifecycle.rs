//! The host plays the sync manager: the order of calls, who may call what when, what cancels,
//! and how items end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::script::{Ran, Script, item};
use syncmgr_host::sink::{Discard, Progress, Recorded, Recorder, Sink};
use syncmgr_host::{
    Access, CancelHandle, ErrorId, Grant, Hresult, Item, Limits, LogLevel, Outcome, Participation,
    PrepareOutcome, ProgressResponse, PropertiesOutcome, PropertyValue, Question, Selection,
    Status, SyncEvent, Trigger,
};

/// Answers reports about chosen items with something else than going on.
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
        self.calls.lock().expect("nobody panicked with it").clear();
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let mut calls = self.calls.lock().expect("nobody panicked with it");
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
        if let Some(cancel) = &*self.cancel.lock().expect("nobody panicked with it") {
            cancel.cancel_all();
        }
        self.choice
    }
}

fn run_with_answers(script: Script, answers: Answers) -> anyhow::Result<Ran> {
    // The recorder would hide the answers, so the plugin says what it was told.
    let report = script.report(answers)?;
    Ok(Ran { report, recorded: Vec::new() })
}

const THREE_STEPS: &str = "progress item=a status=updating max=10
    progress item=a value=5
    progress item=a status=succeeded
    progress item=b status=succeeded";

#[test]
fn an_ordinary_run_ends_with_every_item_in_sync() -> anyhow::Result<()> {
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
fn only_checked_or_chosen_items_take_part() -> anyhow::Result<()> {
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
fn an_unknown_item_is_named_before_anything_is_prepared() -> anyhow::Result<()> {
    let script = Script::new("a b");
    let ran =
        script.request(|request| request.selection = Selection::Only(vec!["x".into()])).run()?;
    let error = ran.report.error().map(ToString::to_string).unwrap_or_default();
    assert!(error.contains("there is no item \"x\"; it has `a`, `b`"), "{error}");
    assert_eq!(ran.report.hresult(), Hresult::E_INVALIDARG);
    Ok(())
}

#[test]
fn without_items_nothing_is_prepared() -> anyhow::Result<()> {
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
fn the_trigger_and_the_cookie_arrive() -> anyhow::Result<()> {
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
fn cancelling_an_item_is_repeated_and_leaves_the_others_alone() -> anyhow::Result<()> {
    let script = Script::new("a b").on(
        "synchronize",
        "progress item=a status=updating
         progress item=a value=1
         progress item=a value=2
         is-cancelled item=a
         is-cancelled item=b
         is-cancelled
         progress item=a status=skipped
         progress item=b status=succeeded",
    );
    let answers = Answers::default().on("a", 2, ProgressResponse::CancelItem);
    let ran = run_with_answers(script, answers)?;
    assert_eq!(
        ran.said_in_synchronize(),
        [
            "progress: ProgressResponse::Continue",
            "progress: ProgressResponse::CancelItem",
            "progress: ProgressResponse::CancelItem",
            "is-cancelled: true",
            "is-cancelled: false",
            "is-cancelled: false",
            "progress: ProgressResponse::CancelItem",
            "progress: ProgressResponse::Continue",
        ]
    );
    assert_eq!(ran.ends(), [("a", Status::Skipped), ("b", Status::Succeeded)]);
    assert_eq!(ran.report.items[0].hresult(), Hresult::S_SYNCMGR_CANCELITEM);
    assert_eq!(ran.report.hresult(), Hresult::S_OK, "cancelling is no failure");
    Ok(())
}

#[test]
fn cancelling_everything_reaches_every_item() -> anyhow::Result<()> {
    let script = Script::new("a b c").on(
        "synchronize",
        "progress item=a status=succeeded
         progress item=b status=updating
         progress item=c status=pending
         is-cancelled
         wait-cancelled item=c",
    );
    let answers = Answers::default().on("b", 1, ProgressResponse::CancelAll);
    let ran = run_with_answers(script, answers)?;
    assert_eq!(
        ran.said_in_synchronize()[1..],
        [
            "progress: ProgressResponse::CancelAll",
            "progress: ProgressResponse::CancelAll",
            "is-cancelled: true",
            "wait-cancelled: ready",
        ]
    );
    // Those that ended keep their end; those that did not were stopped.
    assert_eq!(
        ran.ends(),
        [("a", Status::Succeeded), ("b", Status::Stopped), ("c", Status::Stopped)]
    );
    assert_eq!(ran.report.items[1].hresult(), Hresult::S_SYNCMGR_CANCELALL);
    Ok(())
}

#[test]
fn an_item_that_reports_no_end_failed() -> anyhow::Result<()> {
    let ran = Script::new("a b").on("synchronize", "progress item=a status=updating").run()?;
    assert_eq!(ran.ends(), [("a", Status::Failed), ("b", Status::Failed)]);
    assert_eq!(ran.report.hresult(), Hresult::E_FAIL);
    let by_host = ran.recorded.iter().filter(|recorded| {
        matches!(recorded, Recorded::Progress { by_host: true, reported, .. }
            if reported.status_type == Some(Status::Failed))
    });
    assert_eq!(by_host.count(), 2, "the sink sees every item end");
    assert_eq!(ran.report.progress_calls, 1);
    Ok(())
}

#[test]
fn a_terminal_status_is_final_except_for_failing() -> anyhow::Result<()> {
    for (after, answer, end) in [
        ("status=updating", "CancelItem", Status::Succeeded),
        ("value=3", "CancelItem", Status::Succeeded),
        ("status=succeeded", "CancelItem", Status::Succeeded),
        ("status=failed", "Continue", Status::Failed),
    ] {
        let script = format!("progress item=a status=succeeded\nprogress item=a {after}");
        let ran = Script::new("a").on("synchronize", &script).run()?;
        let expected = format!("progress: ProgressResponse::{answer}");
        assert_eq!(ran.said_in_synchronize()[1], expected, "{after}");
        assert_eq!(ran.ends(), [("a", end)], "{after}");
        assert_eq!(ran.report.refused_calls, u64::from(answer == "CancelItem"), "{after}");
    }
    Ok(())
}

#[test]
fn ids_that_are_no_items_of_the_run_are_refused() -> anyhow::Result<()> {
    let ran = Script::new("a b")
        .request(|request| request.selection = Selection::Only(vec!["a".into()]))
        .on(
            "synchronize",
            "progress item=b status=succeeded
             progress item=null status=succeeded
             progress item=elsewhere value=1
             log level=error text=x item=b
             bytes-per-step item=b bytes=5
             count item=b name=x value=5
             progress item=a status=succeeded",
        )
        .run()?;
    assert_eq!(
        ran.said_in_synchronize(),
        [
            "progress: ProgressResponse::CancelItem",
            "progress: ProgressResponse::CancelItem",
            "progress: ProgressResponse::CancelItem",
            "log-error: ErrorCode::InvalidArgument",
            "progress: ProgressResponse::Continue",
        ]
    );
    assert_eq!(ran.ends(), [("a", Status::Succeeded)]);
    assert_eq!(ran.report.refused_calls, 4);
    assert_eq!(ran.report.errors, 0);
    Ok(())
}

#[test]
fn fields_keep_their_last_value_and_stay_in_bounds() -> anyhow::Result<()> {
    type Row = (String, i32, i32, u64);
    #[derive(Clone, Default)]
    struct Standings(Arc<Mutex<Vec<Row>>>);
    impl Sink for Standings {
        fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
            let now = progress.current;
            let row = (now.status_text.clone(), now.prog_value, now.max_value, now.bytes_per_step);
            self.0.lock().expect("nobody panicked with it").push(row);
            ProgressResponse::Continue
        }
    }
    let standings = Standings::default();
    Script::new("a")
        .on(
            "synchronize",
            "progress item=a text=one max=10
             bytes-per-step item=a bytes=1024
             progress item=a value=4
             progress item=a value=99 text=two
             progress item=a value=-5
             progress item=a max=-1 value=7",
        )
        .report(standings.clone())?;
    let rows = standings.0.lock().expect("nobody panicked with it").clone();
    assert_eq!(
        rows[..5],
        [
            ("one".to_owned(), 0, 10, 0),
            ("one".to_owned(), 4, 10, 1024),
            ("two".to_owned(), 10, 10, 1024),
            ("two".to_owned(), 0, 10, 1024),
            ("two".to_owned(), 7, 0, 1024),
        ]
    );
    Ok(())
}

#[test]
fn pushes_before_synchronize_are_delivered_and_cancel() -> anyhow::Result<()> {
    let ran = Script::new("a b")
        .on("synchronize", "progress item=a value=1\nprogress item=b value=1")
        .run_with(|cancel| {
            assert!(cancel.set_item_status(Some(item("a")), Status::Skipped));
            for (item, status) in [
                (Some(item("a")), Status::Stopped),
                (Some(item("a")), Status::Failed),
                (None, Status::Skipped),
                (None, Status::Deleted),
            ] {
                assert!(!cancel.set_item_status(item, status), "{status:?} has no meaning");
            }
        })?;
    assert!(ran.said().contains(&"set-item-status: true Status::Skipped"), "{:?}", ran.said());
    assert_eq!(
        ran.said_in_synchronize(),
        ["progress: ProgressResponse::CancelItem", "progress: ProgressResponse::Continue"]
    );
    assert_eq!(ran.ends(), [("a", Status::Skipped), ("b", Status::Failed)]);
    Ok(())
}

#[test]
fn another_thread_cancels_while_the_plugin_waits() -> anyhow::Result<()> {
    for everything in [false, true] {
        let script = Script::new("a b").on("synchronize", "wait-cancelled item=a\nis-cancelled");
        let ran = script.run_with(|cancel| {
            let cancel = cancel.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                match everything {
                    true => cancel.cancel_all(),
                    false => cancel.cancel_item(item("a")),
                }
            });
        })?;
        let cancelled = format!("is-cancelled: {everything}");
        assert_eq!(ran.said_in_synchronize(), ["wait-cancelled: ready", &cancelled]);
    }
    Ok(())
}

#[test]
fn a_plugin_is_ended_wherever_it_is() -> anyhow::Result<()> {
    for commands in [
        "spin",
        "sleep ms=600000",
        "wait-cancelled item=a",
        "progress item=a times=999999999 quiet=1",
    ] {
        let script = Script::new("a b")
            .on("synchronize", &format!("progress item=b status=succeeded\n{commands}"));
        let ran = script.run_with(|cancel| {
            let cancel = cancel.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                cancel.kill();
            });
        })?;
        assert_eq!(ran.error_code(), Some("ended-killed"), "{commands}");
        assert_eq!(ran.report.hresult(), Hresult::HRESULT_ERROR_CANCELLED, "{commands}");
        assert_eq!(ran.ends(), [("a", Status::Failed), ("b", Status::Succeeded)], "{commands}");
        assert_eq!(ran.report.items[0].hresult(), Hresult::HRESULT_ERROR_CANCELLED);
    }
    Ok(())
}

#[test]
fn a_plugin_that_dies_takes_only_unfinished_items_with_it() -> anyhow::Result<()> {
    for (death, code, hresult, words) in [
        (
            "panic text=no_more_lemons",
            "plugin-trap",
            Hresult::HRESULT_ERROR_PROCESS_ABORTED,
            "no more lemons",
        ),
        ("exit status=3", "plugin-exit", Hresult::HRESULT_ERROR_PROCESS_ABORTED, "status"),
        ("allocate bytes=900000000", "ended-memory", Hresult::E_OUTOFMEMORY, "more memory"),
    ] {
        let commands = format!(
            "progress item=a status=succeeded
             log level=error text=full item=c code=no-space
             progress item=c status=failed
             {death}"
        );
        let ran = Script::new("a b c")
            .on("synchronize", &commands)
            .options(|options| {
                options.limits(Limits { memory_bytes: 64 << 20, ..Limits::default() })
            })
            .run()?;
        assert_eq!(ran.error_code(), Some(code), "{death}");
        assert_eq!(ran.report.hresult(), hresult, "{death}");
        assert_eq!(
            ran.ends(),
            [("a", Status::Succeeded), ("b", Status::Failed), ("c", Status::Failed)]
        );
        assert_eq!(ran.report.items[1].hresult(), hresult, "{death}");
        assert_eq!(ran.report.items[2].hresult(), Hresult::HRESULT_ERROR_DISK_FULL, "{death}");
        let message = ran.report.error().map(ToString::to_string).unwrap_or_default();
        assert!(message.contains(words) && message.contains("synchronize"), "{message}");
    }
    Ok(())
}

#[test]
fn items_that_were_prepared_and_left_for_others_are_skipped() -> anyhow::Result<()> {
    let script = Script::new("a b")
        .on("synchronize", "progress item=a status=updating\nprogress item=b status=succeeded");
    let recorder = Recorder::new();
    let mut session = script.start(recorder.clone())?;
    session.block_on(async |session| {
        session.initialize(Trigger::MANUAL, None).await?;
        session.enum_items().await?;
        session.prepare_for_sync(&[item("a")]).await?;
        session.prepare_for_sync(&[item("b")]).await?;
        session.synchronize().await
    })?;
    let report = session.report(Outcome::Completed);
    let ends: Vec<_> = report.items.iter().map(|one| (one.name.as_str(), one.status)).collect();
    assert_eq!(ends, [("a", Status::Skipped), ("b", Status::Succeeded)]);
    assert_eq!(report.refused_calls, 1, "the plugin was told to leave `a` alone");
    Ok(())
}

#[test]
fn a_dead_session_is_never_entered_again() -> anyhow::Result<()> {
    let mut session = Script::new("a").on("get-handler-info", "panic text=x").start(Discard)?;
    let codes = session.block_on(async |session| {
        session.initialize(Trigger::MANUAL, None).await?;
        let first = session.handler_info().await.unwrap_err().code();
        let second = session.enum_items().await.unwrap_err().code();
        Ok([first, second])
    })?;
    assert_eq!(codes, ["plugin-trap", "session-dead"]);
    Ok(())
}

#[test]
fn a_dead_session_says_so_whatever_is_called() -> anyhow::Result<()> {
    let mut session = Script::new("a").on("initialize", "panic text=x").start(Discard)?;
    let codes = session.block_on(async |session| {
        let first = session.initialize(Trigger::MANUAL, None).await.unwrap_err().code();
        let again = session.initialize(Trigger::MANUAL, None).await.unwrap_err().code();
        let info = session.handler_info().await.unwrap_err().code();
        Ok([first, again, info])
    })?;
    assert_eq!(codes, ["plugin-trap", "session-dead", "session-dead"]);
    Ok(())
}

#[test]
fn what_was_prepared_ends_also_where_the_plugin_died_before_synchronize() -> anyhow::Result<()> {
    let recorder = Recorder::new();
    let script = Script::new("a").on("get-properties", "panic text=x");
    let mut session = script.start(recorder.clone())?;
    let code = session.block_on(async |session| {
        session.initialize(Trigger::MANUAL, None).await?;
        session.prepare_for_sync(&[item("a")]).await?;
        session.properties(None).await.unwrap_err();
        Ok(session.synchronize().await.unwrap_err().code())
    })?;
    assert_eq!(code, "session-dead");
    let recorded = format!("{:?}", recorder.recorded());
    assert!(recorded.contains("Failed"), "{recorded}");
    Ok(())
}

#[test]
fn the_message_of_a_push_that_failed_is_bounded() -> anyhow::Result<()> {
    let message = "x".repeat(5000);
    let ran = Script::new("a")
        .on("set-item-status", &format!("fail text={message}"))
        .run_with(|cancel| cancel.cancel_item(item("a")))?;
    let entry = ran.report.log.iter().find(|entry| entry.text.starts_with("set-item-status f"));
    assert_eq!(entry.map(|entry| entry.text.len()), Some(4096));
    Ok(())
}

#[test]
fn what_a_dead_session_did_is_not_changed_by_later_calls() -> anyhow::Result<()> {
    let script = Script::new("a b").on("synchronize", "progress item=a status=succeeded");
    let mut session = script.on("show-error", "panic text=x").start(Discard)?;
    let items = [item("a"), item("b")];
    let codes = session.block_on(async |session| {
        session.initialize(Trigger::MANUAL, None).await?;
        session.prepare_for_sync(&items).await?;
        session.synchronize().await?;
        let shown = session.show_error(ErrorId::from_uuid(Default::default())).await;
        let prepared = session.prepare_for_sync(&items).await.unwrap_err().code();
        let synchronized = session.synchronize().await.unwrap_err().code();
        Ok([shown.unwrap_err().code(), prepared, synchronized])
    })?;
    assert_eq!(codes, ["plugin-trap", "session-dead", "session-dead"]);
    let report = session.report(Outcome::Completed);
    let ends: Vec<_> = report.items.iter().map(|item| item.status).collect();
    assert_eq!(ends, [Status::Succeeded, Status::Failed]);
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
        // Neither the handler's info nor its items are needed for preparing.
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
        ("a a", "Script", "stands twice"),
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
fn log_entries_can_be_taken_back() -> anyhow::Result<()> {
    let ran = Script::new("a")
        .on(
            "synchronize",
            "log level=error text=one id=x item=a code=busy
             log level=warning text=two id=y item=a
             log level=error text=three
             delete-log id=x
             delete-log id=nothing
             progress item=a status=failed",
        )
        .run()?;
    let kept: Vec<_> = ran
        .report
        .log
        .iter()
        .filter(|entry| entry.level != LogLevel::Information)
        .map(|entry| (entry.level, entry.text.as_str(), entry.item))
        .collect();
    assert_eq!(
        kept,
        [(LogLevel::Warning, "two", Some(item("a"))), (LogLevel::Error, "three", None)]
    );
    assert_eq!(ran.report.items[0].code, None, "the error that said why is gone");
    assert!(
        ran.recorded.contains(&Recorded::LogDeleted(Some(ErrorId::from_uuid(item("x").as_uuid()))))
    );
    Ok(())
}

#[test]
fn questions_reach_the_user_only_when_allowed() -> anyhow::Result<()> {
    const ASK: &str = "question text=Which? choices=a,b,c default=1";
    for (may_bother_user, choice, expected) in [
        (false, Some(2), "question: 1"),
        (true, Some(2), "question: 2"),
        (true, None, "question: 1"),
        (true, Some(9), "question: 1"),
    ] {
        let answers = Answers { choice, ..Answers::default() };
        let report = Script::new("a")
            .on("synchronize", ASK)
            .request(|request| request.trigger.may_bother_user = may_bother_user)
            .report(answers)?;
        let ran = Ran { report, recorded: Vec::new() };
        assert_eq!(ran.said_in_synchronize(), [expected]);
    }
    let refused = Script::new("a")
        .on("synchronize", "question text=x choices=\nquestion text=x choices=a default=1")
        .run()?;
    assert_eq!(refused.said_in_synchronize(), ["question: ErrorCode::InvalidArgument"; 2]);
    Ok(())
}

#[test]
fn showing_an_error_may_synchronize_items_once_more() -> anyhow::Result<()> {
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
fn properties_are_data() -> anyhow::Result<()> {
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
    let grant = |name: &str, access| Grant::new(name, &home.path().join(name), access);
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
    let inner = Grant::new("right", &home.path().join("inner"), Access::ReadWrite)?;
    let script = Script::new("a").options(|options| options.grant(outer).grant(inner));
    let error = script.start(Discard).unwrap_err().to_string();
    assert!(error.contains("overlap"), "{error}");
    Ok(())
}

#[test]
fn stderr_and_the_names_on_the_stack_are_in_the_error() -> anyhow::Result<()> {
    let ran =
        Script::new("a").on("synchronize", "print text=before_the_end\npanic text=boom").run()?;
    let Some(syncmgr_host::SessionError::Trap { backtrace, stderr, .. }) = ran.report.error()
    else {
        panic!("{:?}", ran.report.outcome)
    };
    assert!(stderr.contains("before the end"), "{stderr}");
    assert!(backtrace.contains("synchronize"), "{backtrace}");
    Ok(())
}

#[test]
fn totals_and_counts_are_those_of_the_plugin() -> anyhow::Result<()> {
    let ran = Script::new("a")
        .on(
            "synchronize",
            "count item=a name=files value=3
             count item=a name=files value=4
             count item=a name=Bad_Name value=1
             progress item=a status=succeeded",
        )
        .run()?;
    let counts: Vec<_> = ran.report.items[0].counts.iter().collect();
    assert_eq!(counts, [(&"files".to_owned(), &4)]);
    assert_eq!(ran.report.totals().succeeded, 1);
    Ok(())
}

#[test]
fn sessions_beside_each_other_do_not_notice() -> anyhow::Result<()> {
    let cancel = CancelHandle::new();
    let handle = cancel.clone();
    let doomed = std::thread::spawn(move || {
        Script::new("a")
            .on("synchronize", "spin")
            .options(|options| options.cancel_handle(handle))
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

#[test]
fn a_recorder_sees_what_was_reported() -> anyhow::Result<()> {
    let recorder = Recorder::new();
    Script::new("a")
        .on("synchronize", "progress item=a status=succeeded text=done")
        .report(recorder.clone())?;
    let reported = recorder.recorded().into_iter().find_map(|recorded| match recorded {
        Recorded::Progress { reported, response, .. } => Some((reported, response)),
        Recorded::Started(_)
        | Recorded::Log(_)
        | Recorded::LogDeleted(_)
        | Recorded::Question(_) => None,
    });
    let (reported, response) = reported.expect("there is a report");
    assert_eq!(reported.status_text.as_deref(), Some("done"));
    assert_eq!(response, ProgressResponse::Continue);
    Ok(())
}

//! Plugins that crash, and their sessions afterwards.

use super::*;

#[test]
fn a_plugin_is_terminated_in_every_call() -> anyhow::Result<()> {
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
fn a_crash_fails_only_unfinished_items() -> anyhow::Result<()> {
    for (crash, code, hresult, words) in [
        (
            "panic text=no_more_lemons",
            "plugin-trap",
            Hresult::HRESULT_ERROR_PROCESS_ABORTED,
            "no more lemons",
        ),
        ("exit status=3", "plugin-exit", Hresult::HRESULT_ERROR_PROCESS_ABORTED, "exit(1)"),
        (
            "allocate bytes=900000000",
            "ended-memory",
            Hresult::E_OUTOFMEMORY,
            "its memory limit (64MiB)",
        ),
    ] {
        let commands = format!(
            "progress item=a status=succeeded
             log level=error text=full item=c code=no-space
             progress item=c status=failed
             {crash}"
        );
        let ran = Script::new("a b c")
            .on("synchronize", &commands)
            .options(|options| options.limits(limits(|limits| limits.memory_bytes = 64 << 20)))
            .run()?;
        assert_eq!(ran.error_code(), Some(code), "{crash}");
        assert_eq!(ran.report.hresult(), hresult, "{crash}");
        assert_eq!(
            ran.ends(),
            [("a", Status::Succeeded), ("b", Status::Failed), ("c", Status::Failed)]
        );
        assert_eq!(ran.report.items[1].hresult(), hresult, "{crash}");
        assert_eq!(ran.report.items[2].hresult(), Hresult::HRESULT_ERROR_DISK_FULL, "{crash}");
        let message = ran.report.error().map(ToString::to_string).unwrap_or_default();
        assert!(message.contains(words) && message.contains("synchronize"), "{message}");
    }
    Ok(())
}

#[test]
fn prepared_items_that_were_not_started_are_skipped() -> anyhow::Result<()> {
    let script = Script::new("a b")
        .on("synchronize", "progress item=a status=updating\nprogress item=b status=succeeded");
    let recorder = EventLog::new();
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
    assert_eq!(report.refused_calls, 1, "the plugin was asked to cancel `a`");
    Ok(())
}

#[test]
fn a_crashed_session_is_not_entered_again() -> anyhow::Result<()> {
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
fn every_call_of_a_crashed_session_returns_the_crash() -> anyhow::Result<()> {
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
fn prepared_items_end_if_the_plugin_crashes_before_synchronize() -> anyhow::Result<()> {
    let recorder = EventLog::new();
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
fn the_message_of_a_failed_push_is_bounded() -> anyhow::Result<()> {
    let message = "x".repeat(5000);
    let ran = Script::new("a")
        .on("set-item-status", &format!("fail text={message}"))
        .run_with(|cancel| cancel.cancel_item(item("a")))?;
    let entry = ran.report.log.iter().find(|entry| entry.text.starts_with("set-item-status f"));
    assert_eq!(entry.map(|entry| entry.text.len()), Some(4096));
    Ok(())
}

#[test]
fn later_calls_do_not_change_the_report_of_a_crashed_session() -> anyhow::Result<()> {
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
fn a_crash_error_has_stderr_and_the_stack() -> anyhow::Result<()> {
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

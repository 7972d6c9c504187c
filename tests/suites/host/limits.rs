//! Limits and grace periods, with a plugin that executes its settings.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::script::{Script, item};
use conformance::{compare_with_file, limits, limits_page};
use syncmgr_host::sink::{EventLog, Progress, Recorded, Sink};
use syncmgr_host::{
    Access, CancelHandle, Grant, Hresult, Limits, ProgressResponse, Question, Status,
    TerminationReason, Trigger, hresult,
};

fn with_limits(script: Script, change: impl FnOnce(&mut Limits)) -> Script {
    script.options(|options| options.limits(limits(change)))
}

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn the_page_of_limits_equals_the_code() -> anyhow::Result<()> {
    compare_with_file("guest/book/src/limits.md", &limits_page::page()?)
}

#[test]
fn a_plugin_that_exceeds_a_limit_is_terminated_for_that_reason() -> anyhow::Result<()> {
    type Change = fn(&mut Limits);
    let rows: [(&str, Change, TerminationReason); 6] = [
        ("spin", |limits| limits.compute_time = 100 * MILLISECOND, TerminationReason::ComputeTime),
        (
            "sleep ms=60000",
            |limits| limits.wall_time = 100 * MILLISECOND,
            TerminationReason::WallTime,
        ),
        (
            "sleep ms=60000",
            |limits| limits.idle_time = 100 * MILLISECOND,
            TerminationReason::IdleTime,
        ),
        (
            "progress item=b times=999999999 quiet=1",
            |limits| limits.wall_time = 100 * MILLISECOND,
            TerminationReason::WallTime,
        ),
        (
            "allocate bytes=99000000",
            |limits| limits.memory_bytes = 64 << 20,
            TerminationReason::Memory,
        ),
        ("pollables count=1000", |limits| limits.handles = 100, TerminationReason::Handles),
    ];
    for (commands, change, reason) in rows {
        let commands = format!(
            "progress item=a status=succeeded\nprogress item=b status=updating\n{commands}"
        );
        let ran = with_limits(Script::new("a b").on("synchronize", &commands), change).run()?;
        assert_eq!(ran.error_code(), Some(reason.code()), "{commands}");
        let expected = hresult::from_termination_reason(reason);
        assert_eq!(ran.report.hresult(), expected, "{commands}");
        assert_eq!(ran.ends(), [("a", Status::Succeeded), ("b", Status::Failed)], "{commands}");
        assert_eq!(ran.report.items[1].hresult(), expected, "{commands}");
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_opened() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let pipe = home.path().join("pipe");
    anyhow::ensure!(std::process::Command::new("mkfifo").arg(&pipe).status()?.success());
    std::os::unix::fs::symlink("pipe", home.path().join("link"))?;
    let left = Grant::new("left", home.path(), Access::ReadWrite)?;
    for commands in
        ["read path=/left/pipe", "read path=/left/link", "append path=/left/pipe bytes=1"]
    {
        let ended = format!("{commands}\nprogress item=a status=succeeded");
        let script = Script::new("a").on("synchronize", &ended);
        let script = script.options(|options| options.grant(left.clone()));
        let ran = with_limits(script, |limits| limits.wall_time = 5000 * MILLISECOND).run()?;
        let said = ran.said_in_synchronize();
        assert!(said[0].ends_with(": PermissionDenied"), "{commands}: {said:?}");
        assert_eq!(ran.ends(), [("a", Status::Succeeded)]);
    }
    Ok(())
}

#[test]
fn waiting_is_not_counted_as_computing() -> anyhow::Result<()> {
    let script = Script::new("a").on(
        "synchronize",
        "sleep ms=150\nsleep ms=150\nsleep ms=150\nprogress item=a status=succeeded",
    );
    let ran = with_limits(script, |limits| limits.compute_time = 100 * MILLISECOND).run()?;
    assert_eq!(ran.ends(), [("a", Status::Succeeded)]);
    assert!(ran.report.compute_time < 100 * MILLISECOND, "{:?}", ran.report.compute_time);
    assert!(ran.report.host_calls > 0 && ran.report.peak_memory_bytes > 0);
    Ok(())
}

#[test]
fn copying_is_not_counted_as_computing() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    for name in ["left", "right"] {
        std::fs::create_dir(home.path().join(name))?;
    }
    let content: Vec<u8> = (0..8_u32 << 20).flat_map(u32::to_le_bytes).collect();
    let names: Vec<_> = (0..8).map(|number| format!("f{number}")).collect();
    for name in &names {
        std::fs::write(home.path().join("left").join(name), &content)?;
    }
    let copy = format!("copies from=left to=right files={}", names.join(","));
    let grants =
        ["left", "right"].map(|name| Grant::new(name, home.path().join(name), Access::ReadWrite));
    let mut script = Script::new("a").on("synchronize", &copy);
    for grant in grants {
        let grant = grant?;
        script = script.options(|options| options.grant(grant));
    }
    let ran = with_limits(script, |limits| limits.compute_time = 50 * MILLISECOND).run()?;
    assert_eq!(ran.error_code(), None, "{:?}", ran.report.outcome);
    assert!(ran.report.compute_time < 50 * MILLISECOND, "{:?}", ran.report.compute_time);
    Ok(())
}

#[test]
fn user_prompt_time_is_not_counted() -> anyhow::Result<()> {
    struct Slow;
    impl Sink for Slow {
        fn question(&mut self, _question: &Question) -> Option<usize> {
            std::thread::sleep(300 * MILLISECOND);
            Some(0)
        }
    }
    let script = Script::new("a")
        .on("synchronize", "question text=x choices=a,b\nprogress item=a status=succeeded");
    let report = with_limits(script, |limits| {
        limits.wall_time = 150 * MILLISECOND;
        limits.idle_time = 150 * MILLISECOND;
        limits.compute_time = 150 * MILLISECOND;
    })
    .report(Slow)?;
    assert_eq!(report.items[0].status, Status::Succeeded, "{:?}", report.outcome);
    Ok(())
}

#[test]
fn a_plugin_that_ignores_cancellation_is_terminated_after_the_grace_period() -> anyhow::Result<()> {
    for (everything, code, ends) in [
        (true, "ended-cancelled-all", [Status::Succeeded, Status::Stopped, Status::Stopped]),
        (false, "ended-cancelled-item", [Status::Succeeded, Status::Skipped, Status::Failed]),
    ] {
        let script = Script::new("a b c").on(
            "synchronize",
            "progress item=a status=succeeded\nprogress item=b status=updating\nspin",
        );
        let script = with_limits(script, |limits| limits.grace = 50 * MILLISECOND);
        let ran = script.run_with(|cancel| match everything {
            true => cancel.cancel_all(),
            false => cancel.cancel_item(item("b")),
        })?;
        assert_eq!(ran.error_code(), Some(code));
        let statuses: Vec<_> = ran.ends().into_iter().map(|(_, status)| status).collect();
        assert_eq!(statuses, ends, "{code}");
    }
    Ok(())
}

#[test]
fn cancelling_a_waiting_item_terminates_no_plugin() -> anyhow::Result<()> {
    let script = Script::new("a b").on(
        "synchronize",
        "progress item=a status=updating
         sleep ms=200
         progress item=a status=succeeded
         progress item=b status=skipped",
    );
    let script = with_limits(script, |limits| limits.grace = 20 * MILLISECOND);
    let ran = script.run_with(|cancel| cancel.cancel_item(item("b")))?;
    assert_eq!(ran.ends(), [("a", Status::Succeeded), ("b", Status::Skipped)]);
    Ok(())
}

#[test]
fn a_run_returns_although_a_system_call_hangs() -> anyhow::Result<()> {
    for (blocking, commands) in [
        ("open-storage", "locks count=1"),
        ("flush-files", "flush count=2"),
        ("flush-directories", "flush-directories count=2"),
        ("copy-files", "copies from=storage to=storage files=none"),
        ("wasi:filesystem open-at", "write path=/storage/x text=y"),
        ("wasi:filesystem write-via-stream", "write path=/storage/x text=y"),
        ("wasi:filesystem create-directory-at", "mkdir path=/storage/x"),
    ] {
        // The hook of a host call runs in place of the call, and blocks like the call.
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let blocked = Mutex::new(blocked);
        let hook = Arc::new(move |call: &'static str| {
            if call == blocking {
                let _ = blocked.lock().expect("the lock is not poisoned").recv();
            }
            true
        });
        let home = tempfile::tempdir()?;
        let commands = format!("progress item=a status=succeeded\n{commands}");
        let script = Script::new("a b")
            .on("synchronize", &commands)
            .options(|options| options.host_call_hook(hook).storage(home.path()));
        let script = with_limits(script, |limits| limits.grace = 50 * MILLISECOND);
        let ran = script.run_with(|cancel| cancel.cancel_all())?;
        assert_eq!(ran.error_code(), Some("ended-cancelled-all"), "{blocking}");
        assert_eq!(ran.ends(), [("a", Status::Succeeded), ("b", Status::Stopped)]);
        let message = ran.report.error().map(ToString::to_string).unwrap_or_default();
        assert!(message.contains("in `synchronize`"), "{message}");
        drop(release);
    }
    Ok(())
}

#[test]
fn the_grace_period_starts_after_a_user_prompt() -> anyhow::Result<()> {
    struct Slow(CancelHandle);
    impl Sink for Slow {
        fn question(&mut self, _question: &Question) -> Option<usize> {
            self.0.cancel_all();
            std::thread::sleep(400 * MILLISECOND);
            None
        }
    }
    let cancel = CancelHandle::new();
    let handle = cancel.clone();
    let script = Script::new("a")
        .on(
            "synchronize",
            "question text=x choices=a,b\nsleep ms=50\nprogress item=a status=stopped",
        )
        .options(|options| options.cancel_with(handle));
    let report = script
        .options(|options| options.limits(limits(|limits| limits.grace = 200 * MILLISECOND)))
        .report(Slow(cancel))?;
    assert!(report.error().is_none(), "{:?}", report.outcome);
    assert_eq!(report.items[0].status, Status::Stopped);
    Ok(())
}

#[test]
fn time_in_a_slow_sink_is_not_counted() -> anyhow::Result<()> {
    struct Slow;
    impl Sink for Slow {
        fn progress(&mut self, _progress: &Progress<'_>) -> ProgressResponse {
            std::thread::sleep(40 * MILLISECOND);
            ProgressResponse::Continue
        }
    }
    let script = Script::new("a").on("synchronize", "work item=a steps=20");
    let report =
        with_limits(script, |limits| limits.compute_time = 400 * MILLISECOND).report(Slow)?;
    assert_eq!(report.items[0].status, Status::Succeeded, "{:?}", report.outcome);
    Ok(())
}

#[test]
fn a_dropped_call_ends_the_session() -> anyhow::Result<()> {
    let mut session =
        Script::new("a").on("get-handler-info", "sleep ms=60000").start(EventLog::new())?;
    let code = session.block_on(async |session| {
        session.initialize(Trigger::MANUAL, None).await?;
        let dropped = tokio::time::timeout(50 * MILLISECOND, session.handler_info()).await;
        assert!(dropped.is_err());
        Ok(session.enum_items().await.unwrap_err().code())
    })?;
    assert_eq!(code, "ended-killed");
    Ok(())
}

#[test]
fn excess_reports_are_coalesced_to_the_last_value() -> anyhow::Result<()> {
    type Heard = (Option<i32>, Option<Status>);
    #[derive(Clone, Default)]
    struct Values(Arc<Mutex<Vec<Heard>>>);
    impl Sink for Values {
        fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
            let now = progress.current;
            self.0
                .lock()
                .expect("the lock is not poisoned")
                .push((Some(now.prog_value), now.status_type));
            ProgressResponse::Continue
        }
    }
    let values = Values::default();
    let script = Script::new("a b").on(
        "synchronize",
        "work item=a steps=5000
         progress item=b status=updating value=7
         progress item=b value=9",
    );
    let report =
        with_limits(script, |limits| limits.progress_per_second = 10).report(values.clone())?;
    let heard = values.0.lock().expect("the lock is not poisoned").clone();
    assert!(heard.len() < 100, "{} reports arrived", heard.len());
    assert!(report.merged_calls > 4900, "{}", report.merged_calls);
    assert_eq!(report.progress_calls, 5003);
    assert!(heard.iter().any(|(_, status)| *status == Some(Status::Succeeded)), "{heard:?}");
    assert!(heard.contains(&(Some(9), Some(Status::Updating))), "the last value of b: {heard:?}");
    Ok(())
}

#[test]
fn excess_actions_are_dropped_and_counted() -> anyhow::Result<()> {
    let script = Script::new("a").on(
        "synchronize",
        "actions item=a count=7 side=right path=x
         actions item=elsewhere count=5
         actions item=a count=7 path=y
         actions item=a count=3
         progress item=a status=succeeded",
    );
    let ran = with_limits(script, |limits| limits.actions = 10).run()?;
    let actions: Vec<_> = ran
        .recorded
        .iter()
        .filter_map(|recorded| {
            let Recorded::Action { item, action } = recorded else { return None };
            Some((*item, action.path.as_str()))
        })
        .collect();
    let paths = ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "y0", "y1", "y2"];
    assert_eq!(actions, paths.map(|path| (item("a"), path)));
    assert_eq!(ran.report.dropped_actions, 7);
    assert_eq!(ran.ends(), [("a", Status::Succeeded)]);
    Ok(())
}

#[test]
fn excess_messages_are_dropped_and_counted() -> anyhow::Result<()> {
    let script = Script::new("a").on("synchronize", "log level=warning text=x times=50");
    let ran = with_limits(script, |limits| limits.log_entries = 10).run()?;
    assert_eq!(ran.report.log.len(), 10);
    assert_eq!(ran.report.warnings, 50);
    Ok(())
}

#[test]
fn an_item_list_above_the_limit_is_rejected() -> anyhow::Result<()> {
    let ran = with_limits(Script::new("a b c"), |limits| limits.items = 2).run()?;
    assert_eq!(ran.report.hresult(), Hresult::HRESULT_ERROR_INVALID_DATA);
    Ok(())
}

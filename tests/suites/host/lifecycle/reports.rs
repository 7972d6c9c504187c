//! Reports, log entries, counters and questions of a plugin.

use super::*;

#[test]
fn an_item_without_a_terminal_status_fails() -> anyhow::Result<()> {
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
fn ids_of_other_items_are_rejected() -> anyhow::Result<()> {
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
            self.0.lock().expect("the lock is not poisoned").push(row);
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
    let rows = standings.0.lock().expect("the lock is not poisoned").clone();
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
fn log_entries_can_be_removed() -> anyhow::Result<()> {
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
fn totals_and_counters_are_recorded() -> anyhow::Result<()> {
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
fn an_event_log_has_the_reported_events() -> anyhow::Result<()> {
    let recorder = EventLog::new();
    Script::new("a")
        .on("synchronize", "progress item=a status=succeeded text=done")
        .report(recorder.clone())?;
    let reported = recorder.recorded().into_iter().find_map(|recorded| {
        let Recorded::Progress { reported, response, .. } = recorded else { return None };
        Some((reported, response))
    });
    let (reported, response) = reported.expect("there is a report");
    assert_eq!(reported.status_text.as_deref(), Some("done"));
    assert_eq!(response, ProgressResponse::Continue);
    Ok(())
}

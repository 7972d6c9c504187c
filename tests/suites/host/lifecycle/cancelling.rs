//! Cancellation by the user.

use super::*;

#[test]
fn cancelling_an_item_is_repeated_and_affects_no_other() -> anyhow::Result<()> {
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
    // Items that had ended keep their status; the others were stopped.
    assert_eq!(
        ran.ends(),
        [("a", Status::Succeeded), ("b", Status::Stopped), ("c", Status::Stopped)]
    );
    assert_eq!(ran.report.items[1].hresult(), Hresult::S_SYNCMGR_CANCELALL);
    Ok(())
}

#[test]
fn pushes_before_synchronize_are_delivered() -> anyhow::Result<()> {
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

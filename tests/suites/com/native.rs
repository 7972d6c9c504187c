//! The other direction: drives handlers through their vtables as the sync manager does. The
//! handlers are plugins, so the results must equal those without COM.

use std::convert::Infallible;

use anyhow::Result;
use conformance::com::class;
use conformance::{FOLDER, host, script};
use syncmgr_com::handler;
use syncmgr_com::native::{self, NativeOptions};
use syncmgr_com::user_interface::Silent;
use syncmgr_host::sink::{EventLog, Progress, Recorded, Sink};
use syncmgr_host::{
    Access, CancelHandle, Capability, Grant, Hresult, Item, Outcome, Plugin, ProgressResponse,
    RunReport, RunRequest, Selection, SessionOptions, Status, SyncEvent, Trigger,
};

fn run_native(
    plugin: &Plugin,
    options: SessionOptions,
    request: &RunRequest,
    sink: impl Sink + 'static,
) -> RunReport {
    run_cancellable(plugin, options, CancelHandle::new(), request, sink)
}

fn run_cancellable(
    plugin: &Plugin,
    options: SessionOptions,
    cancel: CancelHandle,
    request: &RunRequest,
    sink: impl Sink + 'static,
) -> RunReport {
    let class = class(plugin.clone(), options, Silent);
    let create = move || Ok::<_, Infallible>((handler::create(class), ()));
    let options = NativeOptions { cancel, ..NativeOptions::default() };
    match native::run(create, "the class", options, sink, request) {
        Ok(ran) => ran.report,
        Err(never) => match never {},
    }
}

/// The status, value and text of each report that a sink received.
#[derive(Clone, Default)]
struct Standings(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl Standings {
    fn seen(&self) -> Vec<String> {
        self.0.lock().expect("the lock is not poisoned").clone()
    }
}

impl Sink for Standings {
    fn started(&mut self, items: &[Item]) {
        let names: Vec<_> = items.iter().map(|item| item.name.as_str()).collect();
        self.0.lock().expect("the lock is not poisoned").push(format!("started {names:?}"));
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let current = progress.current;
        self.0.lock().expect("the lock is not poisoned").push(format!(
            "{} {:?} {}/{} {:?}",
            progress.item,
            // A native report always has a status.
            current.status_type.unwrap_or(Status::Updating),
            current.prog_value,
            current.max_value,
            current.status_text
        ));
        ProgressResponse::Continue
    }
}

#[test]
fn runs_report_the_same_with_and_without_com() -> Result<()> {
    let work = "progress item=a status=updating max=9 text=one
        progress item=a value=4
        progress item=a status=succeeded text=two
        progress item=b value=5
        progress item=b status=failed";
    let lines: Vec<_> = work.lines().map(str::trim).collect();
    let options =
        || SessionOptions::new().setting("items", "a b").setting("synchronize", lines.join("\n"));
    let (direct, through) = (Standings::default(), Standings::default());
    let request = RunRequest::default();
    let report = script::plugin().run(options(), direct.clone(), &request)?;
    let native = run_native(&script::plugin(), options(), &request, through.clone());
    assert_eq!(direct.seen(), through.seen());
    // The native log entry of a failed item has no code; the number is the same.
    assert_eq!(report.hresult(), native.hresult());
    let ends = |report: &RunReport| -> Vec<_> {
        report.items.iter().map(|item| (item.name.clone(), item.status)).collect()
    };
    assert_eq!(ends(&report), ends(&native));
    Ok(())
}

#[test]
fn folder_syncs_real_directories_through_com_and_reports_the_same() -> Result<()> {
    let plugin = host().load_file(FOLDER)?;
    let mut seen = Vec::new();
    for through_com in [false, true] {
        let place = tempfile::tempdir()?;
        let (left, right) = (place.path().join("left"), place.path().join("right"));
        let storage = place.path().join("storage");
        for folder in [&left, &right, &storage] {
            std::fs::create_dir(folder)?;
        }
        std::fs::create_dir(left.join("sub"))?;
        for number in 0..20 {
            std::fs::write(left.join(format!("sub/file-{number}")), format!("{number}"))?;
        }
        std::fs::write(right.join("other"), "other")?;
        let options = SessionOptions::new()
            .grant(Grant::new("left", &left, Access::ReadWrite)?)
            .grant(Grant::new("right", &right, Access::ReadWrite)?)
            .allow(Capability::WallClock)
            .storage(storage);
        let standings = Standings::default();
        let request = RunRequest::default();
        let report = match through_com {
            false => plugin.run(options, standings.clone(), &request)?,
            true => run_native(&plugin, options, &request, standings.clone()),
        };
        assert_eq!(report.hresult(), Hresult::S_OK, "{report:?}");
        for (one, other) in [(&left, &right), (&right, &left)] {
            assert_eq!(std::fs::read(one.join("other"))?, b"other");
            assert_eq!(
                std::fs::read(one.join("sub/file-7"))?,
                std::fs::read(other.join("sub/file-7"))?
            );
        }
        // The id of an item depends on its directories, which differ here.
        let without_id =
            |line: String| line.split_once(' ').map_or(line.clone(), |(_, rest)| rest.to_owned());
        let lines = standings.seen().into_iter().map(without_id);
        // The number of reports depends on the time.
        let mut lines: Vec<_> = lines.collect();
        let (first, last) = (lines.first().cloned(), lines.pop());
        seen.push((first, last));
    }
    assert_eq!(seen[0], seen[1]);
    Ok(())
}

#[test]
fn every_early_end_is_reported() {
    let trigger = |event| Trigger { event, settings: false, may_bother_user: false };
    for (name, value, expected) in [
        ("declines", "1", "declined"),
        ("needs-user", "1", "needs-user"),
        ("items", "", "nothing-selected"),
    ] {
        let options = SessionOptions::new().setting("items", "a").setting(name, value);
        let mut request = RunRequest::default();
        request.trigger = trigger(SyncEvent::Idle);
        let report = run_native(&script::plugin(), options, &request, EventLog::new());
        assert_eq!(report.outcome.name(), expected);
        assert!(report.items.iter().all(|item| item.status == Status::Skipped));
    }
    for (name, value, expected) in [
        ("initialize", "fail code=busy", Hresult::HRESULT_ERROR_BUSY),
        ("get-handler-info", "fail code=no-space", Hresult::HRESULT_ERROR_DISK_FULL),
        ("enum-items", "panic text=no", Hresult::HRESULT_ERROR_PROCESS_ABORTED),
        ("prepare-for-sync", "fail code=access-denied", Hresult::E_ACCESSDENIED),
        ("synchronize", "fail code=busy", Hresult::HRESULT_ERROR_BUSY),
    ] {
        let options = SessionOptions::new().setting("items", "a").setting(name, value);
        let request = RunRequest::default();
        let report = run_native(&script::plugin(), options, &request, EventLog::new());
        assert!(matches!(report.outcome, Outcome::Failed(_)), "{value}: {:?}", report.outcome);
        assert_eq!(report.hresult(), expected, "{name}: {value}");
    }
}

#[test]
fn only_selected_items_run_and_unknown_items_are_reported() {
    let options = || {
        SessionOptions::new()
            .setting("items", "a b c")
            .setting("unchecked", "c")
            .setting("synchronize", "")
    };
    for (selection, expected) in [
        (Selection::Checked, &["a", "b"][..]),
        (Selection::Only(vec!["c".into()]), &["c"]),
        (Selection::Only(vec![script::item("b").to_string()]), &["b"]),
    ] {
        let mut request = RunRequest::default();
        request.selection = selection;
        let report = run_native(&script::plugin(), options(), &request, EventLog::new());
        let names: Vec<_> = report.items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, expected);
    }
    let mut request = RunRequest::default();
    request.selection = Selection::Only(vec!["d".into()]);
    let report = run_native(&script::plugin(), options(), &request, EventLog::new());
    assert_eq!(report.error().map(syncmgr_host::SessionError::code), Some("session-unknown-item"));
}

#[test]
fn the_cookie_and_the_event_reach_the_handler() {
    let mut request = RunRequest::default();
    request.trigger = Trigger { event: SyncEvent::Invoke, settings: false, may_bother_user: false };
    request.cookie = Some(vec![7, 8]);
    let options = SessionOptions::new().setting("items", "a");
    let recorder = EventLog::new();
    let _ = run_native(&script::plugin(), options, &request, recorder.clone());
    let said = format!("{:?}", recorder.recorded());
    assert!(said.contains("initialize: SyncEvent::Invoke 0 Some([7, 8])"), "{said}");
}

#[test]
fn a_handler_can_request_another_attempt_if_allowed() {
    let work = "log item=a level=error text=one id=e jump=1\nprogress item=a status=failed";
    for (retries, attempts) in [(0, 1), (2, 3)] {
        let options = SessionOptions::new()
            .setting("items", "a")
            .setting("synchronize", work)
            .setting("retry", "a");
        let mut request = RunRequest::default();
        request.retries = retries;
        let recorder = EventLog::new();
        let _ = run_native(&script::plugin(), options, &request, recorder.clone());
        let recorded = recorder.recorded();
        let started = recorded.iter().filter(|call| matches!(call, Recorded::Started(_)));
        assert_eq!(started.count(), attempts);
    }
}

/// Cancels from another thread after an item has started.
struct CancelLater(CancelHandle);

impl Sink for CancelLater {
    fn progress(&mut self, _: &Progress<'_>) -> ProgressResponse {
        self.0.cancel_all();
        ProgressResponse::Continue
    }
}

#[test]
fn a_cancellation_during_a_run_is_pushed_to_the_handler() {
    let cancel = CancelHandle::new();
    let options = SessionOptions::new()
        .setting("items", "a b")
        // It is notified by the push only.
        .setting("synchronize", "progress item=a status=updating\nwait-cancelled");
    let sink = CancelLater(cancel.clone());
    let request = RunRequest::default();
    let report = run_cancellable(&script::plugin(), options, cancel, &request, sink);
    assert_eq!(report.totals().stopped, 2, "{report:?}");
}

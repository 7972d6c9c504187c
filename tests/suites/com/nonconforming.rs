//! Native handlers that violate the rules of the interfaces: the run ends, and reports the
//! violation.

#![allow(unsafe_code, reason = "COM methods are called through pointers")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "what a C program would do")]

use std::convert::Infallible;
use std::ptr::null;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use conformance::com::{class, guid};
use conformance::hooked::{self, Hook, Manager};
use conformance::script;
use syncmgr_com::handler;
use syncmgr_com::interfaces::SYNCMGRPROGRESSITEM;
use syncmgr_com::native::{self, NativeOptions, NativeRun};
use syncmgr_com::user_interface::Silent;
use syncmgr_host::sink::{EventLog, Recorded};
use syncmgr_host::{
    Hresult, Limits, Outcome, RunRequest, SessionError, SessionOptions, Status, TerminationReason,
};
use windows_core::HRESULT;

const ODD_SUCCESS: Hresult = Hresult(0x0004_0299);

/// Runs a handler with the items `a` and `b` and these commands, unless the hook overrides a
/// method.
fn run(work: &str, hook: Hook, options: NativeOptions, sink: EventLog) -> NativeRun {
    let script = SessionOptions::new().setting("items", "a b").setting("synchronize", work);
    let class = class(script::plugin(), script, Silent);
    let create = move || Ok::<_, Infallible>((hooked::create(handler::create(class), hook), ()));
    let mut request = RunRequest::default();
    request.retries = 1;
    match native::run(create, "the class", options, sink, &request) {
        Ok(ran) => ran,
        Err(never) => match never {},
    }
}

/// Overrides one method.
fn answer(
    method: &'static str,
    answer: impl Fn(&Manager) -> Hresult + Send + Sync + 'static,
) -> Hook {
    Box::new(move |called, manager| match called == method {
        true => manager.map(&answer),
        false => None,
    })
}

fn limits(change: impl FnOnce(&mut Limits)) -> NativeOptions {
    let mut limits = Limits::default();
    limits.grace = Duration::from_millis(100);
    change(&mut limits);
    NativeOptions { limits, ..NativeOptions::default() }
}

/// Longer than any call of a conforming handler.
const PATIENCE: Duration = Duration::from_secs(1);

fn impatient() -> NativeOptions {
    limits(|limits| limits.idle_time = PATIENCE)
}

/// Tests all rows that wait for limits concurrently.
fn at_once<T: Sync>(rows: &[T], test: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for row in rows {
            scope.spawn(|| test(row));
        }
    });
}

/// Returns the call that ended the run, and the reason.
fn ended(ran: &NativeRun) -> Option<(&'static str, TerminationReason)> {
    match ran.report.error() {
        Some(SessionError::Terminated { call, reason, .. }) => Some((call.name(), *reason)),
        Some(_) | None => None,
    }
}

/// An error with details, so that `ShowError` is called.
const ERROR: &str = "log item=a level=error text=one id=e jump=1\nprogress item=a status=failed
progress item=b status=succeeded";

#[test]
fn a_handler_that_hangs_in_a_method_is_abandoned_and_not_released() {
    let rows = [
        ("Initialize", "initialize"),
        ("GetHandlerInfo", "get-handler-info"),
        ("EnumSyncMgrItems", "enum-items"),
        ("SetProgressCallback", "set-progress-callback"),
        ("PrepareForSync", "prepare-for-sync"),
        ("Synchronize", "synchronize"),
        // This notifies the handler of the limit.
        ("SetItemStatus", "synchronize"),
        ("ShowError", "show-error"),
        ("SetProgressCallback(NULL)", "set-progress-callback"),
        ("Release", "release"),
    ];
    at_once(&rows, |&(method, call)| {
        let released = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&released);
        let hook: Hook = Box::new(move |called, _| {
            counted.fetch_add(usize::from(called == "Release"), Ordering::SeqCst);
            match called == method {
                true => hooked::hang(),
                false => None,
            }
        });
        let work = if method == "SetItemStatus" { "wait-cancelled item=b" } else { ERROR };
        let ran = run(work, hook, impatient(), EventLog::new());
        assert_eq!(ended(&ran), Some((call, TerminationReason::IdleTime)), "{method}: {ran:?}");
        assert!(ran.abandoned, "{method}");
        let expected = usize::from(method == "Release");
        assert_eq!(released.load(Ordering::SeqCst), expected, "{method}");
        assert_eq!(ran.report.hresult(), Hresult::HRESULT_WAIT_TIMEOUT, "{method}");
    });
}

#[test]
fn a_handler_that_does_not_complete_is_abandoned() {
    let rows = [
        ("PrepareForSync", "prepare-for-sync"),
        ("Synchronize", "synchronize"),
        ("ShowError", "show-error"),
    ];
    at_once(&rows, |&(method, call)| {
        for (options, reason) in [
            (impatient(), TerminationReason::IdleTime),
            (limits(|limits| limits.wall_time = PATIENCE), TerminationReason::WallTime),
        ] {
            let ran = run(ERROR, answer(method, |_| Hresult::S_OK), options, EventLog::new());
            assert_eq!(ended(&ran), Some((call, reason)), "{method}: {ran:?}");
            assert!(ran.abandoned, "{method}");
            let all_ended = ran.report.items.iter().all(|item| item.status.is_terminal());
            assert!(all_ended, "{method}: {ran:?}");
        }
    });
}

#[test]
fn a_handler_that_stops_within_the_grace_period_is_released() {
    let options = limits(|limits| {
        limits.idle_time = PATIENCE;
        limits.grace = Duration::from_secs(60);
    });
    let work = "wait-cancelled\nprogress item=a status=stopped\nprogress item=b status=stopped";
    let ran = run(work, Box::new(|_, _| None), options, EventLog::new());
    assert_eq!(ended(&ran), Some(("synchronize", TerminationReason::IdleTime)), "{ran:?}");
    assert!(!ran.abandoned);
    assert_eq!(ran.report.totals().stopped, 2, "{ran:?}");
}

#[test]
fn a_handler_that_ignores_a_cancellation_is_abandoned() {
    for (kill, reason) in
        [(false, TerminationReason::CancelledAll), (true, TerminationReason::Killed)]
    {
        let options = match kill {
            false => limits(|_| {}),
            true => NativeOptions::default(),
        };
        let cancel = options.cancel.clone();
        let hook = answer("Synchronize", move |_| {
            cancel.cancel_all();
            if kill {
                cancel.kill();
            }
            Hresult::S_OK
        });
        let ran = run("", hook, options, EventLog::new());
        assert_eq!(ended(&ran), Some(("synchronize", reason)), "{ran:?}");
        assert!(ran.abandoned);
        assert_eq!(ran.report.totals().stopped, 2, "{ran:?}");
    }
}

#[test]
fn a_silent_handler_is_reported_once() {
    let options = NativeOptions { notice: Duration::from_millis(50), ..impatient() };
    let recorder = EventLog::new();
    let ran = run("", answer("Synchronize", |_| Hresult::S_OK), options, recorder.clone());
    assert!(ran.abandoned);
    let recorded = recorder.recorded();
    let is_notice = |call: &&Recorded| matches!(call, Recorded::Log(entry) if entry.text.contains("silent in `synchronize`"));
    assert_eq!(recorded.iter().filter(is_notice).count(), 1, "{recorded:?}");
    assert_eq!((ran.report.warnings, ran.report.errors), (0, 0));
}

#[test]
fn a_retry_request_without_items_is_a_completion() {
    let hook = answer("ShowError", |Manager(callback)| {
        let retry = HRESULT(Hresult::S_SYNCMGR_RETRYSYNC.0.cast_signed());
        // SAFETY: NULL is what is tried.
        Hresult(unsafe { callback.ShowErrorCompleted(retry, u32::MAX, null()) }.0.cast_unsigned())
    });
    let ran = run(ERROR, hook, NativeOptions::default(), EventLog::new());
    // The failure of its item, as before, without a retry.
    assert_eq!(ran.report.hresult(), Hresult::E_FAIL, "{ran:?}");
    assert!(!ran.abandoned);
}

/// Reports a status of the item `a`, and returns the answer.
fn report(Manager(callback): &Manager, status: Status) -> Hresult {
    let id = guid("a");
    let item = SYNCMGRPROGRESSITEM {
        cbSize: 32,
        mask: 2,
        lpcStatusText: null(),
        dwStatusType: status as u32,
        iProgValue: 0,
        iMaxValue: 0,
    };
    // SAFETY: both live until the call returns.
    Hresult(unsafe { callback.Progress(&raw const id, &raw const item) }.0.cast_unsigned())
}

fn log(Manager(callback): &Manager) -> Hresult {
    let text = [u16::from(b'x'), 0];
    // SAFETY: the text ends with a NUL.
    Hresult(unsafe { callback.LogError(3, text.as_ptr(), null()) }.0.cast_unsigned())
}

#[test]
fn reports_after_the_completion_are_ignored() {
    let completes = |manager: &Manager, method: &str, outcome: Hresult| {
        let outcome = HRESULT(outcome.0.cast_signed());
        // SAFETY: there are no pointers.
        let _ = unsafe {
            match method {
                "PrepareForSync" => manager.0.PrepareForSyncCompleted(outcome),
                _synchronize => manager.0.SynchronizeCompleted(outcome),
            }
        };
    };
    for (method, outcome, before, end) in [
        ("Synchronize", Hresult::S_OK, Status::Succeeded, Status::Succeeded),
        ("Synchronize", Hresult::S_FALSE, Status::Succeeded, Status::Succeeded),
        ("Synchronize", Hresult::E_FAIL, Status::Skipped, Status::Skipped),
        ("PrepareForSync", Hresult::S_FALSE, Status::Updating, Status::Skipped),
    ] {
        let hook = answer(method, move |manager| {
            assert_eq!(report(manager, before), Hresult::S_OK);
            assert_eq!(log(manager), Hresult::S_OK);
            completes(manager, method, outcome);
            for late in [Status::Failed, Status::Updating, Status::Succeeded] {
                assert_eq!(report(manager, late), Hresult::S_SYNCMGR_CANCELALL);
            }
            assert_eq!(log(manager), Hresult::E_UNEXPECTED);
            completes(manager, method, Hresult::E_ACCESSDENIED);
            Hresult::S_OK
        });
        let ran = run("", hook, NativeOptions::default(), EventLog::new());
        assert_eq!(ran.report.items[0].status, end, "{method} {outcome}: {ran:?}");
        assert_eq!(ran.report.errors, 1, "{method} {outcome}: {ran:?}");
    }
}

#[test]
fn every_failure_is_named_by_the_method_that_failed() {
    let completes = |outcome: Hresult| {
        answer("PrepareForSync", move |Manager(callback)| {
            // SAFETY: there are no pointers.
            let _ = unsafe { callback.PrepareForSyncCompleted(HRESULT(outcome.0.cast_signed())) };
            Hresult::S_OK
        })
    };
    let answers = |method, outcome| -> Hook {
        Box::new(move |called, _| (called == method).then_some(outcome))
    };
    for (hook, words) in [
        (answers("Initialize", Hresult::E_FAIL), "initialize failed: E_FAIL"),
        (answers("SetProgressCallback", Hresult::E_FAIL), "set-progress-callback failed: E_FAIL"),
        (answers("GetHandlerInfo", Hresult::E_FAIL), "get-handler-info failed: E_FAIL"),
        (
            answers("PrepareForSync", ODD_SUCCESS),
            "prepare-for-sync returned 0x00040299 instead of S_OK",
        ),
        (completes(ODD_SUCCESS), "prepare-for-sync returned 0x00040299 instead of S_OK"),
        (
            completes(Hresult::S_SYNCMGR_CANCELALL),
            "prepare-for-sync returned S_SYNCMGR_CANCELALL (0x00040204) instead of S_OK",
        ),
        (completes(Hresult::E_ACCESSDENIED), "prepare-for-sync failed: E_ACCESSDENIED"),
    ] {
        let ran = run("", hook, NativeOptions::default(), EventLog::new());
        let said = ran.report.error().map(ToString::to_string).unwrap_or_default();
        assert!(said.contains(words), "{words}: {ran:?}");
        assert!(!ran.abandoned);
    }
    for hook in [answers("PrepareForSync", Hresult::S_FALSE), completes(Hresult::S_FALSE)] {
        let ran = run("", hook, NativeOptions::default(), EventLog::new());
        assert!(matches!(ran.report.outcome, Outcome::NeedsUser), "{ran:?}");
    }
}

#[test]
fn a_handler_need_not_have_a_name() {
    let hook: Hook =
        Box::new(|called, _| (called == "GetHandlerInfo").then_some(Hresult::E_NOTIMPL));
    let work = "progress item=a status=succeeded\nprogress item=b status=succeeded";
    let ran = run(work, hook, NativeOptions::default(), EventLog::new());
    assert_eq!((ran.report.plugin.as_str(), ran.report.totals().succeeded), ("the class", 2));
}

//! Plugins as native handlers, driven through their vtables: the documented order, exact results,
//! and invalid callers.

#![allow(unsafe_code, reason = "COM methods are called through pointers")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "what a C program would do")]

mod arguments;
mod collection;
mod ends;
mod items;
mod reentry;
mod time;
mod user;

use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use conformance::com::{Answer, Client, agree, answer, class, guid, next_one, ours};
use conformance::{limits, script};
use syncmgr_com::interfaces::{
    GUID_NULL, IClassFactory, ISyncMgrEnumItems, ISyncMgrSynchronize, ISyncMgrSynchronizeCallback,
    SYNCMGRITEM,
};
use syncmgr_com::user_interface::{Parent, Silent, UserInterface};
use syncmgr_com::{factory, handler, task_memory};
use syncmgr_host::{
    Hresult, Limits, Property, PropertyValue, Question, SessionOptions, TerminationReason, hresult,
};
use windows_core::{GUID, IUnknown, Interface};

/// Started by the user, who can be prompted.
const MANUAL: u32 = 0x203;
const INVOKE: u32 = 5;
const SETTINGS: u32 = 0x103;
const E_POINTER: Hresult = Hresult(0x8000_4003);
const RPC_E_DISCONNECTED: Hresult = Hresult(0x8001_0108);

fn script(synchronize: &str) -> SessionOptions {
    let lines: Vec<_> = synchronize.lines().map(str::trim).collect();
    SessionOptions::new().setting("synchronize", lines.join("\n"))
}

fn client(options: SessionOptions, answer: Answer) -> Client {
    Client::new(options, "a b", answer)
}

/// The path of one report: from the SDK through the host to the callback, and back as the
/// cancellation error of the SDK. ARCHITECTURE.md lists the files on this path.
#[test]
fn one_report_end_to_end() -> Result<()> {
    let plugin = conformance::host().load_file(conformance::HELLO)?;
    let cancels_at_the_third: Answer = Some(Box::new(|method, _item, nth| {
        let cancels = (method, nth) == ("Progress", 3);
        if cancels { Hresult::S_SYNCMGR_CANCELITEM } else { Hresult::S_OK }
    }));
    let handler = handler::create(class(plugin, SessionOptions::new(), Silent));
    let client = Client::with(handler, "", cancels_at_the_third);
    assert_eq!(client.initialize(MANUAL), Hresult::S_OK);
    assert_eq!(client.set_callback(), Hresult::S_OK);
    let (_, items) = client.items()?;
    assert_eq!(client.prepare(&[items[0].ItemID]), Hresult::S_OK);
    client.completed("PrepareForSyncCompleted")?;
    assert_eq!(client.synchronize(), Hresult::S_OK);
    assert_eq!(client.completed("SynchronizeCompleted")?.outcome, Hresult::S_OK);
    let reports = client.made().into_iter().filter(|made| made.method == "Progress");
    let reports: Vec<_> = reports.map(|made| (made.arguments, made.answer)).collect();
    // The third report returned the error, which left the plugin's loop of ten. The SDK ended the
    // item as skipped.
    let report = |status, value| format!("status={status} {value}/10 \"Hello\"");
    let expected = [
        (report(3, 1), Hresult::S_OK),
        (report(3, 2), Hresult::S_OK),
        (report(3, 3), Hresult::S_SYNCMGR_CANCELITEM),
        (report(1, 3), Hresult::S_OK),
    ];
    assert_eq!(reports, expected);
    Ok(())
}

const WORK_ON_BOTH: &str = "progress item=a status=updating max=4 text=begun
    progress item=a value=2
    progress item=a status=succeeded value=4 text=done
    progress item=b status=updating-indeterminate
    progress item=b status=succeeded";

#[test]
fn callbacks_have_the_documented_order_and_all_fields() -> Result<()> {
    let client = client(script(WORK_ON_BOTH), agree());
    assert_eq!(client.run(MANUAL, "a b")?, Hresult::S_OK);
    assert_eq!(
        client.log(),
        [
            "PrepareForSyncCompleted 0x00000000",
            "Progress a status=3 0/4 \"begun\"",
            "Progress a status=3 2/4 \"begun\"",
            "Progress a status=4 4/4 \"done\"",
            "Progress b status=8 0/0",
            "Progress b status=4 0/0",
            "SynchronizeCompleted 0x00000000",
        ]
    );
    assert!(client.nothing_completes());
    Ok(())
}

#[test]
fn every_answer_to_a_report_has_the_documented_meaning() -> Result<()> {
    let commands = "progress item=a status=updating
        progress item=a value=1
        progress item=b status=updating";
    for (answered, a, b) in [
        (Hresult::S_OK, "Continue", "Continue"),
        (Hresult::S_FALSE, "Continue", "Continue"),
        (Hresult::S_SYNCMGR_CANCELITEM, "CancelItem", "Continue"),
        (Hresult::S_SYNCMGR_CANCELALL, "CancelAll", "CancelAll"),
        (Hresult::E_FAIL, "CancelAll", "CancelAll"),
        (RPC_E_DISCONNECTED, "CancelAll", "CancelAll"),
    ] {
        let client = client(script(commands), answer("Progress", "a", 1, answered));
        let _ = client.run(MANUAL, "a b")?;
        let said: Vec<_> = client
            .made()
            .into_iter()
            .filter_map(|made| {
                Some(made.arguments.split_once("progress: ProgressResponse::")?.1.to_owned())
            })
            .map(|said| said.trim_end_matches('"').to_owned())
            .collect();
        assert_eq!(said, [a, a, b], "{answered}");
    }
    Ok(())
}

#[test]
fn cancelled_items_do_not_fail_the_run() -> Result<()> {
    for (answered, a, b) in [
        (Hresult::S_SYNCMGR_CANCELITEM, "status=1", "status=4"),
        (Hresult::S_SYNCMGR_CANCELALL, "status=0", "status=0"),
        (Hresult::E_FAIL, "status=0", "status=0"),
    ] {
        let work = match answered {
            Hresult::S_SYNCMGR_CANCELITEM => "work item=a\nwork item=b steps=3",
            _ => "progress item=a status=updating",
        };
        let client = client(script(work), answer("Progress", "a", 1, answered));
        assert_eq!(client.run(MANUAL, "a b")?, Hresult::S_OK, "{answered}");
        let last = |item: &str| {
            let made = client.made();
            let of_item = made.iter().filter(|made| made.item.as_deref() == Some(item));
            of_item.map(|made| made.arguments.clone()).next_back().unwrap_or_default()
        };
        assert!(last("a").starts_with(a), "{answered}: {}", last("a"));
        assert!(last("b").starts_with(b), "{answered}: {}", last("b"));
    }
    Ok(())
}

#[test]
fn every_termination_reason_has_its_exact_hresult() -> Result<()> {
    let limited = |change: fn(&mut Limits)| SessionOptions::new().limits(limits(change));
    for (options, work, expected) in [
        (SessionOptions::new(), "panic text=no", Hresult::HRESULT_ERROR_PROCESS_ABORTED),
        (SessionOptions::new(), "exit status=3", Hresult::HRESULT_ERROR_PROCESS_ABORTED),
        (
            SessionOptions::new(),
            "clock",
            hresult::from_termination_reason(TerminationReason::Denied),
        ),
        (SessionOptions::new(), "fail code=no-space", Hresult::HRESULT_ERROR_DISK_FULL),
        (SessionOptions::new(), "fail code=busy", Hresult::HRESULT_ERROR_BUSY),
        (
            limited(|limits| limits.memory_bytes = 8 << 20),
            "allocate bytes=99999999",
            hresult::from_termination_reason(TerminationReason::Memory),
        ),
        (
            limited(|limits| limits.compute_time = Duration::from_millis(50)),
            "spin",
            hresult::from_termination_reason(TerminationReason::ComputeTime),
        ),
    ] {
        let work = format!("progress item=a status=updating quiet=1\n{work}");
        let client = client(options.setting("synchronize", work.clone()), agree());
        assert_eq!(client.run(MANUAL, "a b")?, expected, "{work}");
        let log = client.log();
        let tail: Vec<_> = log.iter().map(String::as_str).skip(1).collect();
        assert_eq!(
            tail,
            [
                "Progress a status=3 0/0",
                "Progress a status=5 0/0 \"not finished\"",
                "Progress b status=5 0/0 \"not finished\"",
                &format!("SynchronizeCompleted 0x{:08X}", expected.0),
            ],
            "{work}"
        );
    }
    Ok(())
}

#[test]
fn failed_items_decide_the_result_of_the_run() -> Result<()> {
    let work = "log item=a level=error code=busy text=held
        progress item=a status=failed
        progress item=b status=succeeded";
    let client = client(script(work), agree());
    assert_eq!(client.run(MANUAL, "a b")?, Hresult::HRESULT_ERROR_BUSY);
    assert!(client.log().contains(&"LogError a level=3 \"held\"".to_owned()));
    Ok(())
}

#[test]
fn a_handler_that_declines_returns_s_false() {
    let client = client(SessionOptions::new().setting("declines", "1"), agree());
    assert_eq!(client.initialize(MANUAL), Hresult::S_FALSE);
    assert_eq!(client.set_callback(), Hresult::S_OK);
    assert_eq!(client.prepare_named("a"), Hresult::E_UNEXPECTED);
    assert!(client.items().is_err());
    assert!(client.nothing_completes());
}

#[test]
fn a_failed_initialize_returns_its_error() {
    for (work, expected) in [
        ("fail code=busy", Hresult::HRESULT_ERROR_BUSY),
        ("panic text=no", Hresult::HRESULT_ERROR_PROCESS_ABORTED),
        ("clock", Hresult::E_ACCESSDENIED),
    ] {
        let client = client(SessionOptions::new().setting("initialize", work), agree());
        assert_eq!(client.initialize(MANUAL), expected, "{work}");
        assert_eq!(client.initialize(MANUAL), Hresult::E_UNEXPECTED, "once is all");
    }
}

#[test]
fn prepare_reports_its_outcome_and_only_s_ok_continues() -> Result<()> {
    for (name, value, expected) in [
        ("needs-user", "1", Hresult::S_FALSE),
        ("prepare-for-sync", "fail code=access-denied", Hresult::E_ACCESSDENIED),
        ("prepare-for-sync", "panic text=no", Hresult::HRESULT_ERROR_PROCESS_ABORTED),
    ] {
        let client = client(SessionOptions::new().setting(name, value), agree());
        client.begin(MANUAL);
        assert_eq!(client.prepare_named("a b"), Hresult::S_OK, "{value}");
        assert_eq!(client.completed("PrepareForSyncCompleted")?.outcome, expected, "{value}");
        assert_eq!(client.synchronize(), Hresult::E_UNEXPECTED, "{value}");
        assert!(client.nothing_completes(), "{value}");
    }
    Ok(())
}

#[test]
fn the_cookie_reaches_the_plugin_in_invoked_runs_only() -> Result<()> {
    for (flags, cookie, said) in [
        (INVOKE, &b"\x01\x02"[..], "initialize: SyncEvent::Invoke 0 Some([1, 2])"),
        (INVOKE, &[], "initialize: SyncEvent::Invoke 0 Some([])"),
        (MANUAL, &b"\x01\x02"[..], "initialize: SyncEvent::Manual 2 None"),
        (0xF6, &[], "initialize: SyncEvent::Manual 0 None"),
        (1, &[], "initialize: SyncEvent::Connect 0 None"),
        (2, &[], "initialize: SyncEvent::PendingDisconnect 0 None"),
        (4, &[], "initialize: SyncEvent::Idle 0 None"),
        (6, &[], "initialize: SyncEvent::Scheduled 0 None"),
        (SETTINGS, &[], "initialize: SyncEvent::Manual 1 None"),
    ] {
        let client = client(SessionOptions::new(), agree());
        let length = u32::try_from(cookie.len())?;
        // SAFETY: the cookie has as many bytes as are said.
        let initialized =
            ours(unsafe { client.handler().Initialize(0, flags, length, cookie.as_ptr()) });
        assert_eq!(initialized, Hresult::S_OK);
        // Log entries from before the callback is set are queued for it.
        assert_eq!(client.set_callback(), Hresult::S_OK);
        assert_eq!(client.prepare_named("a"), Hresult::S_OK);
        let prepared = client.completed("PrepareForSyncCompleted")?.outcome;
        if flags == SETTINGS {
            assert_eq!(prepared, Hresult::E_UNEXPECTED, "nothing is synchronized in such a run");
        } else {
            let first = client.made()[0].to_string();
            assert_eq!(first, format!("LogError level=1 {said:?}"), "{flags:#x}");
        }
    }
    Ok(())
}

/// A handler that a callback may call from any thread.
struct AnyThread(ISyncMgrSynchronize);

// SAFETY: the handlers of this library are free-threaded.
unsafe impl Send for AnyThread {}
// SAFETY: as above.
unsafe impl Sync for AnyThread {}

#[test]
fn items_can_be_requested_inside_a_completion() -> Result<()> {
    let place: Arc<Mutex<Option<AnyThread>>> = Arc::default();
    let inside = Arc::clone(&place);
    let asks: Answer = Some(Box::new(move |method, _, _| {
        let place = inside.lock().expect("the lock is not poisoned");
        let Some(AnyThread(handler)) = place.as_ref().filter(|_| method.ends_with("Completed"))
        else {
            return Hresult::S_OK;
        };
        let mut items = null_mut();
        // SAFETY: there is a place for the pointer.
        let answer = ours(unsafe { handler.EnumSyncMgrItems(&raw mut items) });
        assert_eq!(answer, Hresult::S_OK, "{method}");
        // SAFETY: the call succeeded.
        drop(unsafe { ISyncMgrEnumItems::from_raw(items) });
        Hresult::S_OK
    }));
    let client = client(script("progress item=a status=succeeded"), asks);
    *place.lock().expect("the lock is not poisoned") = Some(AnyThread(client.handler().clone()));
    assert_eq!(client.run(MANUAL, "a")?, Hresult::S_OK);
    assert_eq!(client.show_properties(GUID_NULL), Hresult::S_OK);
    client.completed("ShowPropertiesCompleted")?;
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    client.completed("ShowErrorCompleted")?;
    // It refers to the handler, and the handler refers to the callback.
    *place.lock().expect("the lock is not poisoned") = None;
    Ok(())
}

#[test]
fn a_cancellation_does_not_affect_later_calls() -> Result<()> {
    let work = "progress item=a status=updating quiet=1";
    let options = script(work).setting("show-error", "is-cancelled");
    let client = client(options, answer("Progress", "a", 1, Hresult::S_SYNCMGR_CANCELALL));
    assert_eq!(client.run(MANUAL, "a")?, Hresult::S_OK);
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    client.completed("ShowErrorCompleted")?;
    let said = format!("{:?}", client.made());
    assert!(said.contains("is-cancelled: false"), "{said}");
    Ok(())
}

#[test]
fn a_later_attempt_excludes_earlier_items() -> Result<()> {
    let work = "progress item=b status=failed quiet=1\nprogress item=a status=succeeded quiet=1";
    let client = client(script(work), agree());
    client.begin(MANUAL);
    assert_eq!(client.prepare_and_synchronize("a b")?, Hresult::E_FAIL);
    let before = client.log().len();
    assert_eq!(client.prepare_and_synchronize("a")?, Hresult::S_OK);
    let log = client.log();
    assert!(
        !log[before..].iter().any(|line| line.contains("Progress b status=5 0/0 \"")),
        "{log:?}"
    );
    Ok(())
}

#[test]
fn handlers_of_equal_and_different_classes_run_concurrently() -> Result<()> {
    let class = class(
        script::plugin(),
        script("progress item=a status=updating quiet=1\nsleep ms=100\nprogress item=a status=succeeded quiet=1")
            .setting("items", "a b"),
        syncmgr_com::user_interface::Silent,
    );
    let clients: Vec<_> =
        (0..8).map(|_| Client::with(handler::create(Arc::clone(&class)), "a b", agree())).collect();
    for client in &clients {
        assert_eq!(client.initialize(MANUAL), Hresult::S_OK);
        assert_eq!(client.set_callback(), Hresult::S_OK);
        assert_eq!(client.prepare_named("a"), Hresult::S_OK);
    }
    for client in &clients {
        client.completed("PrepareForSyncCompleted")?;
        assert_eq!(client.synchronize(), Hresult::S_OK);
    }
    for client in &clients {
        assert_eq!(client.completed("SynchronizeCompleted")?.outcome, Hresult::S_OK);
    }
    Ok(())
}

//! Plugins as native handlers, driven through their vtables: the documented order, bit-exact
//! results, and what bad callers get.

#![allow(unsafe_code, reason = "COM methods are called through pointers")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "what a C program would do")]

use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use conformance::com::{Answer, Client, agree, answer, class, guid, next_one, ours};
use conformance::script;
use syncmgr_com::interfaces::{
    GUID_NULL, IClassFactory, ISyncMgrEnumItems, ISyncMgrSynchronize, ISyncMgrSynchronizeCallback,
    SYNCMGRITEM,
};
use syncmgr_com::user_interface::{Parent, UserInterface};
use syncmgr_com::{factory, handler, task_memory};
use syncmgr_host::{
    Hresult, Limits, Property, PropertyValue, Question, SessionOptions, StopReason, hresult,
};
use windows_core::{GUID, IUnknown, Interface};

/// Started by the user, who may be asked.
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

const WORK_ON_BOTH: &str = "progress item=a status=updating max=4 text=begun
    progress item=a value=2
    progress item=a status=succeeded value=4 text=done
    progress item=b status=updating-indeterminate
    progress item=b status=succeeded";

#[test]
fn a_run_is_told_in_the_documented_order_with_all_fields_in_every_report() -> Result<()> {
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
fn every_answer_to_a_report_means_what_is_documented() -> Result<()> {
    let told = "progress item=a status=updating
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
        let client = client(script(told), answer("Progress", "a", 1, answered));
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
fn items_that_were_cancelled_end_as_skipped_or_stopped_and_the_run_is_no_failure() -> Result<()> {
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
fn what_ends_a_plugin_is_told_bit_for_bit() -> Result<()> {
    let limited = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        SessionOptions::new().limits(limits)
    };
    for (options, work, expected) in [
        (SessionOptions::new(), "panic text=no", Hresult::HRESULT_ERROR_PROCESS_ABORTED),
        (SessionOptions::new(), "exit status=3", Hresult::HRESULT_ERROR_PROCESS_ABORTED),
        (SessionOptions::new(), "clock", hresult::from_stop_reason(StopReason::Denied)),
        (SessionOptions::new(), "fail code=no-space", Hresult::HRESULT_ERROR_DISK_FULL),
        (SessionOptions::new(), "fail code=busy", Hresult::HRESULT_ERROR_BUSY),
        (
            limited(|limits| limits.memory_bytes = 8 << 20),
            "allocate bytes=99999999",
            hresult::from_stop_reason(StopReason::Memory),
        ),
        (
            limited(|limits| limits.compute_time = Duration::from_millis(50)),
            "spin",
            hresult::from_stop_reason(StopReason::ComputeTime),
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
fn items_that_failed_decide_the_result_of_the_run() -> Result<()> {
    let work = "log item=a level=error code=busy text=held
        progress item=a status=failed
        progress item=b status=succeeded";
    let client = client(script(work), agree());
    assert_eq!(client.run(MANUAL, "a b")?, Hresult::HRESULT_ERROR_BUSY);
    assert!(client.log().contains(&"LogError a level=3 \"held\"".to_owned()));
    Ok(())
}

#[test]
fn a_handler_that_does_not_take_part_says_s_false_and_goes_no_further() {
    let client = client(SessionOptions::new().setting("declines", "1"), agree());
    assert_eq!(client.initialize(MANUAL), Hresult::S_FALSE);
    assert_eq!(client.set_callback(), Hresult::S_OK);
    assert_eq!(client.prepare_named("a"), Hresult::E_UNEXPECTED);
    assert!(client.items().is_err());
    assert!(client.nothing_completes());
}

#[test]
fn a_failed_initialize_carries_the_failure() {
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
fn preparing_completes_with_the_outcome_and_only_s_ok_leads_on() -> Result<()> {
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
        // What was logged before there was a callback waits for it.
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

#[test]
fn handler_info_is_a_structure_that_the_caller_frees() -> Result<()> {
    let client = client(SessionOptions::new().setting("name", "A name"), agree());
    assert_eq!(client.initialize(MANUAL), Hresult::S_OK);
    let mut info = null_mut();
    // SAFETY: there is a place for the pointer.
    assert_eq!(ours(unsafe { client.handler().GetHandlerInfo(&raw mut info) }), Hresult::S_OK);
    // SAFETY: the call succeeded.
    let native = unsafe { *info };
    // SAFETY: it is ours to free.
    unsafe { task_memory::free(info) };
    assert_eq!((native.cbSize, native.hIcon.is_null()), (88, true));
    let name: Vec<_> = native.wszHandlerName.into_iter().take_while(|&unit| unit != 0).collect();
    assert_eq!(String::from_utf16(&name)?, "A name");
    Ok(())
}

#[test]
fn missing_items_come_with_an_enumerator() -> Result<()> {
    let client = client(SessionOptions::new().setting("missing", "1"), agree());
    assert_eq!(client.initialize(MANUAL), Hresult::S_OK);
    let (answered, items) = client.items()?;
    assert_eq!(answered, Hresult::S_SYNCMGR_MISSINGITEMS);
    assert_eq!(items.iter().map(|item| item.ItemID).collect::<Vec<_>>(), [guid("a"), guid("b")]);
    assert!(items.iter().all(|item| (item.cbSize, item.dwItemState) == (304, 1)));
    Ok(())
}

#[test]
fn the_enumerator_reads_short_skips_resets_and_is_cloned() -> Result<()> {
    let client = Client::new(SessionOptions::new(), "a b c", agree());
    assert_eq!(client.initialize(MANUAL), Hresult::S_OK);
    let (_, items) = client.enumerate()?;
    // SAFETY: zeros are a value of plain data.
    let mut room: [SYNCMGRITEM; 4] = unsafe { std::mem::zeroed() };
    let mut fetched = 9;
    // SAFETY: there is room for four.
    let answered = ours(unsafe { items.Next(4, room.as_mut_ptr(), &raw mut fetched) });
    assert_eq!((answered, fetched), (Hresult::S_FALSE, 3), "a short read");
    // SAFETY: there is room for one.
    let answered = ours(unsafe { items.Next(1, room.as_mut_ptr(), &raw mut fetched) });
    assert_eq!((answered, fetched), (Hresult::S_FALSE, 0), "the end");
    // SAFETY: no pointers.
    assert_eq!(ours(unsafe { items.Reset() }), Hresult::S_OK);
    // SAFETY: there is room for two, and the count is not wanted.
    assert_eq!(ours(unsafe { items.Next(2, room.as_mut_ptr(), null_mut()) }), Hresult::S_OK);
    assert_eq!([room[0].ItemID, room[1].ItemID], [guid("a"), guid("b")]);
    let mut clone = null_mut();
    // SAFETY: there is a place for the pointer.
    assert_eq!(ours(unsafe { items.Clone(&raw mut clone) }), Hresult::S_OK);
    // SAFETY: the call succeeded.
    let clone = unsafe { ISyncMgrEnumItems::from_raw(clone) };
    drop(items);
    assert_eq!(next_one(&clone).1.map(|item| item.ItemID), Some(guid("c")), "where the other was");
    // SAFETY: no pointers.
    unsafe {
        assert_eq!(ours(clone.Reset()), Hresult::S_OK);
        assert_eq!(ours(clone.Skip(2)), Hresult::S_OK);
        assert_eq!(ours(clone.Skip(u32::MAX)), Hresult::S_FALSE);
    }
    // SAFETY: no room is needed for nothing.
    assert_eq!(ours(unsafe { clone.Next(0, null_mut(), &raw mut fetched) }), Hresult::S_OK);
    // SAFETY: NULL is what is tried.
    unsafe {
        assert_eq!(ours(clone.Next(1, null_mut(), &raw mut fetched)), E_POINTER);
        assert_eq!(ours(clone.Clone(null_mut())), E_POINTER);
    }
    Ok(())
}

#[test]
fn a_push_reaches_the_plugin_in_either_window() -> Result<()> {
    // Between the return of `PrepareForSync` and its completion.
    let options =
        script("is-cancelled item=a\nis-cancelled").setting("prepare-for-sync", "sleep ms=300");
    let one = client(options, agree());
    one.begin(MANUAL);
    assert_eq!(one.prepare_named("a b"), Hresult::S_OK);
    assert_eq!(one.set_item_status(guid("a"), 1), Hresult::S_OK);
    one.completed("PrepareForSyncCompleted")?;
    assert_eq!(one.synchronize(), Hresult::S_OK);
    one.completed("SynchronizeCompleted")?;
    let said = format!("{:?}", one.made());
    assert!(said.contains("set-item-status: true Status::Skipped"), "{said}");
    assert!(said.contains("is-cancelled: true"), "{said}");
    // Between the return of `Synchronize` and its completion, while the plugin waits.
    let two = client(script("progress item=a status=updating\nwait-cancelled"), agree());
    two.begin(MANUAL);
    assert_eq!(two.prepare_named("a b"), Hresult::S_OK);
    two.completed("PrepareForSyncCompleted")?;
    assert_eq!(two.synchronize(), Hresult::S_OK);
    assert_eq!(two.set_item_status(GUID_NULL, 0), Hresult::S_OK);
    assert_eq!(two.completed("SynchronizeCompleted")?.outcome, Hresult::S_OK);
    let log = two.log();
    assert!(log.contains(&"Progress a status=0 0/0".to_owned()), "{log:?}");
    assert!(log.contains(&"Progress b status=0 0/0".to_owned()), "{log:?}");
    Ok(())
}

#[test]
fn a_push_that_means_nothing_is_refused() -> Result<()> {
    let client = client(script("sleep ms=200"), agree());
    client.begin(MANUAL);
    assert_eq!(client.set_item_status(guid("a"), 1), Hresult::E_UNEXPECTED, "nothing goes on");
    assert_eq!(client.prepare_named("a"), Hresult::S_OK);
    for (id, status) in [(guid("a"), 0), (GUID_NULL, 1), (guid("a"), 3), (guid("a"), 77)] {
        assert_eq!(client.set_item_status(id, status), Hresult::E_INVALIDARG, "{status}");
    }
    assert_eq!(
        client.set_item_status(guid("a"), 0x100),
        Hresult::S_OK,
        "deleted counts as skipped"
    );
    client.completed("PrepareForSyncCompleted")?;
    Ok(())
}

#[test]
fn taking_the_callback_away_ends_the_run_and_nothing_is_called_after_it() -> Result<()> {
    let mut client =
        client(script("progress item=a status=updating quiet=1\nwait-cancelled"), agree());
    client.begin(MANUAL);
    assert_eq!(client.prepare_named("a b"), Hresult::S_OK);
    client.completed("PrepareForSyncCompleted")?;
    assert_eq!(client.synchronize(), Hresult::S_OK);
    while !client.log().iter().any(|line| line.starts_with("Progress")) {
        std::thread::yield_now();
    }
    assert_eq!(client.clear_callback(), Hresult::S_OK);
    let before = client.made().len();
    client.forget_callback();
    assert!(client.callback_is_gone(), "every reference was given back");
    client.release();
    assert!(client.nothing_completes());
    assert_eq!(client.made().len(), before);
    Ok(())
}

#[test]
fn releasing_the_handler_ends_the_run() -> Result<()> {
    for work in [
        "progress item=a status=updating quiet=1\nwait-cancelled",
        "progress item=a status=updating quiet=1\nspin",
        "work item=a",
    ] {
        let limits = Limits { grace: Duration::from_millis(50), ..Limits::default() };
        let mut client = client(script(work).limits(limits), agree());
        client.begin(MANUAL);
        assert_eq!(client.prepare_named("a b"), Hresult::S_OK);
        client.completed("PrepareForSyncCompleted")?;
        assert_eq!(client.synchronize(), Hresult::S_OK);
        while !client.log().iter().any(|line| line.starts_with("Progress")) {
            std::thread::yield_now();
        }
        client.release();
        client.forget_callback();
        assert!(client.callback_is_gone(), "{work}");
        assert!(client.nothing_completes(), "{work}");
    }
    Ok(())
}

#[test]
fn methods_out_of_order_are_refused() -> Result<()> {
    let client = client(script("sleep ms=200"), agree());
    assert!(client.items().is_err(), "before Initialize");
    assert_eq!(client.prepare_named("a"), Hresult::E_UNEXPECTED);
    assert_eq!(client.synchronize(), Hresult::E_UNEXPECTED);
    assert_eq!(client.show_error(guid("e")), Hresult::E_UNEXPECTED);
    assert_eq!(client.show_properties(GUID_NULL), Hresult::E_UNEXPECTED);
    assert_eq!(client.initialize(MANUAL), Hresult::S_OK);
    assert_eq!(client.initialize(MANUAL), Hresult::E_UNEXPECTED, "twice");
    assert_eq!(client.prepare_named("a"), Hresult::E_UNEXPECTED, "without a callback");
    assert_eq!(client.set_callback(), Hresult::S_OK);
    assert_eq!(client.synchronize(), Hresult::E_UNEXPECTED, "before PrepareForSync");
    assert_eq!(client.prepare_named("a"), Hresult::S_OK);
    assert_eq!(client.completed("PrepareForSyncCompleted")?.outcome, Hresult::S_OK);
    assert_eq!(client.synchronize(), Hresult::S_OK);
    assert_eq!(client.synchronize(), Hresult::E_UNEXPECTED, "while it goes on");
    assert_eq!(client.prepare_named("a"), Hresult::E_UNEXPECTED, "while it goes on");
    assert_eq!(
        client.items().unwrap_err().to_string(),
        format!("EnumSyncMgrItems: {}", Hresult::HRESULT_ERROR_BUSY)
    );
    client.completed("SynchronizeCompleted")?;
    assert!(client.items().is_ok(), "after it");
    assert!(client.nothing_completes());
    Ok(())
}

#[test]
fn null_and_nonsense_are_refused_and_out_parameters_are_nulled() {
    let client = client(SessionOptions::new(), agree());
    let handler = client.handler();
    let cookie = [0_u8; 4];
    // SAFETY: what is refused is not looked at.
    unsafe {
        assert_eq!(ours(handler.Initialize(1, MANUAL, 0, null())), Hresult::E_INVALIDARG);
        assert_eq!(ours(handler.Initialize(0, MANUAL, 4, null())), Hresult::E_INVALIDARG);
        assert_eq!(
            ours(handler.Initialize(0, MANUAL, u32::MAX, cookie.as_ptr())),
            Hresult::E_INVALIDARG
        );
    }
    assert_eq!(client.initialize(MANUAL), Hresult::S_OK, "nothing has happened by that");
    assert_eq!(client.set_callback(), Hresult::S_OK);
    let dangling = std::ptr::without_provenance_mut(0xDEAD);
    let mut object = dangling;
    // SAFETY: NULL, or places for results.
    unsafe {
        assert_eq!(ours(handler.GetHandlerInfo(null_mut())), E_POINTER);
        assert_eq!(ours(handler.EnumSyncMgrItems(null_mut())), E_POINTER);
        assert_eq!(ours(handler.GetItemObject(null(), null(), null_mut())), E_POINTER);
        let id = guid("a");
        assert_eq!(
            ours(handler.GetItemObject(&raw const id, &IUnknown::IID, &raw mut object)),
            Hresult::E_NOTIMPL
        );
        assert!(object.is_null());
        assert_eq!(ours(handler.ShowProperties(null_mut(), null())), E_POINTER);
        assert_eq!(ours(handler.PrepareForSync(1, null(), null_mut(), 0)), E_POINTER);
        assert_eq!(ours(handler.SetItemStatus(null(), 1)), E_POINTER);
        assert_eq!(ours(handler.ShowError(null_mut(), null())), E_POINTER);
    }
    assert_eq!(client.prepare(&[]), Hresult::E_INVALIDARG);
    assert_eq!(client.prepare(&[guid("a"), GUID_NULL]), Hresult::E_INVALIDARG);
    assert_eq!(client.prepare(&vec![guid("a"); 1_000_001]), Hresult::E_INVALIDARG);
    assert_eq!(client.show_error(GUID_NULL), Hresult::E_INVALIDARG);
    assert!(client.nothing_completes());
    // SAFETY: NULL, or places for results.
    unsafe {
        let mut object = dangling;
        let wrong = GUID::from_u128(1);
        assert_eq!(ours(handler.query(&raw const wrong, &raw mut object)), Hresult(0x8000_4002));
        assert!(object.is_null());
    }
}

#[test]
fn a_factory_makes_handlers_and_nothing_else() {
    let factory: IClassFactory = factory::create(class(
        script::plugin(),
        SessionOptions::new(),
        syncmgr_com::user_interface::Silent,
    ));
    let mut object = std::ptr::without_provenance_mut(0xDEAD);
    // SAFETY: NULL, or places for results.
    unsafe {
        let create = |outer, iid: &GUID, object| ours(factory.CreateInstance(outer, iid, object));
        let outer = factory.as_raw();
        assert_eq!(
            create(outer, &IUnknown::IID, &raw mut object),
            Hresult(0x8004_0110),
            "no aggregation"
        );
        assert!(object.is_null());
        object = std::ptr::without_provenance_mut(0xDEAD);
        assert_eq!(
            create(null_mut(), &ISyncMgrSynchronizeCallback::IID, &raw mut object),
            Hresult(0x8000_4002)
        );
        assert!(object.is_null());
        assert_eq!(create(null_mut(), &IUnknown::IID, null_mut()), E_POINTER);
        assert_eq!(ours(factory.CreateInstance(null_mut(), null(), &raw mut object)), E_POINTER);
        assert_eq!(create(null_mut(), &ISyncMgrSynchronize::IID, &raw mut object), Hresult::S_OK);
        drop(ISyncMgrSynchronize::from_raw(object));
    }
}

#[test]
fn log_entries_carry_what_they_are_about_and_can_be_taken_back() -> Result<()> {
    let work = "log item=a level=error text=one id=a jump=1
        log level=warning text=two
        delete-log id=a
        delete-log
        progress item=a status=succeeded
        progress item=b status=succeeded";
    let client = client(script(work), agree());
    let _ = client.run(MANUAL, "a b")?;
    let log = client.log();
    let about_log: Vec<_> = log.iter().filter(|line| line.contains("LogError")).collect();
    assert_eq!(
        about_log,
        [
            "LogError a level=3 \"one\" id=a flags=1",
            "LogError level=2 \"two\"",
            "DeleteLogError a",
            "DeleteLogError all",
        ]
    );
    Ok(())
}

#[test]
fn show_error_completes_and_what_it_wants_is_synchronized_once_more() -> Result<()> {
    let work = "log item=a level=error text=one id=e jump=1
        progress item=a status=failed
        progress item=b status=succeeded";
    let options = script(work).setting("retry", "a").setting("detail", "the whole story");
    let client = client(options, answer("Progress", "a", 1, Hresult::S_SYNCMGR_CANCELITEM));
    let _ = client.run(MANUAL, "a b")?;
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    let shown = client.completed("ShowErrorCompleted")?;
    assert_eq!((shown.outcome, &shown.retry[..]), (Hresult::S_SYNCMGR_RETRYSYNC, &[guid("a")][..]));
    let before = client.made().len();
    let _ = client.prepare_and_synchronize("a")?;
    let again = format!("{:?}", &client.made()[before..]);
    assert!(
        again.contains("progress: ProgressResponse::Continue"),
        "what was cancelled then is wanted now: {again}"
    );
    Ok(())
}

#[test]
fn an_item_that_starts_once_more_starts_without_its_text() -> Result<()> {
    let work = "progress item=a value=1
        progress item=a status=failed text=broken";
    let client = client(script(work), agree());
    client.begin(MANUAL);
    for _ in 0..2 {
        let before = client.log().len();
        let _ = client.prepare_and_synchronize("a")?;
        assert_eq!(
            client.log()[before + 1..before + 3],
            ["Progress a status=3 1/0", "Progress a status=5 1/0 \"broken\""]
        );
    }
    Ok(())
}

#[test]
fn show_error_without_a_story_completes_with_the_failure() -> Result<()> {
    let options = script("progress item=a status=succeeded");
    let client = client(options.setting("show-error", "fail code=not-implemented"), agree());
    let _ = client.run(MANUAL, "a")?;
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    let shown = client.completed("ShowErrorCompleted")?;
    assert_eq!((shown.outcome, shown.retry.len()), (Hresult::E_NOTIMPL, 0));
    Ok(())
}

/// A user who always does the same.
#[derive(Clone, Default)]
struct User {
    seen: Arc<Mutex<Vec<String>>>,
}

impl User {
    fn see(&self, what: String) {
        self.seen.lock().expect("nobody panicked with it").push(what);
    }
}

impl UserInterface for User {
    fn ask(&self, _: Parent, title: &str, question: &Question) -> Option<usize> {
        self.see(format!("{title}: {} {:?}", question.text, question.choices));
        Some(1)
    }

    fn show(&self, _: Parent, title: &str, text: &str) {
        self.see(format!("{title}: {text}"));
    }

    fn edit(
        &self,
        _: Parent,
        title: &str,
        properties: &[Property],
    ) -> Option<Vec<(String, PropertyValue)>> {
        self.see(format!("{title}: {}", properties[0].label));
        Some(vec![(properties[0].name.clone(), PropertyValue::Choice(0))])
    }
}

fn client_with(user: &User, options: SessionOptions, answer: Answer) -> Client {
    let options = options.setting("items", "a b");
    Client::with(handler::create(class(script::plugin(), options, user.clone())), "a b", answer)
}

#[test]
fn a_question_is_bracketed_and_shown_only_when_allowed() -> Result<()> {
    let work = "question text=Which? choices=one,two";
    for (flags, modeless, choice, shown, brackets) in [
        (MANUAL, Hresult::S_OK, 1, 1, 2),
        (MANUAL, Hresult::S_FALSE, 0, 0, 1),
        (MANUAL, Hresult::E_FAIL, 0, 0, 1),
        (3, Hresult::S_OK, 0, 0, 0),
    ] {
        let user = User::default();
        let client = client_with(&user, script(work), answer("EnableModeless", "", 1, modeless));
        let _ = client.run(flags, "a")?;
        let made = client.made();
        let said = format!("question: {choice}");
        assert!(made.iter().any(|made| made.arguments.contains(&said)), "{flags:#x} {modeless}");
        let seen = user.seen.lock().expect("nobody panicked with it").clone();
        assert_eq!(seen.len(), shown, "{flags:#x} {modeless}");
        let asked: Vec<_> = made
            .iter()
            .filter(|made| made.method == "EnableModeless")
            .map(|m| &m.arguments)
            .collect();
        assert_eq!(asked, &["1", "0"][..brackets], "{flags:#x} {modeless}");
    }
    Ok(())
}

#[test]
fn an_error_and_properties_are_shown_to_the_user() -> Result<()> {
    let user = User::default();
    let options = script("progress item=a status=succeeded").setting("detail", "the whole story");
    let client = client_with(&user, options.setting("name", "Mine"), agree());
    let _ = client.run(3, "a")?;
    let mut info = null_mut();
    // SAFETY: there is a place for the pointer.
    assert_eq!(ours(unsafe { client.handler().GetHandlerInfo(&raw mut info) }), Hresult::S_OK);
    // SAFETY: it is ours to free.
    unsafe { task_memory::free(info) };
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    assert_eq!(client.completed("ShowErrorCompleted")?.outcome, Hresult::S_OK);
    assert_eq!(client.show_properties(GUID_NULL), Hresult::S_OK);
    let completed = client.completed("ShowPropertiesCompleted")?.outcome;
    assert_eq!(completed, Hresult::S_SYNCMGR_ENUMITEMS);
    let seen = user.seen.lock().expect("nobody panicked with it").clone();
    assert_eq!(seen, ["Mine: the whole story", "Mine: Speed"]);
    Ok(())
}

#[test]
fn a_connection_is_asked_for_by_name_or_without() -> Result<()> {
    let work = "connect to=work\nconnect";
    let client = client(script(work), answer("EstablishConnection", "", 2, Hresult::E_FAIL));
    let _ = client.run(MANUAL, "a")?;
    let made = client.made();
    let asked: Vec<_> = made
        .iter()
        .filter(|m| m.method == "EstablishConnection")
        .map(|m| m.arguments.as_str())
        .collect();
    assert_eq!(asked, ["work", "default"]);
    let said = format!("{made:?}");
    assert!(said.contains("connect: ok") && said.contains("connect: ErrorCode::Failed"), "{said}");
    Ok(())
}

#[test]
fn text_is_utf_16_with_its_nul_at_the_end_only() -> Result<()> {
    let work = "progress item=a status=updating text=\u{1F600}_\u{E4} quiet=1";
    let client = client(script(work), agree());
    let _ = client.run(MANUAL, "a")?;
    assert!(client.log().contains(&"Progress a status=3 0/0 \"\u{1F600} \u{E4}\"".to_owned()));
    Ok(())
}

/// A handler that a callback may use from any thread: ours may be.
struct AnyThread(ISyncMgrSynchronize);

// SAFETY: the handlers of this library are free-threaded.
unsafe impl Send for AnyThread {}
// SAFETY: as above.
unsafe impl Sync for AnyThread {}

#[test]
fn the_manager_may_ask_for_the_items_before_a_completion_returns() -> Result<()> {
    let place: Arc<Mutex<Option<AnyThread>>> = Arc::default();
    let inside = Arc::clone(&place);
    let asks: Answer = Some(Box::new(move |method, _, _| {
        let place = inside.lock().expect("nobody panicked with it");
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
    *place.lock().expect("nobody panicked with it") = Some(AnyThread(client.handler().clone()));
    assert_eq!(client.run(MANUAL, "a")?, Hresult::S_OK);
    assert_eq!(client.show_properties(GUID_NULL), Hresult::S_OK);
    client.completed("ShowPropertiesCompleted")?;
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    client.completed("ShowErrorCompleted")?;
    // It holds the handler, and the handler holds the callback.
    *place.lock().expect("nobody panicked with it") = None;
    Ok(())
}

#[test]
fn what_was_cancelled_does_not_concern_what_comes_after() -> Result<()> {
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
fn items_of_an_earlier_attempt_are_no_part_of_a_later_one() -> Result<()> {
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
fn two_handlers_and_two_of_one_class_run_at_once() -> Result<()> {
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

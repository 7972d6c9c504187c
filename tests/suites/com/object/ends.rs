//! Cancellation, and all other ways to end a run from outside.

use super::*;

/// Starts a run of both items, and returns once it is working.
fn synchronize_until_it_reports(client: &mut Client) -> Result<()> {
    client.begin(MANUAL);
    assert_eq!(client.prepare_named("a b"), Hresult::S_OK);
    client.completed("PrepareForSyncCompleted")?;
    assert_eq!(client.synchronize(), Hresult::S_OK);
    while !client.log().iter().any(|line| line.starts_with("Progress")) {
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn a_push_is_delivered_before_and_during_synchronize() -> Result<()> {
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
fn an_invalid_push_is_rejected() -> Result<()> {
    let client = client(script("sleep ms=200"), agree());
    client.begin(MANUAL);
    assert_eq!(client.set_item_status(guid("a"), 1), Hresult::E_UNEXPECTED, "no run is active");
    assert_eq!(client.prepare_named("a"), Hresult::S_OK);
    for (id, status) in [
        (guid("a"), 0),
        (GUID_NULL, 1),
        (guid("a"), 3),
        (guid("a"), 77),
        // Enumerated, but not prepared.
        (guid("b"), 1),
        (guid("unknown"), 1),
    ] {
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
fn a_report_after_the_completion_changes_nothing() -> Result<()> {
    let late = "progress item=a status=failed text=late";
    let options = script("progress item=a status=succeeded");
    let options = ["enum-items", "show-error", "get-properties"]
        .iter()
        .fold(options, |options, export| options.setting(*export, late));
    let client = client(options, agree());
    assert_eq!(client.run(MANUAL, "a")?, Hresult::S_OK);
    let before = client.log().len();
    assert!(client.items().is_ok());
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    client.completed("ShowErrorCompleted")?;
    assert_eq!(client.show_properties(GUID_NULL), Hresult::S_OK);
    client.completed("ShowPropertiesCompleted")?;
    let log = client.log();
    let reported = log[before..].iter().any(|line| line.starts_with("Progress"));
    assert!(!reported, "{log:?}");
    let answered =
        client.made().iter().filter(|made| made.arguments.contains("CancelItem")).count();
    assert_eq!(answered, 3, "each was refused");
    Ok(())
}

#[test]
fn removing_the_callback_ends_the_run_and_all_calls() -> Result<()> {
    let mut client =
        client(script("progress item=a status=updating quiet=1\nwait-cancelled"), agree());
    synchronize_until_it_reports(&mut client)?;
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
        let limits = limits(|limits| limits.grace = Duration::from_millis(50));
        let mut client = client(script(work).limits(limits), agree());
        synchronize_until_it_reports(&mut client)?;
        client.release();
        client.forget_callback();
        assert!(client.callback_is_gone(), "{work}");
        assert!(client.nothing_completes(), "{work}");
    }
    Ok(())
}

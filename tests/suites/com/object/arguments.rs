//! Callers that violate the rules of the interfaces.

use super::*;

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
    assert_eq!(client.synchronize(), Hresult::E_UNEXPECTED, "during the run");
    assert_eq!(client.prepare_named("a"), Hresult::E_UNEXPECTED, "during the run");
    assert_eq!(
        client.items().unwrap_err().to_string(),
        format!("EnumSyncMgrItems: {}", Hresult::HRESULT_ERROR_BUSY)
    );
    assert_eq!(client.show_error(guid("e")), Hresult::HRESULT_ERROR_BUSY);
    assert_eq!(client.show_properties(GUID_NULL), Hresult::HRESULT_ERROR_BUSY);
    client.completed("SynchronizeCompleted")?;
    assert!(client.items().is_ok(), "after it");
    assert!(client.nothing_completes());
    Ok(())
}

#[test]
fn invalid_arguments_are_rejected_and_out_parameters_are_null() {
    let client = client(SessionOptions::new(), agree());
    let handler = client.handler();
    let cookie = [0_u8; 4];
    // SAFETY: rejected arguments are not accessed.
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
fn a_factory_creates_only_handlers() {
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

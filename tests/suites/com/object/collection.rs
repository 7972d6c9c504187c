//! The collection of handlers for Sync Center.

use std::ptr::{null, null_mut};

use super::*;
use syncmgr_com::collection::{self, ISyncMgrHandlerCollection};
use syncmgr_com::string_enumerator::IEnumString;
use uuid::Uuid;

const LISTED: [Uuid; 2] = [Uuid::from_u128(1), Uuid::from_u128(0xABCD)];
/// A class that is listed, and cannot be loaded.
const BROKEN: Uuid = LISTED[1];
/// `ISyncMgrHandler`.
const MODERN: GUID = GUID::from_u128(0x04ec2e43_ac77_49f9_9b98_0307ef7a72a2);

fn id(class: Uuid) -> String {
    format!("{{{}}}", class.to_string().to_uppercase())
}

fn collection() -> ISyncMgrHandlerCollection {
    collection::create(
        || Ok(LISTED.to_vec()),
        |wanted| match wanted {
            BROKEN => Err(Hresult::E_ACCESSDENIED),
            _ => {
                let plugin = conformance::host().load_file(conformance::HELLO);
                Ok(class(plugin.map_err(|_| Hresult::E_FAIL)?, SessionOptions::new(), Silent))
            }
        },
    )
}

fn bind(id: &str, interface: &GUID) -> (Hresult, *mut std::ffi::c_void) {
    let id: Vec<u16> = id.encode_utf16().chain([0]).collect();
    let mut handler = null_mut();
    // SAFETY: the text is NUL-terminated, and there is a place for the pointer.
    let answered = unsafe { collection().BindToHandler(id.as_ptr(), interface, &raw mut handler) };
    (ours(answered), handler)
}

/// Takes the next `count` ids, and the answer.
fn next(ids: &IEnumString, count: u32) -> (Hresult, Vec<String>) {
    let mut texts = [null_mut(); 4];
    let mut fetched = 9;
    // SAFETY: there is room for four.
    let answered = ours(unsafe { ids.Next(count, texts.as_mut_ptr(), &raw mut fetched) });
    let texts = texts[..fetched as usize].iter().map(|&text| {
        // SAFETY: the enumerator returned a NUL-terminated text.
        let units = (0..).map(|at| unsafe { *text.add(at) }).take_while(|&unit| unit != 0);
        let read = String::from_utf16_lossy(&units.collect::<Vec<_>>());
        // SAFETY: it is ours to free.
        unsafe { task_memory::free(text) };
        read
    });
    (answered, texts.collect())
}

#[test]
fn a_collection_lists_its_handlers() {
    let mut ids = null_mut();
    // SAFETY: there is a place for the pointer.
    let answered = unsafe { collection().GetHandlerEnumerator(&raw mut ids) };
    assert_eq!(ours(answered), Hresult::S_OK);
    // SAFETY: the call succeeded.
    let ids = unsafe { IEnumString::from_raw(ids) };
    let expected = LISTED.map(id);
    assert_eq!(next(&ids, 1), (Hresult::S_OK, vec![expected[0].clone()]));
    let mut clone = null_mut();
    // SAFETY: there is a place for the pointer.
    assert_eq!(ours(unsafe { ids.Clone(&raw mut clone) }), Hresult::S_OK);
    // SAFETY: the call succeeded.
    let clone = unsafe { IEnumString::from_raw(clone) };
    assert_eq!(next(&ids, 4), (Hresult::S_FALSE, vec![expected[1].clone()]));
    assert_eq!(next(&ids, 1), (Hresult::S_FALSE, Vec::new()), "the end");
    // SAFETY: no pointers.
    assert_eq!(ours(unsafe { ids.Reset() }), Hresult::S_OK);
    assert_eq!(next(&ids, 2), (Hresult::S_OK, expected.to_vec()));
    // SAFETY: no pointers.
    assert_eq!(ours(unsafe { clone.Skip(1) }), Hresult::S_OK);
    // SAFETY: no pointers.
    assert_eq!(ours(unsafe { clone.Skip(1) }), Hresult::S_FALSE);
}

#[test]
fn a_collection_returns_legacy_handlers() {
    let synchronize = ISyncMgrSynchronize::IID;
    for (id, interface, expected) in [
        (id(LISTED[0]), synchronize, Hresult::S_OK),
        // Sync Center requests `ISyncMgrSynchronize` after this.
        (id(LISTED[0]), MODERN, Hresult(0x8000_4002)),
        (id(BROKEN), synchronize, Hresult::E_ACCESSDENIED),
        (id(Uuid::from_u128(3)), synchronize, Hresult::HRESULT_ERROR_NOT_FOUND),
        (LISTED[0].to_string(), synchronize, Hresult::E_INVALIDARG),
        (String::new(), synchronize, Hresult::E_INVALIDARG),
        ("x".repeat(100_000), synchronize, Hresult::E_INVALIDARG),
    ] {
        let (answered, handler) = bind(&id, &interface);
        assert_eq!(answered, expected, "{id:.50} {interface:?}");
        assert_eq!(handler.is_null(), expected != Hresult::S_OK, "{id:.50} {interface:?}");
        if !handler.is_null() {
            // SAFETY: the call succeeded.
            drop(unsafe { ISyncMgrSynchronize::from_raw(handler) });
        }
    }
}

#[test]
fn a_collection_rejects_null() {
    let (one, interface) = ([u16::from(b'{'), 0], ISyncMgrSynchronize::IID);
    let collection = collection();
    let mut handler = null_mut();
    // SAFETY: NULL is checked.
    unsafe {
        assert_eq!(ours(collection.GetHandlerEnumerator(null_mut())), E_POINTER);
        for answered in [
            collection.BindToHandler(null(), &raw const interface, &raw mut handler),
            collection.BindToHandler(one.as_ptr(), null(), &raw mut handler),
            collection.BindToHandler(one.as_ptr(), &raw const interface, null_mut()),
        ] {
            assert_eq!(ours(answered), E_POINTER);
        }
    }
    assert!(handler.is_null());
}

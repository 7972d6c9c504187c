//! The information of a handler about itself and its items.

use super::*;

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
fn items_reported_as_missing_have_an_enumerator() -> Result<()> {
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

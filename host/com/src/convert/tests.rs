use super::*;

#[test]
fn a_guid_is_the_same_in_its_text_form() {
    let text = "6295df41-35ee-11d1-8707-00c04fd93327";
    let native = guid(Uuid::parse_str(text).unwrap());
    assert_eq!((native.data1, native.data2, native.data3), (0x6295_DF41, 0x35EE, 0x11D1));
    assert_eq!(native.data4, [0x87, 0x07, 0x00, 0xC0, 0x4F, 0xD9, 0x33, 0x27]);
    assert_eq!(uuid(native).to_string(), text);
}

#[test]
fn triggers_round_trip() {
    for event in 0..=0xFF_u32 {
        for modifiers in [0, 0x100, 0x200, 0x300] {
            let known = if (1..=6).contains(&event) { event } else { 3 };
            assert_eq!(flags(trigger(event | modifiers)), known | modifiers);
        }
    }
    assert_eq!(trigger(0xFFFF_F403).event, SyncEvent::Manual);
}

#[test]
fn every_status_has_its_native_number() {
    let found = (0..=0x1FF).filter_map(|number| Some((number, status(number)?)));
    assert!(found.clone().all(|(number, status)| number == status as u32));
    assert_eq!(found.count(), 10);
}

#[test]
fn names_are_nul_terminated_and_truncated_at_a_character() {
    for (text, expected) in [
        ("abc", "abc"),
        ("abcd", "abc"),
        ("ab\u{1F600}", "ab"),
        ("a\u{1F600}", "a\u{1F600}"),
        ("a\0b", "a\u{FFFD}b"),
    ] {
        let units = name::<4>(text);
        assert_eq!(units[3], 0, "{text:?}");
        assert_eq!(name_from_native(&units).unwrap(), expected);
    }
    assert_eq!(name_from_native(&[0x41; 4]).unwrap(), "AAAA", "without a NUL");
    assert_eq!(name_from_native(&[0; 4]), None);
}

#[test]
fn text_round_trips() {
    for original in ["", "plain", "\u{1F600} \u{FFFF} ä"] {
        let units = utf16(original);
        assert_eq!(units.last(), Some(&0));
        // SAFETY: `utf16` returns NUL-terminated text.
        assert_eq!(unsafe { text(units.as_ptr()) }.as_deref(), Some(original));
    }
    assert_eq!(utf16("a\0b"), [0x61, 0xFFFD, 0x62, 0]);
    let endless = vec![0x41; TEXT_UNITS + 1];
    // SAFETY: the text is read only up to the limit, which is within the buffer.
    assert_eq!(unsafe { text(endless.as_ptr()) }.unwrap().len(), TEXT_UNITS);
    // SAFETY: NULL is allowed.
    assert_eq!(unsafe { text(null()) }, None);
}

#[test]
fn report_text_is_read_only_if_its_bit_is_set() {
    let mut native = empty_progress_item();
    native.lpcStatusText = std::ptr::without_provenance(0xDEAD);
    native.mask = SYNCMGRPROGRESSITEM_PROGVALUE;
    native.iProgValue = -5;
    // SAFETY: the text's bit is clear.
    let item = unsafe { progress_item(&raw const native) };
    assert_eq!(item, ProgressItem { prog_value: Some(-5), ..ProgressItem::default() });
    // SAFETY: NULL is allowed.
    assert_eq!(unsafe { progress_item(null()) }, ProgressItem::default());
}

#[test]
fn log_entries_round_trip() {
    let id = Some(ErrorId::from_uuid(Uuid::from_u128(1)));
    let item = Some(ItemId::from_uuid(Uuid::from_u128(2)));
    let text = utf16("text");
    for (item, jump, id, mask) in [
        (None, None, None, 0),
        (item, None, None, 4),
        (item, None, id, 6),
        (None, id, id, 3),
        (item, id, id, 7),
    ] {
        let entry =
            LogEntry { level: LogLevel::Warning, text: "text".into(), item, jump, id, code: None };
        let info = log_error_info(&entry);
        assert_eq!(info.mask, mask);
        // SAFETY: both are valid.
        let back = unsafe { log_entry(2, text.as_ptr(), &raw const info) };
        assert_eq!(back, entry);
    }
}

#[test]
fn items_round_trip() {
    let original = Item {
        id: ItemId::from_uuid(Uuid::from_u128(7)),
        name: "Documents".into(),
        flags: 1 | SYNCMGRITEM_LASTUPDATETIME,
        checked: true,
        last_update_time: Some(0x01DA_1234_5678_9ABC),
    };
    assert_eq!(item_from_native(&item(&original)), Some(original));
}

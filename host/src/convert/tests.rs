use super::*;

fn wit_item(id: u64, name: &str) -> wit::Item {
    wit::Item {
        id: wit::Guid { high: 0, low: id },
        name: name.to_owned(),
        flags: wit::ItemFlags::empty(),
        state: wit::ItemState::Checked,
        last_update_time: None,
    }
}

fn list(items: Vec<wit::Item>) -> Result<ItemList, Refusal> {
    item_list(exports::ItemList { items, missing_items: false }, 10_000, &Secrets::default())
}

#[test]
fn a_guid_keeps_every_bit() {
    let iid = Uuid::from_u128(0x6295DF41_35EE_11D1_8707_00C04FD93327);
    let wit = guid(iid);
    assert_eq!((wit.high, wit.low), (0x6295_DF41_35EE_11D1, 0x8707_00C0_4FD9_3327));
    assert_eq!(item_id(wit).as_uuid(), iid);
}

#[test]
fn bad_item_lists_are_refused() {
    for (items, words) in [
        (vec![wit_item(0, "a")], "GUID_NULL"),
        (vec![wit_item(1, "")], "empty"),
        (vec![wit_item(1, "a"), wit_item(1, "b")], "duplicate item id"),
        ((1..=10_001).map(|id| wit_item(id, "a")).collect(), "limit of 10000"),
    ] {
        let refusal = list(items).unwrap_err();
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[test]
fn names_are_cut_in_utf16_units_at_a_character() {
    for (name, units, expected) in [
        ("a".repeat(200), 127, "a".repeat(127)),
        ("é".repeat(200), 127, "é".repeat(127)),
        // A character beyond the basic plane takes two units and is never halved.
        ("🦀".repeat(200), 127, "🦀".repeat(63)),
        ("short".to_owned(), 31, "short".to_owned()),
    ] {
        assert_eq!(cut_units(name, units), expected);
    }
}

#[test]
fn texts_are_cut_at_a_character() {
    assert_eq!(cut("né".to_owned(), 2), "n");
    assert_eq!(cut("né".to_owned(), 3), "né");
}

#[test]
fn negative_numbers_become_zero() {
    let item = wit::ProgressItem {
        status_text: None,
        status_type: None,
        prog_value: Some(i32::MIN),
        max_value: Some(-1),
    };
    let item = progress_item(item, &Secrets::default());
    assert_eq!((item.prog_value, item.max_value), (Some(0), Some(0)));
}

#[test]
fn questions_without_a_possible_answer_are_refused() {
    for (choices, default_choice) in [(0, 0), (17, 0), (2, 2), (1, u32::MAX)] {
        let asked = callback::UserQuestion {
            item_id: None,
            text: String::new(),
            choices: vec![String::new(); choices],
            default_choice,
        };
        let refused = question(asked, &Secrets::default());
        assert!(refused.is_err(), "{choices} choices, default {default_choice}");
    }
}

#[test]
fn the_flag_bits_are_the_native_ones() {
    let mut one = wit_item(1, "a");
    one.flags = wit::ItemFlags::HAS_PROPERTIES
        | wit::ItemFlags::TEMPORARY
        | wit::ItemFlags::ROAMING_USER
        | wit::ItemFlags::MAY_DELETE_ITEM
        | wit::ItemFlags::HIDDEN;
    one.last_update_time = Some(0);
    assert_eq!(item(one, &Secrets::default()).unwrap().flags, 0x3F);
    let flags = wit::HandlerFlags::HAS_PROPERTIES
        | wit::HandlerFlags::MAY_ESTABLISH_CONNECTION
        | wit::HandlerFlags::ALWAYS_LIST_HANDLER
        | wit::HandlerFlags::HIDDEN;
    let info = wit::HandlerInfo { name: "a".into(), flags };
    assert_eq!(handler_info(info, &Secrets::default()).unwrap().flags, 0x0F);
}

#[test]
fn an_action_is_bounded() {
    for (bytes, path_bytes, side_bytes) in
        [(10, 10, 10), (64, 64, 64), (65, 65, 64), (9000, 4096, 64)]
    {
        let text = "x".repeat(bytes);
        let reported = statistics::Action {
            kind: statistics::ActionKind::Moved,
            side: Some(text.clone()),
            path: text.clone(),
            size: Some(u64::MAX),
            detail: Some(text),
        };
        let action = action(reported, &Secrets::default());
        assert_eq!(action.kind, ActionKind::Moved);
        assert_eq!(action.side.map(|side| side.len()), Some(side_bytes), "{bytes}");
        assert_eq!(action.path.len(), path_bytes, "{bytes}");
        assert_eq!(action.detail.map(|detail| detail.len()), Some(path_bytes), "{bytes}");
        assert_eq!(action.size, Some(u64::MAX));
    }
    let cut = statistics::Action {
        kind: statistics::ActionKind::Skipped,
        side: None,
        path: format!("x{}", "é".repeat(3000)),
        size: None,
        detail: None,
    };
    assert_eq!(action(cut, &Secrets::default()).path.len(), 4095, "at a character boundary");
}

#[test]
fn every_kind_of_action_has_the_name_of_the_contract() {
    let wit = include_str!("../../wit/statistics.wit");
    let names = ActionKind::ALL.map(ActionKind::name);
    let declared = wit.split("enum action-kind {").nth(1).unwrap().split('}').next().unwrap();
    let declared = declared.lines().map(str::trim).filter(|line| !line.starts_with("///"));
    let declared: Vec<_> = declared.filter_map(|line| line.strip_suffix(',')).collect();
    assert_eq!(declared, names);
}

use super::*;
use uuid::Uuid;

const ID: ItemId = ItemId::from_uuid(Uuid::from_u128(7));
const OTHER: ItemId = ItemId::from_uuid(Uuid::from_u128(8));

fn table() -> ItemTable {
    let mut table = ItemTable::new(3, 100);
    let item = Item { id: ID, name: "a".into(), flags: 0, checked: true, last_update_time: None };
    table.start(&[item]);
    table
}

fn status(status: Status) -> ProgressItem {
    ProgressItem { status_type: Some(status), ..ProgressItem::default() }
}

#[test]
fn absent_fields_keep_their_last_value() {
    let mut table = table();
    let first = ProgressItem {
        status_text: Some("one".into()),
        max_value: Some(10),
        ..status(Status::Updating)
    };
    table.record(ID, &first).unwrap();
    let second = ProgressItem { prog_value: Some(4), ..ProgressItem::default() };
    let recorded = table.record(ID, &second).unwrap();
    assert_eq!(recorded, Recorded { index: 0, new_status: None });
    assert_eq!(
        table.entries()[0].progress,
        ItemProgress {
            status_text: "one".into(),
            status_type: Some(Status::Updating),
            prog_value: 4,
            max_value: 10,
            bytes_per_step: 0,
        }
    );
}

#[test]
fn a_value_never_passes_a_known_maximum() {
    let mut table = table();
    let beyond = ProgressItem { prog_value: Some(50), ..ProgressItem::default() };
    table.record(ID, &beyond).unwrap();
    assert_eq!(table.entries()[0].progress.prog_value, 50);
    let max = ProgressItem { max_value: Some(10), ..ProgressItem::default() };
    table.record(ID, &max).unwrap();
    assert_eq!(table.entries()[0].progress.prog_value, 10);
}

#[test]
fn after_a_terminal_status_only_failed_is_accepted() {
    for terminal in [Status::Succeeded, Status::Skipped, Status::Stopped, Status::Deleted] {
        let mut table = table();
        table.record(ID, &status(terminal)).unwrap();
        let refused = Err(Refusal::Terminal(terminal));
        assert_eq!(table.record(ID, &status(Status::Updating)), refused);
        assert_eq!(table.record(ID, &ProgressItem::default()), refused);
        assert!(table.record(ID, &status(Status::Failed)).is_ok(), "{terminal:?}");
        let refused = Err(Refusal::Terminal(Status::Failed));
        assert_eq!(table.record(ID, &status(Status::Succeeded)), refused);
    }
}

#[test]
fn reports_between_attempts_are_refused() {
    let mut table = table();
    table.record(ID, &status(Status::Succeeded)).unwrap();
    table.close();
    let refused = Err(Refusal::NotSynchronizing);
    assert_eq!(table.record(ID, &status(Status::Failed)), refused);
    assert_eq!(table.entries()[0].progress.status_type, Some(Status::Succeeded));
    let item = table.entries()[0].item.clone();
    table.start(&[item]);
    assert!(table.record(ID, &status(Status::Updating)).is_ok());
}

#[test]
fn an_unknown_item_is_refused() {
    let mut table = table();
    let refused = Err(Refusal::UnknownItem);
    assert_eq!(table.record(OTHER, &status(Status::Updating)), refused);
}

#[test]
fn the_first_refused_report_about_each_id_is_logged() {
    let mut table = table();
    let terminal = Refusal::Terminal(Status::Succeeded);
    let entry = table.refuse(ID, terminal).expect("it is the first one");
    assert_eq!((entry.item, entry.level), (Some(ID), LogLevel::Warning));
    assert!(entry.text.contains(&ID.to_string()), "{}", entry.text);
    assert!(entry.text.contains("`succeeded`"), "{}", entry.text);
    assert_eq!(table.refuse(ID, terminal), None);
    let mut logged = 0;
    for id in (0..1_000).chain(0..1_000) {
        let id = ItemId::from_uuid(Uuid::from_u128(1_000 + id));
        if let Some(entry) = table.refuse(id, Refusal::UnknownItem) {
            assert_eq!(entry.item, None);
            assert!(entry.text.contains(&id.to_string()), "{}", entry.text);
            logged += 1;
        }
    }
    assert_eq!(logged, MAX_UNKNOWN);
    assert_eq!(table.refused_calls, 2_002);
}

#[test]
fn excess_log_entries_are_counted_and_dropped() {
    let entry = |text: &str, code| LogEntry {
        level: LogLevel::Error,
        text: text.to_owned(),
        item: Some(ID),
        jump: None,
        id: None,
        code: Some(code),
    };
    let mut table = table();
    assert!(!table.log(&entry(&"x".repeat(101), ErrorCode::Busy)), "too long");
    for _ in 0..5 {
        table.log(&entry("x", ErrorCode::Failed));
    }
    table.log(&entry("last", ErrorCode::NoSpace));
    assert_eq!(table.log_entries().len(), 3);
    assert_eq!(table.dropped(), 4);
    assert_eq!(table.count_entries(LogLevel::Error), 7);
    assert_eq!(table.codes()[&ID], ErrorCode::NoSpace, "what is left out still counts");
}

#[test]
fn item_memory_is_tracked_across_reports() {
    let mut table = table();
    let items = [ID, OTHER].map(|id| Item {
        id,
        name: "a".into(),
        flags: 0,
        checked: true,
        last_update_time: None,
    });
    table.start(&items);
    for (number, id) in (0..1000).zip([ID, OTHER, ID].into_iter().cycle()) {
        let text = "x".repeat(number * 7 % 4096);
        let report = ProgressItem { status_text: Some(text), ..ProgressItem::default() };
        let _ = table.record(id, &report);
        table.set_count(id, format!("n{}", number % 80), 1);
        if number % 300 == 0 {
            table.start(&items[..1]);
        }
        let expected = table.entries().iter().map(ItemEntry::bytes).sum::<u64>();
        assert_eq!(table.item_bytes(), expected, "after {number}");
    }
}

#[test]
fn counts_are_bounded_in_name_and_number() {
    let mut table = table();
    for name in ["", "Capital", "a b", &"x".repeat(65)] {
        table.set_count(ID, name.to_owned(), 1);
    }
    for number in 0..100 {
        table.set_count(ID, format!("n{number}"), 1);
    }
    table.set_count(ID, "n0".into(), 2);
    let counts = &table.entries()[0].counts;
    assert_eq!(counts.len(), MAX_COUNTS);
    assert_eq!(counts["n0"], 2);
}

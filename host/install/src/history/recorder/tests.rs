use std::fs;
use std::path::Path;

use syncmgr_host::ActionKind::{ConflictKept, ConflictStanding, Created, Deleted, Moved, Skipped};
use syncmgr_host::sink::Discard;

use syncmgr_host::ActionKind;
use uuid::Uuid;

use super::*;
use crate::history::database::Database;
use crate::history::writer::EndedItem;
use crate::history::{ActionFilter, History, HistoryAction, RunFilter};

const ITEM: ItemId = ItemId::from_uuid(Uuid::from_u128(7));

fn new_run(job: &str) -> NewRun {
    NewRun {
        id: Uuid::new_v4(),
        job: job.to_owned(),
        plugin: "folder".to_owned(),
        trigger: "manual".to_owned(),
        directories: vec![("left".to_owned(), PathBuf::from("/home/me/docs"))],
        repeatable: false,
    }
}

fn action(kind: ActionKind, path: &str, detail: Option<&str>) -> Action {
    let (side, detail) = (Some("right".to_owned()), detail.map(str::to_owned));
    Action { kind, side, path: path.to_owned(), size: Some(3), detail }
}

fn ended(status: Status) -> Ended {
    Ended {
        outcome: "completed",
        hresult: 0,
        exit_code: if status == Status::Succeeded { 0 } else { 3 },
        error: None,
        peak_memory: 1 << 20,
        bytes: (1, 2),
        dropped_actions: 0,
        items: vec![EndedItem {
            id: ITEM,
            name: "Documents".to_owned(),
            status,
            hresult: 0,
            code: None,
            text: "done".to_owned(),
            counts: vec![("copied".to_owned(), 3)],
            warnings: 0,
            errors: 0,
        }],
    }
}

/// Records a run.
fn record(state: &Path, job: &str, status: Status, actions: &[Action]) -> Result<(), HistoryError> {
    let recorder = HistoryRecorder::start(state, new_run(job))?;
    let mut sink = recorder.sink(Discard);
    sink.started(&[item()]);
    actions.iter().for_each(|action| sink.action(ITEM, action));
    drop(sink);
    recorder.end(ended(status))
}

fn item() -> Item {
    let name = "Documents".to_owned();
    Item { id: ITEM, name, flags: 0, checked: true, last_update_time: None }
}

fn state() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn open(state: &tempfile::TempDir) -> History {
    History::open(state.path()).unwrap().unwrap()
}

fn actions(history: &History, filter: &ActionFilter) -> Vec<HistoryAction> {
    let mut found = Vec::new();
    let passed = history.actions(filter, |action| {
        found.push(action);
        true
    });
    passed.unwrap();
    found
}

#[test]
fn a_run_is_recorded_with_its_actions() {
    let state = state();
    assert!(History::open(state.path()).unwrap().is_none());
    let many: Vec<_> = (0..1000).map(|n| action(Created, &format!("d/{n}"), None)).collect();
    record(state.path(), "folder", Status::Succeeded, &many).unwrap();
    record(state.path(), "other", Status::Failed, &[action(Deleted, "d/7", None)]).unwrap();
    let history = open(&state);
    let runs = history.runs(&RunFilter::default()).unwrap();
    assert_eq!(runs.iter().map(|run| &*run.job).collect::<Vec<_>>(), ["other", "folder"]);
    let run = &runs[1];
    assert_eq!((run.exit_code, run.bytes_down, run.peak_memory), (Some(0), 2, 1 << 20));
    assert_eq!(run.directories, [("left".to_owned(), "/home/me/docs".to_owned())]);
    assert_eq!((run.items[0].actions["created"], run.items[0].counts["copied"]), (1000, 3));
    let of_run = ActionFilter { run: Some(run.id.clone()), ..ActionFilter::default() };
    let paths: Vec<_> = actions(&history, &of_run).into_iter().map(|action| action.path).collect();
    assert_eq!(paths, many.iter().map(|action| action.path.clone()).collect::<Vec<_>>());
    for (filter, expected) in [
        (RunFilter { job: Some("folder".to_owned()), ..RunFilter::default() }, &["folder"][..]),
        (RunFilter { failed: true, ..RunFilter::default() }, &["other"]),
        (RunFilter { limit: Some(1), ..RunFilter::default() }, &["other"]),
        (RunFilter { id: Some(run.id[..8].to_uppercase()), ..RunFilter::default() }, &["folder"]),
        (
            RunFilter { item: Some("Documents".to_owned()), ..RunFilter::default() },
            &["other", "folder"],
        ),
        (RunFilter { item: Some("nothing".to_owned()), ..RunFilter::default() }, &[]),
        (RunFilter { since: Some(i64::MAX), ..RunFilter::default() }, &[]),
    ] {
        let runs = history.runs(&filter).unwrap();
        assert_eq!(runs.iter().map(|run| &*run.job).collect::<Vec<_>>(), expected, "{filter:?}");
    }
}

#[test]
fn actions_are_found_by_path() {
    let state = state();
    let all = [
        action(Created, "docs/a.txt", None),
        action(Moved, "docs/b.txt", Some("papers/c.txt")),
        action(Skipped, "link", Some("a.txt")),
        action(Deleted, "docs2/a.txt", None),
        action(Created, "100%_é", None),
    ];
    record(state.path(), "folder", Status::Succeeded, &all).unwrap();
    let history = open(&state);
    for (path, expected) in [
        ("docs/a.txt", &["docs/a.txt"][..]),
        ("docs", &["docs/a.txt", "docs/b.txt"]),
        ("docs/", &["docs/a.txt", "docs/b.txt"]),
        ("a.txt", &["docs/a.txt", "docs2/a.txt"]),
        ("papers", &["docs/b.txt"]),
        ("c.txt", &["docs/b.txt"]),
        ("100%_é", &["100%_é"]),
        ("%", &[]),
        ("' OR 1 --", &[]),
    ] {
        let filter = ActionFilter { path: Some(path.to_owned()), ..ActionFilter::default() };
        let found: Vec<_> = actions(&history, &filter).into_iter().map(|one| one.path).collect();
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn a_conflict_is_settled_when_a_complete_run_no_longer_reports_it() {
    let state = state();
    let (kept, standing) =
        (action(ConflictKept, "a", Some("a 2")), action(ConflictStanding, "a", Some("a 2")));
    for (status, reported, open_conflicts) in [
        (Status::Succeeded, &[kept.clone()][..], 1),
        (Status::Succeeded, &[standing], 1),
        (Status::Failed, &[], 1),
        (Status::Succeeded, &[], 0),
        (Status::Succeeded, &[kept], 1),
    ] {
        record(state.path(), "folder", status, reported).unwrap();
        // The same item of another job has separate conflicts.
        record(state.path(), "other", Status::Succeeded, &[]).unwrap();
        let history = open(&state);
        let conflicts = history.conflicts().unwrap();
        assert_eq!(conflicts.len(), open_conflicts, "{reported:?} {conflicts:?}");
        let states = history.states().unwrap();
        assert_eq!(states.len(), 2);
        assert_eq!(states[0].conflicts, open_conflicts as u64);
        assert_eq!(states[0].status.as_deref(), Some(status.name()));
        assert!(states[0].succeeded.is_some());
    }
}

#[test]
fn a_settled_conflict_stands_again_if_a_run_reports_it() {
    let state = state();
    let kept = |path: &str| action(ConflictKept, path, Some("copy"));
    for job in ["folder", "other"] {
        record(state.path(), job, Status::Succeeded, &[kept("a"), kept("b")]).unwrap();
    }
    let history = open(&state);
    let standing = || {
        let conflicts = history.conflicts().unwrap().into_iter();
        conflicts.map(|one| format!("{} {}", one.job, one.path)).collect::<Vec<_>>()
    };
    assert_eq!(standing(), ["folder a", "folder b", "other a", "other b"]);
    let first = history.conflicts().unwrap().remove(0);
    assert_eq!(first.id, ITEM.to_string());
    for _ in 0..2 {
        history.settle(&first).unwrap();
        assert_eq!(standing(), ["folder b", "other a", "other b"]);
    }
    let standing_again = action(ConflictStanding, "a", Some("copy"));
    record(state.path(), "folder", Status::Succeeded, &[standing_again]).unwrap();
    assert_eq!(standing(), ["folder a", "other a", "other b"]);
}

#[test]
fn a_killed_run_has_no_end_and_a_run_that_cannot_begin_is_removed() {
    let state = state();
    let killed = HistoryRecorder::start(state.path(), new_run("killed")).unwrap();
    let mut sink = killed.sink(Discard);
    sink.started(&[item()]);
    sink.action(ITEM, &action(Created, "a", None));
    drop(sink);
    // The thread ends without a report.
    let HistoryRecorder { sender, thread, .. } = killed;
    drop(sender);
    thread.join().unwrap().unwrap();
    HistoryRecorder::start(state.path(), new_run("discarded")).unwrap().discard();
    let runs = open(&state).runs(&RunFilter { failed: true, ..RunFilter::default() }).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!((&*runs[0].job, runs[0].ended), ("killed", None));
    assert_eq!(runs[0].items[0].actions["created"], 1);
}

#[test]
fn an_unusable_database_is_set_aside_or_refused() {
    for (what, content) in [
        ("no database", b"something else".repeat(1000)),
        ("empty", Vec::new()),
        ("a damaged header", b"SQLite format 3\0".repeat(500)),
    ] {
        let state = state();
        fs::write(state.path().join("history.db"), &content).unwrap();
        let recorder = HistoryRecorder::start(state.path(), new_run("folder")).unwrap();
        let aside = recorder.damaged().map(Path::to_owned);
        recorder.end(ended(Status::Succeeded)).unwrap();
        assert_eq!(open(&state).runs(&RunFilter::default()).unwrap().len(), 1, "{what}");
        match aside {
            Some(aside) => assert_eq!(fs::read(aside).unwrap(), content, "{what}"),
            None => assert_eq!(content.len(), 0, "{what}"),
        }
    }
    let state = state();
    record(state.path(), "folder", Status::Succeeded, &[]).unwrap();
    let connection = rusqlite::Connection::open(state.path().join("history.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    for result in [
        HistoryRecorder::start(state.path(), new_run("folder")).map(drop),
        History::open(state.path()).map(drop),
    ] {
        assert_eq!(result.unwrap_err().code(), "history-version");
    }
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let [state, elsewhere] = [state(), state()];
    record(elsewhere.path(), "folder", Status::Succeeded, &[]).unwrap();
    let target = elsewhere.path().join("history.db");
    std::os::unix::fs::symlink(&target, state.path().join("history.db")).unwrap();
    for result in [
        HistoryRecorder::start(state.path(), new_run("folder")).map(drop),
        History::open(state.path()).map(drop),
    ] {
        assert_eq!(result.unwrap_err().code(), "store-open");
    }
    assert_eq!(open(&elsewhere).runs(&RunFilter::default()).unwrap().len(), 1);
}

/// Moves the journal into the database.
fn move_journal(state: &tempfile::TempDir) {
    let connection = rusqlite::Connection::open(state.path().join("history.db")).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

#[test]
fn damaged_pages_end_the_recording_and_the_next_run_begins_a_new_database() {
    let state = state();
    let many: Vec<_> = (0..5000).map(|n| action(Created, &format!("d/{n}"), None)).collect();
    record(state.path(), "folder", Status::Succeeded, &many).unwrap();
    move_journal(&state);
    let file = state.path().join("history.db");
    let mut bytes = fs::read(&file).unwrap();
    let page = 4096;
    assert!(bytes.len() > 8 * page);
    bytes[2 * page..].fill(0x5A);
    fs::write(&file, bytes).unwrap();
    // The damage is found at the start, or while it is written.
    let _ = record(state.path(), "folder", Status::Succeeded, &many);
    record(state.path(), "folder", Status::Succeeded, &many).unwrap();
    let history = open(&state);
    let runs = history.runs(&RunFilter::default()).unwrap();
    assert_eq!(runs[0].items[0].actions["created"], 5000);
}

#[test]
fn several_runs_record_at_once() {
    let state = state();
    let path = state.path();
    let many: Vec<_> = (0..2000).map(|n| action(Created, &format!("d/{n}"), None)).collect();
    thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| record(path, "folder", Status::Succeeded, &many)))
            .collect();
        for run in runs {
            run.join().unwrap().unwrap();
        }
    });
    let runs = open(&state).runs(&RunFilter::default()).unwrap();
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|run| run.items[0].actions["created"] == 2000));
}

#[test]
fn old_runs_are_removed() {
    let state = state();
    let many: Vec<_> = (0..2000).map(|n| action(Created, &format!("d/{n}"), None)).collect();
    for _ in 0..10 {
        record(state.path(), "folder", Status::Succeeded, &many).unwrap();
    }
    let size = || {
        move_journal(&state);
        fs::metadata(state.path().join("history.db")).unwrap().len()
    };
    let before = size();
    let (mut database, _) = Database::create(state.path()).unwrap();
    database.prune(0, before / 4).unwrap();
    drop(database);
    let left = open(&state).runs(&RunFilter::default()).unwrap().len();
    assert!((1..10).contains(&left), "{left}");
    assert!(size() < before / 2, "{} of {before}", size());
    let (mut database, _) = Database::create(state.path()).unwrap();
    database.prune(i64::MAX, u64::MAX).unwrap();
    assert_eq!(open(&state).runs(&RunFilter::default()).unwrap().len(), 0);
}

use syncmgr_host::sink::{Discard, Sink as _};
use syncmgr_host::{Action, ActionKind, Item, ItemId};
use uuid::Uuid;

use super::*;
use crate::history::database::Database;
use crate::history::plans;
use crate::history::{HistoryRecorder, NewRun, RunFilter};

/// Fills a database with runs of two items, the last of which has `actions` actions.
fn filled(runs: i64, actions: i64) -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    let (mut database, _) = Database::create(state.path()).unwrap();
    let transaction = database.begin().unwrap();
    transaction
        .execute_batch(&format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {runs})
             INSERT INTO run (id, uuid, job, plugin, trigger, started, ended, exit_code)
             SELECT n, printf('%08x-run', n), 'job ' || (n % 2), 'folder', 'manual', n, n + 5,
                 CASE WHEN n % 100 THEN 0 ELSE 3 END FROM n;
             INSERT INTO item (id, run, job, uuid, name, status)
             SELECT id, id, job, 'item', 'Item', iif(exit_code, 'failed', 'succeeded') FROM run;
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {actions})
             INSERT INTO action (item, kind, path, size, detail)
             SELECT {runs}, iif(n % 1000, 'created', 'skipped'), 'd/' || n, n, 'why' FROM n;
             INSERT INTO change SELECT item, kind, count(*), sum(size) FROM action
             GROUP BY item, kind;"
        ))
        .unwrap();
    transaction.commit().unwrap();
    state
}

#[test]
fn questions_of_the_page_are_answered_by_an_index() {
    let state = filled(10_000, 100_000);
    let history = History::open(state.path()).unwrap().unwrap();
    let limited = || RunFilter { limit: Some(50), ..RunFilter::default() };
    let last = "00002710-run".to_owned();
    for filter in [
        limited(),
        RunFilter { failed: true, ..limited() },
        RunFilter { unended: true, ..limited() },
        RunFilter { item: Some("Item".to_owned()), skip: 50, ..limited() },
        RunFilter { job: Some("job 1".to_owned()), ..limited() },
        RunFilter { id: Some(last.clone()), ..limited() },
    ] {
        let expected = match (&filter.id, filter.unended) {
            (Some(_), _) => 1,
            (None, true) => 0,
            (None, false) => 50,
        };
        assert_eq!(history.runs(&filter).unwrap().len(), expected, "{filter:?}");
    }
    let states = history.states().unwrap();
    let states: Vec<_> = states.iter().map(|state| (&*state.job, &*state.run)).collect();
    assert_eq!(states, [("job 0", &*last), ("job 1", "0000270f-run")]);
    assert_eq!(history.last_runs("job 0", "item", 50).unwrap().len(), 50);
    assert_eq!(history.skipped("job 0", "item", 1000).unwrap().len(), 100);
    history.actions_page(&last, ActionPlace::default(), 500).unwrap();

    let plans = plans::take();
    assert!(plans.len() > 15, "{}", plans.len());
    for (query, plan) in plans {
        // The order of an index, read up to a limit, and the rows of an earlier step.
        let ordered =
            |step: &str| step.contains(" USING INDEX ") || step.contains(" USING COVERING INDEX ");
        let intermediate = ["SCAN pair", "SCAN (", "SCAN CONSTANT ROW"];
        for step in plan.iter().filter(|step| step.starts_with("SCAN ")) {
            let limited = ordered(step) && query.contains(" LIMIT ");
            let is_step = intermediate.iter().any(|start| step.starts_with(start));
            assert!(limited || is_step, "{query}: {plan:?}");
        }
    }
}

#[test]
fn pages_of_actions_are_complete_and_disjoint() {
    let state = filled(2, 1234);
    let history = History::open(state.path()).unwrap().unwrap();
    let run = "00000002-run";
    let (mut paths, mut sizes, mut after) = (Vec::new(), Vec::new(), ActionPlace::default());
    loop {
        let (page, next) = history.actions_page(run, after, 500).unwrap();
        sizes.push(page.len());
        paths.extend(page.into_iter().map(|action| action.path));
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(sizes, [500, 500, 234]);
    assert_eq!(paths, (1..=1234).map(|n| format!("d/{n}")).collect::<Vec<_>>());
    let (rest, next) = history.actions_page(run, after, 234).unwrap();
    assert_eq!((rest.len(), next), (234, None), "there is no empty last page");
    let beyond = ActionPlace { item: i64::MAX, action: i64::MAX };
    assert_eq!(history.actions_page(run, beyond, 500).unwrap().0.len(), 0);
}

#[test]
fn sizes_of_plugins_do_not_overflow_a_sum() {
    let state = tempfile::tempdir().unwrap();
    let run = NewRun {
        id: Uuid::from_u128(1),
        job: "job".to_owned(),
        plugin: "hostile".to_owned(),
        trigger: "manual".to_owned(),
        directories: Vec::new(),
        repeatable: true,
    };
    let item = ItemId::from_uuid(Uuid::from_u128(7));
    let recorder = HistoryRecorder::start(state.path(), run).unwrap();
    let mut sink = recorder.sink(Discard);
    let name = "Item".to_owned();
    sink.started(&[Item { id: item, name, flags: 0, checked: true, last_update_time: None }]);
    for _ in 0..3 {
        let (kind, path) = (ActionKind::Created, "a".to_owned());
        sink.action(item, &Action { kind, side: None, path, size: Some(u64::MAX), detail: None });
    }
    drop(sink);
    let report =
        syncmgr_host::RunReport::without_items("hostile", syncmgr_host::Outcome::Completed);
    recorder.finish(&report, 0).unwrap();
    let history = History::open(state.path()).unwrap().unwrap();
    let runs = history.runs(&RunFilter::default()).unwrap();
    assert!(runs[0].repeatable);
    assert_eq!(
        (runs[0].items[0].actions["created"], runs[0].items[0].bytes),
        (3, 9 * 10_u64.pow(18))
    );
}

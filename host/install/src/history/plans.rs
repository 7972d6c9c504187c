//! The plans of all queries of a test.

use std::cell::RefCell;

use rusqlite::Connection;

thread_local! {
    /// Each query of this thread, with its plan.
    static PLANS: RefCell<Vec<(String, Vec<String>)>> = const { RefCell::new(Vec::new()) };
}

/// Records the plan of a query.
pub(super) fn note(connection: &Connection, query: &str) -> rusqlite::Result<()> {
    let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}"))?;
    let mut rows = explain.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next()? {
        plan.push(row.get(3)?);
    }
    PLANS.with_borrow_mut(|plans| plans.push((query.to_owned(), plan)));
    Ok(())
}

/// Returns the queries of this thread and their plans, and forgets them.
pub(super) fn take() -> Vec<(String, Vec<String>)> {
    PLANS.take()
}

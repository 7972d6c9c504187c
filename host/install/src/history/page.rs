//! Questions of `syncmgr serve`. An index answers each of them, and their answers are bounded.

#[cfg(test)]
mod tests;

use rusqlite::{OptionalExtension as _, params};

use super::condition::prepare;
use super::database::HistoryError;
use super::query::{ACTION, History, action};
use super::records::HistoryAction;

/// A place in the actions of a run, which are by item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActionPlace {
    /// The number of the item.
    pub item: i64,
    /// The number of the action.
    pub action: i64,
}

/// One run of an item.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ItemRun {
    /// The id of the run.
    pub run: String,
    /// The start of the run, in ms since 1970.
    pub started: i64,
    /// The end of the run, in ms since 1970; `None`: it is in progress, or was killed.
    pub ended: Option<i64>,
    /// The final status of the item.
    pub status: Option<String>,
    /// The error code of the item.
    pub code: Option<String>,
    /// The exit status of the run.
    pub exit_code: Option<u8>,
}

impl History {
    /// Returns at most `limit` actions of a run after a place, and the place of the next ones.
    ///
    /// # Errors
    /// Returns [`HistoryError`].
    pub fn actions_page(
        &self,
        run: &str,
        after: ActionPlace,
        limit: usize,
    ) -> Result<(Vec<HistoryAction>, Option<ActionPlace>), HistoryError> {
        self.query(|connection| {
            let mut items = prepare(
                connection,
                "SELECT item.id FROM run JOIN item ON item.run = run.id \
                 WHERE run.uuid = ?1 AND item.id >= ?2 ORDER BY item.id",
            )?;
            let items = items.query_map(params![run, after.item], |row| row.get(0))?;
            let items = items.collect::<rusqlite::Result<Vec<i64>>>()?;
            let query = format!(
                "SELECT {ACTION}, action.id FROM action JOIN item ON item.id = action.item \
                 JOIN run ON run.id = item.run WHERE action.item = ?1 AND action.id > ?2 \
                 ORDER BY action.id LIMIT ?3"
            );
            let mut query = prepare(connection, &query)?;
            let (mut found, mut last) = (Vec::new(), after);
            for item in items {
                let from = if item == after.item { after.action } else { 0 };
                // One more, to know whether it is the last page.
                let wanted = limit + 1 - found.len();
                let mut rows = query.query(params![item, from, wanted])?;
                while let Some(row) = rows.next()? {
                    if found.len() == limit {
                        return Ok((found, Some(last)));
                    }
                    last = ActionPlace { item, action: row.get(9)? };
                    found.push(action(row)?);
                }
            }
            Ok((found, None))
        })
    }

    /// Returns the last runs of an item, oldest first.
    ///
    /// # Errors
    /// Returns [`HistoryError`].
    pub fn last_runs(
        &self,
        job: &str,
        item: &str,
        limit: u32,
    ) -> Result<Vec<ItemRun>, HistoryError> {
        self.query(|connection| {
            let mut query = prepare(
                connection,
                "SELECT run.uuid, started, ended, status, code, exit_code \
                 FROM item JOIN run ON run.id = item.run WHERE item.job = ?1 AND item.uuid = ?2 \
                 ORDER BY item.id DESC LIMIT ?3",
            )?;
            let runs = query.query_map(params![job, item, limit], |row| {
                Ok(ItemRun {
                    run: row.get(0)?,
                    started: row.get(1)?,
                    ended: row.get(2)?,
                    status: row.get(3)?,
                    code: row.get(4)?,
                    exit_code: row.get(5)?,
                })
            })?;
            let mut runs = runs.collect::<rusqlite::Result<Vec<_>>>()?;
            runs.reverse();
            Ok(runs)
        })
    }

    /// Returns the entries that the last run of an item skipped.
    ///
    /// # Errors
    /// Returns [`HistoryError`].
    pub fn skipped(
        &self,
        job: &str,
        item: &str,
        limit: usize,
    ) -> Result<Vec<HistoryAction>, HistoryError> {
        self.query(|connection| {
            let mut last = prepare(
                connection,
                "SELECT id FROM item WHERE job = ?1 AND uuid = ?2 ORDER BY id DESC LIMIT 1",
            )?;
            let last: Option<i64> =
                last.query_row(params![job, item], |row| row.get(0)).optional()?;
            let query = format!(
                "SELECT {ACTION} FROM action JOIN item ON item.id = action.item \
                 JOIN run ON run.id = item.run \
                 WHERE action.item = ?1 AND kind = 'skipped' ORDER BY action.id LIMIT ?2"
            );
            let mut query = prepare(connection, &query)?;
            query.query_map(params![last, limit], action)?.collect()
        })
    }
}

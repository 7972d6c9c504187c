//! Questions about past runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, Row, ToSql, params};

use super::condition::{Condition, prepare};
use super::database::{Database, HistoryError, database};
use super::records::{HistoryAction, HistoryConflict, HistoryItem, HistoryRun, ItemState};
use super::writer::milliseconds;

/// The history of a state directory. Texts in it are those of plugins: escape them before showing
/// them.
pub struct History(Database);

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("History").field(&self.0.path()).finish()
    }
}

/// Which runs to return. By default, all of them.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// The start of the id.
    pub id: Option<String>,
    /// The name of an installed or built-in plugin, or the path of a job file or of a component.
    pub job: Option<String>,
    /// The name or the id of an item.
    pub item: Option<String>,
    /// The earliest start, in ms since 1970.
    pub since: Option<i64>,
    /// Only runs that failed, were cancelled, or never ended.
    pub failed: bool,
    /// Only runs without an end: they are in progress, or were killed.
    pub unended: bool,
    /// The number of runs to skip, newest first.
    pub skip: u32,
    /// The maximum number of runs, newest first; `None`: all.
    pub limit: Option<u32>,
}

/// Which actions to return. By default, all of them.
#[derive(Clone, Debug, Default)]
pub struct ActionFilter {
    /// The id of the run.
    pub run: Option<String>,
    /// The name or the id of an item.
    pub item: Option<String>,
    /// The path of the entry or of a directory above it before or after the action, or its last
    /// names.
    pub path: Option<String>,
    /// The earliest start of the run, in ms since 1970.
    pub since: Option<i64>,
    /// The maximum number of actions, newest runs first; `None`: all.
    pub limit: Option<u32>,
}

/// The columns of [`HistoryRun`].
const RUN: &str = "run.id, run.uuid, run.job, plugin, trigger, started, ended, outcome, run.hresult, \
                   exit_code, error_code, error, peak_memory, bytes_up, bytes_down, \
                   dropped_actions, repeatable";

/// The columns of [`HistoryAction`].
pub(super) const ACTION: &str =
    "run.uuid, started, run.job, item.name, kind, side, path, size, detail";

impl History {
    /// Opens the history of a state directory; `None`: there is none.
    ///
    /// # Errors
    /// Returns [`HistoryError`] if it cannot be read.
    pub fn open(state: &Path) -> Result<Option<Self>, HistoryError> {
        Ok(Database::existing(state)?.map(Self))
    }

    /// Returns runs, newest first.
    ///
    /// # Errors
    /// Returns [`HistoryError`].
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<HistoryRun>, HistoryError> {
        let RunFilter { id, job, item, since, failed, unended, skip, limit } = filter;
        let limit = limit.map_or(-1, i64::from);
        let (conditions, mut parameters) = Condition::join(vec![
            // Ids consist of hexadecimal digits, in lower case, and `-`.
            Condition::new(":id", id, "uuid >= lower(:id) AND uuid < lower(:id) || 'g'"),
            Condition::new(":job", job, "job = :job"),
            Condition::new(
                ":item",
                item,
                "run.id IN (SELECT run FROM item WHERE name = :item \
                 UNION SELECT run FROM item WHERE uuid = lower(:item))",
            ),
            Condition::new(":since", since, "started >= :since"),
            Condition::flag(*failed, "(exit_code IS NULL OR exit_code > 1)"),
            Condition::flag(*unended, "ended IS NULL"),
        ]);
        parameters.extend([(":limit", &limit as &dyn ToSql), (":skip", skip)]);
        self.query(|connection| {
            let query = format!(
                "SELECT {RUN} FROM run {conditions} \
                 ORDER BY started DESC, run.id DESC LIMIT :limit OFFSET :skip"
            );
            let mut query = prepare(connection, &query)?;
            let found =
                query.query_map(&parameters[..], |row| Ok((row.get::<_, i64>(0)?, run(row)?)))?;
            let mut runs = Vec::new();
            for found in found {
                let (number, mut run) = found?;
                run.directories = directories(connection, number)?;
                run.items = items(connection, number, run.ended.is_some())?;
                runs.push(run);
            }
            Ok(runs)
        })
    }

    /// Passes actions to `each`: those of the newest run first, each run in the order in which they
    /// happened. Stops if it returns `false`.
    ///
    /// # Errors
    /// Returns [`HistoryError`].
    pub fn actions(
        &self,
        filter: &ActionFilter,
        mut each: impl FnMut(HistoryAction) -> bool,
    ) -> Result<(), HistoryError> {
        let ActionFilter { run, item, path, since, limit } = filter;
        let path = path.as_deref().map(|path| path.trim_matches('/'));
        let is_at = |column: &str| {
            format!(
                "({column} = :path OR substr({column}, 1, length(:path) + 1) = :path || '/' \
                 OR substr({column}, -length(:path) - 1) = '/' || :path)"
            )
        };
        let (before, after) = (is_at("path"), is_at("detail"));
        let limit = limit.map_or(-1, i64::from);
        let (conditions, mut parameters) = Condition::join(vec![
            Condition::new(":run", run, "run.uuid = :run"),
            Condition::new(":item", item, "(item.name = :item OR item.uuid = lower(:item))"),
            Condition::new(
                ":path",
                &path,
                &format!("({before} OR (kind <> 'skipped' AND {after}))"),
            ),
            Condition::new(":since", since, "started >= :since"),
        ]);
        parameters.push((":limit", &limit));
        self.query(|connection| {
            let query = format!(
                "SELECT {ACTION} FROM run JOIN item ON item.run = run.id \
                 JOIN action ON action.item = item.id {conditions} \
                 ORDER BY started DESC, run.id DESC, action.id LIMIT :limit"
            );
            let mut query = prepare(connection, &query)?;
            let mut rows = query.query(&parameters[..])?;
            while let Some(row) = rows.next()? {
                let action = action(row)?;
                if !each(action) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Returns the names and paths of all directories that the runs of a plugin or a job were
    /// granted.
    ///
    /// # Errors
    /// Returns [`HistoryError`].
    pub fn directories(&self, of: &str) -> Result<Vec<(String, String)>, HistoryError> {
        self.query(|connection| {
            let mut query = connection.prepare(
                "SELECT DISTINCT name, path FROM directory JOIN run ON run.id = directory.run \
                 WHERE job = ?1 OR plugin = ?1 ORDER BY name, path",
            )?;
            query.query_map([of], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// Returns the state of each item, by job and name.
    ///
    /// # Errors
    /// Returns [`HistoryError`].
    pub fn states(&self) -> Result<Vec<ItemState>, HistoryError> {
        self.query(|connection| {
            // Finds each pair of a job and an item by the index, and then its last run.
            let mut query = prepare(
                connection,
                "WITH RECURSIVE pair (job, uuid) AS ( \
                     SELECT * FROM (SELECT job, uuid FROM item ORDER BY job, uuid LIMIT 1) \
                     UNION ALL \
                     SELECT next.job, next.uuid FROM pair JOIN item AS next ON next.id = coalesce( \
                         (SELECT id FROM item WHERE item.job = pair.job AND item.uuid > pair.uuid \
                          ORDER BY uuid LIMIT 1), \
                         (SELECT id FROM item WHERE item.job > pair.job ORDER BY job, uuid LIMIT 1)) \
                 ) \
                 SELECT run.job, last.uuid, last.name, run.uuid, run.started, run.ended, status, \
                     code, text, \
                     (SELECT done.ended FROM item AS good JOIN run AS done ON done.id = good.run \
                      WHERE good.job = pair.job AND good.uuid = pair.uuid \
                      AND good.status = 'succeeded' ORDER BY good.id DESC LIMIT 1), \
                     exit_code, \
                     (SELECT count(*) FROM conflict WHERE conflict.job = pair.job \
                      AND conflict.item = pair.uuid AND settled IS NULL) \
                 FROM pair JOIN item AS last ON last.id = \
                     (SELECT id FROM item WHERE item.job = pair.job AND item.uuid = pair.uuid \
                      ORDER BY id DESC LIMIT 1) \
                 JOIN run ON run.id = last.run ORDER BY run.job, last.name",
            )?;
            let states = query.query_map([], |row| {
                Ok(ItemState {
                    job: row.get(0)?,
                    id: row.get(1)?,
                    name: row.get(2)?,
                    run: row.get(3)?,
                    started: row.get(4)?,
                    ended: row.get(5)?,
                    status: row.get(6)?,
                    code: row.get(7)?,
                    text: row.get(8)?,
                    succeeded: row.get(9)?,
                    exit_code: row.get(10)?,
                    conflicts: row.get(11)?,
                })
            })?;
            states.collect()
        })
    }

    /// Returns the conflicts that are not settled, by job, item and path.
    ///
    /// # Errors
    /// Returns [`HistoryError`].
    pub fn conflicts(&self) -> Result<Vec<HistoryConflict>, HistoryError> {
        self.query(|connection| {
            let mut query = connection.prepare(
                "SELECT conflict.job, item, item_name, path, copy, started FROM conflict \
                 LEFT JOIN run ON run.id = since WHERE settled IS NULL \
                 ORDER BY conflict.job, item_name, path, copy",
            )?;
            let conflicts = query.query_map([], |row| {
                Ok(HistoryConflict {
                    job: row.get(0)?,
                    id: row.get(1)?,
                    item: row.get(2)?,
                    path: row.get(3)?,
                    copy: row.get(4)?,
                    since: row.get(5)?,
                })
            })?;
            conflicts.collect()
        })
    }

    /// Records that a conflict is settled. If both versions still exist, the next run of the item
    /// records that it is not.
    ///
    /// # Errors
    /// Returns [`HistoryError`].
    pub fn settle(&self, conflict: &HistoryConflict) -> Result<(), HistoryError> {
        let HistoryConflict { job, id, path, copy, .. } = conflict;
        self.query(|connection| {
            connection.execute(
                "UPDATE conflict SET settled = ?5 WHERE settled IS NULL \
                 AND job = ?1 AND item = ?2 AND path = ?3 AND copy = ?4",
                params![job, id, path, copy, milliseconds(SystemTime::now())],
            )?;
            Ok(())
        })
    }

    pub(super) fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        query(self.0.connection()).map_err(database(self.0.path()))
    }
}

/// Reads the columns of [`RUN`].
fn run(row: &Row<'_>) -> rusqlite::Result<HistoryRun> {
    let code: Option<String> = row.get(10)?;
    let message: Option<String> = row.get(11)?;
    Ok(HistoryRun {
        id: row.get(1)?,
        job: row.get(2)?,
        plugin: row.get(3)?,
        trigger: row.get(4)?,
        started: row.get(5)?,
        ended: row.get(6)?,
        outcome: row.get(7)?,
        hresult: row.get(8)?,
        exit_code: row.get(9)?,
        error: code.zip(message),
        peak_memory: row.get(12)?,
        bytes_up: row.get(13)?,
        bytes_down: row.get(14)?,
        dropped_actions: row.get(15)?,
        repeatable: row.get(16)?,
        directories: Vec::new(),
        items: Vec::new(),
    })
}

/// Reads the columns of [`ACTION`].
pub(super) fn action(row: &Row<'_>) -> rusqlite::Result<HistoryAction> {
    Ok(HistoryAction {
        run: row.get(0)?,
        started: row.get(1)?,
        job: row.get(2)?,
        item: row.get(3)?,
        kind: row.get(4)?,
        side: row.get(5)?,
        path: row.get(6)?,
        size: row.get(7)?,
        detail: row.get(8)?,
    })
}

fn directories(connection: &Connection, run: i64) -> rusqlite::Result<Vec<(String, String)>> {
    let mut query =
        prepare(connection, "SELECT name, path FROM directory WHERE run = ?1 ORDER BY name")?;
    query.query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn items(connection: &Connection, run: i64, ended: bool) -> rusqlite::Result<Vec<HistoryItem>> {
    let mut query = prepare(
        connection,
        "SELECT id, uuid, name, status, hresult, code, text, warnings, errors FROM item \
         WHERE run = ?1 ORDER BY id",
    )?;
    let found = query.query_map([run], |row| {
        let item = HistoryItem {
            id: row.get(1)?,
            name: row.get(2)?,
            status: row.get(3)?,
            hresult: row.get(4)?,
            code: row.get(5)?,
            text: row.get(6)?,
            warnings: row.get(7)?,
            errors: row.get(8)?,
            counts: BTreeMap::new(),
            actions: BTreeMap::new(),
            bytes: 0,
        };
        Ok((row.get(0)?, item))
    })?;
    let mut items = Vec::new();
    for found in found {
        let (number, mut item) = found?;
        item.counts = counts(connection, number)?;
        changes(connection, number, ended, &mut item)?;
        items.push(item);
    }
    Ok(items)
}

fn counts(connection: &Connection, item: i64) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut query = prepare(connection, "SELECT name, value FROM count WHERE item = ?1")?;
    query.query_map([item], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Reads the numbers of actions, and the sizes of files.
fn changes(
    connection: &Connection,
    number: i64,
    ended: bool,
    item: &mut HistoryItem,
) -> rusqlite::Result<()> {
    let mut query = prepare(
        connection,
        match ended {
            true => "SELECT kind, number, bytes FROM change WHERE item = ?1",
            false => {
                "SELECT kind, count(*), CAST(min(total(size), 9e18) AS INTEGER) FROM action \
                 WHERE item = ?1 GROUP BY kind"
            }
        },
    )?;
    let mut rows = query.query([number])?;
    while let Some(row) = rows.next()? {
        let (kind, number): (String, u64) = (row.get(0)?, row.get(1)?);
        if ["created", "replaced"].contains(&&*kind) {
            item.bytes = item.bytes.saturating_add(row.get(2)?);
        }
        item.actions.insert(kind, number);
    }
    Ok(())
}

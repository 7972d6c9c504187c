//! Questions about past runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, Row, named_params, params};

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
const RUN: &str = "run.id, run.uuid, job, plugin, trigger, started, ended, outcome, run.hresult, \
                   exit_code, error_code, error, peak_memory, bytes_up, bytes_down, \
                   dropped_actions";

/// Whether an item has the name or the id `:item`.
const IS_ITEM: &str = "(item.name = :item OR item.uuid = lower(:item))";

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
        self.query(|connection| {
            let mut query = connection.prepare(&format!(
                "SELECT {RUN} FROM run \
                 WHERE (:id IS NULL OR substr(uuid, 1, length(:id)) = lower(:id)) \
                 AND (:job IS NULL OR job = :job) \
                 AND (:item IS NULL OR EXISTS \
                      (SELECT 1 FROM item WHERE item.run = run.id AND {IS_ITEM})) \
                 AND (:since IS NULL OR started >= :since) \
                 AND (NOT :failed OR exit_code IS NULL OR exit_code > 1) \
                 ORDER BY started DESC, run.id DESC LIMIT :limit"
            ))?;
            let RunFilter { id, job, item, since, failed, limit } = filter;
            let found = query.query_map(
                named_params! {
                    ":id": id, ":job": job, ":item": item, ":since": since, ":failed": failed,
                    ":limit": limit.map_or(-1, i64::from),
                },
                |row| Ok((row.get::<_, i64>(0)?, run(row)?)),
            )?;
            let mut runs = Vec::new();
            for found in found {
                let (number, mut run) = found?;
                run.directories = directories(connection, number)?;
                run.items = items(connection, number)?;
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
        self.query(|connection| {
            let mut query = connection.prepare(&format!(
                "SELECT run.uuid, started, job, item.name, kind, side, path, size, detail \
                 FROM run JOIN item ON item.run = run.id JOIN action ON action.item = item.id \
                 WHERE (:run IS NULL OR run.uuid = :run) \
                 AND (:item IS NULL OR {IS_ITEM}) \
                 AND (:path IS NULL OR {before} OR (kind <> 'skipped' AND {after})) \
                 AND (:since IS NULL OR started >= :since) \
                 ORDER BY started DESC, run.id DESC, action.id LIMIT :limit"
            ))?;
            let mut rows = query.query(named_params! {
                ":run": run, ":item": item, ":path": path, ":since": since,
                ":limit": limit.map_or(-1, i64::from),
            })?;
            while let Some(row) = rows.next()? {
                let action = HistoryAction {
                    run: row.get(0)?,
                    started: row.get(1)?,
                    job: row.get(2)?,
                    item: row.get(3)?,
                    kind: row.get(4)?,
                    side: row.get(5)?,
                    path: row.get(6)?,
                    size: row.get(7)?,
                    detail: row.get(8)?,
                };
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
            let mut query = connection.prepare(
                "WITH last AS ( \
                     SELECT job, uuid, max(item.id) AS id FROM item \
                     JOIN (SELECT id AS run, job FROM run) USING (run) GROUP BY job, uuid \
                 ), success AS ( \
                     SELECT job, item.uuid, max(ended) AS ended FROM item \
                     JOIN run ON run.id = item.run WHERE status = 'succeeded' \
                     GROUP BY job, item.uuid \
                 ) \
                 SELECT run.job, item.uuid, item.name, run.uuid, run.started, run.ended, status, \
                     code, text, success.ended, exit_code, \
                     (SELECT count(*) FROM conflict WHERE conflict.job = run.job \
                      AND conflict.item = item.uuid AND settled IS NULL) \
                 FROM last JOIN item ON item.id = last.id JOIN run ON run.id = item.run \
                 LEFT JOIN success ON success.job = run.job AND success.uuid = item.uuid \
                 ORDER BY run.job, item.name",
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

    fn query<T>(
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
        directories: Vec::new(),
        items: Vec::new(),
    })
}

fn directories(connection: &Connection, run: i64) -> rusqlite::Result<Vec<(String, String)>> {
    let mut query =
        connection.prepare("SELECT name, path FROM directory WHERE run = ?1 ORDER BY name")?;
    query.query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn items(connection: &Connection, run: i64) -> rusqlite::Result<Vec<HistoryItem>> {
    let mut query = connection.prepare(
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
        };
        Ok((row.get(0)?, item))
    })?;
    let mut items = Vec::new();
    for found in found {
        let (number, mut item) = found?;
        item.counts = numbers(connection, "SELECT name, value FROM count WHERE item = ?1", number)?;
        let by_kind = "SELECT kind, count(*) FROM action WHERE item = ?1 GROUP BY kind";
        item.actions = numbers(connection, by_kind, number)?;
        items.push(item);
    }
    Ok(items)
}

fn numbers(
    connection: &Connection,
    query: &str,
    item: i64,
) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut query = connection.prepare(query)?;
    query.query_map([item], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

//! The thread that writes the history of a run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Transaction, params};
use syncmgr_host::http::HttpUsage;
use syncmgr_host::{Action, ActionKind, ErrorCode, ItemId, RunReport, Status, full_message};
use uuid::Uuid;

use super::database::{Database, HistoryError, database, is_damage, set_aside};

/// The number of messages that may wait for the thread.
pub(super) const MESSAGES: usize = 256;

/// The age of runs that are removed.
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// The size of the database from which old runs are removed.
const MAX_BYTES: u64 = 256 << 20;

/// A run that begins.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The id of the run.
    pub id: Uuid,
    /// What is run: the name of an installed or built-in plugin, or the path of a job file or of a
    /// component.
    pub job: String,
    /// The plugin's name.
    pub plugin: String,
    /// The event that started the run, such as `manual`.
    pub trigger: String,
    /// The granted directories: names and paths.
    pub directories: Vec<(String, PathBuf)>,
    /// Whether the plugin's name and the directories, all of them read-write, are sufficient to
    /// run it again in the same way.
    pub repeatable: bool,
}

/// What happens in a run.
pub(super) enum Message {
    Started(Vec<(ItemId, String)>),
    Actions(Vec<(ItemId, Action)>),
    Ended(Box<Ended>),
    Discarded,
}

/// The report of a run, as far as it is recorded.
pub(super) struct Ended {
    pub(super) outcome: &'static str,
    pub(super) hresult: u32,
    pub(super) exit_code: u8,
    pub(super) error: Option<(&'static str, String)>,
    pub(super) peak_memory: usize,
    pub(super) bytes: (u64, u64),
    pub(super) dropped_actions: u64,
    pub(super) items: Vec<EndedItem>,
}

pub(super) struct EndedItem {
    pub(super) id: ItemId,
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) hresult: u32,
    pub(super) code: Option<&'static str>,
    pub(super) text: String,
    pub(super) counts: Vec<(String, u64)>,
    pub(super) warnings: u64,
    pub(super) errors: u64,
}

impl Ended {
    pub(super) fn new(report: &RunReport, exit_code: u8) -> Self {
        let error = report.error().map(|error| (error.code(), full_message(error)));
        let sum = |bytes: fn(&HttpUsage) -> u64| report.http.values().map(bytes).sum();
        let items = report.items.iter().map(|item| EndedItem {
            id: item.id,
            name: item.name.clone(),
            status: item.status,
            hresult: item.hresult().0,
            code: item.code.map(ErrorCode::name),
            text: item.text.clone(),
            counts: item.counts.iter().map(|(name, value)| (name.clone(), *value)).collect(),
            warnings: item.warnings,
            errors: item.errors,
        });
        Self {
            outcome: report.outcome.name(),
            hresult: report.hresult().0,
            exit_code,
            error,
            peak_memory: report.peak_memory_bytes,
            bytes: (sum(|usage| usage.bytes_up), sum(|usage| usage.bytes_down)),
            dropped_actions: report.dropped_actions,
            items: items.collect(),
        }
    }
}

/// Returns a time in ms since 1970.
pub(super) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn insert_run(to: &mut Database, run: &NewRun) -> Result<i64, HistoryError> {
    let path = to.path().to_owned();
    let transaction = to.begin()?;
    let insert = || -> rusqlite::Result<i64> {
        transaction.execute(
            "INSERT INTO run (uuid, job, plugin, trigger, started, repeatable) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                run.id.to_string(),
                run.job,
                run.plugin,
                run.trigger,
                milliseconds(SystemTime::now()),
                run.repeatable
            ],
        )?;
        let number = transaction.last_insert_rowid();
        for (name, path) in &run.directories {
            transaction.execute(
                "INSERT OR IGNORE INTO directory (run, name, path) VALUES (?1, ?2, ?3)",
                params![number, name, path.to_string_lossy()],
            )?;
        }
        Ok(number)
    };
    let number = insert().map_err(database(&path))?;
    transaction.commit().map_err(database(&path))?;
    Ok(number)
}

/// The thread that writes.
pub(super) struct Writer {
    database: Database,
    run: i64,
    job: String,
    /// The row of each item.
    items: HashMap<ItemId, i64>,
}

impl Writer {
    /// Begins a run in the database of a state directory. Replaces a damaged one; then also returns
    /// its new path.
    pub(super) fn begin(
        state: &Path,
        run: NewRun,
    ) -> Result<(Self, Option<PathBuf>), HistoryError> {
        let (mut database, mut aside) = Database::create(state)?;
        let number = match insert_run(&mut database, &run) {
            Err(HistoryError::Database { source, path }) if is_damage(&*source) => {
                drop(database);
                aside = Some(set_aside(&path).map_err(self::database(&path))?);
                (database, _) = Database::create(state)?;
                insert_run(&mut database, &run)?
            }
            inserted => inserted?,
        };
        Ok((Self { database, run: number, job: run.job, items: HashMap::new() }, aside))
    }

    pub(super) fn path(&self) -> &Path {
        self.database.path()
    }

    /// Writes until the run ends.
    pub(super) fn serve(mut self, messages: &Receiver<Message>) -> Result<(), HistoryError> {
        let oldest = milliseconds(SystemTime::now().checked_sub(MAX_AGE).unwrap_or(UNIX_EPOCH));
        let served = self.database.prune(oldest, MAX_BYTES).and_then(|()| {
            while let Ok(first) = messages.recv() {
                let mut batch = vec![first];
                batch.extend(messages.try_iter().take(MESSAGES));
                let ends = |message: &Message| match message {
                    Message::Ended(_) | Message::Discarded => true,
                    Message::Started(_) | Message::Actions(_) => false,
                };
                let ends = batch.iter().any(ends);
                self.write(batch)?;
                if ends {
                    break;
                }
            }
            Ok(())
        });
        if let Err(HistoryError::Database { source, path }) = &served
            && is_damage(&**source)
        {
            drop(self.database);
            // The next run begins a new one.
            let _ = set_aside(path);
        }
        served
    }

    fn write(&mut self, batch: Vec<Message>) -> Result<(), HistoryError> {
        let path = self.database.path().to_owned();
        let (run, job, items) = (self.run, &self.job, &mut self.items);
        let transaction = self.database.begin()?;
        let insert = || -> rusqlite::Result<()> {
            for message in batch {
                match message {
                    Message::Started(started) => {
                        for (item, name) in started {
                            items.insert(item, insert_item(&transaction, run, item, &name)?);
                        }
                    }
                    Message::Actions(actions) => {
                        insert_actions(&transaction, items, job, &actions)?;
                    }
                    Message::Ended(ended) => end(&transaction, run, job, items, *ended)?,
                    Message::Discarded => {
                        transaction.execute("DELETE FROM run WHERE id = ?1", [run])?;
                    }
                }
            }
            Ok(())
        };
        insert().map_err(database(&path))?;
        transaction.commit().map_err(database(&path))
    }
}

fn insert_item(to: &Transaction<'_>, run: i64, item: ItemId, name: &str) -> rusqlite::Result<i64> {
    to.query_row(
        "INSERT INTO item (run, job, uuid, name) SELECT id, job, ?2, ?3 FROM run WHERE id = ?1 \
         ON CONFLICT DO UPDATE SET name = excluded.name RETURNING id",
        params![run, item.to_string(), name],
        |row| row.get(0),
    )
}

fn insert_actions(
    to: &Transaction<'_>,
    items: &HashMap<ItemId, i64>,
    job: &str,
    actions: &[(ItemId, Action)],
) -> rusqlite::Result<()> {
    let mut insert = to.prepare(
        "INSERT INTO action (item, kind, side, path, size, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (item, action) in actions {
        let Some(row) = items.get(item) else { continue };
        let Action { kind, side, path, size, detail } = action;
        insert.execute(params![row, kind.name(), side, path, size.map(number), detail])?;
        if matches!(kind, ActionKind::ConflictKept | ActionKind::ConflictStanding) {
            to.execute(
                "INSERT INTO conflict (job, item, item_name, path, copy, since, seen) \
                 SELECT ?1, uuid, name, ?3, ?4, run, run FROM item WHERE id = ?2 \
                 ON CONFLICT DO UPDATE SET seen = excluded.seen, settled = NULL",
                params![job, row, path, detail.as_deref().unwrap_or_default()],
            )?;
        }
    }
    Ok(())
}

fn end(
    to: &Transaction<'_>,
    run: i64,
    job: &str,
    items: &mut HashMap<ItemId, i64>,
    ended: Ended,
) -> rusqlite::Result<()> {
    let now = milliseconds(SystemTime::now());
    let (error_code, error) = ended.error.unzip();
    to.execute(
        "UPDATE run SET ended = ?2, outcome = ?3, hresult = ?4, exit_code = ?5, error_code = ?6, \
         error = ?7, peak_memory = ?8, bytes_up = ?9, bytes_down = ?10, dropped_actions = ?11 \
         WHERE id = ?1",
        params![
            run,
            now,
            ended.outcome,
            ended.hresult,
            ended.exit_code,
            error_code,
            error,
            number(ended.peak_memory as u64),
            number(ended.bytes.0),
            number(ended.bytes.1),
            number(ended.dropped_actions)
        ],
    )?;
    for item in ended.items {
        let row = match items.get(&item.id) {
            Some(row) => *row,
            None => insert_item(to, run, item.id, &item.name)?,
        };
        to.execute(
            "UPDATE item SET status = ?2, hresult = ?3, code = ?4, text = ?5, warnings = ?6, \
             errors = ?7 WHERE id = ?1",
            params![
                row,
                item.status.name(),
                item.hresult,
                item.code,
                item.text,
                number(item.warnings),
                number(item.errors)
            ],
        )?;
        for (name, value) in item.counts {
            to.execute(
                "INSERT OR REPLACE INTO count (item, name, value) VALUES (?1, ?2, ?3)",
                params![row, name, number(value)],
            )?;
        }
        if item.status == Status::Succeeded {
            // A complete run has reported all that exist.
            to.execute(
                "UPDATE conflict SET settled = ?4 \
                 WHERE job = ?1 AND item = ?2 AND seen <> ?3 AND settled IS NULL",
                params![job, item.id.to_string(), run, now],
            )?;
        }
    }
    // So that a list of runs does not read their actions. A sum of sizes that plugins report may
    // exceed an integer.
    to.execute(
        "INSERT OR REPLACE INTO change (item, kind, number, bytes) \
         SELECT action.item, kind, count(*), CAST(min(total(size), 9e18) AS INTEGER) \
         FROM item JOIN action ON action.item = item.id WHERE item.run = ?1 \
         GROUP BY action.item, kind",
        [run],
    )?;
    Ok(())
}

//! The database file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::error::InstallError;
use crate::folder::PrivateFolder;

/// The name of the file in the state directory.
const FILE: &str = "history.db";

/// The pages in the journal after which they are moved into the database.
const JOURNAL_PAGES: u32 = 200;

/// The default size of a page.
const PAGE_BYTES: u32 = 4096;

/// The time to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// The changes of the schema, in order. `user_version` is the number of those that were made.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE run (
        id INTEGER PRIMARY KEY,
        uuid TEXT NOT NULL UNIQUE,
        job TEXT NOT NULL,
        plugin TEXT NOT NULL,
        trigger TEXT NOT NULL,
        started INTEGER NOT NULL,
        ended INTEGER,
        outcome TEXT,
        hresult INTEGER,
        exit_code INTEGER,
        error_code TEXT,
        error TEXT,
        peak_memory INTEGER NOT NULL DEFAULT 0,
        bytes_up INTEGER NOT NULL DEFAULT 0,
        bytes_down INTEGER NOT NULL DEFAULT 0,
        dropped_actions INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX run_started ON run (started);
    CREATE TABLE directory (
        run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        name TEXT NOT NULL,
        path TEXT NOT NULL,
        PRIMARY KEY (run, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE item (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        uuid TEXT NOT NULL,
        name TEXT NOT NULL,
        status TEXT,
        hresult INTEGER,
        code TEXT,
        text TEXT NOT NULL DEFAULT '',
        warnings INTEGER NOT NULL DEFAULT 0,
        errors INTEGER NOT NULL DEFAULT 0,
        UNIQUE (run, uuid)
    ) STRICT;
    CREATE TABLE count (
        item INTEGER NOT NULL REFERENCES item ON DELETE CASCADE,
        name TEXT NOT NULL,
        value INTEGER NOT NULL,
        PRIMARY KEY (item, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE action (
        id INTEGER PRIMARY KEY,
        item INTEGER NOT NULL REFERENCES item ON DELETE CASCADE,
        kind TEXT NOT NULL,
        side TEXT,
        path TEXT NOT NULL,
        size INTEGER,
        detail TEXT
    ) STRICT;
    CREATE INDEX action_item ON action (item);
    CREATE TABLE conflict (
        id INTEGER PRIMARY KEY,
        job TEXT NOT NULL,
        item TEXT NOT NULL,
        item_name TEXT NOT NULL,
        path TEXT NOT NULL,
        copy TEXT NOT NULL,
        since INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        settled INTEGER,
        UNIQUE (job, item, path, copy)
    ) STRICT;
    ",
    // Every question about the state and the last runs has an index.
    "
    ALTER TABLE run ADD COLUMN repeatable INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX run_job ON run (job, started);
    CREATE INDEX run_failed ON run (started) WHERE exit_code IS NULL OR exit_code > 1;
    CREATE INDEX run_open ON run (started) WHERE ended IS NULL;
    ALTER TABLE item ADD COLUMN job TEXT NOT NULL DEFAULT '';
    UPDATE item SET job = (SELECT job FROM run WHERE run.id = item.run);
    CREATE INDEX item_job ON item (job, uuid);
    CREATE INDEX item_succeeded ON item (job, uuid) WHERE status = 'succeeded';
    CREATE INDEX item_name ON item (name, run);
    CREATE INDEX item_uuid ON item (uuid, run);
    CREATE INDEX action_skipped ON action (item) WHERE kind = 'skipped';
    CREATE INDEX conflict_open ON conflict (job, item) WHERE settled IS NULL;
    CREATE TABLE change (
        item INTEGER NOT NULL REFERENCES item ON DELETE CASCADE,
        kind TEXT NOT NULL,
        number INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (item, kind)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO change
        SELECT item, kind, count(*), CAST(min(total(size), 9e18) AS INTEGER) FROM action
        GROUP BY item, kind;
    ",
];

/// An error of the history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] InstallError),
    /// The database cannot be read or written.
    #[error("{}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A later version of the program made the database.
    #[error(
        "{} has version {found}, and this program supports versions up to {supported}; update the \
         program, or set another state directory with --state-dir",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The last supported version.
        supported: usize,
    },
    /// The run reports more than can be written.
    #[error("{}: another program blocks the database", path.display())]
    Blocked {
        /// The file.
        path: PathBuf,
    },
}

impl HistoryError {
    /// Returns a stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::State(error) => error.code(),
            Self::Database { .. } => "history-database",
            Self::Version { .. } => "history-version",
            Self::Blocked { .. } => "history-blocked",
        }
    }
}

/// An open database.
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens the database for writing, and creates it if it is missing. Sets a damaged one aside;
    /// then also returns its new path.
    pub(super) fn create(state: &Path) -> Result<(Self, Option<PathBuf>), HistoryError> {
        let folder = PrivateFolder::create(state)?;
        check(&folder)?;
        let path = folder.path().join(FILE);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        match Self::open(&path, flags) {
            Err(HistoryError::Database { source, .. }) if is_damage(&*source) => {
                let aside = set_aside(&path).map_err(database(&path))?;
                Ok((Self::open(&path, flags)?, Some(aside)))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// Opens an existing database.
    pub(super) fn existing(state: &Path) -> Result<Option<Self>, HistoryError> {
        let folder = match PrivateFolder::open(state) {
            Err(InstallError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            opened => opened?,
        };
        match check(&folder)? {
            false => Ok(None),
            true => {
                let path = folder.path().join(FILE);
                Self::open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map(Some)
            }
        }
    }

    fn open(path: &Path, flags: OpenFlags) -> Result<Self, HistoryError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(database(path))?;
        let mut this = Self { connection, path: path.to_owned() };
        this.prepare().map_err(database(path))?;
        this.migrate()?;
        Ok(this)
    }

    fn prepare(&mut self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(PATIENCE)?;
        // Takes effect in a new database only.
        self.connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        // A power failure may lose the last runs, but damages nothing.
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        // A run writes about 20 pages. Moving them from the journal into the database at its end
        // takes longer than a run without changes, but each start reads the whole journal.
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        self.connection.pragma_update(None, "wal_autocheckpoint", JOURNAL_PAGES)?;
        // A large transaction must not leave a large journal.
        self.connection.pragma_update(None, "journal_size_limit", JOURNAL_PAGES * PAGE_BYTES)?;
        self.connection.pragma_update(None, "foreign_keys", true)?;
        // A damaged or forged schema must not run code.
        self.connection.pragma_update(None, "trusted_schema", false)
    }

    fn migrate(&mut self) -> Result<(), HistoryError> {
        if self.version()? == MIGRATIONS.len() {
            return Ok(());
        }
        let path = self.path.clone();
        let transaction = self.begin()?;
        // Another process may have done it since.
        let found: usize = transaction
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(database(&path))?;
        let supported = MIGRATIONS.len();
        let Some(missing) = MIGRATIONS.get(found..) else {
            return Err(HistoryError::Version { path, found, supported });
        };
        missing
            .iter()
            .try_for_each(|migration| transaction.execute_batch(migration))
            .and_then(|()| transaction.pragma_update(None, "user_version", supported))
            .and_then(|()| transaction.commit())
            .map_err(database(&path))
    }

    fn version(&self) -> Result<usize, HistoryError> {
        let version = self.connection.query_row("PRAGMA user_version", [], |row| row.get(0));
        version.map_err(database(&self.path))
    }

    /// Begins a transaction that writes.
    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, HistoryError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        transaction.map_err(database(&self.path))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes runs that ended before `oldest`, in ms since 1970, and the oldest ones while the
    /// database has more than `most` bytes.
    pub(super) fn prune(&mut self, oldest: i64, most: u64) -> Result<(), HistoryError> {
        let path = self.path.clone();
        let failed = database(&path);
        let connection = &self.connection;
        let prune = || -> rusqlite::Result<()> {
            connection.execute("DELETE FROM run WHERE coalesce(ended, started) < ?1", [oldest])?;
            connection.execute("DELETE FROM conflict WHERE settled < ?1", [oldest])?;
            let number = |pragma: &str| -> rusqlite::Result<u64> {
                connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
            };
            let used = || -> rusqlite::Result<u64> {
                Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
            };
            while used()? > most {
                let oldest = "DELETE FROM run WHERE id IN \
                              (SELECT id FROM run WHERE ended IS NOT NULL ORDER BY started LIMIT 1)";
                if connection.execute(oldest, [])? == 0 {
                    break;
                }
            }
            // Each row is a page that was released.
            let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
            let mut pages = vacuum.query([])?;
            while pages.next()?.is_some() {}
            Ok(())
        };
        prune().map_err(failed)
    }
}

/// Returns whether the file exists. SQLite opens it by its path, so it must not be a link, and must
/// belong to the user.
fn check(folder: &PrivateFolder) -> Result<bool, InstallError> {
    Ok(folder.open_file(FILE)?.is_some())
}

/// Returns an error with its file.
pub(super) fn database<E: std::error::Error + Send + Sync + 'static>(
    path: &Path,
) -> impl Fn(E) -> HistoryError {
    |source| HistoryError::Database { path: path.to_owned(), source: Box::new(source) }
}

/// Returns whether an error means that the file is damaged.
pub(super) fn is_damage(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<rusqlite::Error>().is_some_and(|error| {
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    })
}

/// Renames a damaged database, with its journal, and returns the new path.
pub(super) fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let with_suffix = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let if_exists = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    let aside = with_suffix(path, &format!(".damaged-{seconds}"));
    std::fs::rename(path, &aside)?;
    if_exists(std::fs::rename(with_suffix(path, "-wal"), with_suffix(&aside, "-wal")))?;
    // The index of the journal, which SQLite creates again.
    if_exists(std::fs::remove_file(with_suffix(path, "-shm")))?;
    Ok(aside)
}

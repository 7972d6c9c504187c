use clap::{Args as ClapArgs, ValueEnum};

use super::StateDir;

const HISTORY_HELP: &str = "\
Examples:
  The last runs, and everything that one of them did (the start of its id is sufficient):
    syncmgr history
    syncmgr history 3f2a9c1e
  When was this file deleted?
    syncmgr history --path report.odt
  All runs of this week that failed:
    syncmgr history --since 7d --failed --limit 1000";

/// Show past runs, or what they did to files
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = HISTORY_HELP)]
pub(crate) struct History {
    /// Show this run with all its actions, by the start of its id
    pub(crate) run: Option<String>,

    /// Show only runs of this plugin or job file
    #[arg(long = "of", value_name = "PLUGIN|FILE", conflicts_with = "run")]
    pub(crate) job: Option<String>,

    /// Show only this item, by name or id
    #[arg(long, value_name = "NAME|ID")]
    pub(crate) item: Option<String>,

    /// Show the actions on this file, or on everything in this directory; a name alone finds it in
    /// every directory
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,

    /// Show only runs since this time: `7d`, `12h`, `30min`, `2026-11-01`, or a time as in RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "run")]
    pub(crate) since: Option<String>,

    /// Show only runs that failed, were cancelled or did not end
    #[arg(long, conflicts_with_all = ["run", "path"])]
    pub(crate) failed: bool,

    /// Maximum number of lines, newest first
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "run")]
    pub(crate) limit: u32,

    /// Print a JSON object for each run, or for each action with RUN or `--path`
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

const STATUS_HELP: &str = "\
Exit status:
  0  all items are in sync
  1  conflicts or skipped entries remain, or a run has not ended
  3  some items failed in their last run
  4  some items were stopped for safety in their last run";

/// Show the state of each item after its last run
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = STATUS_HELP)]
pub(crate) struct Status {
    /// Print a JSON object for each item
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

const CONFLICTS_HELP: &str = "\
Each line has the item, the path of the entry, and that of its second version. `syncmgr resolve`
compares the two versions and settles a conflict:
    syncmgr resolve folder report.odt --keep newer

Exit status:
  0  there are no conflicts
  1  there are conflicts";

/// List the conflicts that are not settled
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = CONFLICTS_HELP)]
pub(crate) struct Conflicts {
    /// Print a JSON object for each conflict
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

const RESOLVE_HELP: &str = "\
Examples:
  Compare the two versions of a text, and keep that of the right side:
    syncmgr resolve folder notes/todo.txt --diff
    syncmgr resolve folder notes/todo.txt --keep right
  Keep both versions as ordinary files:
    syncmgr resolve folder report.odt --keep both
  Preview, then settle all conflicts of an item:
    syncmgr resolve folder --all --keep newer --dry-run
    syncmgr resolve folder --all --keep newer

This changes one directory of the item, and the next run changes the other side. Nothing is deleted:
a version that is not kept is moved to `.syncmgr-trash` in the directory.

Exit status:
  0  these conflicts are settled
  1  some of them are not, for the reason that is printed
  2  invalid usage, or no such conflict
  6  a run holds the directory
  7  a file cannot be read or renamed";

/// Settle conflicts: compare two versions of a file, and choose which to keep
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = RESOLVE_HELP)]
pub(crate) struct Resolve {
    /// Item, by name or id
    #[arg(required_unless_present = "all")]
    pub(crate) item: Option<String>,

    /// Paths of conflicts or of their copies, as `syncmgr conflicts` lists them
    #[arg(value_name = "PATH", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) paths: Vec<String>,

    /// Settle all conflicts, or all of the item
    #[arg(long)]
    pub(crate) all: bool,

    /// Version to keep
    #[arg(long, value_name = "VERSION", required_unless_present = "diff")]
    pub(crate) keep: Option<Keep>,

    /// Settle only conflicts of this plugin or job file
    #[arg(long = "of", value_name = "PLUGIN|FILE")]
    pub(crate) job: Option<String>,

    /// Show the differences of two texts up to 1 MiB, or sizes and times, and change nothing
    #[arg(long, conflicts_with_all = ["keep", "dry_run"])]
    pub(crate) diff: bool,

    /// Show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print a JSON object for each conflict
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// The version to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// That of the left side (`folder`)
    Left,
    /// That of the right side (`folder`)
    Right,
    /// That of the directory (`webdav`, `s3`)
    Local,
    /// That of the server (`webdav`, `s3`)
    Remote,
    /// The one that was modified last
    Newer,
    /// Both, as two files
    Both,
}

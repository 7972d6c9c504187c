use clap::Args as ClapArgs;

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
To settle a conflict, compare the two versions, keep the better one under the first name, delete the
other one, and run again.

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

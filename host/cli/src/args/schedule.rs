use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};

use super::{EXIT_STATUS, PluginArgs, Run, StateDir, Trigger};
use crate::output::parse_duration;

/// A registered plugin or a job file.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Target {
    /// Name of a registered plugin, or a job file whose name ends with `.toml`
    #[arg(value_name = "NAME|JOB.toml")]
    pub(crate) target: String,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

impl Target {
    /// Returns the path of the job file, if this is one.
    pub(crate) fn job(&self) -> Option<&Path> {
        let path = Path::new(&self.target);
        let is_job = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"));
        is_job.then_some(path)
    }

    pub(crate) fn plugin_args(&self) -> PluginArgs {
        let job = self.job().map(PathBuf::from);
        let plugin = job.is_none().then(|| self.target.clone());
        PluginArgs { plugin, job, state_dir: self.state_dir.clone(), ..PluginArgs::default() }
    }
}

const SCHEDULE_HELP: &str = "\
Examples:
  Run a job file every 15 minutes, also after the next login:
    syncmgr schedule enable sync.toml --every \"*/15 * * * *\"
  Run a registered plugin at 02:30 on weekdays:
    syncmgr schedule enable mail --every \"30 2 * * mon-fri\"
  Take the times from the job file, which contains `schedule = \"0 * * * *\"`:
    syncmgr schedule enable sync.toml
  Show what would be written, without writing anything:
    syncmgr schedule enable sync.toml --print
  List the schedules, and remove one:
    syncmgr schedule list
    syncmgr schedule disable sync

The system runs the job: a timer of systemd on Linux, an agent of launchd on macOS, or a task of the
Task Scheduler on Windows. EVERY has the five fields of cron: minute (0-59), hour (0-23), day of the
month (1-31), month (1-12, or jan-dec) and day of the week (0-7, or sun-sat). A field is `*`, or a
list of numbers and ranges, with steps: `*/15`, `9-17`, `1,15`, `0-30/10`.";

/// Let the system run a job at certain times
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = SCHEDULE_HELP)]
pub(crate) struct Schedule {
    #[command(subcommand)]
    pub(crate) command: ScheduleCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Create a schedule, or replace the one of this job
    Enable(ScheduleEnable),
    /// Remove a schedule
    Disable {
        /// Name of the schedule, or the job file
        #[arg(value_name = "NAME|JOB.toml")]
        name: String,

        #[command(flatten)]
        state_dir: StateDir,
    },
    /// List the schedules
    List {
        /// Print a JSON object for each schedule
        #[arg(long)]
        json: bool,

        #[command(flatten)]
        state_dir: StateDir,
    },
}

/// Create a schedule, or replace the one of this job
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct ScheduleEnable {
    #[command(flatten)]
    pub(crate) target: Target,

    /// Times, as for cron [default: the key `schedule` of the job file or the registration]
    #[arg(long, value_name = "EVERY")]
    pub(crate) every: Option<String>,

    /// Name of the schedule [default: the name of the plugin, or of the job file without `.toml`]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Print the files instead of writing them
    #[arg(long)]
    pub(crate) print: bool,
}

const WATCH_HELP: &str = "\
Examples:
  Sync whenever something changes, and every 15 minutes:
    syncmgr watch sync.toml
  Sync a registered plugin with a server that changes often:
    syncmgr watch photos --every 1min

A run starts at once, after each change that is followed by two seconds of silence, and EVERY at the
latest. Changes on a server are found only then. A run waits for other runs that hold the
directories. Ctrl-C, SIGTERM and SIGHUP cancel the run and end the command with status 0.
";

/// Run a job whenever one of its directories changes
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = watch_help())]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) target: Target,

    /// Maximum time between two runs
    #[arg(long, value_name = "DURATION", default_value = "15min", value_parser = parse_duration)]
    pub(crate) every: Duration,

    /// Print a JSON object for each callback, and a report for each run
    #[arg(long)]
    pub(crate) json: bool,

    /// Show each change, and the output of the plugin
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Show only problems
    #[arg(short, long, conflicts_with_all = ["json", "verbose"])]
    pub(crate) quiet: bool,
}

fn watch_help() -> String {
    format!("{WATCH_HELP}\n{EXIT_STATUS}")
}

impl Watch {
    /// Returns the arguments of each run.
    pub(crate) fn run(&self) -> Run {
        Run {
            target: self.target.plugin_args(),
            trigger: Trigger::Scheduled,
            json: self.json,
            verbose: self.verbose,
            quiet: self.quiet,
            batch: true,
            wait: Some(None),
            ..Run::default()
        }
    }
}

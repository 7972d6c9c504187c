use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::{EXIT_STATUS, PluginArgs};
use crate::output::parse_duration;

const RUN_HELP: &str = "\
Examples:
  Keep two folders in sync:
    syncmgr run folder ~/docs /mnt/usb/docs
  The same, with the names of the grants:
    syncmgr run folder --dir left=~/docs --dir right=/mnt/usb/docs
  Preview the changes:
    syncmgr run folder --dir left=~/docs --dir right=/mnt/usb/docs --dry-run
  Back up one way, and keep files that exist on the right side only:
    syncmgr run folder --dir left=~/docs:ro --dir right=/backup --set mode=one-way-safe
  Run one item of a job file:
    syncmgr run --job sync.toml --item docs
  Run your own plugin, with events as JSON:
    syncmgr run target/wasm32-wasip2/release/mine.wasm --json
  Run all registered plugins:
    syncmgr run --all
  Run in a script that handles each conflict once, and wait for another run:
    syncmgr run --job sync.toml --wait=10min --accept-standing-conflicts
  Invoke a plugin as a program does, with a cookie:
    syncmgr run mail --cookie 6e6577
  Sync with a server; the host signs in, and the plugin never sees the password:
    syncmgr run mine.wasm --http remote=https://dav.example.org/files/me/ \
      --http-auth remote=basic:file:dav.login
  Take the password from the keyring:
    syncmgr secret set dav
    syncmgr run mine.wasm --http remote=https://dav.example.org/files/me/ \
      --http-auth remote=basic:keyring:dav
  The same with a login by OAuth 2.0, whose token the host renews in the file:
    syncmgr run mine.wasm --http remote=https://dav.example.org/files/me/ \
      --http-auth remote=oauth2:dav.token.json
  Run an untrusted plugin with minimal grants:
    syncmgr inspect theirs.wasm
    syncmgr run theirs.wasm --dir inbox=~/mail:ro --allow wall-clock --limit memory-bytes=64MiB

Ctrl-C cancels the run and lets the plugin clean up. A second Ctrl-C terminates the plugin. SIGTERM
and SIGHUP have the same effect.
";

/// Synchronize a plugin's items
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = run_help())]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) target: PluginArgs,

    /// Grant these directories and URLs, in the order of the plugin's requests; without them, use
    /// `--dir` and `--http`
    #[arg(value_name = "DIR|URL", conflicts_with_all = ["job", "dirs", "http"])]
    pub(crate) places: Vec<String>,

    /// Run all registered plugins, one after the other
    #[arg(long, conflicts_with_all = [
        "plugin", "job", "clsid", "places", "dirs", "settings", "secrets", "http", "http_auth", "http_ca", "allow",
        "limits", "items",
    ])]
    pub(crate) all: bool,

    /// Run the native handler of this class, outside of the sandbox (Windows only)
    #[arg(long, value_name = "{CLSID}", conflicts_with_all = [
        "plugin", "job", "places", "dirs", "settings", "secrets", "http", "http_auth", "http_ca",
        "allow", "dry_run", "on_crash", "restarts", "release",
    ])]
    pub(crate) clsid: Option<String>,

    /// Marks the process that runs the native handler
    #[arg(long, hide = true, requires = "clsid")]
    pub(crate) supervised: bool,

    /// Event that starts the run
    #[arg(long, value_name = "EVENT", default_value = "manual")]
    pub(crate) trigger: Trigger,

    /// Invoke the plugin with this cookie, bytes in hexadecimal; implies the event `invoke`
    #[arg(long, value_name = "HEX", conflicts_with = "trigger")]
    pub(crate) cookie: Option<String>,

    /// Synchronize only this item, by name, id or key in the job file; repeatable
    #[arg(long = "item", value_name = "NAME|ID|KEY")]
    pub(crate) items: Vec<String>,

    /// Print a JSON object for each callback, and a final report
    #[arg(long)]
    pub(crate) json: bool,

    /// Show each change, the plugin's standard output and standard error, and the HRESULT of each
    /// failed item
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Show only problems
    #[arg(short, long, conflicts_with_all = ["json", "verbose"])]
    pub(crate) quiet: bool,

    /// Do not record the run in the history
    #[arg(long)]
    pub(crate) no_history: bool,

    /// Wait until no other run holds the directories, without DURATION for any time, instead of
    /// failing with status 6
    #[arg(
        long,
        value_name = "DURATION",
        require_equals = true,
        value_parser = parse_duration,
        conflicts_with = "clsid"
    )]
    pub(crate) wait: Option<Option<Duration>>,

    /// Return status 0 instead of 1 if only conflicts of earlier runs remain
    #[arg(long)]
    pub(crate) accept_standing_conflicts: bool,

    /// Record the plugin's calls and HTTP requests, with their answers, for `syncmgr replay`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "clsid"])]
    pub(crate) record: Option<PathBuf>,

    /// Include the files of the granted directories and the bodies of HTTP requests and answers (up
    /// to 1 MiB each) in the recording, readable by anyone who gets it
    #[arg(long, requires = "record")]
    pub(crate) record_files: bool,

    /// Preview the changes; every directory is read-only
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Set the setting `max-delete` of every item for this run only. A run that stopped for safety
    /// continues with the number that a preview shows
    #[arg(long, value_name = "N|N%|any", conflicts_with = "clsid")]
    pub(crate) max_delete: Option<String>,

    /// Answer questions with their defaults instead of prompting
    #[arg(long)]
    pub(crate) batch: bool,

    /// Maximum number of retries that the plugin may request
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,

    /// Restart policy after a crash
    #[arg(long, alias = "on-death", value_name = "POLICY", default_value = "fail")]
    pub(crate) on_crash: RestartPolicy,

    /// Maximum number of restarts with `--on-crash restart`
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) restarts: u32,

    /// Release the plugin from quarantine
    #[arg(long)]
    pub(crate) release: bool,
}

/// The event that starts a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Trigger {
    /// The user starts the run
    #[default]
    Manual,
    /// A network connection is established
    Connect,
    /// A network connection is about to close
    PendingDisconnect,
    /// The machine is idle
    Idle,
    /// A program starts the run
    Invoke,
    /// The schedule starts the run
    Scheduled,
}

/// The action after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RestartPolicy {
    /// Fail the run
    #[default]
    Fail,
    /// Restart the plugin for the unfinished items
    Restart,
    /// Fail the run, and refuse later runs until `--release`
    Quarantine,
}

fn run_help() -> String {
    format!("{RUN_HELP}\n{EXIT_STATUS}")
}

/// List a plugin's items
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Items {
    #[command(flatten)]
    pub(crate) target: PluginArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Create two sample folders and synchronize them
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Parent directory of the sample folders; existing ones are reused
    pub(crate) dir: PathBuf,
}

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::StateDir;

const TRASH_HELP: &str = "\
Examples:
  Find a deleted file, and restore it to its place:
    syncmgr trash list folder --path report.odt
    syncmgr trash restore folder docs/report.odt
  Restore everything that one run deleted or replaced:
    syncmgr trash restore folder --run 2026-11-28T175312
  Show the size of the trash, and remove runs that are older than 30 days:
    syncmgr trash du
    syncmgr trash empty folder --older-than 30d

The plugins `folder`, `webdav` and `s3` keep replaced and deleted files of local directories in the
trash; the setting `trash-keep` removes old ones. A moved file is not in the trash.";

/// List, restore and remove replaced and deleted files
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = TRASH_HELP)]
pub(crate) struct Trash {
    #[command(subcommand)]
    pub(crate) command: TrashCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TrashCommand {
    List(TrashList),
    Du(TrashUsage),
    Restore(TrashRestore),
    Empty(TrashEmpty),
}

/// The plugin or job whose trash is meant.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct TrashOf {
    /// Plugin: the name of a registered or built-in one, or a `.wasm` file
    pub(crate) plugin: Option<String>,

    /// Read the plugin and its directories from a job file; the trash of other jobs is excluded
    #[arg(long, value_name = "FILE", conflicts_with = "dirs")]
    pub(crate) job: Option<PathBuf>,

    /// Use only the trash of these directories, with the names of their grants [default: those of
    /// the registration, or for a plugin that is not registered all that the history recorded]
    #[arg(long = "dir", value_name = "NAME=PATH")]
    pub(crate) dirs: Vec<String>,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

const LIST_HELP: &str = "\
Examples:
  Everything in the trash, newest runs first:
    syncmgr trash list
  All versions of a file, by its path or only by its name:
    syncmgr trash list folder --path report.odt
  One run, by the start of its name:
    syncmgr trash list --job sync.toml --run 2026-11-28T175312

If one run moved two files of one name to the trash, the name of the second one ends with `.1`.";

/// List the files in the trash
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = LIST_HELP)]
pub(crate) struct TrashList {
    #[command(flatten)]
    pub(crate) of: TrashOf,

    /// Show only runs whose names start with this text
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,

    /// Show only this file, or everything in this directory; a name alone finds it in every
    /// directory
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,

    /// Print a JSON object for each file
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show the size of the trash, by run
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct TrashUsage {
    #[command(flatten)]
    pub(crate) of: TrashOf,

    /// Print a JSON object for each run
    #[arg(long)]
    pub(crate) json: bool,
}

const RESTORE_HELP: &str = "\
Examples:
  Restore the newest version of a file to its place:
    syncmgr trash restore folder docs/report.odt
  Restore an older version next to the current one:
    syncmgr trash list folder --path docs/report.odt
    syncmgr trash restore folder docs/report.odt --run 2026-11-02 --to ~/docs/report-old.odt
  Restore the newest version, and move the current one to the trash:
    syncmgr trash restore folder docs/report.odt --replace
  Restore a directory, with everything that the newest run with it moved to the trash:
    syncmgr trash restore --job sync.toml photos/2025

A restored entry is no longer in the trash, unless PLACE is on another file system. Nothing that
exists is replaced without `--replace`. The next run syncs the restored files to the other side.

Exit status:
  0  everything is restored
  1  something was not restored, because its name is used
  2  invalid usage, not in the trash, or its directory is not granted
  3  something cannot be restored, for the reason that is printed
  6  a run holds the directory";

/// Move files from the trash to their place, or elsewhere
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = RESTORE_HELP)]
pub(crate) struct TrashRestore {
    #[command(flatten)]
    pub(crate) of: TrashOf,

    /// File or directory, as `syncmgr trash list` shows it [default: everything, with `--run`]
    pub(crate) path: Option<String>,

    /// Restore from the newest run whose name starts with this text [default: the newest run with
    /// the path]
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,

    /// Restore what was on this side
    #[arg(long, value_name = "SIDE")]
    pub(crate) side: Option<TrashSide>,

    /// Restore to this new name, or to this directory
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: Option<PathBuf>,

    /// Move an existing file to the trash, and restore the other one to its place
    #[arg(long, conflicts_with = "to")]
    pub(crate) replace: bool,
}

/// A side of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrashSide {
    /// The left side; for `webdav` and `s3`, the directory unless `from=remote`
    Left,
    /// The right side
    Right,
}

impl TrashSide {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

const EMPTY_HELP: &str = "\
Examples:
  syncmgr trash empty folder --older-than 30d
  syncmgr trash empty --job sync.toml --run 2026-11-28 --yes

Exit status:
  0  done, or there is nothing to remove
  2  invalid usage, or not confirmed
  3  something cannot be removed, for the reason that is printed
  6  a run holds a directory";

/// Remove runs from the trash, for ever
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EMPTY_HELP)]
pub(crate) struct TrashEmpty {
    #[command(flatten)]
    pub(crate) of: TrashOf,

    /// Remove only runs before this time: `30d`, `12h`, `2w`, `2026-11-01`, or a time as in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: Option<String>,

    /// Remove only runs whose names start with this text
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::StateDir;
use crate::project::{Language, Template};

const NEW_HELP: &str = "\
Examples:
  syncmgr new mirror --lang rust
  syncmgr new mirror --lang python
  syncmgr new transfer --lang python --with http
  cd mirror && syncmgr build && syncmgr test";

/// Create a project with a working plugin
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = NEW_HELP)]
pub(crate) struct New {
    /// Name of the plugin and of the new folder
    pub(crate) name: String,

    /// Language: rust, python, javascript, typescript or c
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: Language,

    /// Feature of the plugin: http (requests to servers)
    #[arg(long, value_name = "FEATURE")]
    pub(crate) with: Option<Template>,

    /// Copy the SDK into the project, which then needs no registry for it (default)
    #[arg(long, conflicts_with = "no_vendor")]
    pub(crate) vendor: bool,

    /// Refer to the published SDK by its version
    #[arg(long)]
    pub(crate) no_vendor: bool,

    /// Parent folder of the project
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) parent: PathBuf,
}

/// Build and compile the plugin of a project
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Build {
    /// Project folder
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,

    /// Build even if nothing changed
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// Build and run the plugin of a project after each change, on copies of its fixture, until Ctrl-C
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Dev {
    /// Project folder
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,

    /// Build and run once
    #[arg(long)]
    pub(crate) once: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

const TEST_HELP: &str = "\
Examples:
  syncmgr test                                   the plugin of the current project
  syncmgr test mirror.wasm --fixture fixture     any plugin; grants each folder in `fixture`
  syncmgr test --check cancel-all --json
  syncmgr test --junit report.xml

Exit status:
  0  all checks passed
  2  invalid usage, or not a valid plugin
  3  a check failed";

/// Check a plugin for conformance: contract, cancellation and fault tolerance
///
/// The plugin runs on copies of the fixture.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = TEST_HELP)]
pub(crate) struct Test {
    /// Plugin: a `.wasm` file [default: the plugin of the current project]
    pub(crate) plugin: Option<PathBuf>,

    /// Folder that contains a folder for each granted directory
    #[arg(long, value_name = "DIR")]
    pub(crate) fixture: Option<PathBuf>,

    /// Set a setting of the plugin
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,

    /// Run only this check; repeatable
    #[arg(long = "check", value_name = "NAME")]
    pub(crate) checks: Vec<String>,

    /// List the checks
    #[arg(long)]
    pub(crate) list: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Also write a JUnit XML report
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// Pack the plugin of a project for distribution, with its name, version, license and homepage
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Pack {
    /// Project folder
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,
}

const REPLAY_HELP: &str = "\
Examples:
  syncmgr run mirror.wasm --dir source=in --dir target=out --record run.jsonl --record-files
  syncmgr replay mirror.wasm run.jsonl

Exit status:
  0  all calls match the recording
  2  invalid usage, or not a valid plugin
  3  a call differs";

/// Run a plugin against a recording, without a network, and show the first call that differs
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct Replay {
    /// Plugin: a `.wasm` file, or the name of a registered or built-in one
    pub(crate) plugin: String,

    /// Recording of `syncmgr run --record`
    pub(crate) recording: PathBuf,

    /// Directory to copy in place of a granted one whose files were not recorded
    #[arg(long = "dir", value_name = "NAME=PATH")]
    pub(crate) dirs: Vec<String>,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// See [`Command::Drive`](super::Command::Drive).
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Drive {
    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{GrantArgs, StateDir};

const PROPERTIES_HELP: &str = "\
Examples:
  syncmgr properties mail
  syncmgr properties mail --item inbox --set keep-days=30";

/// Show or change the properties of a plugin and its items
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = PROPERTIES_HELP)]
pub(crate) struct Properties {
    /// Plugin: a `.wasm` file, or the name of a registered or built-in one [default: the plugin of
    /// the current project]
    #[arg(conflicts_with = "job")]
    pub(crate) plugin: Option<String>,

    /// Show or change only this item, by name or id
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) item: Option<String>,

    /// Change a property of the item, or of the handler without `--item`; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,

    /// Print JSON
    #[arg(long, conflicts_with = "set")]
    pub(crate) json: bool,

    /// Read the plugin, its directories and its settings from a job file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dirs", "secrets", "allow"])]
    pub(crate) job: Option<PathBuf>,

    /// Grant a directory under a name (`:ro`: read-only)
    #[arg(long = "dir", value_name = "NAME=PATH[:ro]")]
    pub(crate) dirs: Vec<String>,

    /// Set a setting of the plugin (`--set` of the other commands)
    #[arg(long = "setting", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,

    /// Grant a secret
    #[arg(long = "secret", value_name = "KEY=env:VARIABLE|file:PATH|keyring:NAME")]
    pub(crate) secrets: Vec<String>,

    /// Grant a capability
    #[arg(long = "allow", value_name = "CAPABILITY")]
    pub(crate) allow: Vec<String>,

    /// Set a limit
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// Show a plugin's metadata, requests and imports without running it
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Inspect {
    /// Plugin: a `.wasm` file, or the name of a registered or built-in one [default: the plugin of
    /// the current project]
    pub(crate) plugin: Option<String>,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const VALIDATE_HELP: &str = "\
Exit status:
  0  the file is a plugin of this contract
  2  the file is not a valid plugin; the message has the reason and the remedy";

/// Check whether a plugin conforms to the contract, without running it
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = VALIDATE_HELP)]
pub(crate) struct Validate {
    /// Plugin: a `.wasm` file, or the name of a registered or built-in one [default: the plugin of
    /// the current project]
    pub(crate) file: Option<String>,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const REGISTER_HELP: &str = "\
Examples:
  syncmgr register mail.wasm --dir inbox=~/mail:ro --allow wall-clock
  syncmgr register folder --grants sync.toml
  syncmgr run mail

On Windows, each registered plugin is a handler of the sync manager. The library syncmgr_com.dll
must be in the folder of this program.";

/// Install a plugin under a name, with grants; replaces the plugin of that name
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = REGISTER_HELP)]
pub(crate) struct Register {
    /// Plugin: a `.wasm` file, or the name of a built-in one (`folder`, `webdav`)
    pub(crate) plugin: String,

    /// Name of the installed plugin [default: the name of the file without its version]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Read the grants from a job file, which need not name the plugin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dirs", "settings", "secrets", "allow"])]
    pub(crate) grants: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) grant_args: GrantArgs,

    /// Set a limit (`none`: unlimited); `syncmgr inspect` lists the limits
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,

    /// Install for the current user (default)
    #[arg(long, conflicts_with = "machine")]
    pub(crate) user: bool,

    /// Install for all users of the machine (Windows only, requires administrator rights)
    #[arg(long)]
    pub(crate) machine: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// Remove an installed plugin, but not its storage
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Unregister {
    /// Name of the installed plugin
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) name: Option<String>,

    /// Remove all installed plugins
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// List installed plugins
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct List {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// Show or clear the cache of precompiled plugins
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Cache {
    /// Remove all entries
    #[arg(long)]
    pub(crate) clear: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

const EMBED_HELP: &str = "\
Examples:
  syncmgr embed mine.wasm --requests requests.toml
  syncmgr embed mine.wasm --requests requests.toml --output dist/mine.wasm";

/// Add a plugin's requests to a component
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EMBED_HELP)]
pub(crate) struct Embed {
    /// Component
    pub(crate) component: PathBuf,

    /// TOML file with the tables `directories`, `settings`, `secrets`, `allow` and `http`
    #[arg(long, value_name = "FILE")]
    pub(crate) requests: PathBuf,

    /// Output file [default: replace the component]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

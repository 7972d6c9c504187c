//! The command line.

mod history;
mod plugins;
mod project;
#[cfg(feature = "registry")]
mod registry;
mod run;
mod schedule;
mod secret;
#[cfg(feature = "serve")]
mod serve;
mod trash;

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args as ClapArgs, Parser, Subcommand};

pub(crate) use self::history::{Conflicts, History, Keep, Resolve, Status};
pub(crate) use self::plugins::{
    Cache, Embed, Inspect, List, Properties, Register, Unregister, Validate,
};
pub(crate) use self::project::{Build, Dev, Drive, New, Pack, Replay, Test};
#[cfg(feature = "registry")]
pub(crate) use self::registry::{
    Install, Outdated, Push, RegistryArgs, Sign, Uninstall, Update, Verify,
};
pub(crate) use self::run::{Demo, Items, RestartPolicy, Run, Trigger};
pub(crate) use self::schedule::{Schedule, ScheduleCommand, ScheduleEnable, Target, Watch};
pub(crate) use self::secret::{Secret, SecretCommand};
#[cfg(feature = "serve")]
pub(crate) use self::serve::Serve;
pub(crate) use self::trash::{
    Trash, TrashCommand, TrashEmpty, TrashList, TrashOf, TrashRestore, TrashSide, TrashUsage,
};

const EXIT_STATUS: &str = "\
Exit status:
  0    in sync
  1    done, but conflicts or skipped entries remain (`run --accept-standing-conflicts`: others
       than conflicts of earlier runs)
  2    invalid usage, or not a valid plugin
  3    some items failed
  4    stopped for safety without any change
  5    cancelled
  6    another run holds the item (`run --wait`: after the duration)
  7    the plugin crashed, the host failed, or the output cannot be written
  141  the reader closed the output";

/// Run, inspect and validate sync plugins: sandboxed handlers for Windows' Synchronization Manager,
/// on any system
#[derive(Debug, Parser)]
#[command(name = "syncmgr", version = version(), after_help = EXIT_STATUS)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), " (contract syncmgr:plugin@0.1.0, wasmtime 48)")
}

/// Returns a hint for arguments that clap rejects.
pub(crate) fn hint(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let is_path = error.kind() == ErrorKind::UnknownArgument && !argument.starts_with('-');
    is_path.then_some(
        "  tip: grant directories by name, such as `--dir left=A --dir right=B`; `syncmgr inspect \
         PLUGIN` lists the names",
    )
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Watch(Watch),
    Schedule(Schedule),
    Items(Items),
    History(History),
    Status(Status),
    Conflicts(Conflicts),
    #[cfg(feature = "serve")]
    Serve(Serve),
    Resolve(Resolve),
    Trash(Trash),
    Properties(Properties),
    Inspect(Inspect),
    Validate(Validate),
    #[cfg(feature = "registry")]
    Install(Install),
    #[cfg(feature = "registry")]
    Update(Update),
    #[cfg(feature = "registry")]
    Outdated(Outdated),
    #[cfg(feature = "registry")]
    Uninstall(Uninstall),
    Register(Register),
    Unregister(Unregister),
    List(List),
    Secret(Secret),
    Cache(Cache),
    New(New),
    Build(Build),
    Dev(Dev),
    Test(Test),
    Pack(Pack),
    #[cfg(feature = "registry")]
    Push(Push),
    #[cfg(feature = "registry")]
    Sign(Sign),
    #[cfg(feature = "registry")]
    Verify(Verify),
    Embed(Embed),
    Replay(Replay),
    Explain(Explain),
    /// Run a component for the SDK's `testing` module: JSON on standard input and output
    #[command(hide = true)]
    Drive(Drive),
    Demo(Demo),
    Completions(Completions),
    #[cfg(feature = "manual")]
    #[command(hide = true)]
    Manual(Manual),
}

/// A plugin with its grants, settings and limits.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct PluginArgs {
    /// Plugin: a `.wasm` file, or the name of a registered or built-in one (`folder`, `webdav`)
    /// [default: the plugin of the current project]
    #[arg(conflicts_with = "job")]
    pub(crate) plugin: Option<String>,

    /// Read the plugin, its directories and its settings from a job file
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "dirs", "secrets", "http", "http_auth", "http_ca", "allow",
    ])]
    pub(crate) job: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) grants: GrantArgs,

    /// Set a limit (`none`: unlimited); `syncmgr inspect` lists the limits
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// Grants and settings. For a registered plugin, any of these replaces all that were registered.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub(crate) struct GrantArgs {
    /// Grant a directory under a name (`:ro`: read-only)
    #[arg(long = "dir", value_name = "NAME=PATH[:ro]")]
    pub(crate) dirs: Vec<String>,

    /// Set a setting of the plugin; overrides the job file for every item
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,

    /// Grant a secret: the value of an environment variable, the content of a file without its
    /// final newline, or a secret in the keyring (see `syncmgr secret`). Secrets are redacted in
    /// everything that the plugin reports
    #[arg(long = "secret", value_name = "KEY=env:VARIABLE|file:PATH|keyring:NAME")]
    pub(crate) secrets: Vec<String>,

    /// Grant a server under a name: an `https://` or `http://` URL with a path, below which the
    /// plugin may make requests (`:ro`: only reading ones), or the URL that the plugin requests.
    /// With `local:` before the URL, its name may resolve to a private address
    #[arg(long = "http", value_name = "NAME[=URL][:ro]")]
    pub(crate) http: Vec<String>,

    /// Add credentials to the requests to a granted server, without passing them to the plugin.
    /// KIND is `basic` (the secret is USER:PASSWORD), `bearer`, `header:NAME`, `query:NAME` or
    /// `aws-sigv4:REGION` (the secret is ACCESS_KEY:SECRET_KEY). With `oauth2:FILE`, the host renews
    /// the access token in this file
    #[arg(
        long = "http-auth",
        value_name = "NAME=KIND:env:VARIABLE|KIND:file:PATH|KIND:keyring:NAME|oauth2:FILE"
    )]
    pub(crate) http_auth: Vec<String>,

    /// Trust the certificates in this PEM file for servers, in addition to those of the system
    #[arg(long = "http-ca", value_name = "FILE")]
    pub(crate) http_ca: Option<PathBuf>,

    /// Reach servers through this proxy, which must support `CONNECT`: `http://HOST:PORT`, or
    /// `http://USER:PASSWORD@HOST:PORT`. Servers on local addresses are reached without it
    #[arg(
        long = "http-proxy",
        value_name = "URL",
        env = "SYNCMGR_HTTP_PROXY",
        hide_env_values = true
    )]
    pub(crate) http_proxy: Option<String>,

    /// Grant a capability: the time of day (`wall-clock`) or secure random numbers (`randomness`).
    /// Built-in plugins are granted the capabilities that they request
    #[arg(long = "allow", value_name = "CAPABILITY")]
    pub(crate) allow: Vec<String>,
}

/// The state directory.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct StateDir {
    /// Directory for installed plugins, their storage and precompiled code [default: the user's
    /// state directory]
    #[arg(id = "state_dir", long = "state-dir", value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) path: Option<PathBuf>,
}

/// Explain an error code and its remedies
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Explain {
    /// Error code, such as `ended-memory` [default: list all codes]
    pub(crate) code: Option<String>,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  syncmgr completions bash > ~/.local/share/bash-completion/completions/syncmgr
  syncmgr completions zsh > ~/.zfunc/_syncmgr
  syncmgr completions fish > ~/.config/fish/completions/syncmgr.fish";

/// Print shell completions
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct Completions {
    /// Shell
    pub(crate) shell: clap_complete::Shell,
}

/// Write the manual pages, for packages
#[cfg(feature = "manual")]
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Manual {
    /// Directory for the pages
    pub(crate) dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        super::Args::command().debug_assert();
    }
}

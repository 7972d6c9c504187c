use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args as ClapArgs, Parser, Subcommand};

pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0  in sync
  1  done, but conflicts or skipped entries remain
  2  wrong usage, or not a valid plugin
  3  some items failed
  4  stopped for safety; nothing was changed
  5  cancelled
  6  another run holds the item
  7  the plugin died, or the host failed, or the output cannot be written
  141  the reader of the output has gone away";

/// Run, inspect and validate sync plugins: handlers for Windows' Synchronization Manager that
/// run in a sandbox, on every system.
#[derive(Debug, Parser)]
#[command(name = "syncmgr", version = version(), after_help = EXIT_STATUS)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), " (contract syncmgr:plugin@0.1.0, wasmtime 48)")
}

/// What may help with arguments that are not understood.
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
    Items(Items),
    Properties(Properties),
    Inspect(Inspect),
    Validate(Validate),
    Register(Register),
    Unregister(Unregister),
    List(List),
    Cache(Cache),
    New(New),
    Build(Build),
    Dev(Dev),
    Test(Test),
    Pack(Pack),
    Embed(Embed),
    Replay(Replay),
    Explain(Explain),
    /// Run a component as the SDK's `testing` says: JSON on standard input and output.
    #[command(hide = true)]
    Drive(Drive),
    Demo(Demo),
    Completions(Completions),
}

/// What a plugin is given.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Given {
    /// The plugin: a `.wasm` file, the name of a registered one, or of a built-in one (`folder`)
    /// [default: the plugin of this project].
    #[arg(conflicts_with = "job")]
    pub(crate) plugin: Option<String>,

    /// Take the plugin, its directories and its settings from a job file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dirs", "secrets", "allow"])]
    pub(crate) job: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) grants: Grants,

    /// Change a limit; `syncmgr inspect` lists them. `none` lifts it.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,

    /// Where plugins are installed and keep their own files [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// What a plugin is granted. For a registered plugin, any of these takes the place of all that it
/// was granted when it was registered.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Grants {
    /// Grant a directory under a name; with `:ro` for reading only.
    #[arg(long = "dir", value_name = "NAME=PATH[:ro]")]
    pub(crate) dirs: Vec<String>,

    /// Give the plugin a setting. Beside a job file it takes the place of the one there, for
    /// every item.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,

    /// Give the plugin a secret: the value of a variable of the environment, or what is in a file
    /// (without the newline at its end). It never shows up in what the plugin says.
    #[arg(long = "secret", value_name = "KEY=env:VARIABLE|file:PATH")]
    pub(crate) secrets: Vec<String>,

    /// Let the plugin have the time of day (`wall-clock`) or secret random numbers
    /// (`randomness`). Built-in plugins have what they ask for.
    #[arg(long = "allow", value_name = "CAPABILITY")]
    pub(crate) allow: Vec<String>,
}

const RUN_HELP: &str = "\
Examples:
  Keep two folders in sync:
    syncmgr run folder --dir left=~/docs --dir right=/mnt/usb/docs
  See what that would do:
    syncmgr run folder --dir left=~/docs --dir right=/mnt/usb/docs --dry-run
  Back up one way, leaving alone what the right side made itself:
    syncmgr run folder --dir left=~/docs:ro --dir right=/backup --set mode=one-way-safe
  Several pairs from a job file:
    syncmgr run --job sync.toml --item docs
  A plugin of your own, its events for a program:
    syncmgr run target/wasm32-wasip2/release/mine.wasm --json
  Whatever was registered, one after the other:
    syncmgr run --all
  As a program would that invokes a handler, with a cookie for it:
    syncmgr run mail --cookie 6e6577
  A plugin from somewhere, with as little as it needs:
    syncmgr inspect theirs.wasm
    syncmgr run theirs.wasm --dir inbox=~/mail:ro --allow wall-clock --limit memory-bytes=64MiB

Ctrl-C cancels everything and lets the plugin tidy up; a second one ends it at once. SIGTERM and
SIGHUP do the same.
";

/// Synchronize: run a plugin's items.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = const_format_run())]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) given: Given,

    /// Run every registered plugin, one after the other.
    #[arg(long, conflicts_with_all = [
        "plugin", "job", "clsid", "dirs", "settings", "secrets", "allow", "limits", "items",
    ])]
    pub(crate) all: bool,

    /// Run a native handler of this class, with the rights that native code has. On Windows only.
    #[arg(long, value_name = "{CLSID}", conflicts_with_all = [
        "plugin", "job", "dirs", "settings", "secrets", "allow", "dry_run", "on_death", "restarts",
        "release",
    ])]
    pub(crate) clsid: Option<String>,

    /// This is the process that a native handler may end.
    #[arg(long, hide = true, requires = "clsid")]
    pub(crate) supervised: bool,

    /// Which event starts the run, as the plugin is told.
    #[arg(long, value_name = "EVENT", default_value = "manual")]
    pub(crate) trigger: Trigger,

    /// Invoke the plugin with this cookie, in hexadecimal digits: bytes that it knows the meaning
    /// of. The event is `invoke` then.
    #[arg(long, value_name = "HEX", conflicts_with = "trigger")]
    pub(crate) cookie: Option<String>,

    /// Only this item, by its name, its id or its key in the job file; may be repeated.
    #[arg(long = "item", value_name = "NAME|ID|KEY")]
    pub(crate) items: Vec<String>,

    /// One JSON object per callback on standard output, and a report at the end.
    #[arg(long)]
    pub(crate) json: bool,

    /// Show what the plugin writes to its standard output and standard error, and the native result
    /// (HRESULT) of each item that failed
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Write down every call that the plugin makes, and what it is answered, for `syncmgr replay`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "clsid"])]
    pub(crate) record: Option<PathBuf>,

    /// Put the files of the granted directories into the recording, too: whoever gets it can read
    /// them.
    #[arg(long, requires = "record")]
    pub(crate) record_files: bool,

    /// Change nothing; tell what would be done. Every directory is read-only then.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Ask no questions; take the default answers.
    #[arg(long)]
    pub(crate) batch: bool,

    /// Synchronize items once more, at most this often, when the plugin wants that.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,

    /// What to do when the plugin dies.
    #[arg(long, value_name = "POLICY", default_value = "fail")]
    pub(crate) on_death: OnDeath,

    /// How often to start it again, with `--on-death restart`.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) restarts: u32,

    /// Let a plugin in quarantine run again.
    #[arg(long)]
    pub(crate) release: bool,
}

/// Why a run is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Trigger {
    /// The user asked.
    #[default]
    Manual,
    /// A network connection came up.
    Connect,
    /// A network connection is about to go.
    PendingDisconnect,
    /// The machine is idle.
    Idle,
    /// A program asked.
    Invoke,
    /// The time has come.
    Scheduled,
}

/// What to do when a plugin dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnDeath {
    /// The run has failed.
    #[default]
    Fail,
    /// Start it again, for the items that it had not ended.
    Restart,
    /// The run has failed, and later ones refuse to start it until `--release`.
    Quarantine,
}

fn const_format_run() -> String {
    format!("{RUN_HELP}\n{EXIT_STATUS}")
}

/// List a plugin's items.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Items {
    #[command(flatten)]
    pub(crate) given: Given,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const PROPERTIES_HELP: &str = "\
Examples:
  syncmgr properties mail
  syncmgr properties mail --item inbox --set keep-days=30";

/// Show a plugin's properties and those of its items, or change them
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = PROPERTIES_HELP)]
pub(crate) struct Properties {
    /// The plugin: a `.wasm` file, the name of a registered one, or of a built-in one [default: the
    /// plugin of this project].
    #[arg(conflicts_with = "job")]
    pub(crate) plugin: Option<String>,

    /// Only this item, by its name or id
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) item: Option<String>,

    /// Change a property of the item, or without `--item` of the handler; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,

    /// As JSON
    #[arg(long, conflicts_with = "set")]
    pub(crate) json: bool,

    /// Take the plugin, its directories and its settings from a job file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dirs", "secrets", "allow"])]
    pub(crate) job: Option<PathBuf>,

    /// Grant a directory under a name; with `:ro` for reading only
    #[arg(long = "dir", value_name = "NAME=PATH[:ro]")]
    pub(crate) dirs: Vec<String>,

    /// Give the plugin a setting (`--set` of the other commands)
    #[arg(long = "setting", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,

    /// Give the plugin a secret
    #[arg(long = "secret", value_name = "KEY=env:VARIABLE|file:PATH")]
    pub(crate) secrets: Vec<String>,

    /// Allow the plugin a capability
    #[arg(long = "allow", value_name = "CAPABILITY")]
    pub(crate) allow: Vec<String>,

    /// Change a limit
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,

    /// Where plugins are installed and keep their own files [default: the user's state folder]
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Tell what a plugin file is and what it would make use of, without running anything of it.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Inspect {
    /// The plugin: a `.wasm` file, the name of a registered one, or of a built-in one [default: the
    /// plugin of this project].
    pub(crate) plugin: Option<String>,

    /// Where plugins are installed [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const VALIDATE_HELP: &str = "\
Exit status:
  0  it is a plugin of this contract
  2  it is not; the message says why, and what to do";

/// Check whether a plugin fits the contract, without running anything of it.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = VALIDATE_HELP)]
pub(crate) struct Validate {
    /// The plugin: a `.wasm` file, the name of a registered one, or of a built-in one [default: the
    /// plugin of this project].
    pub(crate) file: Option<String>,

    /// Where plugins are installed, and compiled ones kept [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const REGISTER_HELP: &str = "\
Examples:
  syncmgr register mail.wasm --dir inbox=~/mail:ro --allow wall-clock
  syncmgr register folder --grants sync.toml
  syncmgr run mail

On Windows, each registered plugin is a handler for the sync manager. The library \
syncmgr_com.dll has to lie beside this program.";

/// Install a plugin under a name, with what it is granted. The same name again replaces it.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = REGISTER_HELP)]
pub(crate) struct Register {
    /// The plugin: a `.wasm` file, or the name of a built-in one (`folder`).
    pub(crate) plugin: String,

    /// The name to install it under [default: that of the file, without a version at its end].
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// A job file with what it is granted; the plugin need not be named there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dirs", "settings", "secrets", "allow"])]
    pub(crate) grants: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) granted: Grants,

    /// Change a limit; `syncmgr inspect` lists them. `none` lifts it.
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,

    /// For this user; the default.
    #[arg(long, conflicts_with = "machine")]
    pub(crate) user: bool,

    /// For all users of this machine. On Windows only, and for administrators.
    #[arg(long)]
    pub(crate) machine: bool,

    /// Where plugins are installed and keep their own files [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Remove a plugin that was installed. What it keeps in its own storage stays.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Unregister {
    /// The name that it was installed under.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) name: Option<String>,

    /// Remove every plugin that was installed.
    #[arg(long)]
    pub(crate) all: bool,

    /// Where plugins are installed [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// List the plugins that are installed.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct List {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Where plugins are installed [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Tell what is kept of plugins that were compiled, so that it need not be done for every run.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Cache {
    /// Remove all of it.
    #[arg(long)]
    pub(crate) clear: bool,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Where plugins keep their own files [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

const NEW_HELP: &str = "\
Examples:
  syncmgr new mirror --lang rust
  syncmgr new mirror --lang python
  cd mirror && syncmgr build && syncmgr test";

/// Make a project for a plugin of one's own: one that works, to be changed.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = NEW_HELP)]
pub(crate) struct New {
    /// The plugin's name, and that of the new folder.
    pub(crate) name: String,

    /// The language: rust, python, javascript, typescript or c.
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: crate::project::Language,

    /// Where to make it.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) parent: PathBuf,
}

/// Build the plugin of a project, with its language's own tool, and compile it for this machine.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Build {
    /// The project's folder.
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,

    /// Build even if nothing changed
    #[arg(long)]
    pub(crate) force: bool,

    /// Where compiled plugins are kept [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Build and run the plugin of a project each time that something of it changes, on copies of the
/// folders of its fixture. Ctrl-C ends it.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Dev {
    /// The project's folder.
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,

    /// Build and run once, and end.
    #[arg(long)]
    pub(crate) once: bool,

    /// Where compiled plugins are kept [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

const TEST_HELP: &str = "\
Examples:
  syncmgr test                                   the plugin of this project
  syncmgr test mirror.wasm --fixture fixture     any plugin: each folder in `fixture` is granted
  syncmgr test --check cancel-all --json
  syncmgr test --junit report.xml

Exit status:
  0  it passed
  2  wrong usage, or not a valid plugin
  3  it failed a check";

/// Run a plugin through checks: whether it keeps the contract, stops when it is told to, and bears
/// what can go wrong. It runs on copies, so nothing of the fixture changes.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = TEST_HELP)]
pub(crate) struct Test {
    /// The plugin: a `.wasm` file [default: the one that this project has built].
    pub(crate) plugin: Option<PathBuf>,

    /// A folder with a folder for each directory that the plugin is granted.
    #[arg(long, value_name = "DIR")]
    pub(crate) fixture: Option<PathBuf>,

    /// Give the plugin a setting.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,

    /// Make this check only; may be repeated.
    #[arg(long = "check", value_name = "NAME")]
    pub(crate) checks: Vec<String>,

    /// List the checks.
    #[arg(long)]
    pub(crate) list: bool,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a report as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    /// Where compiled plugins are kept [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Make one file of the plugin of a project, with its name, version, licence and
/// homepage in it: what others get.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Pack {
    /// The project's folder.
    #[arg(default_value = ".")]
    pub(crate) project: PathBuf,
}

const EMBED_HELP: &str = "\
Examples:
  syncmgr embed mine.wasm --requests requests.toml
  syncmgr embed mine.wasm --requests requests.toml --output dist/mine.wasm";

/// Add a plugin's requests to a component that any tool built
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EMBED_HELP)]
pub(crate) struct Embed {
    /// The component.
    pub(crate) component: PathBuf,

    /// A TOML file with the tables `directories`, `settings`, `secrets`, `allow` and `http`.
    #[arg(long, value_name = "FILE")]
    pub(crate) requests: PathBuf,

    /// Where to write the plugin [default: replace the component].
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const REPLAY_HELP: &str = "\
Examples:
  syncmgr run mirror.wasm --dir source=in --dir target=out --record run.jsonl --record-files
  syncmgr replay mirror.wasm run.jsonl

Exit status:
  0  every call was as in the recording
  2  wrong usage, or not a valid plugin
  3  something was not; it is shown";

/// Run a plugin against a recording of an earlier run, and show the first call that is different.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct Replay {
    /// The plugin: a `.wasm` file, the name of a registered one, or of a built-in one.
    pub(crate) plugin: String,

    /// What `syncmgr run --record` has written.
    pub(crate) recording: PathBuf,

    /// A directory to take the place of a granted one, whose files were not recorded. It is copied.
    #[arg(long = "dir", value_name = "NAME=PATH")]
    pub(crate) dirs: Vec<String>,

    /// Where compiled plugins are kept [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// See [`Command::Drive`].
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Drive {
    /// Where compiled plugins are kept [default: the user's state folder].
    #[arg(long, value_name = "DIR", env = "SYNCMGR_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// Tell what an error code means, and what to do about it.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Explain {
    /// The code, such as `ended-memory` [default: list all of them].
    pub(crate) code: Option<String>,
}

/// Make two sample folders and keep them in sync, to see it work.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Where to make them. Folders that are there already are used as they are.
    pub(crate) dir: PathBuf,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  syncmgr completions bash > ~/.local/share/bash-completion/completions/syncmgr
  syncmgr completions zsh > ~/.zfunc/_syncmgr
  syncmgr completions fish > ~/.config/fish/completions/syncmgr.fish";

/// Print completions for a shell.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        super::Args::command().debug_assert();
    }
}

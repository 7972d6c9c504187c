//! The program `syncmgr` without its `main`, for tests and fuzzing. This is not an API.

#![doc(hidden)]

mod args;
pub mod check;
mod command;
mod compiler;
mod confine;
mod escape;
mod exit;
#[cfg(fuzzing)]
pub mod fuzzing;
mod interrupt;
mod job;
#[cfg(windows)]
mod native;
mod options;
mod output;
mod past;
mod places;
mod plugin_source;
pub mod project;
mod quarantine;
mod resolve;
mod schedule;
#[cfg(feature = "serve")]
mod serve;
mod trash;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::exit::Exit;
pub use crate::exit::error_text;
use crate::output::OutputError;

/// Runs the program.
pub fn main() -> ExitCode {
    if compiler::is_meant() {
        return compiler::serve();
    }
    interrupt::survive_file_size_limit();
    Exit::settle(match Args::try_parse() {
        Ok(args) => dispatch(&args.command),
        Err(error) => usage(&error),
    })
    .into()
}

/// Prints an error of the arguments, the help or the version, all of which clap returns as errors.
fn usage(error: &clap::Error) -> anyhow::Result<Exit> {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    if !error.use_stderr() {
        printed.map_err(OutputError::wrap)?;
        return Ok(Exit::InSync);
    }
    if let Some(hint) = args::hint(error) {
        // There is no other output for an error.
        let _ = writeln!(std::io::stderr(), "\n{hint}");
    }
    Ok(Exit::Usage)
}

/// Checks arguments, the first of which is the name of the program.
///
/// # Errors
/// The message of clap.
pub fn check_arguments(arguments: &[&str]) -> Result<(), String> {
    match Args::try_parse_from(arguments) {
        Err(error) if error.use_stderr() => Err(error.to_string()),
        // Help and version are errors of clap.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn dispatch(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Run(run) => command::run::run(run),
        Command::Watch(watch) => command::watch::run(watch),
        Command::Schedule(schedule) => command::schedule::run(schedule),
        Command::Items(items) => command::items::run(items),
        Command::History(history) => command::history::run(history),
        Command::Status(status) => command::status::status(status),
        Command::Conflicts(conflicts) => command::status::conflicts(conflicts),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args),
        Command::Resolve(resolve) => command::resolve::run(resolve),
        Command::Trash(trash) => command::trash::run(trash),
        Command::Properties(properties) => command::properties::run(properties),
        Command::Inspect(inspect) => command::inspect::run(inspect),
        Command::Validate(validate) => command::validate::run(validate),
        #[cfg(feature = "registry")]
        Command::Install(args) => command::install::install(args),
        #[cfg(feature = "registry")]
        Command::Update(args) => command::update::update(args),
        #[cfg(feature = "registry")]
        Command::Outdated(args) => command::update::outdated(args),
        #[cfg(feature = "registry")]
        Command::Uninstall(args) => command::install::uninstall(args),
        Command::Register(register) => command::register::register(register),
        Command::Unregister(unregister) => command::register::unregister(unregister),
        Command::List(list) => command::register::list(list),
        Command::Secret(secret) => command::secret::run(secret),
        Command::Cache(cache) => command::cache::run(cache),
        Command::New(new) => command::new::run(new),
        Command::Build(build) => command::build::build(build),
        Command::Dev(dev) => command::dev::run(dev),
        Command::Test(test) => command::test::run(test),
        Command::Pack(pack) => command::build::pack(pack),
        #[cfg(feature = "registry")]
        Command::Push(args) => command::push::run(args),
        #[cfg(feature = "registry")]
        Command::Sign(args) => command::sign::sign(args),
        #[cfg(feature = "registry")]
        Command::Verify(args) => command::sign::verify_file(args),
        Command::Embed(embed) => command::build::embed(embed),
        Command::Replay(replay) => command::replay::run(replay),
        Command::Explain(explain) => command::explain::run(explain),
        Command::Drive(args) => command::drive::run(args),
        Command::Demo(demo) => command::demo::run(demo),
        Command::Completions(completions) => command::completions::run(completions),
        #[cfg(feature = "manual")]
        Command::Manual(manual) => command::manual::run(manual),
    }
}

//! The command `schedule`.

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use syncmgr_host::text::to_json;
use syncmgr_install::{Registrations, replace_file};

use crate::args::{self, ScheduleCommand, ScheduleEnable, StateDir, Target};
use crate::escape::{escape, quote};
use crate::exit::{Exit, UsageError};
use crate::job::Job;
use crate::output::{self, print_to_stderr};
use crate::plugin_source::registrations;
use crate::schedule::{Places, Record, Schedule, System, Unit, Words, check_name};

/// How long a scheduled run waits for another run.
pub(crate) const WAIT: &str = "--wait=10min";

pub(crate) fn run(args: &args::Schedule) -> anyhow::Result<Exit> {
    match &args.command {
        ScheduleCommand::Enable(enabling) => enable(enabling),
        ScheduleCommand::Disable { name, state_dir } => disable(name, state_dir),
        ScheduleCommand::List { json, state_dir } => list(*json, state_dir),
    }
}

fn places(state_dir: &StateDir) -> anyhow::Result<(Registrations, Places)> {
    let registrations = registrations(state_dir.path.as_deref())?;
    let places = Places::of_user(registrations.state_dir())?;
    Ok((registrations, places))
}

fn enable(args: &ScheduleEnable) -> anyhow::Result<Exit> {
    let (registrations, places) = places(&args.target.state_dir)?;
    let name = args.name.clone().unwrap_or_else(|| default_name(&args.target.target));
    check_name(&name)?;
    if args.target.job().is_none() {
        // A plugin without a registration has no grants.
        registrations.find(&args.target.target)?;
    }
    let job = Job::new(&args.target.plugin_args())?;
    let every = args.every.clone().or_else(|| job.grants.schedule.clone()).ok_or_else(|| {
        UsageError(
            "no schedule: give one with `--every`, or set `schedule` in the job file".to_owned(),
        )
    })?;
    let (target, arguments) = arguments(&args.target, &places.state)?;
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let record = Record { name: name.clone(), every: every.clone(), target: target.clone() };
    let schedule = Schedule::new(record, unicode(program)?, arguments)?;
    let unit = Unit::new(System::current(), &places, &name);
    let files: Vec<_> = unit.paths().into_iter().zip(unit.contents(&schedule)?).collect();
    if args.print {
        for (path, content) in files {
            let path = path.display().to_string();
            writeln!(output::stdout(), "==> {} <==", escape(&path))?;
            output::stdout().write_all(&content)?;
        }
        return Ok(Exit::InSync);
    }
    let replaced = check_free(&unit, &name, &target)?;
    for variable in job.grants.secret_variables() {
        print_to_stderr(&format!(
            "note: the system runs the job without the variable {}, which contains a secret; pass \
             the secret by `file` or `keyring`",
            escape(variable)
        ));
    }
    for (path, content) in files {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))
            .with_context(|| path.display().to_string())?;
        replace_file(&path, &content)?;
    }
    if replaced && let Some(unloading) = unit.replacing() {
        // It may not be loaded.
        let _ = execute(&unloading);
    }
    execute_all(&unit.enabling());
    writeln!(output::stdout(), "scheduled {name}: {every}, {}", escape(&target))?;
    Ok(Exit::InSync)
}

/// Checks that no other schedule has the name. Returns whether this one exists.
fn check_free(unit: &Unit, name: &str, target: &str) -> anyhow::Result<bool> {
    let message = match unit.record()? {
        Some(record) if record.target == target => return Ok(true),
        Some(record) => format!(
            "schedule `{name}` exists for {}; disable it, or choose another name with `--name`",
            record.target
        ),
        None => match unit.paths().into_iter().find(|path| path.symlink_metadata().is_ok()) {
            Some(other) => format!(
                "{} exists and is not a schedule of this program; choose another name with `--name`",
                other.display()
            ),
            None => return Ok(false),
        },
    };
    Err(UsageError(message).into())
}

/// Returns the name of the plugin, or of the job file without its folder and its end.
fn default_name(target: &str) -> String {
    let path = Path::new(target);
    let is_job = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"));
    let stem = path.file_stem().filter(|_| is_job);
    stem.map_or(target.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Returns what the schedule runs, and the arguments of the program.
fn arguments(target: &Target, state: &Path) -> anyhow::Result<(String, Vec<String>)> {
    let mut arguments =
        ["run", "--trigger", "scheduled", "--batch", "--quiet", WAIT, "--state-dir"]
            .map(str::to_owned)
            .to_vec();
    arguments.push(unicode(state.to_owned())?);
    match target.job() {
        Some(file) => {
            let file = unicode(std::path::absolute(file)?)?;
            arguments.extend(["--job".to_owned(), file.clone()]);
            Ok((file, arguments))
        }
        None => {
            // A name may begin with a dash.
            arguments.extend(["--".to_owned(), target.target.clone()]);
            Ok((target.target.clone(), arguments))
        }
    }
}

fn unicode(path: PathBuf) -> Result<String, UsageError> {
    path.into_os_string().into_string().map_err(|path| {
        UsageError(format!("path {} is not Unicode and cannot be scheduled", path.display()))
    })
}

fn disable(name: &str, state_dir: &StateDir) -> anyhow::Result<Exit> {
    let (_, places) = places(state_dir)?;
    let name = default_name(name);
    check_name(&name)?;
    let unit = Unit::new(System::current(), &places, &name);
    if unit.record()?.is_none() {
        return Err(UsageError(format!(
            "no schedule `{name}`; list schedules with `syncmgr schedule list`"
        ))
        .into());
    }
    let disabled = execute(&unit.disabling());
    for path in unit.paths().into_iter().chain(unit.links()) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            Ok(()) | Err(_) => {}
        }
    }
    match disabled {
        Ok(()) => execute_all(&unit.forgetting()),
        Err(why) => explain(&why, &[vec![unit.disabling()], unit.forgetting()].concat()),
    }
    writeln!(output::stdout(), "removed the schedule {name}")?;
    Ok(Exit::InSync)
}

fn list(json: bool, state_dir: &StateDir) -> anyhow::Result<Exit> {
    let (_, places) = places(state_dir)?;
    let mut to = output::stdout();
    for record in Unit::all(System::current(), &places)? {
        if json {
            writeln!(to, "{}", to_json(&record, false)?)?;
            continue;
        }
        let Record { name, every, target } = &record;
        writeln!(to, "{}  {}  {}", escape(name), escape(every), escape(target))?;
    }
    Ok(Exit::InSync)
}

/// Executes commands. If one fails, prints those that remain to be executed.
fn execute_all(commands: &[Words]) {
    for (index, command) in commands.iter().enumerate() {
        if let Err(why) = execute(command) {
            explain(&why, &commands[index..]);
            return;
        }
    }
}

/// Prints commands for the user, and why they were not executed.
fn explain(why: &str, commands: &[Words]) {
    let commands = commands.iter().map(|command| format!("\n  {}", line(command)));
    let commands: String = commands.collect();
    print_to_stderr(&format!("note: {}; when it is possible, run:{commands}", escape(why)));
}

fn line(command: &Words) -> String {
    command
        .iter()
        .map(|word| quote(&word.to_string_lossy()).into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Executes a command of the system.
fn execute(command: &Words) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().lines().last().unwrap_or_default();
            Err(format!("{} failed ({}): {said}", name(program), output.status))
        }
        Err(error) => Err(format!("{} cannot be started: {error}", name(program))),
    }
}

fn name(program: &OsStr) -> String {
    program.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_has_the_name_of_its_job() {
        for (target, name) in [
            ("mail", "mail"),
            ("sync.toml", "sync"),
            ("/home/me/My jobs/docs.TOML", "docs"),
            ("a.b.toml", "a.b"),
            ("mail.wasm", "mail.wasm"),
            (".toml", ".toml"),
        ] {
            assert_eq!(default_name(target), name);
        }
    }
}

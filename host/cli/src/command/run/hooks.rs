//! The commands that a job starts after a run.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use syncmgr_host::sink::JsonLines;
use syncmgr_host::{ActionKind, RunReport};
use syncmgr_install::{Grants, Hooks};
use uuid::Uuid;

use crate::escape::escape;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::output::print_to_stderr;

/// The time after which a hook is terminated.
const TIME: Duration = Duration::from_secs(60);

/// The interval at which a hook is polled.
const POLL: Duration = Duration::from_millis(20);

/// The variables that hooks receive. Others may contain secrets.
const VARIABLES: [&str; 25] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "APPDATA",
    "COMSPEC",
    "LOCALAPPDATA",
    "PATHEXT",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERPROFILE",
];

/// The prefixes of further variables that hooks receive.
const PREFIXES: [&str; 2] = ["LC_", "XDG_"];

/// Starts the hook for a report, if there is one, and waits for its end. The hook is not confined
/// as the run is, and its failure is only a note.
pub(super) fn run(
    grants: &Grants,
    report: &RunReport,
    exit: Exit,
    id: Uuid,
    interrupts: &Interrupts,
) {
    let Some((name, command)) = choose(&grants.hooks, report, exit) else { return };
    let interrupted = interrupts.count();
    let ran = input(report, exit, id).and_then(|input| {
        let child = start(command, input, variables(grants))?;
        wait(child, TIME, || interrupts.count() > interrupted)
    });
    if let Err(error) = ran {
        let program = command.first().map(String::as_str).unwrap_or_default();
        let (program, error) = (escape(program), format!("{error:#}"));
        print_to_stderr(&format!("note: hook `{name}` ({program}): {}", escape(&error)));
    }
}

/// Returns the hook for a report, with its name.
fn choose<'a>(
    hooks: &'a Hooks,
    report: &RunReport,
    exit: Exit,
) -> Option<(&'static str, &'a [String])> {
    let count = |kind| report.actions.get(&kind).copied().unwrap_or(0);
    let is_new = count(ActionKind::ConflictKept) > 0;
    let (name, command) = match exit {
        Exit::Remaining if is_new || count(ActionKind::ConflictStanding) > 0 => {
            ("on-conflict", &hooks.on_conflict)
        }
        Exit::InSync if is_new => ("on-conflict", &hooks.on_conflict),
        Exit::InSync => ("on-success", &hooks.on_success),
        Exit::Remaining => return None,
        Exit::Usage
        | Exit::Failed
        | Exit::SafetyStop
        | Exit::Cancelled
        | Exit::Held
        | Exit::Crashed
        | Exit::ClosedPipe => ("on-failure", &hooks.on_failure),
    };
    (!command.is_empty()).then_some((name, command.as_slice()))
}

/// Returns the standard input of a hook: the report, as `--json` prints it. A file, unlike a pipe,
/// does not block if the hook does not read it.
fn input(report: &RunReport, exit: Exit, id: Uuid) -> anyhow::Result<File> {
    let mut lines = JsonLines::new(Vec::new()).with_run(id);
    lines.report(report, Some(exit as u8));
    let mut file = tempfile::tempfile().context("cannot store its input")?;
    file.write_all(&lines.finish()?)
        .and_then(|()| file.rewind())
        .context("cannot store its input")?;
    Ok(file)
}

/// Returns the environment of a hook. No variable that contains a secret is in it.
fn variables(grants: &Grants) -> Vec<(OsString, OsString)> {
    let secret: Vec<_> = grants.secret_variables().collect();
    let is_passed = |name: &OsString| {
        let Some(name) = name.to_str().filter(|name| !secret.contains(name)) else { return false };
        // Windows ignores the case of names.
        let same = |known: &&str| match cfg!(windows) {
            true => known.eq_ignore_ascii_case(name),
            false => *known == name,
        };
        VARIABLES.iter().any(same) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    std::env::vars_os().filter(|(name, _)| is_passed(name)).collect()
}

fn start(
    command: &[String],
    input: File,
    variables: Vec<(OsString, OsString)>,
) -> anyhow::Result<Child> {
    let (program, arguments) = command.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables);
    // Standard output is that of the run, which may be JSON.
    command.stdin(input).stdout(std::io::stderr()).stderr(Stdio::inherit());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().context("cannot be started")
}

fn wait(mut child: Child, time: Duration, is_interrupted: impl Fn() -> bool) -> anyhow::Result<()> {
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return if status.success() { Ok(()) } else { bail!("ended with {status}") };
        }
        let why = match (is_interrupted(), since.elapsed() >= time) {
            (true, _) => "terminated, because the program was interrupted".to_owned(),
            (false, true) => format!("terminated after {} s", time.as_secs()),
            (false, false) => {
                std::thread::sleep(POLL);
                continue;
            }
        };
        terminate(&mut child);
        child.wait()?;
        bail!(why);
    }
}

/// Terminates a hook, on Unix with the programs that it has started.
fn terminate(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    }
    // Fails only if it has ended.
    let _ = child.kill();
}

#[cfg(test)]
mod tests {
    use syncmgr_host::Outcome;

    use super::*;

    #[test]
    fn the_outcome_of_a_run_determines_the_hook() {
        let one = |name: &str| vec![name.to_owned()];
        let hooks = Hooks {
            on_failure: one("failure"),
            on_conflict: one("conflict"),
            on_success: one("success"),
        };
        use ActionKind::{ConflictKept, ConflictStanding, Created, Skipped};
        for (exit, actions, expected) in [
            (Exit::InSync, &[][..], Some("success")),
            (Exit::InSync, &[Created], Some("success")),
            (Exit::InSync, &[ConflictKept], Some("conflict")),
            // With `--accept-standing-conflicts`.
            (Exit::InSync, &[ConflictStanding], Some("success")),
            (Exit::Remaining, &[ConflictKept], Some("conflict")),
            (Exit::Remaining, &[ConflictStanding, Skipped], Some("conflict")),
            (Exit::Remaining, &[Skipped], None),
            (Exit::Usage, &[], Some("failure")),
            (Exit::Failed, &[ConflictKept], Some("failure")),
            (Exit::SafetyStop, &[], Some("failure")),
            (Exit::Cancelled, &[], Some("failure")),
            (Exit::Held, &[], Some("failure")),
            (Exit::Crashed, &[], Some("failure")),
        ] {
            let mut report = RunReport::without_items("x", Outcome::Completed);
            report.actions = actions.iter().map(|kind| (*kind, 1)).collect();
            let chosen = choose(&hooks, &report, exit).map(|(_, command)| command[0].as_str());
            assert_eq!(chosen, expected, "{exit:?} {actions:?}");
            assert!(choose(&Hooks::default(), &report, exit).is_none());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_hook_is_terminated_with_everything_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let (started, late) = (folder.path().join("started"), folder.path().join("late"));
        let script =
            format!("(touch {}; sleep 2; touch {}) & wait", started.display(), late.display());
        let command = ["sh", "-c", &script].map(str::to_owned);
        let environment = || vec![("PATH".into(), std::env::var_os("PATH").unwrap())];
        for (time, is_interrupted, words) in [
            (Duration::from_secs(60), true, "was interrupted"),
            (Duration::ZERO, false, "terminated after 0 s"),
        ] {
            let child = start(&command, tempfile::tempfile().unwrap(), environment()).unwrap();
            let interrupted = || is_interrupted && started.exists();
            let error = wait(child, time, interrupted).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        std::thread::sleep(Duration::from_millis(2500));
        assert!(started.exists() && !late.exists());
    }
}

//! Schedules on a system with systemd, whose `systemctl` is a script.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::home::{Home, Ran};

/// Stores its arguments.
const SYSTEMCTL: &str = "#!/bin/sh\necho \"$@\" >> \"${0%/*}/log\"\n";

impl Home {
    /// Returns a command of a user with another home directory.
    fn of_user(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("HOME", self.path("home")).env_remove("XDG_CONFIG_HOME");
        command.env("PATH", self.path("bin"));
        command
    }

    fn schedule(&self, arguments: &[&str]) -> Result<Ran> {
        Ok(Ran::of(&self.of_user(&[&["schedule"], arguments].concat()).output()?))
    }

    fn with_systemctl(self, script: &str) -> Result<Self> {
        let script = self.write("bin/systemctl", script)?;
        fs::set_permissions(script, fs::Permissions::from_mode(0o700))?;
        Ok(self)
    }

    /// Returns the commands that `systemctl` has received, and forgets them.
    fn commands(&self) -> Result<Vec<String>> {
        let log = self.path("bin/log");
        let commands = fs::read_to_string(&log)?.lines().map(str::to_owned).collect();
        fs::remove_file(log)?;
        Ok(commands)
    }

    fn units(&self) -> PathBuf {
        self.path("home/.config/systemd/user")
    }

    fn unit(&self, name: &str) -> Result<String> {
        let path = self.units().join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }
}

#[test]
fn a_schedule_runs_the_job_until_it_is_disabled() -> Result<()> {
    let home = Home::with_job("schedule = \"*/15 * * * *\"\n", "")?.with_systemctl(SYSTEMCTL)?;
    let job = home.path("sync.toml").canonicalize()?.display().to_string();
    home.schedule(&["list"])?.expect(0, "")?;
    home.schedule(&["enable", "sync.toml"])?
        .expect(0, &format!("scheduled sync: */15 * * * *, {job}\n"))?;
    assert_eq!(
        home.commands()?,
        ["--user daemon-reload", "--user enable --now syncmgr-sync.timer"]
    );
    ensure!(home.unit("syncmgr-sync.timer")?.contains("\nOnCalendar=*-*-* *:00,15,30,45:00\n"));
    let service = home.unit("syncmgr-sync.service")?;
    for unit in ["syncmgr-sync.service", "syncmgr-sync.timer"] {
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--user", "--man=no"])
            .arg(home.units().join(unit))
            .env("XDG_RUNTIME_DIR", home.path("bin"))
            .output();
        // The program may not be installed.
        if let Ok(verified) = verified {
            Ran::of(&verified).expect(0, "")?;
        }
    }

    // The paths of this test need no escapes, so a shell reads the command as systemd does.
    let line = service.lines().find_map(|line| line.strip_prefix("ExecStart="));
    let line = line.context("there is a command")?;
    ensure!(line.starts_with(&format!("\"{}\" ", env!("CARGO_BIN_EXE_syncmgr"))), "{line}");
    let mut shell = Command::new("sh");
    let ran = shell.args(["-c", line]).current_dir("/").env_remove("SYNCMGR_STATE_DIR").output()?;
    let ran = Ran::of(&ran).expect(0, "")?;
    assert_eq!(ran.said(), "", "only problems are shown");
    assert!(home.path("right/a.txt").exists());
    let runs = home.run(&["history", "--json"])?.expect(0, "")?.json_lines()?;
    assert_eq!((&runs[0]["trigger"], &runs[0]["job"]), (&"scheduled".into(), &job.as_str().into()));

    home.schedule(&["enable", "./sync.toml", "--every", "0 2 * * mon"])?
        .expect(0, "scheduled sync")?;
    ensure!(home.unit("syncmgr-sync.timer")?.contains("\nOnCalendar=Mon *-*-* 02:00:00\n"));
    home.schedule(&["enable", "sync.toml", "--name", "other"])?.expect(0, "scheduled other")?;
    let expected = format!("other  */15 * * * *  {job}\nsync  0 2 * * mon  {job}\n");
    assert_eq!(home.schedule(&["list"])?.expect(0, "")?.stdout, expected);
    let json = home.schedule(&["list", "--json"])?.expect(0, "")?.json_lines()?;
    assert_eq!((&json[1]["name"], &json[1]["target"]), (&"sync".into(), &job.as_str().into()));

    let status = home.of_user(&["status"]).output()?;
    Ran::of(&status).expect(0, "in sync")?.expect(0, ", next run 20")?;
    let status = Ran::of(&home.of_user(&["status", "--json"]).output()?).json_lines()?;
    let next = status[0]["next-run"].as_str().context("there is a next run")?;
    let last = status[0]["ended"].as_str().context("there was a run")?;
    ensure!(next > last && next.ends_with(":00.000Z"), "{status:?}");

    home.commands()?;
    home.schedule(&["disable", "sync.toml"])?.expect(0, "removed the schedule sync\n")?;
    assert_eq!(
        home.commands()?,
        ["--user disable --now syncmgr-sync.timer", "--user daemon-reload"]
    );
    home.schedule(&["disable", "sync"])?.expect(2, "no schedule `sync`")?;
    home.schedule(&["disable", "other"])?.expect(0, "")?;
    assert_eq!(fs::read_dir(home.units())?.count(), 0);
    Ok(())
}

#[test]
fn a_registered_plugin_has_the_schedule_of_its_job_file() -> Result<()> {
    let home = Home::with_job("schedule = \"5 4 * * *\"\n", "")?.with_systemctl(SYSTEMCTL)?;
    home.schedule(&["enable", "folder"])?.expect(2, "no plugin is registered as `folder`")?;
    home.run(&["register", "folder", "--name=-mine", "--grants", "sync.toml"])?.expect(0, "")?;
    home.schedule(&["enable", "--", "-mine"])?.expect(0, "scheduled -mine: 5 4 * * *, -mine\n")?;
    let service = home.unit("syncmgr--mine.service")?;
    ensure!(service.contains(" \"--\" \"-mine\"\n"), "{service}");
    Ok(())
}

#[test]
fn without_systemd_the_commands_are_shown() -> Result<()> {
    for script in [None, Some("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")] {
        let mut home = Home::with_job("", "")?;
        if let Some(script) = script {
            home = home.with_systemctl(script)?;
        }
        let commands = "run:\n  systemctl --user daemon-reload\n  systemctl --user enable --now \
                        syncmgr-sync.timer\n";
        let enabled = home.schedule(&["enable", "sync.toml", "--every", "0 0 * * *"])?;
        let enabled = enabled.expect(0, commands)?;
        ensure!(enabled.stdout.starts_with("scheduled sync: "), "{}", enabled.stdout);
        let why = if script.is_some() { "Failed to connect to bus" } else { "cannot be started" };
        ensure!(enabled.stderr.contains(why), "{}", enabled.stderr);
        ensure!(home.unit("syncmgr-sync.timer")?.contains("Persistent=true"));
        let wanted = home.units().join("timers.target.wants");
        fs::create_dir(&wanted)?;
        std::os::unix::fs::symlink("../syncmgr-sync.timer", wanted.join("syncmgr-sync.timer"))?;
        let commands = "run:\n  systemctl --user disable --now syncmgr-sync.timer\n  systemctl \
                        --user daemon-reload\n";
        home.schedule(&["disable", "sync"])?.expect(0, commands)?;
        assert_eq!(fs::read_dir(wanted)?.count(), 0);
    }
    Ok(())
}

#[test]
fn printing_writes_nothing() -> Result<()> {
    let home = Home::with_job("", "")?.with_systemctl(SYSTEMCTL)?;
    let printed = home.schedule(&["enable", "sync.toml", "--every", "0 0 * * *", "--print"])?;
    printed.expect(0, "\n[Timer]\nOnCalendar=*-*-* 00:00:00\n")?;
    assert!(!home.units().exists() && !home.path("bin/log").exists());
    Ok(())
}

#[test]
fn other_schedules_are_refused() -> Result<()> {
    let home = Home::with_job("", "")?.with_systemctl(SYSTEMCTL)?;
    home.write("other/sync.toml", fs::read(home.path("sync.toml"))?)?;
    fs::create_dir_all(home.path("other/left"))?;
    fs::create_dir_all(home.path("other/right"))?;
    home.write("my sync.toml", fs::read(home.path("sync.toml"))?)?;
    home.write("home/.config/systemd/user/syncmgr-foreign.timer", "[Timer]\n")?;
    for (arguments, words) in [
        (&["enable", "sync.toml"][..], "no schedule: give one with `--every`"),
        (&["enable", "sync.toml", "--every", "0 0 13 * fri"], "invalid schedule `0 0 13 * fri`: "),
        (&["enable", "sync.toml", "--every", "daily"], "it has 1 fields instead of 5"),
        (
            &["enable", "my sync.toml", "--every", "0 0 * * *"],
            "invalid name of a schedule `my sync`",
        ),
        (&["enable", "sync.toml", "--every", "0 0 * * *", "--name", "../x"], "`../x`"),
        (
            &["enable", "sync.toml", "--every", "0 0 * * *", "--name", "foreign"],
            "not a schedule of",
        ),
        (&["enable", "nothing.toml", "--every", "0 0 * * *"], "cannot read the job file"),
        (&["enable", "nothing", "--every", "0 0 * * *"], "no plugin is registered as `nothing`"),
        (&["disable", "nothing"], "no schedule `nothing`"),
        (&["disable", "foreign"], "no schedule `foreign`"),
        (&["disable", "../x"], "invalid name of a schedule"),
    ] {
        home.schedule(arguments)?.expect(2, words).with_context(|| arguments.join(" "))?;
    }
    assert!(!home.path("bin/log").exists());
    home.schedule(&["enable", "sync.toml", "--every", "0 0 * * *"])?.expect(0, "")?;
    home.schedule(&["enable", "other/sync.toml", "--every", "0 0 * * *"])?
        .expect(2, "schedule `sync` exists for ")?;
    assert_eq!(home.unit("syncmgr-foreign.timer")?, "[Timer]\n");
    Ok(())
}

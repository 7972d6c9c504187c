//! The files of a schedule, and the commands that enable and disable it.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Record, Schedule, launchd, systemd, windows};
use crate::exit::UsageError;

/// The part of a system that runs programs at certain times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Systemd,
    Launchd,
    Windows,
}

impl System {
    pub(crate) const fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::Launchd
        } else {
            Self::Systemd
        }
    }
}

/// The folders in which files of schedules are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// `$XDG_CONFIG_HOME`, or `~/.config`.
    pub(crate) config: PathBuf,
    pub(crate) home: PathBuf,
    /// The state directory.
    pub(crate) state: PathBuf,
}

impl Places {
    /// Returns the folders of the user.
    pub(crate) fn of_user(state: &Path) -> anyhow::Result<Self> {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| UsageError("no home directory; set HOME".to_owned()))?;
        let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.filter(|config| config.is_absolute());
        let config = config.unwrap_or_else(|| home.join(".config"));
        Ok(Self { config, home, state: std::path::absolute(state)? })
    }

    fn folder(&self, system: System) -> PathBuf {
        match system {
            System::Systemd => self.config.join("systemd/user"),
            System::Launchd => self.home.join("Library/LaunchAgents"),
            System::Windows => self.state.join("schedules"),
        }
    }
}

/// The program and the arguments of a command.
pub(crate) type Words = Vec<OsString>;

/// The files and commands of a schedule.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    system: System,
    name: String,
    folder: PathBuf,
    home: PathBuf,
}

impl Unit {
    /// `name` must be [checked](super::check_name).
    pub(crate) fn new(system: System, places: &Places, name: &str) -> Self {
        let folder = places.folder(system);
        Self { system, name: name.to_owned(), folder, home: places.home.clone() }
    }

    /// Returns the paths of the files, the one with the record first.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let name = &self.name;
        let names = match self.system {
            System::Systemd => {
                vec![format!("syncmgr-{name}.service"), format!("syncmgr-{name}.timer")]
            }
            System::Launchd => vec![format!("{}.plist", launchd::label(name))],
            System::Windows => vec![format!("{name}.xml")],
        };
        names.into_iter().map(|name| self.folder.join(name)).collect()
    }

    /// Returns the content of each file.
    ///
    /// # Errors
    /// [`UsageError`] if the system does not support the schedule or the command.
    pub(crate) fn contents(&self, schedule: &Schedule) -> anyhow::Result<Vec<Vec<u8>>> {
        let contents = match self.system {
            System::Systemd => systemd::service(schedule)
                .map(|service| vec![service.into_bytes(), systemd::timer(schedule).into_bytes()]),
            System::Launchd => {
                let log = self.home.join(format!("Library/Logs/syncmgr-{}.log", self.name));
                launchd::agent(schedule, &log.to_string_lossy()).map(|text| vec![text.into_bytes()])
            }
            System::Windows => windows::task(schedule).map(|bytes| vec![bytes]),
        };
        contents.map_err(|what| UsageError(format!("schedule `{}`: {what}", self.name)).into())
    }

    /// Returns the commands that enable the schedule.
    pub(crate) fn enabling(&self) -> Vec<Words> {
        let file = self.paths().into_iter().next().unwrap_or_default().into_os_string();
        match self.system {
            System::Systemd => vec![
                words(&["systemctl", "--user", "daemon-reload"]),
                words(&["systemctl", "--user", "enable", "--now", &self.timer()]),
            ],
            System::Launchd => {
                let mut load = words(&["launchctl", "bootstrap", &domain()]);
                load.push(file);
                vec![load]
            }
            System::Windows => {
                let mut create = words(&["schtasks", "/Create", "/TN", &self.task(), "/XML"]);
                create.extend([file, "/F".into()]);
                vec![create]
            }
        }
    }

    /// Returns the command that disables the schedule, before its files are removed.
    pub(crate) fn disabling(&self) -> Words {
        let label = format!("{}/{}", domain(), launchd::label(&self.name));
        match self.system {
            System::Systemd => words(&["systemctl", "--user", "disable", "--now", &self.timer()]),
            System::Launchd => words(&["launchctl", "bootout", &label]),
            System::Windows => words(&["schtasks", "/Delete", "/TN", &self.task(), "/F"]),
        }
    }

    /// Returns the command that unloads a schedule which is about to be replaced.
    pub(crate) fn replacing(&self) -> Option<Words> {
        match self.system {
            System::Launchd => Some(self.disabling()),
            System::Systemd | System::Windows => None,
        }
    }

    /// Returns the commands to execute after the files were removed.
    pub(crate) fn forgetting(&self) -> Vec<Words> {
        match self.system {
            System::Systemd => vec![words(&["systemctl", "--user", "daemon-reload"])],
            System::Launchd | System::Windows => Vec::new(),
        }
    }

    /// Returns what else remains if the schedule is removed while the system is not running.
    pub(crate) fn links(&self) -> Vec<PathBuf> {
        match self.system {
            System::Systemd => vec![self.folder.join("timers.target.wants").join(self.timer())],
            System::Launchd | System::Windows => Vec::new(),
        }
    }

    fn timer(&self) -> String {
        format!("syncmgr-{}.timer", self.name)
    }

    fn task(&self) -> String {
        format!("syncmgr\\{}", self.name)
    }

    /// Returns what the schedule runs; `None`: it does not exist, or is not one of this program.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub(crate) fn record(&self) -> anyhow::Result<Option<Record>> {
        let Some(path) = self.paths().into_iter().next() else { return Ok(None) };
        match fs::read(&path) {
            Ok(bytes) => Ok(Record::find(&decoded(&bytes)).filter(|found| found.name == self.name)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Returns all schedules, by name.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub(crate) fn all(system: System, places: &Places) -> anyhow::Result<Vec<Record>> {
        let folder = places.folder(system);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| folder.display().to_string())?,
        };
        let mut records = Vec::new();
        for entry in entries {
            let file = entry?.file_name();
            let Some(name) = file.to_str().and_then(|file| name_of(system, file)) else { continue };
            records.extend(Self::new(system, places, name).record()?);
        }
        records.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(records)
    }
}

/// Returns the name of the schedule in the name of the file with its record.
fn name_of(system: System, file: &str) -> Option<&str> {
    match system {
        System::Systemd => file.strip_prefix("syncmgr-")?.strip_suffix(".service"),
        System::Launchd => file.strip_prefix("syncmgr.")?.strip_suffix(".plist"),
        System::Windows => file.strip_suffix(".xml"),
    }
}

/// Decodes UTF-8, or UTF-16 after a byte order mark.
fn decoded(bytes: &[u8]) -> String {
    match bytes.strip_prefix(&[0xff, 0xfe]) {
        Some(units) => {
            let (units, _) = units.as_chunks::<2>();
            let units: Vec<_> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
            String::from_utf16_lossy(&units)
        }
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Returns the domain of launchd for the programs of the user.
fn domain() -> String {
    #[cfg(unix)]
    return format!("gui/{}", rustix::process::geteuid().as_raw());
    #[cfg(not(unix))]
    "gui".to_owned()
}

fn words(words: &[&str]) -> Words {
    words.iter().map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_schedule_is_written_found_and_described_on_each_system() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let places = Places { config: path("config"), home: path("home"), state: path("state") };
        for (system, files, enabling, disabling) in [
            (
                System::Systemd,
                &[
                    "config/systemd/user/syncmgr-mine.service",
                    "config/systemd/user/syncmgr-mine.timer",
                ][..],
                "systemctl --user enable --now syncmgr-mine.timer",
                "systemctl --user disable --now syncmgr-mine.timer",
            ),
            (
                System::Launchd,
                &["home/Library/LaunchAgents/syncmgr.mine.plist"],
                "launchctl bootstrap ",
                "/syncmgr.mine",
            ),
            (
                System::Windows,
                &["state/schedules/mine.xml"],
                "schtasks /Create /TN syncmgr\\mine /XML ",
                "schtasks /Delete /TN syncmgr\\mine /F",
            ),
        ] {
            assert!(Unit::all(system, &places).unwrap().is_empty());
            let unit = Unit::new(system, &places, "mine");
            assert!(unit.record().unwrap().is_none());
            assert_eq!(unit.paths(), files.iter().map(|file| path(file)).collect::<Vec<_>>());
            let schedule = Schedule::of_command("mine", "0 0 * * *", "/x".into(), Vec::new());
            let contents = unit.contents(&schedule).unwrap();
            assert_eq!(contents.len(), files.len());
            for (file, content) in unit.paths().iter().zip(contents) {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
            }
            // Files of others are not schedules of this program.
            fs::write(unit.paths()[0].with_file_name("syncmgr-other.service"), "[Unit]\n").unwrap();
            assert_eq!(unit.record().unwrap().as_ref(), Some(&schedule.record));
            assert_eq!(Unit::all(system, &places).unwrap(), [schedule.record]);
            let shown = |words: &Words| words.join(OsStr::new(" ")).into_string().unwrap();
            let commands: Vec<_> = unit.enabling().iter().map(shown).collect();
            assert!(commands.last().unwrap().starts_with(enabling), "{commands:?}");
            assert!(shown(&unit.disabling()).ends_with(disabling));
        }
    }
}

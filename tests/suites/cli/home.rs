//! Runs the program in a new home directory.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A folder for one test, with its own state directory.
pub(crate) struct Home(pub(crate) tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(path.parent().context("it has a parent")?)?;
        fs::write(&path, content)?;
        Ok(path)
    }

    /// Returns the program with arguments, to run in a folder.
    pub(crate) fn command_in(&self, folder: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncmgr"));
        command
            .args(arguments)
            .current_dir(self.path(folder))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("SYNCMGR_STATE_DIR", self.path("state"))
            // The environment of the tests' build does not fit the build of a plugin.
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS")
            .env_remove("RUST_BACKTRACE");
        command
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_in("", arguments)
    }

    pub(crate) fn run_in(&self, folder: &str, arguments: &[&str]) -> Result<Ran> {
        Ok(Ran::of(&self.command_in(folder, arguments).output()?))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Ran> {
        self.run_in("", arguments)
    }
}

/// The output of a command, and its exit status.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Requires an exit status, and words in the output.
    pub(crate) fn expect(self, status: i32, words: &str) -> Result<Self> {
        let said = self.said();
        ensure!(
            self.status == status && said.contains(words),
            "status {} instead of {status}, or no {words:?} in: {said}",
            self.status
        );
        Ok(self)
    }

    /// Returns both outputs.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| self.stdout.clone())
    }

    /// Returns the value of each line.
    pub(crate) fn json_lines(&self) -> Result<Vec<Value>> {
        let values =
            self.stdout.lines().map(|line| serde_json::from_str(line).context(line.to_owned()));
        values.collect()
    }
}

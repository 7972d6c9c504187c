//! External tools of a build.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::project::error::ProjectError;

/// A program to run in a project folder. Its messages go to standard error.
#[derive(Debug)]
pub(crate) struct Tool {
    name: String,
    install: String,
    command: Command,
}

impl Tool {
    /// `install`: the commands that install the program.
    pub(crate) fn new(program: impl AsRef<OsStr>, folder: &Path, install: &str) -> Self {
        let mut command = Command::new(&program);
        command.current_dir(folder).stdin(Stdio::null());
        let path = Path::new(&program);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self { name, install: install.to_owned(), command }
    }

    pub(crate) fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(
        &mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> &mut Self {
        self.command.args(arguments);
        self
    }

    /// Runs the program.
    pub(crate) fn run(&mut self) -> Result<(), ProjectError> {
        // Standard output is for the result of the command.
        self.command.stdout(io::stderr());
        let status = self.command.status().map_err(|error| self.refused(error))?;
        self.succeeded(status)
    }

    /// Runs the program and returns its standard output.
    pub(crate) fn output(&mut self) -> Result<Vec<u8>, ProjectError> {
        self.command.stderr(Stdio::inherit());
        let output = self.command.output().map_err(|error| self.refused(error))?;
        self.succeeded(output.status)?;
        Ok(output.stdout)
    }

    fn succeeded(&self, status: std::process::ExitStatus) -> Result<(), ProjectError> {
        match status.success() {
            true => Ok(()),
            false => Err(ProjectError::ToolFailed {
                program: self.name.clone(),
                status: status.to_string(),
            }),
        }
    }

    fn refused(&self, error: io::Error) -> ProjectError {
        match error.kind() == io::ErrorKind::NotFound {
            true => self.missing(),
            false => ProjectError::File {
                what: "start",
                path: self.command.get_program().into(),
                source: error,
            },
        }
    }

    pub(crate) fn missing(&self) -> ProjectError {
        ProjectError::ToolMissing { program: self.name.clone(), install: self.install.clone() }
    }
}

/// Returns a program of the project's own environment, or its name for the search path.
pub(crate) fn in_environment(folder: &Path, environment: &str, program: &str) -> PathBuf {
    let scripts = if cfg!(windows) { "Scripts" } else { "bin" };
    let own = folder.join(environment).join(scripts).join(program);
    let own = if cfg!(windows) { own.with_extension("exe") } else { own };
    if own.is_file() { own } else { program.into() }
}

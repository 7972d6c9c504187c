//! The commands that a job starts after its runs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::InstallError;
use crate::paths::from_home;

/// The commands that `syncmgr run` starts after a run: each a program and its arguments, or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hooks {
    /// After a run that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<String>,
    /// After a run with conflicts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_conflict: Vec<String>,
    /// After a run that left both sides in sync.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_success: Vec<String>,
}

impl Hooks {
    /// Returns whether there are no commands.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the programs that are given by a path. The system searches for the others.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let commands = [&self.on_failure, &self.on_conflict, &self.on_success];
        commands.into_iter().filter_map(|command| path(command.first()?))
    }

    /// Resolves the paths of programs against the folder of a job file.
    pub(crate) fn resolved(self, base: &Path) -> Result<Self, InstallError> {
        self.map(|path| from_home(path, base))
    }

    /// Makes the paths of programs absolute.
    pub(crate) fn absolute(self) -> Result<Self, InstallError> {
        self.map(|path| std::path::absolute(path).map_err(InstallError::file(path)))
    }

    fn map(
        mut self,
        resolve: impl Fn(&Path) -> Result<PathBuf, InstallError>,
    ) -> Result<Self, InstallError> {
        for (name, command) in [
            ("on-failure", &mut self.on_failure),
            ("on-conflict", &mut self.on_conflict),
            ("on-success", &mut self.on_success),
        ] {
            let Some(program) = command.first_mut() else { continue };
            let text = |what: &str| InstallError::Text { what: format!("hook `{name}`: {what}") };
            if program.is_empty() {
                return Err(text("the program has no name"));
            }
            if let Some(path) = path(program) {
                let resolved = resolve(path)?.into_os_string().into_string();
                *program = resolved.map_err(|_| text("the path is not Unicode"))?;
            }
        }
        Ok(self)
    }
}

/// Returns a program as a path, unless it is only a name.
fn path(program: &str) -> Option<&Path> {
    program.contains(std::path::is_separator).then_some(Path::new(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_name_or_a_path() {
        for (program, resolved) in [
            ("notify-send", Some("notify-send")),
            ("./tell.sh", Some("/jobs/./tell.sh")),
            ("hooks/tell.sh", Some("/jobs/hooks/tell.sh")),
            ("/usr/bin/logger", Some("/usr/bin/logger")),
            ("", None),
        ] {
            let arguments = ["./not a path".to_owned(), String::new()];
            let command = [vec![program.to_owned()], arguments.to_vec()].concat();
            let hooks = Hooks { on_conflict: command, ..Hooks::default() };
            let hooks = hooks.resolved(Path::new("/jobs"));
            let Some(resolved) = resolved else {
                assert!(hooks.unwrap_err().to_string().contains("`on-conflict`"));
                continue;
            };
            let hooks = hooks.unwrap();
            assert_eq!(Path::new(&hooks.on_conflict[0]), Path::new(resolved));
            assert_eq!(hooks.on_conflict[1..], arguments);
            assert_eq!(hooks.paths().count(), usize::from(program != "notify-send"));
        }
        assert!(Hooks::default().resolved(Path::new("/jobs")).unwrap().is_empty());
    }
}

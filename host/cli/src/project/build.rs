use std::fs;
use std::path::PathBuf;

use syncmgr_host::Description;

use crate::project::Project;
use crate::project::error::ProjectError;
use crate::project::language;
use crate::project::manifest::Build;
use crate::project::metadata;
use crate::project::stamp::{self, Stamp};
use crate::project::write::write;

/// The result of a build.
#[derive(Clone, Debug)]
pub struct Built {
    /// The component.
    pub component: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether the component is the same as before the build.
    pub unchanged: bool,
}

impl Project {
    /// Builds the plugin with the tool of its language, unless it is up to date. The tool's
    /// messages go to standard error. The previous component stays until the build succeeds.
    ///
    /// # Errors
    /// [`ProjectError`]; for a missing tool, it has the commands that install it.
    pub fn build(&self) -> Result<Built, ProjectError> {
        // Only Cargo knows the inputs of a plugin in Rust, which may be outside of the project.
        let cargo_decides = matches!(self.manifest().build, Build::Rust {});
        if !cargo_decides && Stamp::is_current(self, stamp::inputs(self)?) {
            let component = self.component();
            let file = component.metadata().map_err(ProjectError::file("read", &component))?;
            return Ok(Built { component, bytes: file.len(), unchanged: true });
        }
        self.rebuild()
    }

    /// Builds the plugin, even if it is up to date.
    ///
    /// # Errors
    /// Returns the errors of [`build`](Self::build).
    pub fn rebuild(&self) -> Result<Built, ProjectError> {
        // A file that changes while the tool runs belongs to the next build.
        let inputs = stamp::inputs(self)?;
        let folder = self.build_folder();
        fs::create_dir_all(&folder).map_err(ProjectError::file("create", &folder))?;
        let bytes = match &self.manifest().build {
            Build::Rust {} => language::rust::build(self)?,
            Build::Python { module } => language::python::build(self, module)?,
            Build::Javascript { entry } => language::javascript::build(self, entry)?,
            Build::Typescript { entry } => language::javascript::build_typescript(self, entry)?,
            Build::C { debug } => language::c::build(self, *debug)?,
        };
        let requests = self.manifest().requests_section();
        let bytes = match requests.trim().is_empty() {
            true => bytes,
            false => metadata::with_requests(bytes, &requests),
        };
        Description::of(&bytes)?;
        let component = self.component();
        let unchanged = fs::read(&component).is_ok_and(|before| before == bytes);
        if !unchanged {
            write(&component, &bytes)?;
        }
        Stamp::new(inputs, &bytes).keep(self)?;
        Ok(Built { component, bytes: bytes.len() as u64, unchanged })
    }
}

use std::fs;
use std::path::PathBuf;

use syncmgr_host::Description;

use crate::error::AuthoringError;
use crate::files::write;
use crate::language;
use crate::manifest::Build;
use crate::metadata;
use crate::project::Project;
use crate::stamp::{self, Stamp};

/// A plugin that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The plugin.
    pub component: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Whether it is the same as before.
    pub unchanged: bool,
}

impl Project {
    /// Builds the plugin with its language's own tool, unless nothing changed since it was built. The
    /// tool's messages go to standard error. The previous plugin stays until the build succeeds.
    ///
    /// # Errors
    /// [`AuthoringError`]; where a tool is missing, with the commands that install it.
    pub fn build(&self) -> Result<Built, AuthoringError> {
        // Cargo knows what a plugin in Rust is made of, which may be outside of the project.
        let asks_its_tool = matches!(self.manifest().build, Build::Rust {});
        if !asks_its_tool && Stamp::is_current(self, stamp::inputs(self)?) {
            let component = self.component();
            let file = component.metadata().map_err(AuthoringError::file("read", &component))?;
            return Ok(Built { component, bytes: file.len(), unchanged: true });
        }
        self.rebuild()
    }

    /// Builds the plugin, even if nothing changed.
    ///
    /// # Errors
    /// Those of [`build`](Self::build).
    pub fn rebuild(&self) -> Result<Built, AuthoringError> {
        // What is saved while the tool runs is an input of the next build.
        let inputs = stamp::inputs(self)?;
        let folder = self.build_folder();
        fs::create_dir_all(&folder).map_err(AuthoringError::file("make", &folder))?;
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

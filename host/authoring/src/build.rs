use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use syncmgr_host::Description;

use crate::error::AuthoringError;
use crate::language;
use crate::manifest::Build;
use crate::metadata;
use crate::project::Project;

/// What building made.
#[derive(Clone, Debug)]
pub struct Built {
    /// The plugin.
    pub component: PathBuf,
    /// Its length.
    pub bytes: u64,
}

impl Project {
    /// Builds the plugin with its language's own tool, which says on standard error what it has to
    /// say. What was built before stays until that has succeeded.
    ///
    /// # Errors
    /// [`AuthoringError`]; where a tool is missing, with the commands that install it.
    pub fn build(&self) -> Result<Built, AuthoringError> {
        let began = SystemTime::now();
        let folder = self.build_folder();
        fs::create_dir_all(&folder).map_err(AuthoringError::file("make", &folder))?;
        let bytes = match &self.manifest().build {
            Build::Rust {} => language::rust::build(self)?,
            Build::Python { module } => language::python::build(self, module)?,
            Build::Javascript { entry } => language::javascript::build(self, entry)?,
            Build::C {} => language::c::build(self)?,
        };
        let requests = self.manifest().requests_section();
        let bytes = match requests.trim().is_empty() {
            true => bytes,
            false => metadata::with_requests(bytes, &requests),
        };
        Description::of(&bytes)?;
        let component = self.component();
        write(&component, &bytes)?;
        // What is saved while the tool runs is younger than what it makes.
        let dated = fs::File::options().write(true).open(&component);
        let dated = dated.and_then(|file| file.set_modified(began));
        dated.map_err(AuthoringError::file("date", &component))?;
        Ok(Built { component, bytes: bytes.len() as u64 })
    }

    /// Builds the plugin unless nothing was changed since it was built, and tells where it is.
    ///
    /// # Errors
    /// Those of [`build`](Self::build).
    pub fn build_if_stale(&self) -> Result<PathBuf, AuthoringError> {
        // Cargo knows better what a plugin in Rust is made of, which may be outside of the project.
        let asks_its_tool = matches!(self.manifest().build, Build::Rust {});
        match self.is_fresh() && !asks_its_tool {
            true => Ok(self.component()),
            false => Ok(self.build()?.component),
        }
    }
}

/// Writes a file as a whole or not at all.
pub(crate) fn write(path: &std::path::Path, bytes: &[u8]) -> Result<(), AuthoringError> {
    let failed = || AuthoringError::file("write", path);
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed())?;
    #[cfg(unix)]
    {
        // Not the secret that a temporary file is.
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(permissions).map_err(failed())?;
    }
    file.as_file().sync_all().map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    Ok(())
}

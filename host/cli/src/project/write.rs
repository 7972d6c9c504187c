use std::path::Path;

use crate::project::error::ProjectError;

/// Writes a file atomically.
///
/// # Errors
/// [`ProjectError::File`].
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), ProjectError> {
    let failed = || ProjectError::file("write", path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed())?;
    #[cfg(unix)]
    {
        // A temporary file is readable by its owner only.
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(permissions).map_err(failed())?;
    }
    file.as_file().sync_all().map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    Ok(())
}

//! What is part of this library: templates, the contract, and the SDK.

use std::path::Path;

use crate::error::AuthoringError;

/// One file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    /// Where it goes, with `/` between the parts.
    pub(crate) path: &'static str,
    pub(crate) bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The first plugin of the SDK's documentation.
pub(crate) const HELLO: &[u8] = include_bytes!("../../../guest/plugins/hello/src/lib.rs");

/// Writes a file, as a whole or not at all.
///
/// # Errors
/// [`AuthoringError::File`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), AuthoringError> {
    let failed = || AuthoringError::file("write", path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
    std::io::Write::write_all(&mut file, bytes).map_err(failed())?;
    #[cfg(unix)]
    {
        // Not the secret that a temporary file is.
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(permissions).map_err(failed())?;
    }
    file.as_file().sync_all().map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    Ok(())
}

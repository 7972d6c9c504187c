use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::LoadError;
use crate::limits::LoadLimits;

/// Reads a component from a regular file. Pipes and devices are refused, because opening or reading
/// them may block forever.
///
/// # Errors
/// Returns [`LoadError::Read`] if the file cannot be read, and [`LoadError::TooLarge`] if it
/// exceeds `component-bytes`.
pub fn read_component(path: impl AsRef<Path>, limits: &LoadLimits) -> Result<Vec<u8>, LoadError> {
    let path = path.as_ref();
    let read = |source| LoadError::Read { path: path.to_owned(), source };
    let file = open(path).map_err(read)?;
    let metadata = file.metadata().map_err(read)?;
    if metadata.is_dir() {
        return Err(read(io::ErrorKind::IsADirectory.into()));
    }
    if !metadata.is_file() {
        let message = "it is a pipe or a device, and no regular file";
        return Err(read(io::Error::new(io::ErrorKind::InvalidInput, message)));
    }
    let too_large = |found| LoadError::TooLarge {
        name: path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        what: "the file",
        found,
        limit: limits.component_bytes,
        option: "component-bytes",
    };
    if metadata.len() > limits.component_bytes {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    // The file may have grown since its size was read.
    let most = limits.component_bytes.saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(read)?;
    match bytes.len() as u64 > limits.component_bytes {
        true => Err(too_large(most)),
        false => Ok(bytes),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Opening a pipe would otherwise wait for a writer.
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
        options.custom_flags(i32::try_from(nonblocking).unwrap_or(0));
    }
    options.open(path)
}

//! The attributes of a copy, except its content and its time.

use std::fs::File;

/// The attributes of a copy. An attribute that the file system or the process cannot set is
/// skipped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    /// The permission bits; `None` for the system's default.
    #[cfg_attr(not(unix), allow(dead_code, reason = "only Unix has permission bits"))]
    pub(crate) mode: Option<u32>,
    /// The name of the file that the copy replaces, in the copy's directory.
    pub(crate) replaces: Option<String>,
    /// Whether a copy that replaces nothing receives the owner and group of its source.
    #[cfg_attr(not(unix), allow(dead_code, reason = "only Unix has these owners"))]
    pub(crate) owner: bool,
    /// Whether the extended attributes of users are copied.
    pub(crate) extended: bool,
}

impl Attributes {
    /// Sets the attributes of a new copy, except its permission bits and owner.
    pub(crate) fn give_extended(&self, source: &File, replaced: Option<&File>, copy: &File) {
        if !self.extended {
            return;
        }
        if let Some(replaced) = replaced {
            extended::copy_users(replaced, copy);
            extended::copy_access_list(replaced, copy);
        }
        extended::copy_users(source, copy);
    }

    /// Opens the file that a copy replaces, if possible.
    pub(crate) fn open_replaced(
        &self,
        open: impl Fn(&str) -> std::io::Result<File>,
    ) -> Option<File> {
        self.replaces.as_ref().and_then(|name| open(name).ok())
    }
}

/// Copies the extended attributes of a directory to a new one.
#[cfg(unix)]
pub(crate) fn give_extended_of(source: impl std::os::fd::AsFd, copy: impl std::os::fd::AsFd) {
    extended::copy_users(source, copy);
}

/// Returns the exact modification time of a file if a timestamp of the contract cannot represent
/// it.
pub(crate) fn exact_time(file: &File, modified: i64) -> Option<std::time::SystemTime> {
    match modified {
        i64::MIN | i64::MAX => file.metadata().and_then(|metadata| metadata.modified()).ok(),
        _ => None,
    }
}

#[cfg(target_os = "linux")]
mod extended {
    use std::os::fd::AsFd;

    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
    use rustix::io::Errno;

    /// The maximum size of a value, and of all names of a file.
    const MOST_BYTES: usize = 64 << 10;
    /// A size that is sufficient for the names of most files.
    const USUAL_BYTES: usize = 512;
    const ACCESS_LIST: &str = "system.posix_acl_access";

    /// Copies the extended attributes that users set.
    pub(crate) fn copy_users(source: impl AsFd, copy: impl AsFd) {
        let mut usual = [0; USUAL_BYTES];
        match flistxattr(&source, &mut usual[..]) {
            Ok(len) => copy_named(&source, &copy, &usual[..len]),
            Err(Errno::RANGE) => {
                let mut names = vec![0; MOST_BYTES];
                let len = flistxattr(&source, &mut names[..]).unwrap_or(0);
                copy_named(&source, &copy, &names[..len]);
            }
            // The file system has no extended attributes.
            Err(_) => {}
        }
    }

    fn copy_named(source: impl AsFd, copy: impl AsFd, names: &[u8]) {
        let users = names.split(|byte| *byte == 0).filter(|name| name.starts_with(b"user."));
        for name in users {
            let mut value = vec![0; MOST_BYTES];
            if let Ok(len) = fgetxattr(&source, name, &mut value[..]) {
                let _ = fsetxattr(&copy, name, &value[..len], XattrFlags::empty());
            }
        }
    }

    /// Sets the access control list of a copy to that of the file that it replaces.
    pub(crate) fn copy_access_list(replaced: impl AsFd, copy: impl AsFd) {
        let mut list = vec![0; MOST_BYTES];
        let _ = match fgetxattr(&replaced, ACCESS_LIST, &mut list[..]) {
            Ok(len) => fsetxattr(&copy, ACCESS_LIST, &list[..len], XattrFlags::empty()),
            // The copy may have inherited one from its directory.
            Err(Errno::NODATA) => fremovexattr(&copy, ACCESS_LIST),
            Err(_) => Ok(()),
        };
    }
}

/// Extended attributes are copied on Linux only.
#[cfg(not(target_os = "linux"))]
mod extended {
    pub(crate) fn copy_users<S, C>(_source: S, _copy: C) {}

    pub(crate) fn copy_access_list<S, C>(_replaced: S, _copy: C) {}
}

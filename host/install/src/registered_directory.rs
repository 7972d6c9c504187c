//! A granted directory of a registered plugin, and its identity at registration.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::{Access, Grant, GrantError};

use crate::error::InstallError;

/// A directory in a registration. The path is canonical, and is not parsed again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RegisteredDirectory {
    name: String,
    path: PathBuf,
    access: Access,
    /// `None`: the directory did not exist, or the system has no identities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<Identity>,
}

impl RegisteredDirectory {
    pub(crate) fn of(grant: &Grant) -> Result<Self, InstallError> {
        if grant.path().to_str().is_none() {
            let path = grant.path().display();
            let what = format!("path {path} is not Unicode and cannot be registered");
            return Err(InstallError::Text { what });
        }
        Ok(Self {
            name: grant.name().to_owned(),
            path: grant.path().to_owned(),
            access: grant.access(),
            place: Identity::of(grant.path()),
        })
    }

    /// Returns the name of the grant.
    #[cfg(feature = "registry")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn grant(&self) -> Result<Grant, GrantError> {
        Grant::new(&self.name, &self.path, self.access)
    }

    /// Checks that the path leads to the granted directory.
    pub(crate) fn check(&self) -> Result<(), InstallError> {
        let moved = |why: String| InstallError::Moved {
            name: self.name.clone(),
            path: self.path.clone(),
            why,
        };
        let now = self.grant()?;
        if now.path() != self.path || self.path.is_symlink() {
            return Err(moved(format!("a link leads to {}", now.path().display())));
        }
        let place = self.place.as_ref();
        match place.and_then(|place| place.difference(&self.path)) {
            Some(why) => Err(moved(why.to_owned())),
            None => Ok(()),
        }
    }
}

/// The identity of a directory. Numbers are text, since TOML has no unsigned 64-bit integers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Identity {
    device: String,
    inode: String,
    /// The id of the file system, the same for each mount; `None`: it has no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_system: Option<String>,
}

#[cfg(not(target_os = "linux"))]
impl Identity {
    fn of(_path: &Path) -> Option<Self> {
        None
    }

    fn difference(&self, _path: &Path) -> Option<&'static str> {
        None
    }
}

#[cfg(target_os = "linux")]
impl Identity {
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = path.metadata().ok()?;
        Some(Self {
            device: metadata.dev().to_string(),
            inode: metadata.ino().to_string(),
            file_system: file_system::id(path, metadata.dev()),
        })
    }

    /// Returns the reason if the path leads to another directory. A missing directory is not
    /// another one.
    fn difference(&self, path: &Path) -> Option<&'static str> {
        let now = Self::of(path)?;
        // The device number changes with each mount, unlike the id of the file system.
        let is_same_device = self.device == now.device;
        if !is_same_device {
            match (&self.file_system, &now.file_system) {
                (Some(before), Some(now)) if before == now => {}
                (Some(_), Some(_)) => return Some("it is on another file system"),
                // A remounted medium cannot be distinguished from another one.
                (None, _) | (_, None) => return None,
            }
        }
        let is_other = self.inode != now.inode && file_system::keeps_inodes(path);
        is_other.then_some("another directory is in its place")
    }
}

#[cfg(target_os = "linux")]
mod file_system {
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    /// The file systems whose inode numbers are the same in every mount, by the magic number of
    /// `statfs`, and whether their `f_fsid` is also the same. FAT, exFAT, and most FUSE and network
    /// file systems generate inode numbers.
    const KEEP_INODES: [(i64, bool); 9] = [
        (0xEF53, true),       // ext2, ext3, ext4
        (0x9123_683E, true),  // btrfs
        (0x2FC1_2FC1, true),  // ZFS
        (0x5846_5342, false), // XFS
        (0xF2F5_2010, false), // F2FS
        (0xCA45_1A4E, false), // bcachefs
        (0x7366_746E, false), // ntfs3
        (0x0102_1994, false), // tmpfs
        (0x794C_7630, false), // overlayfs
    ];

    #[allow(clippy::useless_conversion, reason = "the type depends on the platform")]
    fn known(path: &Path) -> Option<bool> {
        let kind = i64::try_from(rustix::fs::statfs(path).ok()?.f_type).ok()?;
        KEEP_INODES.iter().find(|(known, _)| *known == kind).map(|(_, keeps_id)| *keeps_id)
    }

    pub(super) fn keeps_inodes(path: &Path) -> bool {
        known(path).is_some()
    }

    /// Returns the UUID of the device from udev, or the id of the file system.
    pub(super) fn id(path: &Path, device: u64) -> Option<String> {
        for entry in std::fs::read_dir("/dev/disk/by-uuid").into_iter().flatten().flatten() {
            if entry.path().metadata().is_ok_and(|node| node.rdev() == device) {
                return Some(format!("uuid-{}", entry.file_name().to_string_lossy()));
            }
        }
        let id = rustix::fs::statvfs(path).ok()?.f_fsid;
        (known(path)? && id != 0).then(|| format!("fsid-{id:x}"))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_identified_by_device_and_inode() {
        let place = |device: &str, inode: &str, file_system: Option<&str>| Identity {
            device: device.to_owned(),
            inode: inode.to_owned(),
            file_system: file_system.map(str::to_owned),
        };
        let home = tempfile::tempdir().unwrap();
        let mut now = Identity::of(home.path()).unwrap();
        now.file_system = file_system::id(home.path(), 0).or(now.file_system);
        let (device, inode) = (now.device.as_str(), now.inode.as_str());
        let id = now.file_system.as_deref();
        let keeps = file_system::keeps_inodes(home.path());
        for (before, is_other) in [
            (place(device, inode, id), false),
            (place(device, inode, None), false),
            (place(device, "1", id), keeps),
            // Remounted with another device number.
            (place("0", inode, id), false),
            (place("0", "1", id), keeps && id.is_some()),
            (place("0", inode, Some("uuid-other")), id.is_some()),
            (place("0", "1", None), false),
        ] {
            assert_eq!(before.difference(home.path()).is_some(), is_other, "{before:?}, {now:?}");
        }
        assert_eq!(now.difference(&home.path().join("gone")), None);
    }
}

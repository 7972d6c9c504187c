//! Directories that must not be granted, since a plugin could gain access with them.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use syncmgr_host::{Access, Grant, Requests};

use crate::error::InstallError;

/// The maximum number of links in a path.
const MAX_LINKS: usize = 40;

/// Determines which directories contain which, by identity and not by path.
pub(crate) struct Guard<'a> {
    grants: Vec<(&'a Grant, Access, Route)>,
    mounts: mounts::Mounts,
}

impl<'a> Guard<'a> {
    /// Creates a guard for grants. A plugin gets at most the access that it requests.
    pub(crate) fn new(grants: &'a [Grant], requests: &Requests) -> Self {
        let granted = |grant: &'a Grant| {
            let wanted = requests.directory(grant.name()).unwrap_or(Access::ReadOnly);
            (grant, grant.access().min(wanted), Route::to(grant.path()))
        };
        Self { grants: grants.iter().map(granted).collect(), mounts: mounts::Mounts::read() }
    }

    /// Checks that no grant contains a state directory or is inside it. Read-only grants may
    /// contain it, for backups.
    pub(crate) fn check_state(&self, state: &Path) -> Result<(), InstallError> {
        let route = Route::to(state);
        for (grant, access, to_grant) in &self.grants {
            let holds = *access == Access::ReadWrite && self.holds(to_grant, &route);
            if holds || self.holds(&route, to_grant) {
                return Err(InstallError::Protected {
                    name: grant.name().to_owned(),
                    directory: grant.path().to_owned(),
                    path: route.end,
                });
            }
        }
        Ok(())
    }

    /// Checks that the plugin cannot change a file, or the target of its path.
    pub(crate) fn check_file(&self, what: &'static str, file: &Path) -> Result<(), InstallError> {
        let route = Route::to(file);
        for (grant, access, to_grant) in &self.grants {
            if *access == Access::ReadWrite && self.holds(to_grant, &route) {
                return Err(InstallError::ProtectedFile {
                    name: grant.name().to_owned(),
                    directory: grant.path().to_owned(),
                    what,
                    path: file.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Returns whether the directory at the end of one route is part of the other route.
    fn holds(&self, outer: &Route, inner: &Route) -> bool {
        let is_met = |outer: &Identity| inner.directories.iter().any(|(_, other)| other == outer);
        outer.identity.as_ref().is_some_and(is_met)
            // A missing directory has only its path.
            || inner.end.starts_with(&outer.end)
            || inner.directories.iter().any(|(path, _)| self.mounts.cover(&outer.end, path))
    }
}

/// The directories that the system looks up from the root to the target of a path. Each of them
/// determines the target.
struct Route {
    directories: Vec<(PathBuf, Identity)>,
    /// The identity of the target, if it is a directory.
    identity: Option<Identity>,
    /// The target, without links as far as it exists.
    end: PathBuf,
}

impl Route {
    fn to(path: &Path) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut rest: VecDeque<OsString> = parts(&path);
        let mut route = Self { directories: Vec::new(), identity: None, end: PathBuf::new() };
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                route.end.pop();
            } else {
                route.end.push(&part);
            }
            if let Ok(target) = std::fs::read_link(&route.end)
                && links < MAX_LINKS
            {
                links += 1;
                route.end.pop();
                let target = parts(&target);
                rest = target.into_iter().chain(rest).collect();
                continue;
            }
            route.identity = Identity::of(&route.end);
            if let Some(identity) = Identity::of(&route.end) {
                route.directories.push((route.end.clone(), identity));
            }
        }
        route
    }
}

/// Returns the parts of a path without `.`. The root is the first part of an absolute path.
fn parts(path: &Path) -> VecDeque<OsString> {
    let mut parts = VecDeque::new();
    let mut root = OsString::new();
    for component in path.components() {
        match component {
            Component::Prefix(prefix) => root.push(prefix.as_os_str()),
            Component::RootDir => {
                root.push(component.as_os_str());
                parts.push_back(std::mem::take(&mut root));
            }
            Component::CurDir => {}
            Component::ParentDir | Component::Normal(_) => {
                parts.push_back(component.as_os_str().to_owned());
            }
        }
    }
    parts
}

/// The identity of a directory, independent of its path.
#[derive(Debug, PartialEq, Eq)]
struct Identity(System);

#[cfg(unix)]
type System = (u64, u64);
#[cfg(windows)]
type System = same_file::Handle;
#[cfg(not(any(unix, windows)))]
type System = PathBuf;

impl Identity {
    /// Returns the identity, if the directory exists.
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok().filter(std::fs::Metadata::is_dir)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Some(Self((metadata.dev(), metadata.ino())))
        }
        #[cfg(windows)]
        {
            let _ = metadata;
            same_file::Handle::from_path(path).ok().map(Self)
        }
        #[cfg(not(any(unix, windows)))]
        {
            let _ = metadata;
            path.canonicalize().ok().map(Self)
        }
    }
}

/// On Linux, a directory may be mounted at a second path without common parents.
#[cfg(target_os = "linux")]
mod mounts {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;
    use std::path::{Path, PathBuf};

    /// The mounts.
    #[derive(Debug, Default)]
    pub(super) struct Mounts(Vec<Mount>);

    #[derive(Debug)]
    struct Mount {
        device: String,
        /// The directory in the file system.
        root: PathBuf,
        /// The mount point.
        point: PathBuf,
    }

    impl Mounts {
        /// Reads the mounts of this process, none if the system does not provide them.
        pub(super) fn read() -> Self {
            Self::parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default())
        }

        pub(super) fn parse(text: &[u8]) -> Self {
            let mount = |line: &[u8]| {
                let mut fields = line.split(|byte| *byte == b' ').skip(2);
                Some(Mount {
                    device: String::from_utf8_lossy(fields.next()?).into_owned(),
                    root: path(fields.next()?),
                    point: path(fields.next()?),
                })
            };
            Self(text.split(|byte| *byte == b'\n').filter_map(mount).collect())
        }

        /// Returns whether a directory is inside another one by any path.
        pub(super) fn cover(&self, outer: &Path, inner: &Path) -> bool {
            let Some((device, place)) = self.locate(inner) else { return false };
            let below = self.0.iter().filter(|mount| mount.point.starts_with(outer));
            let below = below.map(|mount| (mount.device.as_str(), mount.root.clone()));
            let mut roots = self.locate(outer).into_iter().chain(below);
            roots.any(|(other, root)| other == device && place.starts_with(root))
        }

        /// Returns the file system of a directory, and its path there.
        fn locate(&self, path: &Path) -> Option<(&str, PathBuf)> {
            let around = self.0.iter().filter(|mount| path.starts_with(&mount.point));
            // Of two mounts at one path, the later one is visible.
            let mount = around.max_by_key(|mount| mount.point.components().count())?;
            let rest = path.strip_prefix(&mount.point).ok()?;
            Some((&mount.device, mount.root.join(rest)))
        }
    }

    /// Decodes a path with octal escapes.
    fn path(field: &[u8]) -> PathBuf {
        let mut bytes = Vec::new();
        let mut rest = field;
        while let Some((&first, after)) = rest.split_first() {
            let digits = after.get(..3).filter(|_| first == b'\\');
            let byte = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            let byte = byte.and_then(|digits| u8::from_str_radix(digits, 8).ok());
            bytes.push(byte.unwrap_or(first));
            rest = if byte.is_some() { &after[3..] } else { after };
        }
        OsString::from_vec(bytes).into()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_directory_is_found_at_both_mount_points() {
            let mounts = Mounts::parse(
                b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                  2 1 8:1 /home/u/state /mnt/a\\040b rw - ext4 /dev/sda1 rw\n\
                  3 1 8:2 / /usb rw - vfat /dev/sdb1 rw\n\
                  4 1 8:2 /in /srv/in rw - vfat /dev/sdb1 rw\n\n",
            );
            for (outer, inner, expected) in [
                ("/home/u", "/mnt/a b/cache", true),
                ("/mnt/a b", "/home/u/state/cache", true),
                ("/mnt/a b", "/home/u/other", false),
                ("/home/u/other", "/mnt/a b", false),
                ("/usb/in", "/srv/in/x", true),
                ("/usb/out", "/srv/in/x", false),
                ("/srv", "/usb/in/x", true),
                ("/srv", "/usb/out", false),
                ("/", "/usb/out", true),
            ] {
                let covers = mounts.cover(Path::new(outer), Path::new(inner));
                assert_eq!(covers, expected, "{outer} around {inner}");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod mounts {
    use std::path::Path;

    /// Other systems have no second mounts.
    pub(super) struct Mounts;

    impl Mounts {
        pub(super) fn read() -> Self {
            Self
        }

        pub(super) fn cover(&self, _outer: &Path, _inner: &Path) -> bool {
            false
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_is_protected_in_every_directory_on_its_route() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().canonicalize().unwrap().join(name);
        for name in ["real/in", "grant/in", "apart"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("real/in/job"), "").unwrap();
        symlink(path("real"), path("grant/to-real")).unwrap();
        symlink("../grant/to-real/in/job", path("apart/job")).unwrap();
        symlink("loop", path("apart/loop")).unwrap();
        let requests = Requests::parse(b"[directories]\nx = { access = \"read-write\" }").unwrap();
        for (grant, file, held) in [
            ("real", "real/in/job", true),
            ("real/in", "real/in/job", true),
            ("real/in", "real/in/other", true),
            ("apart", "real/in/job", false),
            ("grant", "real/in/job", false),
            ("grant", "grant/to-real/in/job", true),
            ("real", "grant/to-real/in/job", true),
            ("apart", "apart/job", true),
            ("grant", "apart/job", true),
            ("real/in", "apart/job", true),
            ("grant/in", "apart/job", false),
            ("grant/to-real", "real/in/job", true),
            ("apart", "apart/in/../loop", true),
            ("real", "apart/loop", false),
            ("missing", "missing/in/job", true),
            ("missing", "real/in/job", false),
        ] {
            for (access, held) in [(Access::ReadWrite, held), (Access::ReadOnly, false)] {
                let grants = [Grant::new("x", path(grant), access).unwrap()];
                let guard = Guard::new(&grants, &requests);
                let checked = guard.check_file("the job file", &path(file));
                assert_eq!(checked.is_err(), held, "{grant} {access:?} around {file}");
            }
        }
    }
}

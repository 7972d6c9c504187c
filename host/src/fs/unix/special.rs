//! File systems that contain no files of users: the kernel's views of processes, devices and
//! itself. Their content has other permissions than the directory around them, such as the
//! environment of the host's process.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{StatFs, fstatfs, statfs};

/// The numbers of `linux/magic.h` and of the sources of each file system.
#[cfg(target_os = "linux")]
const SPECIAL: &[(u32, &str)] = &[
    (0x9fa0, "proc"),
    (0x9fa1, "openpromfs"),
    (0x9fa2, "usbfs"),
    (0x1cd1, "devpts"),
    (0x0027_e0eb, "cgroup"),
    (0x0765_5821, "resctrl"),
    (0x0904_1934, "anonymous inodes"),
    (0x0a64_7361, "functionfs"),
    (0x1980_0202, "mqueue"),
    (0x4249_4e4d, "binfmt_misc"),
    (0x4341_5d53, "smackfs"),
    (0x5049_4446, "pidfs"),
    (0x5049_5045, "pipefs"),
    (0x534f_434b, "sockfs"),
    (0x5345_434d, "secretmem"),
    (0x5a3c_69f0, "apparmorfs"),
    (0x6165_676c, "pstore"),
    (0x6265_6570, "configfs"),
    (0x6265_6572, "sysfs"),
    (0x6367_7270, "cgroup2"),
    (0x6462_6720, "debugfs"),
    (0x6573_5543, "fusectl"),
    (0x6759_6969, "rpc_pipefs"),
    (0x6c6f_6f70, "binderfs"),
    (0x6e66_7364, "nfsd"),
    (0x6e73_6673, "nsfs"),
    (0x7363_6673, "securityfs"),
    (0x7472_6163, "tracefs"),
    (0xabba_1974, "xenfs"),
    (0xcafe_4a11, "bpf"),
    (0xde5e_81e4, "efivarfs"),
    (0xf97c_ff8c, "selinuxfs"),
];

#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
))]
const SPECIAL: &[&str] =
    &["devfs", "fdesc", "fdescfs", "procfs", "linprocfs", "linsysfs", "mqueuefs"];

/// Returns the name of the kernel's file system that contains a file, or `None` for any other.
#[cfg(target_os = "linux")]
#[allow(clippy::unnecessary_cast, reason = "the type differs between systems")]
fn name(of: &StatFs) -> Option<&'static str> {
    // On systems where the number is signed, it is sign-extended.
    let magic = of.f_type as i64 & 0xffff_ffff;
    let found = SPECIAL.iter().find(|(special, _)| i64::from(*special) == magic);
    found.map(|(_, name)| *name)
}

#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
))]
fn name(of: &StatFs) -> Option<&'static str> {
    let bytes = of.f_fstypename.iter().map(|byte| byte.to_ne_bytes()[0]);
    let found: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    SPECIAL.iter().find(|special| special.as_bytes() == found).copied()
}

#[cfg(not(any(
    target_os = "linux",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
)))]
fn name(_of: &StatFs) -> Option<&'static str> {
    None
}

/// Returns whether an open file is on one of the kernel's file systems.
pub(crate) fn has(opened: impl AsFd) -> io::Result<bool> {
    Ok(name(&fstatfs(opened)?).is_some())
}

/// Refuses an open file on one of the kernel's file systems.
pub(crate) fn refuse(opened: impl AsFd) -> io::Result<()> {
    check(&fstatfs(opened)?)
}

/// Refuses a path on one of the kernel's file systems.
pub(crate) fn refuse_path(path: &Path) -> io::Result<()> {
    check(&statfs(path)?)
}

fn check(of: &StatFs) -> io::Result<()> {
    match name(of) {
        None => Ok(()),
        Some(name) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("it is on the kernel's own file system `{name}`, which no grant includes"),
        )),
    }
}

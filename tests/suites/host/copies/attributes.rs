//! Attributes of copies and directories: permissions, owners, access control lists, extended
//! attributes, times and holes.

use std::io::{Seek, SeekFrom};
use std::os::unix::fs::chown;

use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::*;

/// The two ways to copy a file with attributes.
const WAYS: [&str; 2] = ["together", "alone"];

impl Workdir {
    /// Copies the file `f`, and returns the log of the plugin.
    fn copy(&self, arguments: &str) -> anyhow::Result<String> {
        let to = if arguments.contains("to=") { "" } else { "to=target" };
        self.copies(&format!("from=source files=f {to} {arguments}"), unchanged)
    }

    fn write(&self, path: &str, content: &[u8], mode: u32) -> anyhow::Result<PathBuf> {
        let path = self.path(path);
        fs::write(&path, content)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        Ok(path)
    }
}

fn mode(path: &Path) -> anyhow::Result<u32> {
    Ok(fs::metadata(path)?.mode() & 0o7777)
}

fn is_root() -> anyhow::Result<bool> {
    Ok(tempfile::tempfile()?.metadata()?.uid() == 0)
}

/// Returns the umask of this process, determined with a new file.
fn new_mode() -> anyhow::Result<u32> {
    let home = tempfile::tempdir()?;
    let path = home.path().join("new");
    fs::write(&path, "")?;
    mode(&path)
}

#[test]
fn a_copy_has_the_requested_permissions() -> anyhow::Result<()> {
    let usual = new_mode()?;
    for way in WAYS {
        for (source, asked, expected) in [
            (0o777, "", usual),
            (0o600, "", usual),
            (0o777, "mode=600", 0o600),
            (0o600, "mode=755", 0o755),
            (0o644, "mode=400", 0o400),
            (0o644, "mode=4755", 0o755),
        ] {
            let workdir = Workdir::new()?;
            workdir.write("source/f", b"content", source)?;
            let said = workdir.copy(&format!("with={way} {asked}"))?;
            assert!(said.contains("7 bytes"), "{way} {asked}: {said}");
            let copy = workdir.path("target").join("f");
            assert_eq!(mode(&copy)?, expected, "{way} {source:o} {asked:?}");
            assert_eq!(fs::read(copy)?, b"content");
        }
    }
    Ok(())
}

#[test]
fn a_copy_has_the_attributes_of_source_and_replaced_file() -> anyhow::Result<()> {
    for way in WAYS {
        let workdir = Workdir::new()?;
        let source = workdir.write("source/f", b"new", 0o644)?;
        let replaced = workdir.write("target/old", b"old", 0o644)?;
        for (path, name, value) in [
            (&source, "user.comment", "of the source"),
            (&source, "user.both", "of the source"),
            (&replaced, "user.both", "of the replaced one"),
            (&replaced, "user.own", "of the replaced one"),
        ] {
            setxattr(path, name, value.as_bytes(), XattrFlags::empty())?;
        }
        let said = workdir.copy(&format!("with={way} as=copy mode=644 replaces=old"))?;
        assert!(said.contains("3 bytes"), "{way}: {said}");
        let copy = workdir.path("target").join("copy");
        for (name, expected) in [
            ("user.comment", "of the source"),
            ("user.both", "of the source"),
            ("user.own", "of the replaced one"),
        ] {
            let mut value = [0; 64];
            let len = getxattr(&copy, name, &mut value[..]).context(name)?;
            assert_eq!(&value[..len], expected.as_bytes(), "{way} {name}");
        }
        // A copy in the storage has no attributes, because the quota does not count them.
        workdir.copy(&format!("with={way} as=stored to=storage mode=644"))?;
        let stored = workdir.path("storage").join("stored");
        assert!(getxattr(&stored, "user.comment", &mut [0; 64][..]).is_err());
    }
    Ok(())
}

/// A POSIX access control list: owner rw, user 1234 rw, group r, mask rw, others nothing.
fn access_list() -> Vec<u8> {
    let entry = |tag: u16, permissions: u16, id: u32| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    [
        2_u32.to_le_bytes().to_vec(),
        entry(0x01, 6, u32::MAX),
        entry(0x02, 6, 1234),
        entry(0x04, 4, u32::MAX),
        entry(0x10, 6, u32::MAX),
        entry(0x20, 0, u32::MAX),
    ]
    .concat()
}

#[test]
fn a_copy_has_only_the_acl_of_the_replaced_file() -> anyhow::Result<()> {
    const LIST: &str = "system.posix_acl_access";
    for way in WAYS {
        let workdir = Workdir::new()?;
        let source = workdir.write("source/f", b"new", 0o644)?;
        let listed = workdir.write("target/listed", b"old", 0o600)?;
        workdir.write("target/plain", b"old", 0o600)?;
        let list = access_list();
        if setxattr(&listed, LIST, &list, XattrFlags::empty()).is_err() {
            writeln!(io::stderr(), "SKIPPED: access control lists; this file system has none")?;
            return Ok(());
        }
        setxattr(&source, LIST, &list, XattrFlags::empty())?;
        // A default list applies to every new file.
        setxattr(workdir.path("target"), "system.posix_acl_default", &list, XattrFlags::empty())?;
        let has_list = |name: &str| {
            let mut value = [0; 256];
            getxattr(workdir.path("target").join(name), LIST, &mut value[..]).is_ok()
        };
        workdir.copy(&format!("with={way} as=one mode=660 replaces=listed"))?;
        workdir.copy(&format!("with={way} as=two mode=600 replaces=plain"))?;
        assert!(has_list("one"), "{way}");
        assert!(!has_list("two"), "{way}: it would be readable for another user");
        assert_eq!(mode(&workdir.path("target").join("two"))?, 0o600);
    }
    Ok(())
}

#[test]
fn root_sets_the_owner_of_the_replaced_file_or_the_source() -> anyhow::Result<()> {
    if !is_root()? {
        writeln!(io::stderr(), "SKIPPED: owners. Run as root.")?;
        return Ok(());
    }
    for way in WAYS {
        for (asked, owner) in [
            ("owner=yes", (1234, 2345)),
            ("", (0, 0)),
            ("replaces=old", (4321, 5432)),
            ("replaces=old owner=yes", (4321, 5432)),
            ("replaces=missing owner=yes", (1234, 2345)),
        ] {
            let workdir = Workdir::new()?;
            let source = workdir.write("source/f", b"new", 0o640)?;
            chown(&source, Some(1234), Some(2345))?;
            let replaced = workdir.write("target/old", b"old", 0o4755)?;
            chown(&replaced, Some(4321), Some(5432))?;
            workdir.copy(&format!("with={way} as=copy mode=640 {asked}"))?;
            let copy = fs::metadata(workdir.path("target").join("copy"))?;
            assert_eq!((copy.uid(), copy.gid()), owner, "{way} {asked}");
            assert_eq!(copy.mode() & 0o7777, 0o640, "{way} {asked}");
        }
    }
    Ok(())
}

#[test]
fn names_of_replaced_files_name_an_entry_of_the_directory() -> anyhow::Result<()> {
    for way in WAYS {
        let workdir = Workdir::new()?;
        workdir.write("source/f", b"new", 0o644)?;
        for replaces in ["../source/f", "..", "."] {
            let said = workdir.copy(&format!("with={way} mode=644 replaces={replaces}"))?;
            assert!(said.contains("InvalidArgument"), "{way} {replaces}: {said}");
        }
        assert!(!workdir.path("target").join("f").exists());
    }
    Ok(())
}

#[test]
fn a_copy_has_the_holes_of_its_source() -> anyhow::Result<()> {
    const SIZE: u64 = 40 << 20;
    for way in WAYS {
        for places in [vec![], vec![0], vec![5 << 20, 33 << 20], vec![SIZE - 1]] {
            let workdir = Workdir::new()?;
            let source = workdir.path("source").join("f");
            let mut file = File::create_new(&source)?;
            file.set_len(SIZE)?;
            for at in &places {
                file.seek(SeekFrom::Start(*at))?;
                file.write_all(b"x")?;
            }
            let said = workdir.copy(&format!("with={way} mode=644 verify=yes"))?;
            let content = fs::read(&source)?;
            let digest = blake3::hash(&content).to_hex();
            assert_eq!(said, format!("1 {SIZE} bytes {}", &digest[..16]));
            let copy = workdir.path("target").join("f");
            assert!(fs::read(&copy)? == content, "{way} {places:?}");
            let room = fs::metadata(&copy)?.blocks() * 512;
            assert!(room < 1 << 20, "{way} {places:?}: the copy takes {room} bytes");
        }
    }
    Ok(())
}

#[test]
fn an_inexpressible_time_becomes_the_time_of_the_copy() -> anyhow::Result<()> {
    for way in WAYS {
        for seconds in [10_413_792_000, 15_031_872_000] {
            let workdir = Workdir::new()?;
            let source = workdir.write("source/f", b"content", 0o644)?;
            let then = UNIX_EPOCH + Duration::from_secs(seconds);
            let file = File::options().write(true).open(&source)?;
            file.set_times(FileTimes::new().set_modified(then))?;
            if fs::metadata(&source)?.modified()? != then {
                writeln!(io::stderr(), "SKIPPED: late times; this file system has none")?;
                return Ok(());
            }
            workdir.copy(&format!("with={way} mode=644"))?;
            let copy = fs::metadata(workdir.path("target").join("f"))?.modified()?;
            assert_eq!(copy, then, "{way}");
        }
    }
    Ok(())
}

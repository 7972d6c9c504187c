//! Accesses files that are not granted, or changes files that are granted read-only.

use syncmgr_plugin::bindings::syncmgr::plugin::{directories, types};

use super::system::filesystem::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};
use super::system::preopens;
use super::{Result, attack, failure, log};

/// Names that lead out of `left`, to the adjacent `outside` or elsewhere.
const OUT: &[&str] = &[
    "..",
    "../outside",
    "../outside/secret.txt",
    "/etc/passwd",
    "/",
    "//etc/passwd",
    "sub/../../outside/secret.txt",
    "./../outside/secret.txt",
    "link-out",
    "link-out/secret.txt",
    "link-out/",
    "link-out/.",
    "link-out/../outside/secret.txt",
    "link-file",
    "link-etc/passwd",
    "zero",
    "swapped/secret.txt",
    "a.txt/../../outside/secret.txt",
    "sub/../../outside/../outside/secret.txt",
    "..\\outside\\secret.txt",
];

/// Invalid names.
const ODD: &[&str] =
    &["", ".", "a.txt/", "a.txt/.", "a.txt/..", "a\0.txt", "\0", "sub//", "%2e%2e"];

pub(super) fn preopen(name: &str) -> std::result::Result<Descriptor, types::Error> {
    let found = preopens::get_directories().into_iter().find(|(_, path)| path == name);
    found.map(|(root, _)| root).ok_or_else(|| failure(format!("there is no {name}")))
}

fn read(root: &Descriptor, path: &str) -> std::result::Result<Vec<u8>, ErrorCode> {
    let file =
        root.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), DescriptorFlags::READ)?;
    Ok(file.read(16, 0)?.0)
}

fn escape_through_wasi() -> Result<()> {
    let root = preopen("/left")?;
    let long = "x".repeat(100_000);
    let deep = "sub/".repeat(10_000);
    for path in OUT.iter().chain(ODD).copied().chain([long.as_str(), &deep]) {
        let shown = &path[..path.len().min(40)];
        attack(&format!("read {shown:?}"), read(&root, path));
        // These are inside the directory, and may be created there.
        if !matches!(
            path,
            "swapped/secret.txt" | "..\\outside\\secret.txt" | "%2e%2e" | "sub//" | "."
        ) {
            attack(
                &format!("create {shown:?}"),
                root.open_at(
                    PathFlags::SYMLINK_FOLLOW,
                    path,
                    OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
                    DescriptorFlags::WRITE,
                ),
            );
        }
    }
    for path in OUT {
        attack(&format!("stat {path}"), root.stat_at(PathFlags::SYMLINK_FOLLOW, path));
        attack(&format!("make directory {path}"), root.create_directory_at(&format!("{path}/d")));
    }
    for target in ["/etc/passwd", "/", "//x"] {
        attack(&format!("link to {target}"), root.symlink_at(target, "made"));
    }
    // A link may have any relative target; following it must not escape.
    let _ = root.symlink_at("../outside/secret.txt", "made");
    attack("follow a link of its own", read(&root, "made"));
    let _ = root.symlink_at("../outside", "made-directory");
    attack("follow a directory of its own", read(&root, "made-directory/secret.txt"));
    attack("rename out", root.rename_at("a.txt", &root, "../outside/stolen"));
    attack("rename in", root.rename_at("../outside/secret.txt", &root, "stolen"));
    attack("rename through a link", root.rename_at("a.txt", &root, "link-out/stolen"));
    attack("link in", root.link_at(PathFlags::empty(), "link-out/secret.txt", &root, "stolen"));
    attack("unlink out", root.unlink_file_at("link-out/secret.txt"));
    attack("unlink up", root.unlink_file_at("../outside/secret.txt"));
    attack("remove up", root.remove_directory_at("../outside"));
    Ok(())
}

pub(super) fn grant(name: &str) -> Result<directories::Directory> {
    directories::open_grant(name)
}

/// Copies one file in a batch.
fn copy(
    source: &directories::Directory,
    name: &str,
    target: &directories::Directory,
    new_name: &str,
) -> Result<()> {
    let request = |name: &str, target_name: &str| directories::CopyRequest {
        source,
        name: name.to_owned(),
        target,
        target_name: target_name.to_owned(),
        max_size: u64::MAX,
        verify: true,
    };
    let requests = [request("a.txt", ""), request(name, new_name), request("", "a.txt")];
    let copied = directories::copy_files(&requests).into_iter().nth(1);
    copied.ok_or_else(|| failure("there is no answer".to_owned()))?.map(drop)
}

fn escape_through_directories() -> Result<()> {
    let root = grant("left")?;
    let other = grant("left")?;
    let long = "x".repeat(100_000);
    for name in OUT.iter().chain(ODD).copied().chain([long.as_str()]) {
        let shown = &name[..name.len().min(40)];
        attack(&format!("open {shown:?}"), root.open_file(name));
        attack(&format!("enter {shown:?}"), root.open_directory(name));
        attack(&format!("copy {shown:?}"), copy(&root, name, &other, "stolen"));
        // Names of one component are inside the directory, and may exist afterwards.
        if name.contains('/') || name.len() > 255 || matches!(name, "" | "." | ".." | "\0") {
            attack(&format!("stat {shown:?}"), root.stat(name));
            attack(&format!("create {shown:?}"), root.create_file(name));
            attack(&format!("make {shown:?}"), root.create_directory(name, None));
            attack(&format!("remove {shown:?}"), root.remove_file(name));
            attack(&format!("rename to {shown:?}"), root.rename("a.txt", &other, name, true));
            attack(&format!("rename {shown:?}"), root.rename(name, &other, "stolen", true));
            attack(&format!("copy to {shown:?}"), copy(&root, "a.txt", &other, name));
            attack(&format!("link {shown:?}"), root.link(name, &other, "stolen"));
            attack(&format!("set mode of {shown:?}"), root.set_mode(name, 0o777));
            attack(&format!("read the link {shown:?}"), root.read_link(name));
        }
    }
    // A backslash is a separator on Windows only, where tests of the host cover it.
    for target in ["/etc", "../outside", "sub/../../outside", "", "//x"] {
        attack(&format!("link to {target}"), root.create_link("made", target));
    }
    for name in ["outside", "right", "", "left/", "/left", "../left", "storage", "left\0"] {
        attack(&format!("grant {name:?}"), directories::open_grant(name));
    }
    attack("storage", directories::open_storage());
    Ok(())
}

/// Opens a name repeatedly, while the test replaces it with a link and back.
fn race(much: usize) -> Result<()> {
    let (root, wasi) = (grant("left")?, preopen("/left")?);
    for _ in 0..much {
        if let Ok(inside) = root.open_directory("swapped")
            && inside.open_file("secret.txt").is_ok()
        {
            log("SUCCEEDED race through directories");
        }
        if let Ok(inside) = root.open_directory("swapped")
            && copy(&inside, "secret.txt", &root, "stolen").is_ok()
        {
            log("SUCCEEDED race through copies");
        }
        if read(&wasi, "swapped/secret.txt").is_ok() {
            log("SUCCEEDED race through WASI");
        }
    }
    Ok(())
}

fn change_through_wasi(at: &str) -> Result<()> {
    let root = preopen(at)?;
    let now = NewTimestamp::Now;
    let open = |flags, access| root.open_at(PathFlags::empty(), "a.txt", flags, access);
    attack("truncate", open(OpenFlags::TRUNCATE, DescriptorFlags::READ));
    attack("truncate to write", open(OpenFlags::TRUNCATE, DescriptorFlags::WRITE));
    attack("open to write", open(OpenFlags::empty(), DescriptorFlags::WRITE));
    let mutable = root.open_at(
        PathFlags::empty(),
        ".",
        OpenFlags::DIRECTORY,
        DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
    );
    if let Ok(mutable) = mutable {
        attack("make directory in what is open to change", mutable.create_directory_at("d"));
        attack("unlink in what is open to change", mutable.unlink_file_at("a.txt"));
        attack(
            "create in what is open to change",
            mutable.open_at(PathFlags::empty(), "new", OpenFlags::CREATE, DescriptorFlags::WRITE),
        );
    }
    attack(
        "create",
        root.open_at(PathFlags::empty(), "new", OpenFlags::CREATE, DescriptorFlags::WRITE),
    );
    if let Ok(file) = open(OpenFlags::empty(), DescriptorFlags::READ) {
        attack("write", file.write(b"x", 0));
        attack("append", file.append_via_stream());
        attack("write a stream", file.write_via_stream(0));
        attack("resize", file.set_size(0));
        attack("set times", file.set_times(now, now));
    }
    attack("set times at", root.set_times_at(PathFlags::empty(), "a.txt", now, now));
    attack("set times of itself", root.set_times(now, now));
    attack("rename", root.rename_at("a.txt", &root, "b.txt"));
    attack("hard link", root.link_at(PathFlags::empty(), "a.txt", &root, "b.txt"));
    attack("symbolic link", root.symlink_at("a.txt", "b.txt"));
    attack("unlink", root.unlink_file_at("a.txt"));
    attack("make directory", root.create_directory_at("d"));
    attack("remove directory", root.remove_directory_at("sub"));
    // Read-only entries must not become writable elsewhere.
    if let Ok(left) = preopen("/left") {
        attack("hard link out", root.link_at(PathFlags::empty(), "a.txt", &left, "stolen"));
        attack("rename out", root.rename_at("a.txt", &left, "stolen"));
        attack("rename in", left.rename_at("a.txt", &root, "a.txt"));
        attack("hard link in", left.link_at(PathFlags::empty(), "a.txt", &root, "new"));
    }
    Ok(())
}

fn change_through_directories(at: &str) -> Result<()> {
    let (root, left) = (grant(at)?, grant("left")?);
    let again = root.reopen()?;
    attack("create", root.create_file("new"));
    attack("make directory", root.create_directory("d", None));
    attack("symbolic link", root.create_link("b.txt", "a.txt"));
    attack("remove", root.remove_file("a.txt"));
    attack("remove directory", root.remove_directory("sub"));
    attack("rename", root.rename("a.txt", &again, "b.txt", true));
    attack("rename out", root.rename("a.txt", &left, "stolen", true));
    attack("rename in", left.rename("a.txt", &root, "a.txt", true));
    attack("hard link", root.link("a.txt", &again, "b.txt"));
    attack("hard link out", root.link("a.txt", &left, "stolen"));
    attack("hard link in", left.link("a.txt", &root, "new"));
    attack("set mode", root.set_mode("a.txt", 0o777));
    let sub = root.open_directory("sub")?;
    attack("create below", sub.create_file("new"));
    attack("create in the same, opened again", again.create_file("new"));
    let file = root.open_file("a.txt")?;
    let other = left.open_file("a.txt")?;
    attack("write", file.write(b"x"));
    attack("copy", file.copy_from(&other, 1));
    attack("copy from itself", file.copy_from(&file, 1));
    attack("copy among others", copy(&left, "a.txt", &root, "new"));
    attack("copy among others in the same", copy(&root, "a.txt", &again, "new"));
    attack("copy over it", copy(&left, "a.txt", &root, "a.txt"));
    attack("set modified", file.set_modified(0));
    attack("set mode of the file", file.set_mode(0o777));
    Ok(())
}

/// Creates a sparse file of the maximum size.
pub(super) fn make_sparse() -> Result<directories::Directory> {
    let root = preopen("/left")?;
    let made =
        root.open_at(PathFlags::empty(), "sparse", OpenFlags::CREATE, DescriptorFlags::WRITE);
    let size = made.and_then(|file| file.set_size(1 << 43));
    size.map_err(|error| failure(format!("{error:?}")))?;
    grant("left")
}

fn hash_forever() -> Result<()> {
    let file = make_sparse()?.open_file("sparse")?;
    attack("hash", file.hash(u64::MAX));
    Ok(())
}

/// Attempts to fill the disk.
fn copy_forever() -> Result<()> {
    let left = make_sparse()?;
    attack("copy", copy(&left, "sparse", &left, "copy"));
    Ok(())
}

fn fill_storage(much: usize) -> Result<()> {
    let storage = directories::open_storage()?;
    let piece = vec![0_u8; 64 << 10];
    for number in 0..much {
        storage.create_file(&format!("f{number}"))?.write(&piece)?;
    }
    attack::<_, ()>("filling the storage", Ok(()));
    Ok(())
}

fn corrupt_storage() -> Result<()> {
    let storage = directories::open_storage()?;
    storage.remove_file("state")?;
    storage.create_directory("state", None)?;
    storage.create_link("self", "self")?;
    storage.create_file("\u{1b}[2J")?.write(&[0xff; 100])?;
    Ok(())
}

pub(crate) fn behavior(name: &str, much: usize) -> Result<()> {
    match name {
        "escape-wasi" => escape_through_wasi(),
        "escape-directories" => escape_through_directories(),
        "race" => race(much),
        "change-wasi" => change_through_wasi("/reading"),
        "change-wasi-locked" => change_through_wasi("/locked"),
        "change-directories" => change_through_directories("reading"),
        "change-directories-locked" => change_through_directories("locked"),
        "fifo-wasi" => {
            attack("read a FIFO", read(&preopen("/left")?, "fifo"));
            Ok(())
        }
        "fifo-directories" => {
            attack("open a FIFO", grant("left")?.open_file("fifo"));
            attack("copy a FIFO", copy(&grant("left")?, "fifo", &grant("left")?, "stolen"));
            attack("enter a FIFO", grant("left")?.open_directory("fifo"));
            Ok(())
        }
        "hash-forever" => hash_forever(),
        "copy-forever" => copy_forever(),
        "fill-storage" => fill_storage(much),
        "corrupt-storage" => corrupt_storage(),
        other => panic!("there is no behavior {other}"),
    }
}

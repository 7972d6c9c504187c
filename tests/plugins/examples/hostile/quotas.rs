//! Attempts to exceed the quota of the storage, and to use processor time of the host.

use std::mem;

use syncmgr_plugin::bindings::syncmgr::plugin::{directories, types};

use super::files::{grant, make_sparse, preopen};
use super::system::filesystem::{DescriptorFlags, OpenFlags, PathFlags};
use super::{Result, attack, failure, log, nap};

const PIECE: usize = 64 << 10;

/// Writes files to a directory until that fails repeatedly. Returns the total size.
fn pour(directory: &directories::Directory, quota: usize) -> usize {
    let piece = vec![1_u8; PIECE];
    let (mut written, mut refused) = (0, 0);
    for number in 0.. {
        let made = directory.create_file(&format!("f{number}"));
        if made.and_then(|file| file.write(&piece)).is_ok() {
            written += PIECE;
        } else {
            refused += 1;
            nap(600);
        }
        if refused > 2 || written > 2 * quota {
            break;
        }
    }
    written
}

/// Creates entries until that fails. Returns the space that they use.
fn many(quota: usize, mut one: impl FnMut(usize) -> bool) -> usize {
    (0..quota / 1024).take_while(|&number| one(number)).count() * 4096
}

fn write_on(file: &directories::File, quota: usize) -> usize {
    let piece = vec![1_u8; PIECE];
    (0..2 * quota / PIECE).take_while(|_| file.write(&piece).is_ok()).count() * PIECE
}

fn below(
    directory: &directories::Directory,
    name: &str,
    mode: Option<u32>,
) -> Result<directories::Directory> {
    directory.create_directory(name, mode)?;
    directory.open_directory(name)
}

/// Checks whether the storage exceeds the quota.
fn overfill(how: &str, quota: usize) -> Result<()> {
    match fill(how, quota) {
        Ok(taken) if taken > quota => {
            attack::<_, ()>(&format!("{taken} bytes in a storage of {quota}"), Ok(()));
        }
        outcome => log(&format!("a storage of {quota}: {outcome:?}")),
    }
    Ok(())
}

/// Returns the size of the files in the storage.
fn fill(how: &str, quota: usize) -> Result<usize> {
    let storage = directories::open_storage()?;
    Ok(match how {
        "deep" => {
            let mut directory = storage.reopen()?;
            for level in 0..25 {
                directory = below(&directory, &format!("{level}{}", "d".repeat(200)), None)?;
            }
            pour(&directory, quota)
        }
        "unreadable" => {
            let directory = below(&storage, "d", Some(0o300))?;
            storage.set_mode("d", 0o300)?;
            pour(&directory, quota)
        }
        "directories" => many(quota, |n| storage.create_directory(&format!("d{n}"), None).is_ok()),
        "wasi-directories" => {
            let root = preopen("/storage")?;
            many(quota, |n| root.create_directory_at(&format!("d{n}")).is_ok())
        }
        "wasi-links" => {
            let (root, text) = (preopen("/storage")?, "t".repeat(4000));
            many(quota, |n| root.symlink_at(&text, &format!("s{n}")).is_ok())
        }
        "wasi-names" => {
            let root = preopen("/storage")?;
            let link = |n: usize| {
                root.link_at(PathFlags::empty(), "state", &root, &format!("l{n}")).is_ok()
            };
            many(quota, link)
        }
        "wasi-files" => {
            let root = preopen("/storage")?;
            let (flags, how) = (PathFlags::empty(), DescriptorFlags::WRITE);
            let make = |n: usize| root.open_at(flags, &format!("f{n}"), OpenFlags::CREATE, how);
            many(quota, |n| make(n).is_ok())
        }
        "names" => many(quota, |n| storage.link("state", &storage, &format!("l{n}")).is_ok()),
        // A granted file gets a second name in the storage, and grows through its first one.
        "shared" => {
            let left = grant("left")?;
            let file = left.create_file("f")?;
            left.link("f", &storage, "f")?;
            write_on(&file, quota)
        }
        "shared-by-wasi" => {
            let left = grant("left")?;
            drop(left.create_file("f")?);
            left.link("f", &storage, "f")?;
            let (flags, how) = (PathFlags::empty(), DescriptorFlags::WRITE);
            let file = preopen("/left")?.open_at(flags, "f", OpenFlags::empty(), how);
            let file = file.map_err(|error| failure(format!("{error:?}")))?;
            let piece = vec![1_u8; PIECE];
            let write = |n: &usize| file.write(&piece, (n * PIECE) as u64).is_ok();
            (0..2 * quota / PIECE).take_while(write).count() * PIECE
        }
        "moved" => {
            let left = grant("left")?;
            let file = left.create_file("f")?;
            left.rename("f", &storage, "f", true)?;
            write_on(&file, quota)
        }
        "moved-directory" => {
            let left = grant("left")?;
            let directory = below(&left, "d", None)?;
            left.rename("d", &storage, "d", true)?;
            pour(&directory, quota)
        }
        "removed-name" => {
            let mut taken = 0;
            for number in 0..10 {
                let file = storage.create_file("f")?;
                taken += write_on(&file, quota / 4);
                storage.link("f", &storage, &format!("kept-{number}"))?;
                storage.remove_file("f")?;
            }
            taken
        }
        "open" => {
            let mut taken = 0;
            for _ in 0..10 {
                let file = storage.create_file("f")?;
                taken += write_on(&file, quota / 4);
                mem::forget(storage.open_file("f")?);
                drop(file);
                storage.remove_file("f")?;
            }
            taken
        }
        other => panic!("there is no way {other}"),
    })
}

/// Makes the host hash the same bytes without end, in small parts.
fn hash_again() -> Result<()> {
    let left = grant("left")?;
    left.create_file("real")?.write(&vec![1_u8; 1 << 20])?;
    loop {
        left.open_file("real")?.hash(u64::MAX)?;
    }
}

/// Makes the host copy nothing, in large requests.
fn copy_again() -> Result<()> {
    let left = preopen("/left")?;
    let (flags, how) = (PathFlags::empty(), DescriptorFlags::WRITE);
    let file = left.open_at(flags, "sparse", OpenFlags::CREATE, how);
    let size = file.and_then(|file| file.set_size(4 << 20));
    size.map_err(|error| failure(format!("{error:?}")))?;
    let left = grant("left")?;
    loop {
        let request = directories::CopyRequest {
            source: &left,
            name: "sparse".to_owned(),
            target: &left,
            target_name: "copy".to_owned(),
            max_size: u64::MAX,
            verify: true,
        };
        drop(directories::copy_files(&[request]));
        left.remove_file("copy")?;
    }
}

fn hash_sparse() -> Result<()> {
    let file = make_sparse()?.open_file("sparse")?;
    loop {
        file.hash(4 << 20)?;
    }
}

fn look_again() -> Result<()> {
    let left = grant("left")?;
    loop {
        left.stat("a.txt")?;
    }
}

/// Creates links that stay inside, and moves them to where they escape.
fn move_links() -> Result<()> {
    let left = grant("left")?;
    let x = below(&left, "x", None)?;
    let y = below(&x, "y", None)?;
    let z = below(&y, "z", None)?;
    z.create_link("l", "../../../a.txt")?;
    z.create_link("m", "../../../a.txt")?;
    attack("move a link up", z.rename("l", &left, "out", true));
    attack("give a link a name further up", z.link("m", &left, "out"));
    attack("move the directory of a link up", x.rename("y", &left, "y", true));
    let root = preopen("/left")?;
    attack("move a link up by WASI", root.rename_at("x/y/z/l", &root, "out"));
    attack("move a directory up by WASI", root.rename_at("x/y", &root, "y"));
    let named = root.link_at(PathFlags::empty(), "x/y/z/m", &root, "out");
    attack("give a link a name further up by WASI", named);
    attack("make a link that leads out by WASI", root.symlink_at("../a.txt", "out"));
    attack("make one further down", root.symlink_at("../../a.txt", "x/out"));
    let _ = root.symlink_at(".", "here");
    attack("make one that only seems further down", root.symlink_at("../a.txt", "here/out"));
    // An open directory that is moved keeps its identity.
    z.remove_file("l")?;
    z.remove_file("m")?;
    y.rename("z", &left, "z", true)?;
    attack("make a link in what was moved up", z.create_link("l", "../../../a.txt"));
    // Links that stay inside are permitted.
    let harmless = [
        z.create_link("l", "../a.txt"),
        z.rename("l", &y, "l", true),
        root.symlink_at("../a.txt", "x/in").map_err(|error| failure(format!("{error:?}"))),
    ];
    match harmless.into_iter().collect::<std::result::Result<(), types::Error>>() {
        Ok(()) => Ok(()),
        Err(error) => Err(failure(format!("a harmless link was refused: {error:?}"))),
    }
}

/// `Err`: an unknown behavior.
pub(crate) fn behavior(name: &str, much: usize) -> std::result::Result<Result<()>, ()> {
    Ok(match name {
        "overfill" => overfill(&super::setting("how"), much),
        "hash-again" => hash_again(),
        "hash-sparse" => hash_sparse(),
        "copy-again" => copy_again(),
        "look-again" => look_again(),
        "move-links" => move_links(),
        _ => return Err(()),
    })
}

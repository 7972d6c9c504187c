//! The commands that operate on files.

use std::io::Write;
use std::iter;

use syncmgr_plugin::bindings::syncmgr::plugin::directories;

use super::wasi::{DescriptorFlags, OpenFlags, PathFlags};
use super::wasi_02::wasi::filesystem::preopens;
use super::{Arguments, Result};

/// File operations through WASI, named as in the standard library.
pub(super) fn run(command: &str, arguments: &Arguments<'_>) -> std::io::Result<String> {
    let path = arguments.get("path").unwrap_or_default();
    let to = arguments.get("to").unwrap_or_default();
    let bytes: usize = arguments.number("bytes").unwrap_or(0);
    let open = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true);
        options
    };
    match command {
        "fill" => std::fs::write(path, vec![1; bytes])?,
        "append" => open().append(true).open(path)?.write_all(&vec![1; bytes])?,
        "resize" => open().create(true).open(path)?.set_len(bytes as u64)?,
        "truncate" => drop(open().truncate(true).open(path)?),
        "rewrite" => {
            for _ in 0..arguments.number("times").unwrap_or(1_u32) {
                open().open(&path)?.write_all(&vec![2; bytes])?;
            }
        }
        "rename" => std::fs::rename(path, to)?,
        "link" => std::fs::hard_link(path, to)?,
        "remove" => std::fs::remove_file(path)?,
        "rmdir" => std::fs::remove_dir(path)?,
        "mkdir" => std::fs::create_dir(path)?,
        "touch" => {
            let file = std::fs::File::open(path)?;
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)?;
        }
        "nameless" => {
            let mut held = Vec::new();
            for number in 0..arguments.number("times").unwrap_or(0_u32) {
                let place = format!("{path}{number}");
                let Ok(mut file) = std::fs::File::create(&place) else { break };
                std::fs::remove_file(&place)?;
                // The host measures at most once per second.
                std::thread::sleep(std::time::Duration::from_millis(1050));
                if file.write_all(&vec![1; bytes]).is_err() || file.sync_all().is_err() {
                    break;
                }
                held.push(file);
            }
            return Ok(held.len().to_string());
        }
        "names" => {
            let mut written = 0_u32;
            for number in 0..arguments.number("times").unwrap_or(0_u32) {
                let (one, other) = (format!("{path}{number}"), format!("{to}{number}"));
                if std::fs::write(&one, vec![1; bytes]).is_err() {
                    break;
                }
                std::fs::hard_link(&one, other)?;
                std::fs::remove_file(one)?;
                written += 1;
            }
            return Ok(written.to_string());
        }
        "streams" | "listings" => {
            let (storage, _) = preopens::get_directories().pop().expect("there is a storage");
            let mut held = Vec::new();
            let mut listings = Vec::new();
            for _ in 0..arguments.number("count").unwrap_or(0_u32) {
                if command == "listings" {
                    let Ok(listing) = storage.read_directory() else { break };
                    listings.push(listing);
                    continue;
                }
                let (follow, read) = (PathFlags::empty(), DescriptorFlags::READ);
                let open = OpenFlags::empty();
                let Ok(file) = storage.open_at(follow, "file", open, read) else { break };
                held.push(file.read_via_stream(0).expect("it is a file"));
            }
            return Ok((held.len() + listings.len()).to_string());
        }
        "locks" => {
            let storage = directories::open_storage().expect("there is a storage");
            let count = arguments.number("count").unwrap_or(0_u32);
            let lock = |number: u32| {
                let name = format!("lock{number}");
                let _ = storage.create_directory(&name, None);
                storage.open_directory(&name).and_then(|directory| directory.lock()).ok()
            };
            let locks: Vec<_> = (0..count).map_while(lock).collect();
            return Ok(locks.len().to_string());
        }
        "lock" => {
            let name = arguments.get("dir").unwrap_or_default();
            let locked = directories::open_grant(&name).and_then(|directory| directory.lock());
            // Kept until the session ends, unless it is to be released at once.
            let held = |lock| match arguments.get("release") {
                Some(_) => drop(lock),
                None => std::mem::forget(lock),
            };
            return Ok(locked
                .map(held)
                .map_or_else(|error| format!("{:?}", error.code), |()| "ok".into()));
        }
        "copies" => return Ok(copies(arguments)),
        "flush" => return Ok(flush(arguments.number("count").unwrap_or(0_usize))),
        "flush-directories" => return Ok(flush_directories(arguments)),
        "hoard" => {
            let count = arguments.number("count").unwrap_or(0_u32);
            let held: Vec<_> = (0..count).map_while(|_| std::fs::File::open(&path).ok()).collect();
            return Ok(held.len().to_string());
        }
        other => panic!("there is no command {other}"),
    }
    Ok("ok".to_owned())
}

/// Copies files, whose names are separated by commas, from one grant to another, each of them this
/// number of times, optionally under new names. Logs the result of each copy, and keeps all copies
/// open until the end.
fn copies(arguments: &Arguments<'_>) -> String {
    let open = |role: &str| match arguments.get(role).as_deref() {
        Some("storage") => directories::open_storage(),
        name => directories::open_grant(name.unwrap_or_default()),
    };
    let (source, target) =
        (open("from").expect("the source is granted"), open("to").expect("the target is granted"));
    let names = arguments.get("files").unwrap_or_default();
    let new_names = arguments.get("as").unwrap_or_else(|| names.clone());
    let pairs: Vec<_> = names.split(',').zip(new_names.split(',')).collect();
    let times = arguments.number("times").unwrap_or(1_usize);
    let requests: Vec<_> = (0..times)
        .flat_map(|_| &pairs)
        .map(|(name, new_name)| directories::CopyRequest {
            source: &source,
            name: (*name).to_owned(),
            target: &target,
            target_name: (*new_name).to_owned(),
            max_size: arguments.number("max").unwrap_or(u64::MAX),
            verify: arguments.get("verify").is_some(),
        })
        .collect();
    let attributes = || directories::CopyAttributes {
        mode: arguments.get("mode").and_then(|mode| u32::from_str_radix(&mode, 8).ok()),
        replaces: arguments.get("replaces"),
        owner: arguments.get("owner").is_some(),
    };
    let copied = match arguments.get("with").as_deref() {
        None => directories::copy_files(&requests),
        Some("alone") => {
            requests.iter().map(|request| copy_alone(request, &attributes())).collect()
        }
        Some(_) => {
            let requests: Vec<_> = requests.into_iter().map(|one| (one, attributes())).collect();
            directories::copy_files_with(&requests)
        }
    };
    let describe = |copied: &Result<directories::CopiedFile>| match copied {
        Ok(copied) => {
            let digest = copied.digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            format!("{} bytes {}", copied.source.size, &digest[..16])
        }
        Err(error) => format!("{:?}", error.code),
    };
    let results: Vec<_> = copied.iter().map(describe).collect();
    let rows = results.chunk_by(|one, other| one == other);
    rows.map(|row| format!("{} {}", row.len(), row[0])).collect::<Vec<_>>().join(", ")
}

/// Copies one file in the way for large files.
fn copy_alone(
    request: &directories::CopyRequest<'_>,
    attributes: &directories::CopyAttributes,
) -> Result<directories::CopiedFile> {
    let from = request.source.open_file(&request.name)?;
    let copy = request.target.create_copy(&request.target_name, &from, attributes)?;
    while copy.copy_from(&from, 1 << 20)? > 0 {}
    let source = from.metadata()?;
    copy.set_modified(source.modified)?;
    Ok(directories::CopiedFile { source, digest: from.digest(), copy })
}

/// Flushes a file that is open for reading, and then one that is open for writing, repeatedly. Logs
/// equal consecutive answers together.
fn flush(count: usize) -> String {
    let storage = directories::open_storage().expect("there is a storage");
    let written = storage.create_file("flushed").expect("it is new");
    let read = storage.open_file("flushed").expect("it exists");
    let files: Vec<_> = iter::once(&read).chain(iter::repeat(&written)).take(count).collect();
    describe_flushed(directories::flush_files(&files))
}

/// Flushes the storage, or a directory that is granted under a name, repeatedly.
fn flush_directories(arguments: &Arguments<'_>) -> String {
    let opened = match arguments.get("name") {
        Some(name) => directories::open_grant(&name),
        None => directories::open_storage(),
    };
    let directory = opened.expect("it exists");
    let count = arguments.number("count").unwrap_or(0_usize);
    let all: Vec<_> = iter::repeat_n(&directory, count).collect();
    describe_flushed(directories::flush_directories(&all))
}

fn describe_flushed(flushed: Vec<Result<()>>) -> String {
    let flushed = flushed.into_iter();
    let answers: Vec<_> = flushed.map(|one| one.map_err(|error| error.code)).collect();
    let rows = answers.chunk_by(|one, other| one == other);
    rows.map(|row| format!("{:?} {}", row[0], row.len())).collect::<Vec<_>>().join(", ")
}

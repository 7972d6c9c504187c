//! Opens handles without closing them.

use std::mem;

use syncmgr_plugin::bindings::syncmgr::plugin::{directories, synchronize_callback as callback};

use super::{Result, attack, failure, log, system};

fn granted(name: &str) -> std::result::Result<directories::Directory, String> {
    directories::open_grant(name).map_err(|error| format!("{:?}", error.code))
}

/// Opens handles until the host rejects one or the number is reached.
fn take<T>(much: usize, one: impl Fn() -> std::result::Result<T, String>) -> Result<()> {
    for taken in 0..much {
        match one() {
            Ok(handle) => mem::forget(handle),
            Err(error) => {
                log(&format!("taken {taken}"));
                return Err(failure(error));
            }
        }
    }
    attack::<_, ()>("taking", Ok(()));
    Ok(())
}

/// `Err`: an unknown behavior.
pub(crate) fn behavior(name: &str, much: usize) -> std::result::Result<Result<()>, ()> {
    let opened = || granted("left").map_err(failure);
    Ok(match name {
        "leak-pollables" => {
            take(much, || Ok(system::monotonic_clock::subscribe_duration(u64::MAX)))
        }
        "leak-subscriptions" => take(much, || Ok(callback::subscribe_cancelled(None))),
        "leak-directories" => take(much, || granted("left")),
        "leak-reopened" => opened().and_then(|directory| {
            take(much, || directory.reopen().map_err(|error| format!("{:?}", error.code)))
        }),
        "leak-listings" => opened().and_then(|directory| {
            take(much, || directory.list().map_err(|error| format!("{:?}", error.code)))
        }),
        "leak-files" => opened().and_then(|directory| {
            take(much, || directory.open_file("a.txt").map_err(|error| format!("{:?}", error.code)))
        }),
        "leak-descriptors" => take(much, || {
            let (root, _) = system::preopens::get_directories().remove(0);
            root.open_at(
                system::filesystem::PathFlags::empty(),
                "a.txt",
                system::filesystem::OpenFlags::empty(),
                system::filesystem::DescriptorFlags::READ,
            )
            .map_err(|error| format!("{error:?}"))
        }),
        "leak-streams" => {
            let (root, _) = system::preopens::get_directories().remove(0);
            let file = root.open_at(
                system::filesystem::PathFlags::empty(),
                "a.txt",
                system::filesystem::OpenFlags::empty(),
                system::filesystem::DescriptorFlags::READ,
            );
            match file {
                Ok(file) => {
                    take(much, || file.read_via_stream(0).map_err(|error| format!("{error:?}")))
                }
                Err(error) => Err(failure(format!("{error:?}"))),
            }
        }
        _ => return Err(()),
    })
}

//! What a run may do beyond its sandbox: nothing that it does not need. Should a plugin ever leave
//! WebAssembly, it is in a thread that reaches the granted directories and no other files, starts
//! no program and opens no connection.
//!
//! It is the kernel that sees to it: Landlock and seccomp on Linux. Where it does not know them, the
//! run is as it was.

use std::path::PathBuf;

use syncmgr_host::Access;

/// Directories that a run needs, and what for.
pub(crate) type Places = Vec<(PathBuf, Access)>;

/// Does something on a thread that is confined to these directories, with all threads that it
/// starts. This thread stays as it is.
#[cfg(target_os = "linux")]
pub(crate) fn confined<T: Send>(
    places: &Places,
    run: impl FnOnce() -> T + Send,
) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("syncmgr-run".to_owned());
        let confined = thread.spawn_scoped(scope, || {
            confine(places);
            run()
        })?;
        match confined.join() {
            Ok(done) => Ok(done),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn confined<T: Send>(
    _places: &Places,
    run: impl FnOnce() -> T + Send,
) -> std::io::Result<T> {
    Ok(run())
}

/// Confines this thread to these directories for good, with all threads that it starts.
pub(crate) fn confine(places: &Places) {
    // A kernel without them is no reason not to run.
    #[cfg(target_os = "linux")]
    {
        let _ = linux::restrict_files(places);
        let _ = linux::restrict_calls();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = places;
}

/// Keeps what this process knows out of core dumps, and from other processes of the user.
pub(crate) fn hide_memory() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // A limit can always be lowered.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
        RulesetCreatedAttr, RulesetError, Scope,
    };
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    use syncmgr_host::Access;

    use super::Places;

    /// What is restricted where the kernel knows it; of an older one, what that knows.
    const VERSION: ABI = ABI::V6;

    /// Restricts this thread, and those that it starts, to these directories.
    pub(super) fn restrict_files(places: &Places) -> Result<(), RulesetError> {
        let mut rules = Ruleset::default()
            .handle_access(AccessFs::from_all(VERSION))?
            .handle_access(AccessNet::from_all(VERSION))?
            .scope(Scope::AbstractUnixSocket)?
            .create()?;
        for (path, access) in places {
            // One that is not there cannot be used in this run.
            if let Ok(directory) = PathFd::new(path) {
                rules = rules.add_rule(PathBeneath::new(directory, rights(*access)))?;
            }
        }
        rules.restrict_self()?;
        Ok(())
    }

    fn rights(access: Access) -> BitFlags<AccessFs> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let never = AccessFs::MakeChar
            | AccessFs::MakeBlock
            | AccessFs::MakeSock
            | AccessFs::MakeFifo
            | AccessFs::IoctlDev;
        match access {
            Access::ReadOnly => read,
            Access::ReadWrite => read | (AccessFs::from_write(VERSION) & !never),
        }
    }

    /// Calls of the system that no run makes, and that lead out of it.
    const REFUSED: &[i64] = &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_open_by_handle_at,
        libc::SYS_io_uring_setup,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_mknodat,
    ];

    /// Refuses calls that no run makes, on this thread and those that it starts.
    pub(super) fn restrict_calls() -> Result<(), Box<dyn std::error::Error>> {
        let filter = SeccompFilter::new(
            REFUSED.iter().map(|call| (*call, Vec::new())).collect::<BTreeMap<_, _>>(),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM.unsigned_abs()),
            std::env::consts::ARCH.try_into()?,
        )?;
        seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use std::fs;
        use std::net::TcpListener;
        use std::process::Command;

        use super::*;
        use crate::second_line::confined;

        #[test]
        fn a_confined_thread_reaches_what_it_was_given() {
            let home = tempfile::tempdir().unwrap();
            let path = |name: &str| home.path().join(name);
            for folder in ["reading", "changing", "other"] {
                fs::create_dir(path(folder)).unwrap();
                fs::write(path(folder).join("file"), "12345").unwrap();
            }
            let places = vec![
                (path("reading"), Access::ReadOnly),
                (path("changing"), Access::ReadWrite),
                (path("nowhere"), Access::ReadWrite),
            ];
            confined(&places, || {
                assert!(fs::read(path("reading/file")).is_ok());
                assert!(fs::read_dir(path("reading")).is_ok());
                fs::write(path("changing/new"), "x").unwrap();
                fs::create_dir(path("changing/folder")).unwrap();
                fs::rename(path("changing/new"), path("changing/folder/new")).unwrap();
                fs::hard_link(path("changing/folder/new"), path("changing/again")).unwrap();
                fs::remove_file(path("changing/folder/new")).unwrap();
                // What a thread starts is confined as well.
                let inner = std::thread::scope(|scope| {
                    scope.spawn(|| Command::new("/bin/true").status().is_ok()).join().unwrap()
                });
                assert!(!inner, "a program was started");
                assert!(TcpListener::bind("127.0.0.1:0").is_err());
                // The kernel of these tests may be one without Landlock.
                if restricts_files() {
                    assert!(fs::write(path("reading/new"), "x").is_err());
                    assert!(fs::remove_file(path("reading/file")).is_err());
                    assert!(fs::read(path("other/file")).is_err());
                    assert!(fs::read("/etc/passwd").is_err());
                    assert!(fs::read_dir("/").is_err());
                }
            })
            .unwrap();
            // The thread that asked for it is not.
            assert!(Command::new("/bin/true").status().unwrap().success());
            assert!(fs::read(path("other/file")).is_ok());
        }

        #[test]
        fn hidden_memory_is_in_no_core_dump() {
            use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
            super::super::hide_memory();
            assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
            assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        }

        fn restricts_files() -> bool {
            fs::read("/etc/passwd").is_err()
        }
    }
}

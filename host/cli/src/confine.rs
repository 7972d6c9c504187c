//! A second sandbox around a run. A plugin that escapes from WebAssembly is in a thread that
//! accesses only the granted directories, and cannot start programs or open connections. Requests to
//! granted servers are sent by another thread.
//!
//! The kernel enforces this: Landlock and seccomp on Linux. A kernel without them restricts
//! nothing.

use std::path::PathBuf;

use syncmgr_host::Access;

/// The directories that a run accesses.
pub(crate) type Directories = Vec<(PathBuf, Access)>;

/// Runs something on a thread that is confined to these directories, with all threads that it
/// starts. The calling thread is not confined.
#[cfg(target_os = "linux")]
pub(crate) fn confined<T: Send>(
    directories: &Directories,
    run: impl FnOnce() -> T + Send,
) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("syncmgr-run".to_owned());
        let confined = thread.spawn_scoped(scope, || {
            confine(directories);
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
    _directories: &Directories,
    run: impl FnOnce() -> T + Send,
) -> std::io::Result<T> {
    Ok(run())
}

/// Permanently confines this thread to these directories, with all threads that it starts.
pub(crate) fn confine(directories: &Directories) {
    // A kernel without them does not prevent the run.
    #[cfg(target_os = "linux")]
    {
        let _ = linux::restrict_files(directories);
        let _ = linux::restrict_calls();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = directories;
}

/// Disables core dumps, and access of other processes of the user to the memory of this process.
pub(crate) fn disable_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // A process may always lower a limit.
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

    use super::Directories;

    /// The restrictions, or the subset that an older kernel supports.
    const VERSION: ABI = ABI::V6;

    /// Restricts this thread and the threads that it starts to these directories.
    pub(super) fn restrict_files(directories: &Directories) -> Result<(), RulesetError> {
        let mut rules = Ruleset::default()
            .handle_access(AccessFs::from_all(VERSION))?
            .handle_access(AccessNet::from_all(VERSION))?
            .scope(Scope::AbstractUnixSocket)?
            .create()?;
        for (path, access) in directories {
            // A missing directory is not accessible in this run.
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

    /// System calls that no run needs and that could escape from it.
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

    /// Denies these calls on this thread and the threads that it starts.
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
        use crate::confine::confined;

        #[test]
        fn a_confined_thread_accesses_only_its_directories() {
            let home = tempfile::tempdir().unwrap();
            let path = |name: &str| home.path().join(name);
            for folder in ["reading", "changing", "other"] {
                fs::create_dir(path(folder)).unwrap();
                fs::write(path(folder).join("file"), "12345").unwrap();
            }
            let directories = vec![
                (path("reading"), Access::ReadOnly),
                (path("changing"), Access::ReadWrite),
                (path("nowhere"), Access::ReadWrite),
            ];
            confined(&directories, || {
                assert!(fs::read(path("reading/file")).is_ok());
                assert!(fs::read_dir(path("reading")).is_ok());
                fs::write(path("changing/new"), "x").unwrap();
                fs::create_dir(path("changing/folder")).unwrap();
                fs::rename(path("changing/new"), path("changing/folder/new")).unwrap();
                fs::hard_link(path("changing/folder/new"), path("changing/again")).unwrap();
                fs::remove_file(path("changing/folder/new")).unwrap();
                // A thread that it starts is also confined.
                let inner = std::thread::scope(|scope| {
                    scope.spawn(|| Command::new("/bin/true").status().is_ok()).join().unwrap()
                });
                assert!(!inner, "a program was started");
                assert!(TcpListener::bind("127.0.0.1:0").is_err());
                // The kernel may not support Landlock.
                if restricts_files() {
                    assert!(fs::write(path("reading/new"), "x").is_err());
                    assert!(fs::remove_file(path("reading/file")).is_err());
                    assert!(fs::read(path("other/file")).is_err());
                    assert!(fs::read("/etc/passwd").is_err());
                    assert!(fs::read_dir("/").is_err());
                }
            })
            .unwrap();
            // The calling thread is not confined.
            assert!(Command::new("/bin/true").status().unwrap().success());
            assert!(fs::read(path("other/file")).is_ok());
        }

        #[test]
        fn core_dumps_are_disabled() {
            use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
            super::super::disable_core_dumps();
            assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
            assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        }

        fn restricts_files() -> bool {
            fs::read("/etc/passwd").is_err()
        }
    }
}

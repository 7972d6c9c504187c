//! Compiles untrusted components in a child process of the program, which the host can terminate.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use syncmgr_host::{CompilerProgram, HostOptions};

use crate::confine::{Directories, confine};

/// The only argument of the compiler process. It is not a subcommand, since only the host starts
/// it.
const ARGUMENT: &str = "compile-for-host";

/// Returns whether this is a compiler process.
pub(crate) fn is_meant() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|first| first == ARGUMENT) && arguments.next().is_none()
}

/// Compiles for the host that started this process, without access to files.
pub(crate) fn serve() -> ExitCode {
    confine(&Directories::new());
    syncmgr_host::compile_for_host()
}

/// Makes a host compile in a separate process.
pub(crate) fn in_own_process(options: HostOptions) -> HostOptions {
    match program() {
        Ok(program) => options.compiler(CompilerProgram::new(program, [ARGUMENT])),
        // Without the path of the program, the host compiles in this process.
        Err(_) => options,
    }
}

fn program() -> std::io::Result<PathBuf> {
    // This is the running program even if its file was replaced.
    let running = Path::new("/proc/self/exe");
    match cfg!(target_os = "linux") && running.exists() {
        true => Ok(running.to_owned()),
        false => std::env::current_exe(),
    }
}

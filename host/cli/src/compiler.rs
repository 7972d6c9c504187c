//! This program as the compiler of its own host: compiling a stranger's component takes place in a
//! process that can be ended.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use syncmgr_host::{CompilerProgram, HostOptions};

use crate::second_line::{Places, confine};

/// The only argument of such a process. It is no subcommand: nobody else starts one.
const ARGUMENT: &str = "compile-for-host";

/// Whether this process was started to compile.
pub(crate) fn is_meant() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|first| first == ARGUMENT) && arguments.next().is_none()
}

/// Compiles for the host that has started this process, with no files at all.
pub(crate) fn serve() -> ExitCode {
    confine(&Places::new());
    syncmgr_host::compile_for_host()
}

/// Has a host compile in a separate process.
pub(crate) fn in_own_process(options: HostOptions) -> HostOptions {
    match program() {
        Ok(program) => options.compiler(CompilerProgram::new(program, [ARGUMENT])),
        // Without its own path, the program compiles as the library does.
        Err(_) => options,
    }
}

fn program() -> std::io::Result<PathBuf> {
    // The same program even where its file was replaced since it was started.
    let running = Path::new("/proc/self/exe");
    match cfg!(target_os = "linux") && running.exists() {
        true => Ok(running.to_owned()),
        false => std::env::current_exe(),
    }
}

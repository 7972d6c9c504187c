//! Compiling in a separate process, and its limits.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use conformance::corpus::bytes;
use syncmgr_host::{
    CompilerProgram, Host, HostOptions, LoadError, LoadLimits, RunRequest, SessionOptions,
    full_message,
};

/// Creates a host that compiles with a shell script.
fn host(script: &str, change: impl FnOnce(&mut LoadLimits)) -> Result<Host> {
    with(CompilerProgram::new("/bin/sh", ["-c", script]), change)
}

fn with(program: CompilerProgram, change: impl FnOnce(&mut LoadLimits)) -> Result<Host> {
    let mut limits = LoadLimits::default();
    change(&mut limits);
    Ok(Host::with_options(HostOptions::new().limits(limits).compiler(program))?)
}

/// The compiler of this program.
fn syncmgr(change: impl FnOnce(&mut LoadLimits)) -> Result<Host> {
    with(CompilerProgram::new(env!("CARGO_BIN_EXE_syncmgr"), ["compile-for-host"]), change)
}

fn script() -> Result<Vec<u8>> {
    Ok(fs::read(conformance::SCRIPT)?)
}

#[test]
fn code_compiled_by_another_process_runs() -> Result<()> {
    let host = syncmgr(|_| {})?;
    let plugin = host.load("script", &script()?)?;
    let options = SessionOptions::new().setting("items", "a");
    let report = plugin.run(options, syncmgr_host::sink::Discard, &RunRequest::default())?;
    ensure!(report.items.len() == 1, "{report:?}");
    // A host that compiles in its own process can use the result, too.
    let compiled = host.precompile("script", &script()?)?;
    ensure!(Host::new()?.compatibility() == host.compatibility());
    // SAFETY: these are the bytes that `precompile` has just returned.
    #[expect(unsafe_code, reason = "what is compiled is native code")]
    let loaded = unsafe { Host::new()?.load_precompiled("script", &compiled) };
    loaded?;
    Ok(())
}

#[test]
fn a_compiler_that_hangs_is_terminated_in_time() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("pid");
    let script_of = |last: &str| format!("echo $$ >{}; {last}", file.display());
    for last in ["exec sleep 600", "cat >/dev/null; exec sleep 600", "printf +; exec sleep 600"] {
        let host = host(&script_of(last), |limits| {
            limits.compile_time = Duration::from_millis(300);
        })?;
        let error = host.load("script", &script()?).err().context("it loads")?;
        ensure!(matches!(error, LoadError::CompileTime { .. }), "{last}: {error}");
        let process = fs::read_to_string(&file)?;
        let alive = Command::new("kill").args(["-0", process.trim()]).output()?.status.success();
        ensure!(!alive, "{last}: the process is still running");
    }
    Ok(())
}

#[test]
fn a_compiler_failure_is_distinct_from_a_lack_of_memory() -> Result<()> {
    for (last, code, words) in [
        ("printf -- '-the words'", "load-compile", "the words"),
        ("exit 3", "load-compile", "exit status: 3"),
        ("echo 'no such thing' >&2; exit 1", "load-compile", "no such thing"),
        ("kill -SEGV $$", "load-compile", "signal: 11"),
        ("cat /dev/zero", "load-compile", "without a result"),
        ("printf '+no code'", "load-compile", ""),
        (
            "echo 'memory allocation of 5 bytes failed' >&2; kill -ABRT $$",
            "load-compile-memory",
            "compile-memory",
        ),
    ] {
        let host = host(last, |limits| limits.compile_memory = 1 << 20)?;
        let error = host.load("script", &script()?).err().context("it loads")?;
        ensure!(error.code() == code, "{last}: {error}");
        ensure!(full_message(&error).contains(words), "{last}: {error:?}");
    }
    let nowhere = with(CompilerProgram::new("/nowhere/compiler", [""; 0]), |_| {})?;
    let error = nowhere.load("script", &script()?).err().context("it loads")?;
    ensure!(full_message(&error).contains("cannot start /nowhere/compiler"), "{error:?}");
    Ok(())
}

#[test]
fn the_compiler_does_not_inherit_the_environment() -> Result<()> {
    // The environment that every process of these tests has.
    ensure!(std::env::var_os("PATH").is_some());
    let host = host("cat >/dev/null; printf -; /usr/bin/env; pwd", |_| {})?;
    let error = full_message(&host.load("script", &script()?).err().context("it loads")?);
    for name in ["CARGO", "HOME=", "USER="] {
        ensure!(!error.contains(name), "{error}");
    }
    Ok(())
}

/// Runs the program with a component.
fn run(component: &Path, state: &Path, limit: &str) -> Result<(i32, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_syncmgr"))
        .args(["run", "--limit", limit, "--state-dir"])
        .arg(state)
        .arg(component)
        .output()?;
    let status = output.status.code().context("a signal ended it")?;
    Ok((status, String::from_utf8(output.stderr)?))
}

#[test]
fn the_program_compiles_within_its_limits() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (component, state) = (home.path().join("large.wasm"), home.path().join("state"));
    fs::write(&component, bytes::many_functions()?)?;
    for (limit, code) in [
        ("compile-memory=48MiB", "load-compile-memory"),
        ("compile-time=20ms", "load-compile-time"),
    ] {
        let (status, said) = run(&component, &state, limit)?;
        ensure!(status == 2 && said.contains(code), "{limit}: {status} {said}");
    }
    let (status, said) = run(Path::new(conformance::SCRIPT), &state, "compile-memory=1GiB")?;
    ensure!(status == 0, "{said}");
    Ok(())
}

/// Code that would take gigabytes of memory to compile is rejected before the compiler starts.
#[test]
fn code_that_grows_in_compilation_is_rejected_first() -> Result<()> {
    for (make, option) in [
        (bytes::locals_in_loops as fn() -> Result<Vec<u8>>, "function-joins"),
        (bytes::locals_across_blocks, "function-joins"),
        (bytes::branches_with_locals, "function-joins"),
        (bytes::blocks_with_parameters, "function-joins"),
        (bytes::many_joining_functions, "total-joins"),
    ] {
        // A program that is not a compiler would fail differently.
        let host = host("exit 9", |_| {})?;
        match host.load("large", &make()?) {
            Err(LoadError::TooLarge { option: found, .. }) => {
                ensure!(found == option, "{found}, not {option}");
            }
            other => anyhow::bail!("{option}: {other:?}"),
        }
    }
    Ok(())
}

//! Failed writes to the output, and other operations that a system may reject.

use super::*;
use std::fs::File;
use std::process::Stdio;

/// Commands that print something, in a home with the plugin `mine`.
const PRINTING: [&[&str]; 18] = [
    &["--help"],
    &["--version"],
    &["run", "--help"],
    &["inspect", "folder"],
    &["inspect", "folder", "--json"],
    &["validate", "folder"],
    &["validate", "folder", "--json"],
    &["items", "mine"],
    &["items", "mine", "--json"],
    &["run", "mine"],
    &["run", "mine", "--json"],
    &["list"],
    &["list", "--json"],
    &["cache"],
    &["explain"],
    &["explain", "busy"],
    &["completions", "bash"],
    &["test", "--list"],
];

fn home_with_a_plugin() -> anyhow::Result<Home> {
    let home = Home::with_pair()?;
    home.run(&["register", conformance::HELLO, "--name", "mine"])?.expect(0, "registered")?;
    Ok(home)
}

fn run_into(home: &Home, arguments: &[&str], stdout: impl Into<Stdio>) -> anyhow::Result<Ran> {
    let child = home.command(arguments).stdout(stdout).stderr(Stdio::piped()).spawn()?;
    Ok(Ran::of(&child.wait_with_output()?))
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() -> anyhow::Result<()> {
    let home = home_with_a_plugin()?;
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let ran = run_into(&home, arguments, writer)?;
        assert_eq!((ran.status, ran.stderr.as_str()), (141, ""), "{arguments:?}");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error_that_names_the_output() -> anyhow::Result<()> {
    let home = home_with_a_plugin()?;
    let full = || File::options().write(true).open("/dev/full");
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        run_into(&home, &["completions", shell], full()?)?
            .expect(7, "cannot write to standard output")?;
    }
    for arguments in PRINTING {
        run_into(&home, arguments, full()?)?
            .expect(7, "cannot write to standard output: No space left")
            .with_context(|| format!("{arguments:?}"))?;
    }
    // The operation does not depend on its output.
    run_into(&home, &PAIR, full()?)?.expect(7, "standard output")?;
    assert!(home.path("right/a.txt").exists());
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_limit_on_the_size_of_files_is_an_error_of_the_file() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    home.write("left/big", vec![7; 2 << 20])?;
    home.run(&pair_with(&["--dry-run"]))?.expect(0, "big")?;
    let script = "ulimit -f 1000 && exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_syncmgr")])
        .args(PAIR)
        .current_dir(home.0.path())
        .env("SYNCMGR_STATE_DIR", home.path("state"))
        .output()?;
    let ran = Ran::of(&output);
    assert!((1..=3).contains(&ran.status), "{} {} {}", ran.status, ran.stdout, ran.stderr);
    assert!(home.path("right/a.txt").exists(), "the others are synced");
    assert!(!home.path("right/big").exists());
    Ok(())
}

/// With the rights of a user to whom limits apply.
#[cfg(target_os = "linux")]
#[test]
fn a_lack_of_threads_is_an_error_with_a_message() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::with_pair()?;
    fs::set_permissions(home.0.path(), fs::Permissions::from_mode(0o777))?;
    let program = home.path("syncmgr");
    fs::copy(env!("CARGO_BIN_EXE_syncmgr"), &program)?;
    let hello = home.path("hello.wasm");
    fs::copy(conformance::HELLO, &hello)?;
    for path in [&program, &hello] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    let is_root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
    for threads in 1..=9 {
        let mut command = match is_root {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
                command.args(["--inh-caps=-all", "--bounding-set=-all", "prlimit"]);
                command
            }
            false => Command::new("prlimit"),
        };
        command.arg(format!("--nproc={threads}:{threads}")).arg(&program).args(["run"]).arg(&hello);
        let state = home.path(&format!("state-{threads}"));
        let ran = Ran::of(&command.env("SYNCMGR_STATE_DIR", state).output()?);
        let said = format!("{threads} threads: {} {}{}", ran.status, ran.stdout, ran.stderr);
        assert!(!said.contains("panicked"), "{said}");
        match ran.status {
            0 => {}
            2 | 7 => assert!(ran.stderr.starts_with("error"), "{said}"),
            _other => panic!("{said}"),
        }
    }
    Ok(())
}

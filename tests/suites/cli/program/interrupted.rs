//! Signals to a running program.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::home::{Home, Ran};

fn interrupt(child: &std::process::Child, signal: &str) -> anyhow::Result<()> {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status()?;
    anyhow::ensure!(sent.success());
    Ok(())
}

fn started(home: &Home, commands: &str) -> anyhow::Result<std::process::Child> {
    fs::create_dir_all(home.path("dir"))?;
    let commands = format!("synchronize=write path=/dir/started text=x\n{commands}");
    start(home, home.command(&[]), &commands)
}

fn start(home: &Home, mut command: Command, commands: &str) -> anyhow::Result<std::process::Child> {
    let marker = home.path("dir/started");
    let child = command
        .args([
            "run",
            conformance::SCRIPT,
            "--set",
            "items=a",
            "--dir",
            "dir=dir",
            "--set",
            commands,
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let begun = Instant::now();
    while !Path::exists(&marker) {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "the plugin started");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

#[test]
fn the_first_signal_requests_cancellation() -> anyhow::Result<()> {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let home = Home::new()?;
        let child = started(&home, "wait-cancelled item=a\nwrite path=/dir/tidied text=x")?;
        interrupt(&child, signal)?;
        let ran = Ran::of(&child.wait_with_output()?);
        ran.expect(5, "stopped: a").context(signal)?;
        assert!(home.path("dir/tidied").exists(), "{signal}");
    }
    Ok(())
}

#[test]
fn the_second_signal_terminates_the_plugin() -> anyhow::Result<()> {
    for signals in [["-INT", "-INT"], ["-TERM", "-TERM"], ["-HUP", "-TERM"]] {
        let home = Home::new()?;
        let child = started(&home, "spin")?;
        for signal in signals {
            interrupt(&child, signal)?;
            std::thread::sleep(Duration::from_millis(200));
        }
        Ran::of(&child.wait_with_output()?).expect(5, "terminated on request")?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_with_nohup_outlives_its_terminal() -> anyhow::Result<()> {
    let home = Home::new()?;
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_syncmgr")])
        .current_dir(home.0.path())
        .env("SYNCMGR_STATE_DIR", home.path("state"));
    fs::create_dir_all(home.path("dir"))?;
    let commands = "synchronize=write path=/dir/started text=x\n\
                    wait-cancelled item=a\nwrite path=/dir/tidied text=x";
    let child = start(&home, command, commands)?;
    interrupt(&child, "-HUP")?;
    std::thread::sleep(Duration::from_millis(300));
    assert!(!home.path("dir/tidied").exists(), "it continues");
    interrupt(&child, "-INT")?;
    Ran::of(&child.wait_with_output()?).expect(5, "stopped: a")?;
    Ok(())
}

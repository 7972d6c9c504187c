//! Executes the blocks.

use std::ffi::OsString;
use std::process::Command;

use conformance::blocks::shows;

use super::*;
use crate::home::Home;

/// Returns the home directory of a user, with the files that the documents mention.
fn home() -> Result<Home> {
    let home = Home::new()?;
    for folder in ["readme/B", "usb/docs", "usb/photos"] {
        fs::create_dir_all(home.path(folder))?;
    }
    for name in ["docs/report.txt", "docs/old.tmp", "photos/one.raw", "mail/hello.txt"] {
        home.write(name, name)?;
    }
    home.write("readme/A/a.txt", "a")?;
    home.write("script.wasm", fs::read(conformance::SCRIPT)?)?;
    let theirs = theirs()?;
    home.write("readme/theirs.wasm", &theirs)?;
    home.write("operating/theirs.wasm", &theirs)?;
    let hello = fs::read(workspace().join("guest/plugins/hello/src/lib.rs"))?;
    home.write("hello/src/lib.rs", hello)?;
    home.write("hello/Cargo.lock", fs::read(workspace().join("Cargo.lock"))?)?;
    Ok(home)
}

impl Home {
    /// Replaces the names of the documents with actual ones.
    fn replaced(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (theirs, ours) in
            [("/mnt/usb", self.path("usb")), ("../syncmgr/guest", workspace().join("guest"))]
        {
            text = text.replace(theirs, &ours.display().to_string());
        }
        text
    }

    /// Executes commands, and returns their standard output.
    fn bash(&self, folder: &str, script: &str) -> Result<String> {
        let script = self.replaced(script);
        let program = Path::new(env!("CARGO_BIN_EXE_syncmgr")).parent().context("a folder")?;
        let mut path = OsString::from(program);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        bash.args(["-euxo", "pipefail", "-c", &script]).current_dir(self.path(folder));
        // The files of cargo and rustup stay in the real home directory.
        let real = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        for (variable, usual) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            if std::env::var_os(variable).is_none() {
                bash.env(variable, real.join(usual));
            }
        }
        for outer in [
            "CARGO_TARGET_DIR",
            "CARGO_MANIFEST_DIR",
            "RUSTFLAGS",
            "RUST_BACKTRACE",
            "SYNCMGR_STATE_DIR",
            "XDG_STATE_HOME",
        ] {
            bash.env_remove(outer);
        }
        bash.env("PATH", path).env("HOME", self.path(""));
        bash.env("TOKEN", "hunter2").env("MAIL_TOKEN", "hunter2");
        let ran = bash.output()?;
        let said = String::from_utf8(ran.stdout)?;
        let errors = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "{}\n{said}\n{errors}", ran.status);
        Ok(said)
    }

    fn carry_out(&self, block: &Block, how: &How) -> Result<()> {
        let compare = |text: &str, said: &str| {
            ensure!(shows(text, said), "the page shows\n{text}\nbut the output is\n{said}");
            Ok(())
        };
        match *how {
            Run(folder, before) => {
                self.bash(folder, before)?;
                self.bash(folder, &block.text)?;
            }
            File(name) => drop(self.write(name, self.replaced(&block.text))?),
            Shows(folder, script) => compare(&block.text, &self.bash(folder, script)?)?,
            ShowsLine(folder, script) => {
                let line = block.text.replace('\n', "").replace(", ...", ",...");
                compare(&line, &self.bash(folder, script)?)?;
            }
            Session(folder) => {
                for part in format!("\n{}", block.text).split("\n$ ").skip(1) {
                    let (command, shown) = part.split_once('\n').context("an output")?;
                    compare(shown, &self.bash(folder, command)?)?;
                }
            }
            Workflow(folder) => {
                let value = |line: &str, key: &str| {
                    let (_, value) = line.split_once(key)?;
                    let end = value.find([' ', '}']).filter(|_| key != "- run: ");
                    Some(value[..end.unwrap_or(value.len())].to_owned())
                };
                let lines = || block.text.lines();
                let steps: Vec<_> = lines().filter_map(|line| value(line, "- run: ")).collect();
                let made: Vec<_> = lines().filter_map(|line| value(line, " path: ")).collect();
                ensure!(!steps.is_empty() && !made.is_empty(), "{steps:?} {made:?}");
                self.bash(folder, &steps.join("\n"))?;
                for name in made {
                    let file = self.path(folder).join(&name);
                    ensure!(file.exists(), "no step has made {name}");
                }
            }
            How::Manifest(_) | By(_) | Not(_) => {}
        }
        Ok(())
    }
}

/// Returns a plugin with the requests that the documents state for `theirs.wasm`.
fn theirs() -> Result<Vec<u8>> {
    let requests = "[directories]\ninbox = { access = \"read-only\", why = \"what arrived\" }\n\
                    [settings]\nmax-age = \"what is older is left out\"\n\
                    [secrets]\ntoken = \"signs in\"\n\
                    [allow]\nwall-clock = \"how old a message is\"\n";
    Ok(conformance::with_requests(&fs::read(conformance::HELLO)?, requests))
}

#[test]
fn documented_commands_produce_the_documented_output() -> Result<()> {
    let home = home()?;
    let documents = documents()?;
    let mut wrong = Vec::new();
    for (page, start, how) in BLOCKS {
        let block = documents.get(*page).and_then(|found| named(found, start).next());
        let block = block.with_context(|| format!("{page} has {start:?}"))?;
        if let Err(error) = home.carry_out(block, how) {
            wrong.push(format!("{page}:{}\n{}\n{error:#}", block.line, block.text));
        }
    }
    ensure!(wrong.is_empty(), "{} blocks are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
    Ok(())
}

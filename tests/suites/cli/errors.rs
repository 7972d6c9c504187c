//! The message of each error, by code, with its causes, as the program prints it. `BLESS=1` updates
//! the texts in `tests/data`.

// On Windows, the messages of the system and the form of paths differ.
#![cfg(unix)]

mod plugins;
mod program;
#[cfg(feature = "registry")]
mod registry;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use conformance::corpus::core::Core;
use conformance::corpus::{bytes, requests};
use conformance::script::{Script, item};
use conformance::session::DrivenSession;
use conformance::{compare_with_file, host, limits, workspace};
use plugins::{contract, ended, http, loading, reported, running};
use program::{history, installing, keyring, project, testing};
use syncmgr_cli::check::{CheckError, Fixture, Recording, RecordingHead, TempFixture};
use syncmgr_cli::project::{Language, Project, ProjectError, Sdk, Template, create};
use syncmgr_host::http::{
    HttpAuth, HttpAuthError, HttpDenial, HttpGrant, HttpGrantError, HttpPolicy,
};
use syncmgr_host::sink::{Discard, EventLog, Sink};
use syncmgr_host::{
    Access, Call, CancelHandle, CompilerProgram, ErrorCode, Grant, GrantError, Host, HostOptions,
    Hresult, Item, Limits, LoadError, LoadLimits, Outcome, RunReport, RunRequest, Selection,
    SessionError, SessionOptions, StartError, Trigger,
};
use syncmgr_install::{
    Grants, InstallError, JobFile, KeyringError, Registrations, Scope, SecretName, create_private,
    host_options, store_secret,
};

/// Long enough that only the tested operation exceeds it, even on busy machines.
const SHORT: Duration = Duration::from_millis(400);

/// Codes of errors that cannot be caused here, each with the reason.
const ELSEWHERE: [(&str, &str); 5] = [
    ("history-blocked", "a program that blocks the database for five seconds"),
    ("registry-class-taken", "Windows' registry"),
    ("registry-key", "Windows' registry"),
    ("registry-no-library", "the library of the native handlers"),
    ("registry-open-library", "the library of the native handlers"),
];

/// An error that has a code.
trait Coded: std::error::Error + Send + Sync + Sized + 'static {
    fn code_of(&self) -> &'static str;
}

macro_rules! coded {
    ($($error:ty),*) => {
        $(impl Coded for $error {
            fn code_of(&self) -> &'static str {
                self.code()
            }
        })*
    };
}

coded!(
    LoadError,
    SessionError,
    StartError,
    InstallError,
    ProjectError,
    CheckError,
    HttpAuthError,
    HttpDenial,
    HttpGrantError
);

/// The messages by code, and a folder for fixtures.
struct Messages {
    home: tempfile::TempDir,
    texts: Vec<(&'static str, String)>,
}

impl Messages {
    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn text(&mut self, code: &'static str, text: &str) {
        let text = masked(&text.replace(&self.home.path().display().to_string(), "HOME"));
        let with_code = text.strip_prefix(&format!("error[{code}]: "));
        let text = with_code.or(text.strip_prefix("error: ")).unwrap_or(&text);
        self.texts.push((code, text.trim_end().to_owned()));
    }

    fn error(&mut self, error: impl Coded) {
        let code = error.code_of();
        self.text(code, &syncmgr_cli::error_text(&error.into()));
    }

    fn refused<T>(&mut self, result: Result<T, impl Coded>) -> Result<()> {
        let said = || format!("it was not refused; the last one was {:?}", self.texts.last());
        let error = result.err().with_context(said)?;
        self.error(error);
        Ok(())
    }

    /// Returns the last output of the program, run with this search path only.
    fn program(&mut self, code: &'static str, folder: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new(env!("CARGO_BIN_EXE_syncmgr"))
            .args(arguments)
            .current_dir(self.path(folder))
            .env("SYNCMGR_STATE_DIR", self.path("state"))
            .env("PATH", self.path("bin"))
            .output()?;
        let said = String::from_utf8(output.stderr)?;
        let error = said.find("error[").with_context(|| format!("{arguments:?}: {said}"))?;
        self.text(code, &said[error..]);
        Ok(())
    }

    /// Formats an entry per line, or several with causes, sorted by code.
    fn page(&self) -> String {
        let mut texts: Vec<_> = self.texts.iter().collect();
        texts.sort_by_key(|(code, _)| *code);
        texts.into_iter().map(|(code, text)| format!("{code}: {text}\n")).collect()
    }
}

/// Runs the script, and returns the message of the program.
fn run(state: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_syncmgr"))
        .args(["run", conformance::SCRIPT])
        .args(arguments)
        .env("SYNCMGR_STATE_DIR", state)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    // The script requests more than these runs grant.
    ensure!(errors.lines().all(|line| line.starts_with("note: ")), "{errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Replaces details that depend on the build.
fn masked(text: &str) -> String {
    let place = |c: char| c.is_ascii_digit() || c == ':';
    let digit = |c: char| c.is_ascii_hexdigit();
    let text = replaced(text, "script.rs:", place, "LINE:COLUMN:");
    replaced(&replaced(&text, "at offset 0x", digit, "N"), "/installed/mail/", digit, "DIGEST")
}

/// Replaces the characters of a kind that follow a text.
fn replaced(text: &str, after: &str, kind: impl Fn(char) -> bool, by: &str) -> String {
    let mut parts = text.split(after);
    let before = parts.next().unwrap_or_default().to_owned();
    parts.fold(before, |text, part| match part.trim_start_matches(&kind) {
        rest if rest.len() == part.len() => format!("{text}{after}{rest}"),
        rest => format!("{text}{after}{by}{rest}"),
    })
}

/// Returns the codes that have a page, and those that need one.
fn known_codes() -> Result<BTreeSet<String>> {
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(workspace().join("guest/book/src/errors"))? {
        let path = entry?.path();
        let stem = path.file_stem().context("a page")?.to_string_lossy().into_owned();
        codes.extend((stem != "README").then_some(stem));
    }
    Ok(codes)
}

#[test]
fn error_messages_equal_the_recorded_ones() -> Result<()> {
    let mut messages = Messages { home: tempfile::tempdir()?, texts: Vec::new() };
    for report in [
        loading, contract, running, ended, reported, installing, history, keyring, project,
        testing, http,
    ] {
        report(&mut messages)?;
    }
    #[cfg(feature = "registry")]
    registry::registry(&mut messages)?;
    let known = known_codes()?;
    let mut seen: BTreeSet<_> = messages.texts.iter().map(|(code, _)| (*code).to_owned()).collect();
    for (code, reason) in ELSEWHERE {
        ensure!(seen.insert(code.to_owned()), "{code} is caused here, too, despite {reason}");
    }
    let missing: Vec<_> = known.difference(&seen).collect();
    ensure!(missing.is_empty(), "no test causes the codes {missing:?}");
    let unknown: Vec<_> = seen.difference(&known).collect();
    ensure!(unknown.is_empty(), "no page documents {unknown:?}");
    compare_with_file("tests/data/error_messages.txt", &messages.page())
}

/// Returns the output of the program after a crash, without the frames of Rust's library.
fn crash_details(said: &str) -> String {
    const RUST: [&str; 5] = ["abort", "std::", "core::", "alloc::", "__rustc::"];
    let mut kept = String::new();
    for line in said.lines().skip_while(|line| !line.starts_with("failed: ")) {
        match line.trim_start().split_once(": ") {
            Some((number, frame)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                if !RUST.iter().any(|start| frame.starts_with(start)) {
                    kept += &format!("  N: {frame}\n");
                }
            }
            Some(_) | None => kept += &format!("{line}\n"),
        }
    }
    masked(&kept)
}

#[test]
fn a_crash_message_has_the_end_of_stderr_and_the_stack() -> Result<()> {
    let home = tempfile::tempdir()?;
    let lines: String = (1..=30).map(|number| format!("print text=line_{number}\n")).collect();
    let panics = format!("synchronize={lines}panic text=no_more_lemons");
    let said = run(home.path(), &["--set", "items=a", "--set", &panics])?;
    compare_with_file("tests/data/crash.txt", &crash_details(&said))
}

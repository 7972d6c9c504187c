//! Programs for Windows in Wine: the program, the COM server, and the C programs of `tests/com`, in
//! a new prefix.

use std::fs;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::workspace;

const TARGET: &str = "x86_64-pc-windows-gnu";

/// A required program, and the Debian package that contains it.
const NEEDED: [(&str, &str); 3] = [
    ("wine", "wine and wine64"),
    ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64"),
    ("x86_64-w64-mingw32-widl", "mingw-w64-tools"),
];

/// The class of the handler in C.
pub const NATIVE_HANDLER: &str = "{B0A5D3C2-7E41-4C0B-9B7D-52C6E8F1A934}";

/// The time limit of a program.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often to start a program that was killed.
const ATTEMPTS: u32 = 3;

const SIGKILL: i32 = 9;

/// The message of a program whose child process Wine killed while it started.
const CHILD_KILLED: &str = "(os error 1359)";

/// The exit status of `timeout` after a timeout.
const TIMED_OUT: i32 = 124;

/// A Wine prefix with everything installed.
#[derive(Debug)]
pub struct Wine {
    programs: PathBuf,
    place: TempDir,
}

/// The output of a program, and its exit status.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit status.
    pub status: i32,
    /// Standard output, with line feeds only.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// # Errors
    /// Returns an error if the status differs.
    pub fn expect(self, status: i32) -> Result<Self> {
        ensure!(
            self.status == status,
            "status {} instead of {status}: {}{}",
            self.status,
            self.stdout,
            self.stderr
        );
        Ok(self)
    }
}

impl Wine {
    /// Returns the prefix that concurrent tests share, which is removed after the last of them;
    /// `None` if a tool is missing and that is allowed. A message states what is skipped.
    ///
    /// # Errors
    /// Returns an error if the prefix cannot be created.
    pub fn get() -> Result<Option<Arc<Self>>> {
        static WINE: Mutex<Weak<Wine>> = Mutex::new(Weak::new());
        let mut shared = WINE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wine) = shared.upgrade() {
            return Ok(Some(wine));
        }
        let made = Self::make()?.map(Arc::new);
        *shared = made.as_ref().map_or_else(Weak::new, Arc::downgrade);
        Ok(made)
    }

    fn make() -> Result<Option<Self>> {
        for (program, package) in NEEDED {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
            if found.is_ok() {
                continue;
            }
            ensure!(
                std::env::var_os("SYNCMGR_REQUIRE_WINE").is_none(),
                "there is no {program}, and SYNCMGR_REQUIRE_WINE wants it: install {package}"
            );
            // Bypasses the test harness, which hides the output of a passing test.
            writeln!(
                io::stderr(),
                "SKIPPED: native handlers on Windows, since there is no {program}. Install \
                 {package} to run them with Wine."
            )?;
            return Ok(None);
        }
        Self::with_programs(build()?).map(Some)
    }

    /// Returns another prefix with the same programs, for tests that would disturb others.
    ///
    /// # Errors
    /// Returns an error if the prefix cannot be created.
    pub fn another(&self) -> Result<Self> {
        Self::with_programs(self.programs.clone())
    }

    fn with_programs(programs: PathBuf) -> Result<Self> {
        let wine = Self { programs, place: tempfile::tempdir()? };
        wine.run("wineboot", &["-i"])?.expect(0)?;
        // Dialogs need no display.
        let key = r"HKCU\Software\Wine\Drivers";
        wine.run("reg", &["add", key, "/v", "Graphics", "/d", "null", "/f"])?.expect(0)?;
        wine.wait_for_server()?;
        Ok(wine)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.programs)
            .env("WINEPREFIX", self.place.path().join("prefix"))
            .env("WINEARCH", "win64")
            .env("WINEDEBUG", "-all")
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=;winedbg.exe=d")
            .env_remove("SYNCMGR_STATE_DIR")
            .env_remove("DISPLAY")
            .stdin(Stdio::null());
        command
    }

    fn wait_for_server(&self) -> Result<()> {
        let status = self.command("wineserver").arg("-w").status().context("wineserver")?;
        ensure!(status.success(), "wineserver: {status}");
        Ok(())
    }

    /// Runs a program.
    ///
    /// # Errors
    /// Returns an error if it cannot be started or does not end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<Ran> {
        self.run_with(program, arguments, &[])
    }

    /// Runs a program with additional environment variables.
    ///
    /// # Errors
    /// Returns an error if it cannot be started or does not end.
    pub fn run_with(
        &self,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Ran> {
        // One at a time: concurrent programs would wait for each other, and some have a time limit.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ATTEMPTS {
            if let Some(ran) = self.attempt(program, arguments, environment)? {
                return Ok(ran);
            }
        }
        bail!("{program} {arguments:?} was killed {ATTEMPTS} times");
    }

    /// `None`: killed. Wine kills a process that does not exit within a second of its end, such as
    /// on a busy machine, and its exit status is lost.
    fn attempt(
        &self,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Option<Ran>> {
        let mut command = self.command("timeout");
        command.arg(PATIENCE.as_secs().to_string()).arg("wine").arg(program).args(arguments);
        command.envs(environment.iter().copied());
        // Not through pipes: background processes of Wine would hold their write ends.
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let status = command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).status();
        let status = status.context("wine")?;
        let (stdout, stderr) = (read(&mut stdout)?, read(&mut stderr)?);
        let Some(status) = status.code() else {
            ensure!(status.signal() == Some(SIGKILL), "{program}: {status}");
            return Ok(None);
        };
        ensure!(status != TIMED_OUT, "{program} {arguments:?} does not end: {stdout}");
        if stderr.contains(CHILD_KILLED) {
            return Ok(None);
        }
        Ok(Some(Ran { status, stdout, stderr }))
    }

    /// Runs `syncmgr`.
    ///
    /// # Errors
    /// Returns the errors of [`Wine::run`].
    pub fn syncmgr(&self, arguments: &[&str]) -> Result<Ran> {
        self.run("syncmgr.exe", arguments)
    }

    /// Runs the C program that acts as the sync manager, and returns its log.
    ///
    /// # Errors
    /// Returns the errors of [`Wine::run`], and an error for a violated rule.
    pub fn client(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.run("client.exe", arguments)?.expect(0)?.stdout)
    }

    /// Registers a plugin for the machine, and returns its class. Wine has no per-user classes.
    ///
    /// # Errors
    /// Returns the errors of [`Wine::run`], and an error if the registration fails.
    pub fn register(&self, plugin: &str, name: &str, grants: &[&str]) -> Result<String> {
        let plugin = match Path::new(plugin).exists() {
            true => windows_path(Path::new(plugin))?,
            false => plugin.to_owned(),
        };
        let mut arguments = vec!["register", &plugin, "--name", name, "--machine"];
        arguments.extend(grants);
        let said = self.syncmgr(&arguments)?.expect(0)?.stdout;
        let class = said.split(['{', '}']).nth(1).context("the class is printed")?;
        Ok(format!("{{{class}}}"))
    }

    /// Returns a folder of this test run that Windows programs can access.
    ///
    /// # Errors
    /// Returns an error if it cannot be created.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.place.path().join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Returns the folder of the programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        let _ = self.command("wineserver").arg("-k").status();
    }
}

/// Returns the output of a program with line feeds only.
fn read(file: &mut fs::File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
}

/// Converts a path to the form of Windows programs.
///
/// # Errors
/// Returns an error if it is not Unicode.
pub fn windows_path(path: &Path) -> Result<String> {
    let path = path.canonicalize()?;
    let path = path.to_str().context("the path is not Unicode")?;
    Ok(format!("Z:{}", path.replace('/', r"\")))
}

/// Builds everything into one folder and returns it.
fn build() -> Result<PathBuf> {
    // Next to the profiles of this build, whose folders are in use.
    let target = Path::new(crate::SCRIPT).ancestors().find(|path| path.ends_with("guests"));
    let target = target.and_then(Path::parent).context("the guests are in the target folder")?;
    let (built, programs) = (target.join("windows"), target.join("wine"));
    install_target()?;
    // Sequentially: in one build, the library would contain the compiler of the program.
    for package in ["syncmgr-com", "syncmgr"] {
        let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
            .args(["build", "--quiet", "--locked", "--profile=test"])
            .args(["--target", TARGET, "--package", package])
            .arg("--target-dir")
            .arg(&built)
            .current_dir(workspace())
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .status()
            .context("cargo")?;
        ensure!(status.success(), "cannot build {package} for Windows: {status}");
        // The next build may replace the result of this one.
        fs::create_dir_all(&programs)?;
        let file = if package == "syncmgr" { "syncmgr.exe" } else { "syncmgr_com.dll" };
        let from = built.join(TARGET).join("debug").join(file);
        fs::copy(&from, programs.join(file)).with_context(|| from.display().to_string())?;
    }
    let script = workspace().join("tests/com/build.sh");
    let status = Command::new("sh").arg(script).arg(&programs).status().context("sh")?;
    ensure!(status.success(), "cannot build the C programs: {status}");
    Ok(programs)
}

fn install_target() -> Result<()> {
    let output =
        Command::new("rustc").args(["--print", "sysroot"]).current_dir(workspace()).output();
    let sysroot = String::from_utf8_lossy(&output.context("rustc")?.stdout).trim().to_owned();
    if Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(workspace())
        .status()
        .context("rustup")?;
    ensure!(added.success(), "the Rust target {TARGET} is missing; `rustup target add {TARGET}`");
    Ok(())
}

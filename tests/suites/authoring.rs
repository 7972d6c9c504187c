//! What authors do: make a project, build it, try it, and pack it, in each language.
//!
//! Tools of languages that are not installed are said, and with `SYNCMGR_REQUIRE_LANGUAGES` set a
//! test fails without them.

#![allow(clippy::print_stderr, reason = "what is skipped has to be said")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use conformance::blocks::{blocks, shows};
use serde_json::Value;

/// How long something may take that takes seconds.
const PATIENCE: Duration = Duration::from_secs(300);

/// A folder for one test, with the plugins' state in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, folder: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncmgr"));
        command
            .args(arguments)
            .current_dir(self.path(folder))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("SYNCMGR_STATE_DIR", self.path("state"))
            // What was meant for the tests' own build does not fit that of a plugin.
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS")
            .env_remove("RUST_BACKTRACE");
        command
    }

    fn run(&self, folder: &str, arguments: &[&str]) -> Result<Ran> {
        Ran::of(self.command(folder, arguments).output()?)
    }
}

/// What a command printed, and its exit status.
#[derive(Debug)]
struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Result<Self> {
        Ok(Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Requires an exit status, and words in what was printed.
    fn expect(self, status: i32, words: &str) -> Result<Self> {
        let said = self.stdout.contains(words) || self.stderr.contains(words);
        ensure!(self.status == status && said, "wanted {status} and {words:?}: {self:#?}");
        Ok(self)
    }

    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| self.stdout.clone())
    }
}

/// Installs what a project of the language needs; `false`: it cannot be had here.
fn ready(home: &Home, project: &str, language: &str) -> Result<bool> {
    let steps: &[&[&str]] = match language {
        "rust" => &[&["cargo", "--version"]],
        "c" => &[&["clang", "--version"]],
        "python" => &[
            &["python3", "-m", "venv", ".venv"],
            &[".venv/bin/pip", "install", "--quiet", "--requirement", "requirements.txt"],
        ],
        "javascript" => &[&["npm", "install", "--silent", "--no-audit", "--no-fund"]],
        other => bail!("there is no language {other}"),
    };
    for step in steps {
        let mut command = Command::new(step[0]);
        command.args(&step[1..]).current_dir(home.path(project)).stdout(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            let what = step.join(" ");
            ensure!(
                std::env::var_os("SYNCMGR_REQUIRE_LANGUAGES").is_none(),
                "`{what}` does not work here"
            );
            eprintln!("skipped, for want of what {language} needs: `{what}` does not work here");
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first four commands of an author, and what comes of them.
fn from_nothing_to_a_packed_plugin(language: &str) -> Result<()> {
    let home = Home::new()?;
    let name = format!("my-{language}");
    home.run("", &["new", &name, "--lang", language])?.expect(0, "syncmgr build")?;
    if !ready(&home, &name, language)? {
        return Ok(());
    }
    let component = format!("build/{name}.wasm");
    home.run(&name, &["build"])?.expect(0, &component)?;
    home.run(&name, &["test"])?.expect(0, " 0 failed")?;

    fs::create_dir(home.path("copies"))?;
    let copies = format!("target={}", home.path("copies").display());
    let run = ["run", &component, "--dir", "source=fixture/source:ro", "--dir", &copies];
    home.run(&name, &run)?.expect(0, "succeeded")?;
    let source = home.path(&name).join("fixture/source");
    ensure!(!home.path("state/syncmgr").exists(), "it is all in the state folder that was named");
    ensure!(
        Command::new("diff").arg("-r").arg(source).arg(home.path("copies")).status()?.success(),
        "the copies differ"
    );

    // The compiled form is kept: the second run does not compile.
    let ran = home.run(&name, &["cache", "--json"])?.expect(0, "")?;
    ensure!(ran.stdout.contains(&name) || !ran.stdout.trim().is_empty(), "{ran:?}");

    let packed = format!("dist/{name}-0.1.0.wasm");
    home.run(&name, &["pack"])?.expect(0, &packed)?;
    let inspected = home.run(&name, &["inspect", &packed, "--json"])?.json()?;
    ensure!(inspected["version"] == "0.1.0", "{inspected}");
    ensure!(inspected["license"] == "MIT OR Apache-2.0", "{inspected}");
    ensure!(inspected["contract-version"] == "0.1.0", "{inspected}");
    let requests = inspected["requests"].as_array().context("requests")?;
    ensure!(requests.len() == 2, "{inspected}");
    home.run(&name, &["validate", &packed])?.expect(0, "is a plugin")?;

    // What installs the tools is left out: they are there.
    let page =
        fs::read_to_string(home.path(&name).join("README.md"))?.replace("```sh\nsudo", "```\n");
    fs::create_dir(home.path(&name).join("TO"))?;
    let page = page.replace("FROM", "fixture/source");
    carry_out(&home, &name, &page)?.expect(0, &packed)?;
    Ok(())
}

#[test]
fn from_nothing_to_a_packed_plugin_in_rust() -> Result<()> {
    from_nothing_to_a_packed_plugin("rust")
}

#[test]
fn from_nothing_to_a_packed_plugin_in_c() -> Result<()> {
    from_nothing_to_a_packed_plugin("c")
}

#[test]
fn from_nothing_to_a_packed_plugin_in_python() -> Result<()> {
    from_nothing_to_a_packed_plugin("python")
}

#[test]
fn from_nothing_to_a_packed_plugin_in_javascript() -> Result<()> {
    from_nothing_to_a_packed_plugin("javascript")
}

#[test]
fn the_tests_of_a_rust_project_run_natively_and_with_the_component() -> Result<()> {
    let home = Home::new()?;
    home.run("", &["new", "mine", "--lang", "rust"])?.expect(0, "")?;
    home.run("mine", &["build"])?.expect(0, "mine.wasm")?;
    let cargo_test = |component: bool| -> Result<Ran> {
        let mut cargo = Command::new("cargo");
        cargo.arg("test").current_dir(home.path("mine"));
        cargo.env("SYNCMGR_STATE_DIR", home.path("state"));
        for outer in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_MANIFEST_DIR"] {
            cargo.env_remove(outer);
        }
        if component {
            cargo.env("SYNCMGR", env!("CARGO_BIN_EXE_syncmgr"));
            cargo.env("SYNCMGR_COMPONENT", home.path("mine/build/mine.wasm"));
        }
        Ran::of(cargo.output()?)
    };
    cargo_test(false)?.expect(0, "4 passed")?;
    cargo_test(true)?.expect(0, "4 passed")?;
    // It is the component that runs: another one fails the same tests.
    fs::copy(conformance::HELLO, home.path("mine/build/mine.wasm"))?;
    let other = cargo_test(true)?;
    ensure!(other.status != 0 && other.stdout.contains("everything_is_copied_once"), "{other:?}");
    Ok(())
}

#[test]
fn what_a_language_brings_itself_is_enough() -> Result<()> {
    let home = Home::new()?;
    home.run("", &["new", "counter", "--lang", "python"])?.expect(0, "")?;
    if !ready(&home, "counter", "python")? {
        return Ok(());
    }
    fs::write(
        home.path("counter/counter.py"),
        "\
import random
from wit_world import exports
from wit_world.exports import synchronize as calls
from wit_world.imports import insecure_seed, synchronize_callback as callback
from wit_world.imports import syncmgr_plugin_types as types
seed = random.seed
random.seed = lambda a=None, *rest: seed(insecure_seed.insecure_seed()[0] if a is None else a, *rest)
ITEM = types.Guid(1, 2)
def report(status, value):
    return callback.progress(ITEM, types.ProgressItem('counting', status, value, 3))
class Synchronize(exports.Synchronize):
    def initialize(self, trigger, cookie):
        return calls.Participation.PARTICIPATES
    def get_handler_info(self):
        return types.HandlerInfo('counter', types.HandlerFlags(0))
    def enum_items(self):
        item = types.Item(ITEM, 'Count', types.ItemFlags(0), types.ItemState.CHECKED, None)
        return calls.ItemList([item], missing_items=False)
    def prepare_for_sync(self, item_ids):
        return calls.PrepareOutcome.PREPARED
    def synchronize(self):
        for value in range(1, 4):
            report(types.Status.UPDATING, value)
        report(types.Status.SUCCEEDED, 3)
    def set_item_status(self, item_id, status):
        pass
    def show_error(self, error_id):
        return calls.ErrorDetail('', [])
    def get_properties(self, item_id):
        return []
    def set_properties(self, item_id, changes):
        return calls.PropertiesOutcome.APPLIED
",
    )?;
    let made = Command::new(home.path("counter/.venv/bin/componentize-py"))
        .args(["-d", "wit", "-w", "plugin", "componentize", "counter", "-o", "counter.wasm"])
        .current_dir(home.path("counter"))
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let ran = home.run("counter", &["run", "counter.wasm", "--json"])?.expect(0, "succeeded")?;
    let reports = ran.stdout.lines().filter(|line| line.contains("\"event\":\"progress\"")).count();
    ensure!(reports == 4, "{ran:?}");
    Ok(())
}

/// Runs what the `sh` blocks of a page have its reader run, and compares what it shows as output
/// with what the block before wrote. Returns all that was written.
fn carry_out(home: &Home, folder: &str, page: &str) -> Result<Ran> {
    const END: &str = "-- the end of a block --";
    let blocks = blocks(page);
    let steps: Vec<_> = blocks.iter().filter(|block| block.info == "sh").collect();
    let script: String =
        steps.iter().map(|block| format!("{}echo '{END}'\n", block.text)).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_syncmgr")).parent().context("a folder")?;
    let path = std::env::var("PATH")?;
    let mut bash = Command::new("bash");
    bash.args(["-euxc", &script]).env("PATH", format!("{}:{path}", program.display()));
    bash.current_dir(home.path(folder)).env("SYNCMGR_STATE_DIR", home.path("state"));
    for outer in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_MANIFEST_DIR", "RUST_BACKTRACE"] {
        bash.env_remove(outer);
    }
    let ran = Ran::of(bash.output()?)?.expect(0, END)?;
    let said: Vec<_> = ran.stdout.split(&format!("{END}\n")).collect();
    ensure!(said.len() == steps.len() + 1, "{ran:#?}");
    let mut carried_out = 0;
    for block in &blocks {
        match block.info.as_str() {
            "sh" => carried_out += 1,
            "text" => {
                let said = said[carried_out - 1];
                ensure!(shows(&block.text, said), "{}\nis not what came:\n{said}", block.text);
            }
            _other => {}
        }
    }
    Ok(ran)
}

/// Runs what a tutorial has its reader run, in an empty folder.
fn tutorial(language: &str) -> Result<()> {
    let home = Home::new()?;
    // Tells whether the language's tools are there.
    home.run("", &["new", "probe", "--lang", language])?.expect(0, "")?;
    if !ready(&home, "probe", language)? {
        return Ok(());
    }
    let page = format!("guest/book/src/tutorial-{language}.md");
    let page = fs::read_to_string(conformance::workspace().join(page))?;
    // Where nothing else is.
    let page = page.replace("/tmp/mirrored", &home.path("mirrored").display().to_string());
    let ran = carry_out(&home, "", &page)?.expect(0, " 0 failed")?;
    ensure!(ran.stderr.contains("syncmgr new") && ran.stderr.contains("syncmgr pack"), "{ran:#?}");
    ensure!(ran.stdout.contains("Copy to the other folder"), "the change is seen: {ran:#?}");
    ensure!(ran.stdout.contains("license   MIT OR Apache-2.0"), "{ran:#?}");
    Ok(())
}

#[test]
fn the_tutorial_in_rust_works_as_it_stands() -> Result<()> {
    tutorial("rust")
}

#[test]
fn the_tutorial_in_c_works_as_it_stands() -> Result<()> {
    tutorial("c")
}

#[test]
fn the_tutorial_in_python_works_as_it_stands() -> Result<()> {
    tutorial("python")
}

#[test]
fn the_tutorial_in_javascript_works_as_it_stands() -> Result<()> {
    tutorial("javascript")
}

#[test]
fn the_same_plugin_runs_under_another_runtime() -> Result<()> {
    let home = Home::new()?;
    let host = conformance::workspace().join("tests/jco");
    let source = fs::read_to_string(host.join("host.mjs"))?;
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let lines = source.lines().filter(is_code).count();
    ensure!(lines <= 30, "a host of {lines} lines");
    fs::create_dir(home.path("jco"))?;
    for name in ["host.mjs", "package.json"] {
        fs::copy(host.join(name), home.path("jco").join(name))?;
    }
    if !ready(&home, "jco", "javascript")? {
        return Ok(());
    }
    fs::copy(conformance::HELLO, home.path("jco/hello.wasm"))?;
    let run = |program: &str, arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(program);
        let output = command.args(arguments).current_dir(home.path("jco")).output()?;
        Ok(Ran::of(output)?.expect(0, "")?.stdout)
    };
    let jco =
        ["jco", "transpile", "hello.wasm", "-o", "out", "--name", "plugin", "--instantiation"];
    run("npx", &jco)?;
    for (arguments, reports, end) in [
        (&[][..], 11, "succeeded"),
        (&["--cancel-item", "3"], 4, "skipped"),
        (&["--cancel-all", "3"], 4, "stopped"),
    ] {
        let said = run("node", &[&["host.mjs", "out"][..], arguments].concat())?;
        let made: Vec<_> = said.lines().filter(|line| line.contains(" > ")).collect();
        ensure!(made.len() == reports, "{arguments:?}: {said}");
        ensure!(said.trim_end().ends_with(&format!("Greeting: {end}")), "{arguments:?}: {said}");
        if arguments.is_empty() {
            // The same reports as to our own host.
            let ours = home.run("", &["run", conformance::HELLO, "--json"])?.expect(0, "")?;
            let ours = ours.stdout.lines().filter(|line| line.contains("\"event\":\"progress\""));
            for (line, made) in ours.zip(made) {
                let ours: Value = serde_json::from_str(line)?;
                let field = |name: &str| match &ours[name] {
                    Value::Null => "-".to_owned(),
                    Value::String(text) => text.clone(),
                    value @ (Value::Bool(_)
                    | Value::Number(_)
                    | Value::Array(_)
                    | Value::Object(_)) => value.to_string(),
                };
                let [status, value, max, text] =
                    ["status-type", "prog-value", "max-value", "status-text"].map(field);
                let ours = format!("Greeting: {status} {value}/{max} {text} > continue");
                ensure!(ours == made, "{ours} is {made}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_project_is_never_written_over() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.path("mine"))?;
    fs::write(home.path("mine/notes"), "mine")?;
    home.run("", &["new", "mine", "--lang", "c"])?.expect(2, "is there already")?;
    ensure!(fs::read_dir(home.path("mine"))?.count() == 1);
    for (name, words) in [("Mine", "cannot be the name"), ("../mine", "cannot be the name")] {
        home.run("", &["new", name, "--lang", "c"])?.expect(2, words)?;
    }
    home.run("", &["new", "other", "--lang", "cobol"])?.expect(2, "rust, python, javascript, c")?;
    home.run("mine", &["build"])?.expect(2, "syncmgr new")?;
    Ok(())
}

#[test]
fn what_is_missing_is_named_with_what_installs_it() -> Result<()> {
    let home = Home::new()?;
    let nothing = home.path("nothing");
    fs::create_dir(&nothing)?;
    for (language, words) in [
        ("rust", "sh.rustup.rs"),
        ("c", "apt install clang lld wasi-libc"),
        ("python", ".venv/bin/pip install -r requirements.txt"),
        ("javascript", "npm install"),
    ] {
        let name = format!("my-{language}");
        home.run("", &["new", &name, "--lang", language])?.expect(0, "")?;
        let output = home.command(&name, &["build"]).env("PATH", &nothing).output()?;
        Ran::of(output)?.expect(2, words)?;
        ensure!(!home.path(&name).join(format!("build/{name}.wasm")).exists());
    }
    Ok(())
}

#[test]
fn mistakes_in_a_project_are_told_by_the_languages_own_tool() -> Result<()> {
    let home = Home::new()?;
    home.run("", &["new", "mine", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "mine", "c")? {
        return Ok(());
    }
    home.run("mine", &["build"])?.expect(0, "built")?;
    let source = home.path("mine/src/handler.c");
    let text = fs::read_to_string(&source)?;
    fs::write(&source, format!("{text}\nint broken(void) {{ return nothing; }}\n"))?;
    home.run("mine", &["build"])?.expect(2, "undeclared identifier 'nothing'")?;
    ensure!(home.path("mine/build/mine.wasm").exists(), "what was built before stays");

    let manifest = home.path("mine/syncmgr.toml");
    let text = fs::read_to_string(&manifest)?;
    fs::write(&manifest, text.replace("read-only", "read-sometimes"))?;
    home.run("mine", &["build"])?.expect(2, "read-sometimes")?;
    Ok(())
}

/// Lines of a process, as they come.
fn lines(from: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}

#[cfg(unix)]
#[test]
fn dev_builds_and_runs_after_each_change_and_after_nothing_else() -> Result<()> {
    let home = Home::new()?;
    home.run("", &["new", "mine", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "mine", "c")? {
        return Ok(());
    }
    let mut command = home.command("mine", &["dev"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let said = lines(child.stdout.take().context("it is piped")?);
    let wait_for = |words: &str| -> Result<Vec<String>> {
        let mut before = Vec::new();
        loop {
            let line =
                said.recv_timeout(PATIENCE).with_context(|| format!("{words}: {before:?}"))?;
            before.push(line.clone());
            if line.contains(words) {
                return Ok(before);
            }
        }
    };
    let first = wait_for("waiting for changes")?;
    ensure!(first.iter().any(|line| line.contains("new: target/welcome.txt")), "{first:?}");
    // What is the same, or what building makes, is no change.
    let source = home.path("mine/src/copy.c");
    let text = fs::read_to_string(&source)?;
    fs::write(&source, &text)?;
    fs::write(home.path("mine/build/other"), "")?;
    let quiet = said.recv_timeout(Duration::from_secs(2));
    ensure!(quiet.is_err(), "{quiet:?}");
    fs::write(home.path("mine/fixture/source/more.txt"), "more")?;
    let second = wait_for("waiting for changes")?;
    ensure!(second[0].contains("changed: fixture/source/more.txt"), "{second:?}");
    ensure!(second.iter().any(|line| line.contains("new: target/more.txt")), "{second:?}");
    ensure!(!home.path("mine/fixture/target/more.txt").exists(), "it works on copies");
    fs::write(&source, format!("{text}\nnonsense\n"))?;
    let third = wait_for("waiting for changes")?;
    ensure!(third[0].contains("changed: src/copy.c"), "{third:?}");
    let stop = Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    ensure!(stop.success());
    let ended = child.wait()?;
    ensure!(ended.success(), "{ended}");
    Ok(())
}

#[test]
fn what_was_changed_is_built_before_it_is_tested_or_packed() -> Result<()> {
    let home = Home::new()?;
    home.run("", &["new", "mine", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "mine", "c")? {
        return Ok(());
    }
    let built = || fs::metadata(home.path("mine/build/mine.wasm"))?.modified();
    home.run("mine", &["pack"])?.expect(0, "packed")?;
    let first = built()?;
    home.run("mine", &["test", "--check", "handler-info"])?.expect(0, "1 passed")?;
    home.run("mine", &["pack"])?.expect(0, "packed")?;
    ensure!(built()? == first, "nothing was changed");
    let source = home.path("mine/src/handler.c");
    let text = fs::read_to_string(&source)?;
    fs::write(&source, format!("{text}\nint broken(void) {{ return nothing; }}\n"))?;
    for command in ["pack", "test"] {
        home.run("mine", &[command])?.expect(2, "undeclared identifier 'nothing'")?;
    }
    fs::write(&source, text)?;
    home.run("mine", &["test", "--check", "handler-info"])?.expect(0, "1 passed")?;
    ensure!(built()? > first, "the source is younger");
    Ok(())
}

#[test]
fn a_recording_allows_what_its_run_was_allowed() -> Result<()> {
    let home = Home::new()?;
    let commands = "random\nprogress item=a status=succeeded";
    let run = [
        "run",
        conformance::SCRIPT,
        "--set",
        "items=a",
        "--set",
        &format!("synchronize={commands}"),
    ];
    for (allow, status, words) in
        [(&["--allow", "randomness"][..], 0, "succeeded"), (&[], 7, "ended-denied")]
    {
        let record = ["--record", "run.jsonl", "--json"];
        home.run("", &[&run[..], allow, &record].concat())?.expect(status, words)?;
        let replayed = home.run("", &["replay", conformance::SCRIPT, "run.jsonl"])?;
        replayed.expect(0, "all ").with_context(|| format!("{allow:?}"))?;
    }
    Ok(())
}

#[test]
fn a_recording_is_replayed_and_the_first_difference_is_shown() -> Result<()> {
    let home = Home::new()?;
    let script = conformance::SCRIPT;
    fs::create_dir(home.path("in"))?;
    let commands = "progress item=a status=updating value=1 max=2 text=one\n\
                    progress item=a status=succeeded value=2";
    let run = ["run", script, "--set", "items=a", "--set"];
    let record = ["--record", "run.jsonl"];
    let setting = format!("synchronize={commands}");
    let arguments = [&run[..], &[&setting], &record].concat();
    home.run("", &arguments)?.expect(0, "succeeded")?;
    home.run("", &["replay", script, "run.jsonl"])?.expect(0, "all ")?;

    // The plugin does something else from the second report on.
    let text = fs::read_to_string(home.path("run.jsonl"))?;
    let changed = text.replacen("value=2", "value=1", 1);
    ensure!(changed != text, "{text}");
    fs::write(home.path("other.jsonl"), changed)?;
    let replayed = home.run("", &["replay", script, "other.jsonl"])?;
    let replayed = replayed.expect(3, "is not as in the recording")?;
    let (recorded, now) =
        (replayed.stdout.contains("value=2"), replayed.stdout.contains("value=1"));
    ensure!(recorded && now && replayed.stdout.contains("now:"), "{replayed:?}");

    fs::write(home.path("broken.jsonl"), "{}\n")?;
    home.run("", &["replay", script, "broken.jsonl"])?.expect(2, "line 1")?;
    Ok(())
}

#[test]
fn a_recording_with_files_needs_nothing_else() -> Result<()> {
    let home = Home::new()?;
    for (path, text) in
        [("left/a.txt", &b"a"[..]), ("left/b/c.bin", b"\xff\x00"), ("right/d", b"d")]
    {
        let path = home.path(path);
        fs::create_dir_all(path.parent().context("a parent")?)?;
        fs::write(path, text)?;
    }
    let dirs = ["--dir", "left=left", "--dir", "right=right"];
    let record = ["--record", "run.jsonl", "--record-files"];
    home.run("", &[&["run", "folder"][..], &dirs, &record].concat())?.expect(0, "succeeded")?;
    fs::remove_dir_all(home.path("left"))?;
    fs::remove_dir_all(home.path("right"))?;
    // The built-in plugin is asked for by its file here.
    let text = fs::read_to_string(home.path("run.jsonl"))?;
    ensure!(text.contains("c.bin") && text.contains("base64"), "{text}");
    home.run("", &["replay", conformance::FOLDER, "run.jsonl"])?.expect(0, "all ")?;
    Ok(())
}

/// Each check of a report, with its verdict.
fn checks(report: &Value) -> Result<Vec<(&str, &str)>> {
    let checks = report["checks"].as_array().context("checks")?;
    checks
        .iter()
        .map(|one| {
            let name = one["check"].as_str().context("a name")?;
            Ok((name, one["verdict"].as_str().context("a verdict")?))
        })
        .collect()
}

#[test]
fn the_plugins_that_are_shipped_pass() -> Result<()> {
    let home = Home::new()?;
    for name in ["left", "right"] {
        fs::create_dir_all(home.path("pair").join(name))?;
    }
    for number in 0..20 {
        fs::write(home.path(&format!("pair/left/{number}.txt")), number.to_string())?;
    }
    for (plugin, arguments) in
        [(conformance::HELLO, &[][..]), (conformance::FOLDER, &["--fixture", "pair"])]
    {
        let test = [&["test", plugin, "--json"][..], arguments].concat();
        let ran = home.run("", &test)?.expect(0, "")?;
        let report = ran.json()?;
        let checks = checks(&report)?;
        ensure!(checks.len() >= 15, "{checks:?}");
        ensure!(checks.iter().all(|(_, verdict)| *verdict != "failed"), "{checks:?}");
        let passed = checks.iter().filter(|(_, verdict)| *verdict == "passed").count();
        ensure!(passed >= 12, "{plugin}: {checks:?}");
    }
    Ok(())
}

#[test]
fn verdicts_are_there_for_programs_and_for_people() -> Result<()> {
    let home = Home::new()?;
    let script = conformance::SCRIPT;
    let never_ends = ["--set", "items=a", "--set", "synchronize=progress item=a status=updating"];
    let arguments = [&["test", script][..], &never_ends, &["--junit", "report.xml"]].concat();
    let ran = home.run("", &arguments)?.expect(3, "FAILED")?;
    ensure!(ran.stdout.contains("every-item-ends") && ran.stdout.contains("| >"), "{ran:?}");
    let xml = fs::read_to_string(home.path("report.xml"))?;
    ensure!(
        xml.contains("<testcase name=\"every-item-ends\"") && xml.contains("<failure"),
        "{xml}"
    );
    let one = ["test", script, "--check", "handler-info"];
    home.run("", &one)?.expect(0, "1 passed, 0 failed, 0 skipped")?;
    home.run("", &["test", script, "--check", "magic"])?.expect(2, "--list")?;
    home.run("", &["test", "--list"])?.expect(0, "cancel-between")?;
    home.run("", &["test"])?.expect(2, "syncmgr new")?;
    Ok(())
}

/// What is wrong with each of the plugins that are wrong on purpose.
fn wrong_plugins(language: &str) -> Result<Vec<(String, String, String)>> {
    let table = conformance::workspace().join("tests/plugins/wrong/expected.tsv");
    let table = fs::read_to_string(table)?;
    let rows = table.lines().filter_map(|line| {
        let mut columns = line.split('\t').map(str::to_owned);
        let (name, of) = (columns.next()?, columns.next()?);
        (of == language).then_some((name, columns.next()?, columns.next()?))
    });
    Ok(rows.collect())
}

fn fails_for(home: &Home, component: &Path, check: &str, words: &str) -> Result<()> {
    let component = component.display().to_string();
    let fixture = conformance::workspace().join("tests/plugins/wrong/fixture");
    let fixture = fixture.display().to_string();
    let test = ["test", &component, "--fixture", &fixture, "--check", check, "--json"];
    let ran = home.run("", &test)?;
    let report = ran.expect(3, "")?.json()?;
    let failed: Vec<_> = report["checks"]
        .as_array()
        .context("checks")?
        .iter()
        .filter(|one| one["verdict"] == "failed")
        .collect();
    let right = failed.iter().any(|one| {
        one["check"] == check && one["why"].as_str().is_some_and(|why| why.contains(words))
    });
    ensure!(right, "{component}: wanted {check}, {words:?}: {failed:#?}");
    Ok(())
}

#[test]
fn wrong_plugins_in_rust_fail_for_what_is_wrong() -> Result<()> {
    let home = Home::new()?;
    let plugins = wrong_plugins("rust")?;
    ensure!(plugins.len() >= 5);
    for (name, check, words) in plugins {
        let component = Path::new(conformance::WRONG).join(format!("{name}.wasm"));
        fails_for(&home, &component, &check, &words)?;
    }
    Ok(())
}

#[test]
fn what_is_unusual_and_right_passes() -> Result<()> {
    let home = Home::new()?;
    let fixture = conformance::workspace().join("tests/plugins/wrong/fixture");
    let component = Path::new(conformance::WRONG).join("keeps_its_ids.wasm");
    let test = ["test", &component.display().to_string(), "--fixture"].map(str::to_owned);
    let test = [&test[..], &[fixture.display().to_string()]].concat();
    let test: Vec<_> = test.iter().map(String::as_str).collect();
    home.run("", &test)?.expect(0, " 0 failed")?;
    // A handler that declines has nothing to be looked at, and does nothing wrong.
    let declines = ["test", conformance::SCRIPT, "--set", "items=a", "--set", "declines=yes"];
    let ran = home.run("", &declines)?.expect(0, "it does not take part when the user asks")?;
    ensure!(ran.stdout.contains(" 0 failed"), "{ran:?}");
    Ok(())
}

#[test]
fn a_plugin_that_hangs_does_not_hold_up_the_kit() -> Result<()> {
    let home = Home::new()?;
    let spins = ["test", conformance::SCRIPT, "--set", "items=a", "--set", "synchronize=spin"];
    let one = [&spins[..], &["--check", "every-item-ends"]].concat();
    home.run("", &one)?.expect(3, "it hangs in `synchronize`")?;
    Ok(())
}

#[test]
fn wrong_plugins_in_c_fail_for_what_is_wrong() -> Result<()> {
    let home = Home::new()?;
    home.run("", &["new", "wrong", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "wrong", "c")? {
        return Ok(());
    }
    let plugins = wrong_plugins("c")?;
    ensure!(plugins.len() >= 5);
    let sources = conformance::workspace().join("tests/plugins/wrong/c");
    for entry in fs::read_dir(home.path("wrong/src"))? {
        fs::remove_file(entry?.path())?;
    }
    fs::copy(sources.join("common.h"), home.path("wrong/src/common.h"))?;
    for (name, check, words) in plugins {
        fs::copy(sources.join(format!("{name}.c")), home.path("wrong/src/wrong.c"))?;
        home.run("wrong", &["build"])?.expect(0, "built")?;
        fails_for(&home, &home.path("wrong/build/wrong.wasm"), &check, &words)?;
    }
    Ok(())
}

#[test]
fn a_death_tells_what_happened_and_where() -> Result<()> {
    let home = Home::new()?;
    let run = ["run", conformance::SCRIPT, "--set", "items=a", "--set"];
    let panics = [&run[..], &["synchronize=panic text=no_more_lemons"]].concat();
    let ran = home.run("", &panics)?.expect(7, "no more lemons")?;
    ensure!(ran.stdout.contains("died in synchronize: panicked at "), "{ran:?}");
    ensure!(ran.stdout.contains("the end of what it wrote to stderr:"), "{ran:?}");
    ensure!(ran.stdout.contains("where it was, innermost first:"), "{ran:?}");
    ensure!(ran.stdout.contains("script::run"), "frames have names: {ran:?}");
    let ran = home.run("", &[&panics[..], &["--json"]].concat())?.expect(7, "plugin-trap")?;
    let last = ran.stdout.lines().last().context("a report")?;
    let report: Value = serde_json::from_str(last)?;
    let error = &report["error"];
    ensure!(error["stderr"].as_str().is_some_and(|text| text.contains("lemons")), "{error}");
    ensure!(error["backtrace"].as_str().is_some_and(|text| text.contains("run")), "{error}");
    Ok(())
}

#[test]
fn every_error_code_is_explained() -> Result<()> {
    let home = Home::new()?;
    let listed = home.run("", &["explain"])?.expect(0, "ended-memory")?;
    let codes: Vec<_> =
        listed.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    // Every code that the sources have is one of them.
    let mut wanted = Vec::new();
    for file in [
        "host/src/error.rs",
        "host/src/limits.rs",
        "host/src/http/denial.rs",
        "host/src/http/grant.rs",
        "host/store/src/error.rs",
        "host/authoring/src/error.rs",
        "host/kit/src/error.rs",
    ] {
        let Ok(source) = fs::read_to_string(conformance::workspace().join(file)) else { continue };
        for line in source.lines().map(str::trim) {
            let arm = line.starts_with("Self::") && line.contains("=> \"");
            let reason = line.contains(", \"ended-");
            if let Some(code) = line.split('"').nth(1).filter(|_| arm || reason) {
                let is_code = code.contains('-') && !code.contains(' ');
                wanted.extend(is_code.then(|| code.to_owned()));
            }
        }
    }
    wanted.extend(syncmgr_host::ErrorCode::ALL.map(|code| code.name().to_owned()));
    ensure!(wanted.len() > 50, "{wanted:?}");
    let calls = syncmgr_host::Call::ALL.map(|call| call.name());
    let missing: Vec<_> = wanted
        .iter()
        .filter(|code| !codes.contains(&code.as_str()) && !calls.contains(&code.as_str()))
        .collect();
    ensure!(missing.is_empty(), "there are no pages for {missing:?}");
    for code in codes {
        let page = home.run("", &["explain", code])?.expect(0, &format!("# {code}"))?;
        ensure!(page.stdout.contains("## What to do"), "{code}: {}", page.stdout);
        let wide = page.stdout.lines().find(|line| line.chars().count() > 100);
        ensure!(wide.is_none(), "{code}: {wide:?}");
    }
    home.run("", &["explain", "magic"])?.expect(2, "lists them")?;
    Ok(())
}

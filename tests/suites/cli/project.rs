//! The work of a plugin author in each language: creating, building, testing and packaging a
//! project.
//!
//! Tests skip languages whose tools are missing, with a message. With `SYNCMGR_REQUIRE_LANGUAGES`
//! they fail instead.

#![allow(clippy::print_stderr, reason = "what is skipped has to be said")]

mod check;
mod http;
mod languages;
mod published;
mod rebuilding;
mod recordings;
mod tutorial;
mod using;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use conformance::blocks::{blocks, shows};
use serde_json::Value;
use tutorial::carry_out;

use crate::home::{Home, Ran};

/// The time limit for an operation that takes seconds.
const PATIENCE: Duration = Duration::from_secs(300);

/// Installs the tools of a language in a project; `false`: they are not available.
fn ready(home: &Home, project: &str, language: &str) -> Result<bool> {
    let steps: &[&[&str]] = match language {
        "rust" => &[&["cargo", "--version"]],
        "c" => &[&["clang", "--version"]],
        "python" => &[
            &["python3", "-m", "venv", ".venv"],
            &[".venv/bin/pip", "install", "--quiet", "--requirement", "requirements.txt"],
        ],
        "javascript" | "typescript" => {
            &[&["npm", "install", "--silent", "--no-audit", "--no-fund"]]
        }
        other => bail!("there is no language {other}"),
    };
    can_run(home, project, language, steps)
}

/// Runs commands in a project; `false`: they are not available.
fn can_run(home: &Home, project: &str, language: &str, steps: &[&[&str]]) -> Result<bool> {
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

/// The first four commands of an author, with their results.
fn from_nothing_to_a_packed_plugin(language: &str) -> Result<()> {
    let home = Home::new()?;
    let name = format!("my-{language}");
    home.run(&["new", &name, "--lang", language])?.expect(0, "syncmgr build")?;
    if !ready(&home, &name, language)? {
        return Ok(());
    }
    let component = format!("build/{name}.wasm");
    home.run_in(&name, &["build"])?.expect(0, &component)?;
    conformance::fits_the_world(&fs::read(home.path(&name).join(&component))?)?;
    home.run_in(&name, &["test"])?.expect(0, " 0 failed")?;

    fs::create_dir(home.path("copies"))?;
    let copies = format!("target={}", home.path("copies").display());
    let run = ["run", &component, "--dir", "source=fixture/source:ro", "--dir", &copies];
    home.run_in(&name, &run)?.expect(0, "succeeded")?;
    let source = home.path(&name).join("fixture/source");
    ensure!(!home.path("state/syncmgr").exists(), "it is all in the state folder that was named");
    ensure!(
        Command::new("diff").arg("-r").arg(source).arg(home.path("copies")).status()?.success(),
        "the copies differ"
    );

    // The precompiled component is cached: the second run does not compile.
    let ran = home.run_in(&name, &["cache", "--json"])?.expect(0, "")?;
    ensure!(ran.stdout.contains(&name) || !ran.stdout.trim().is_empty(), "{ran:?}");

    let packed = format!("dist/{name}-0.1.0.wasm");
    home.run_in(&name, &["pack"])?.expect(0, &packed)?;
    let inspected = home.run_in(&name, &["inspect", &packed, "--json"])?.json()?;
    ensure!(inspected["version"] == "0.1.0", "{inspected}");
    ensure!(inspected["license"] == "MIT OR Apache-2.0", "{inspected}");
    ensure!(inspected["contract-version"] == "0.1.0", "{inspected}");
    let requests = inspected["requests"].as_array().context("requests")?;
    ensure!(requests.len() == 2, "{inspected}");
    home.run_in(&name, &["validate", &packed])?.expect(0, "is a plugin")?;

    // Commands that install tools are omitted, since the tools are installed.
    let page =
        fs::read_to_string(home.path(&name).join("README.md"))?.replace("```sh\nsudo", "```\n");
    fs::create_dir(home.path(&name).join("TO"))?;
    let page = page.replace("FROM", "fixture/source");
    carry_out(&home, &name, &page)?.expect(0, &packed)?;
    Ok(())
}

#[test]
fn a_new_rust_project_is_built_tested_and_packed() -> Result<()> {
    from_nothing_to_a_packed_plugin("rust")
}

#[test]
fn a_new_c_project_is_built_tested_and_packed() -> Result<()> {
    from_nothing_to_a_packed_plugin("c")
}

#[test]
fn a_new_python_project_is_built_tested_and_packed() -> Result<()> {
    from_nothing_to_a_packed_plugin("python")
}

#[test]
fn a_new_javascript_project_is_built_tested_and_packed() -> Result<()> {
    from_nothing_to_a_packed_plugin("javascript")
}

#[test]
fn a_new_typescript_project_is_built_tested_and_packed() -> Result<()> {
    from_nothing_to_a_packed_plugin("typescript")
}

#[test]
fn the_tests_of_a_rust_project_run_natively_and_with_the_component() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "mine", "--lang", "rust"])?.expect(0, "")?;
    home.run_in("mine", &["build"])?.expect(0, "mine.wasm")?;
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
        Ok(Ran::of(&cargo.output()?))
    };
    cargo_test(false)?.expect(0, "4 passed")?;
    cargo_test(true)?.expect(0, "4 passed")?;
    // The tests run the component: they fail with another one.
    fs::copy(conformance::HELLO, home.path("mine/build/mine.wasm"))?;
    let other = cargo_test(true)?;
    ensure!(other.status != 0 && other.stdout.contains("everything_is_copied_once"), "{other:?}");
    Ok(())
}

#[test]
fn a_python_plugin_can_use_the_bindings_directly() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "counter", "--lang", "python"])?.expect(0, "")?;
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
    let ran = home.run_in("counter", &["run", "counter.wasm", "--json"])?.expect(0, "succeeded")?;
    let reports = ran.stdout.lines().filter(|line| line.contains("\"event\":\"progress\"")).count();
    ensure!(reports == 4, "{ran:?}");
    Ok(())
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
        Ok(Ran::of(&output).expect(0, "")?.stdout)
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
            // The reports equal those to our host.
            let ours = home.run(&["run", conformance::HELLO, "--json"])?.expect(0, "")?;
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
fn an_existing_project_is_kept() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.path("mine"))?;
    fs::write(home.path("mine/notes"), "mine")?;
    home.run(&["new", "mine", "--lang", "c"])?.expect(2, "already exists")?;
    ensure!(fs::read_dir(home.path("mine"))?.count() == 1);
    for (name, words) in [("Mine", "invalid plugin name"), ("../mine", "invalid plugin name")] {
        home.run(&["new", name, "--lang", "c"])?.expect(2, words)?;
    }
    home.run(&["new", "other", "--lang", "cobol"])?
        .expect(2, "rust, python, javascript, typescript, c")?;
    home.run_in("mine", &["build"])?.expect(2, "syncmgr new")?;
    Ok(())
}

#[test]
fn a_crash_report_has_the_reason_and_the_location() -> Result<()> {
    let home = Home::new()?;
    let run = ["run", conformance::SCRIPT, "--set", "items=a", "--set"];
    let panics = [&run[..], &["synchronize=panic text=no_more_lemons"]].concat();
    let ran = home.run(&panics)?.expect(7, "no more lemons")?;
    ensure!(ran.stdout.contains("crashed in `synchronize`: panicked at "), "{ran:?}");
    ensure!(ran.stdout.contains("end of its stderr:"), "{ran:?}");
    ensure!(ran.stdout.contains("backtrace, innermost frame first:"), "{ran:?}");
    ensure!(ran.stdout.contains("script::run"), "frames have names: {ran:?}");
    let ran = home.run(&[&panics[..], &["--json"]].concat())?.expect(7, "plugin-trap")?;
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
    let listed = home.run(&["explain"])?.expect(0, "ended-memory")?;
    let codes: Vec<_> =
        listed.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    // Every code in the sources is listed.
    let mut wanted = Vec::new();
    for file in [
        "host/src/error/contract.rs",
        "host/src/error/grant.rs",
        "host/src/error/load.rs",
        "host/src/error/session.rs",
        "host/src/error/termination.rs",
        "host/src/limits.rs",
        "host/src/http/denial.rs",
        "host/src/http/grant.rs",
        "host/com/src/registry.rs",
        "host/install/src/error.rs",
        "host/cli/src/project/error.rs",
        "host/cli/src/check/error.rs",
    ] {
        let source = fs::read_to_string(conformance::workspace().join(file)).context(file)?;
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
        let page = home.run(&["explain", code])?.expect(0, &format!("# {code}"))?;
        ensure!(page.stdout.contains("## Solution"), "{code}: {}", page.stdout);
        let wide = page.stdout.lines().find(|line| line.chars().count() > 100);
        ensure!(wide.is_none(), "{code}: {wide:?}");
    }
    home.run(&["explain", "magic"])?.expect(2, "list the codes with `syncmgr explain`")?;
    Ok(())
}

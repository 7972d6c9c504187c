//! Compiles, executes or parses every code block of the documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use conformance::blocks::{Block, blocks};
use conformance::workspace;
use syncmgr_cli::project::Manifest;

/// How to test a block.
#[derive(Debug)]
enum How {
    /// Executed in this folder, after these commands.
    Run(&'static str, &'static str),
    /// Written to this file, for later blocks.
    File(&'static str),
    /// Compared with the output of these commands in this folder.
    Shows(&'static str, &'static str),
    /// The same for one line that is wrapped.
    ShowsLine(&'static str, &'static str),
    /// Contains commands after `$ `, each with its output, for this folder.
    Session(&'static str),
    /// Its `run` steps are executed in this folder, and create the file named by `path`.
    Workflow(&'static str),
    /// A part of a project manifest, which is parsed together with this part.
    Manifest(&'static str),
    /// Another test executes it.
    By(&'static str),
    /// Not executed, for this reason. Its `syncmgr` commands must be valid.
    Not(&'static str),
}
use How::{By, File, Not, Run, Session, Shows, ShowsLine, Workflow};

const BUILD: &str = "[build]\nlanguage = \"c\"\n";
const PLUGIN_AND_BUILD: &str =
    "[plugin]\nname = \"mirror\"\nversion = \"0.1.0\"\n[build]\nlanguage = \"c\"\n";

/// The page of each block, the start of its first line, and its test. The blocks are executed in
/// this order, in one home directory.
const BLOCKS: &[(&str, &str, How)] = &[
    ("README.md", "$ syncmgr run folder", Session("")),
    ("README.md", "cargo install", Not("it installs the program")),
    ("README.md", "cargo demo", By("program::the_demo_makes_two_folders_and_syncs_them")),
    ("README.md", "cargo test", Not("this is how the tests are run")),
    ("README.md", "syncmgr run folder", Run("readme", "")),
    (FOLDER, "syncmgr run folder", Run("readme", "")),
    (FOLDER, "# sync.toml", File("readme/sync.toml")),
    (FOLDER, "syncmgr run --job", Run("readme", "")),
    (
        WEBDAV,
        "syncmgr run webdav --dir local=~/docs --http remote=https://dav.",
        By("webdav::both_sides_become_equal_and_a_rerun_changes_nothing"),
    ),
    (
        WEBDAV,
        "syncmgr run webdav --dir local=~/docs --http remote=https://cloud.",
        Not("the tests have no Nextcloud server"),
    ),
    (
        WEBDAV,
        "remote: Apache/2.4.71",
        By("webdav::what_a_server_can_do_is_found_out_once"),
    ),
    (ENGINE, "{{#include ../../../tests/plugins/examples/shelf.rs", Not("the suite `folder` runs it")),
    (ENGINE, "{{#include ../../../tests/plugins/examples/shelf.toml", Not("it is part of the example")),
    (ENGINE, "syncmgr run shelf.wasm", Not("the suite `folder` runs it with a service")),
    (ENGINE, "only an empty directory is removed", Not("it is one broken promise of many")),
    (WEBDAV, "plugin = \"webdav\"", By("webdav::a_job_file_describes_pairs")),
    (
        S3,
        "syncmgr run s3 --dir local=~/photos --http remote=https://s3.",
        By("s3::both_sides_become_equal_and_a_rerun_changes_nothing"),
    ),
    (S3, "plugin = \"s3\"", By("s3::a_job_file_describes_pairs")),
    (S3, "remote: SeaweedFS", By("s3::what_a_server_can_do_is_found_out_once")),
    (S3, "AWS_ACCESS_KEY_ID=me", Not("it uses the default ports of seaweedfs")),
    (OPERATING, "syncmgr register folder", Run("readme", "")),
    (GRANTS, "syncmgr inspect theirs.wasm", Run("readme", "")),
    ("README.md", "syncmgr new mirror", Run("readme", "")),
    (PUBLISHING, "[package]", File("hello/Cargo.toml")),
    (PUBLISHING, "cargo build --release", Run("hello", "")),
    (PUBLISHING, "syncmgr validate", Run("hello", "")),
    ("CONTRIBUTING.md", "cargo build", Not("this is how the tests are run")),
    ("CONTRIBUTING.md", "BLESS=1", Not("it writes into the repository")),
    ("ARCHITECTURE.md", "component -->", Not("a drawing")),
    (LIFECYCLE, "            +----", Not("a drawing")),
    (INTRODUCTION, "rustup target add", Not("it installs the program")),
    (OPERATING, "plugin = \"theirs.wasm\"", File("operating/sync.toml")),
    (OPERATING, "syncmgr inspect theirs.wasm", Run("operating", "")),
    (OPERATING, "plugin = \"folder\"", File("operating/sync.toml")),
    (OPERATING, "syncmgr items --job", Run("operating", "")),
    (
        OPERATING,
        "{\"event\":\"report\"",
        ShowsLine(
            "readme/mirror",
            "mkdir copies
             dirs='--dir source=fixture/source:ro --dir target=copies'
             syncmgr run build/mirror.wasm $dirs --json | tail -n 1",
        ),
    ),
    (GRANTS, "[requests.directories]", How::Manifest(PLUGIN_AND_BUILD)),
    (GRANTS, "$ syncmgr inspect", Session("readme/mirror/dist")),
    (
        NETWORK,
        "syncmgr run mine.wasm --http remote=https://dav.example.org/files/me/ --http-auth remote=basic",
        Not("it needs a server of the reader"),
    ),
    (
        NETWORK,
        "syncmgr run mine.wasm --http remote=https://dav.example.org/files/me/ --http-auth remote=oauth2",
        Not("it needs a server of the reader"),
    ),
    (NETWORK, "{", By("http_login::a_token_is_renewed_if_it_is_not_valid")),
    (NETWORK, "umask 077", Not("it needs a server of the reader")),
    (NETWORK, "syncmgr secret set", By("program::keyring::a_secret_is_stored_used_and_removed")),
    (NETWORK, "plugin = \"mine.wasm\"", By("program::network::a_server_is_granted_on_the_command_line_and_in_a_job")),
    (NETWORK, "[requests.http]", How::Manifest(PLUGIN_AND_BUILD)),
    (PUBLISHING, "[plugin]", How::Manifest(BUILD)),
    (PUBLISHING, "syncmgr register", Run("readme/mirror/dist", "")),
    (PUBLISHING, "syncmgr embed", By("project::requests_are_added_to_any_component")),
    (TESTING, "syncmgr test", Run("readme/mirror", "cp build/mirror.wasm .")),
    (
        TESTING,
        "FAILED   every-item-ends",
        Shows(
            "",
            "steps=$(printf 'progress item=count status=updating value=%s max=10 quiet=1\\n' {1..10})
             test='syncmgr test script.wasm --set items=count --check every-item-ends'
             { $test --set \"synchronize=$steps\" || [ $? -eq 3 ]; } | grep -v ' passed, '",
        ),
    ),
    (TESTING, "steps:", Workflow("readme/mirror")),
    (
        TESTING,
        "syncmgr run mirror.wasm",
        Run("readme/mirror", "cp -r fixture/source in; mkdir out"),
    ),
    (
        TESTING,
        "call 3 differs from the recording",
        Shows(
            "readme/mirror",
            "sed -i 's/\"max-value\":55/\"max-value\":54/' run.jsonl
             syncmgr replay mirror.wasm run.jsonl || [ $? -eq 3 ]",
        ),
    ),
    (
        TESTING,
        "SYNCMGR_COMPONENT=",
        By("project::the_tests_of_a_rust_project_run_natively_and_with_the_component"),
    ),
    (WINDOWS, "cargo build --release", Not("`windows` and `com_native` build them")),
    (WINDOWS, "syncmgr register folder", Not(ON_WINDOWS)),
    (WINDOWS, "syncmgr run --clsid", Not(ON_WINDOWS)),
    (WINDOWS, "syncmgr unregister", Not(ON_WINDOWS)),
    (
        "tests/jco/README.md",
        "cargo build",
        By("project::the_same_plugin_runs_under_another_runtime"),
    ),
    (TUTORIAL_C, "sudo apt install", Not("it installs what the other blocks need")),
    (TUTORIAL_C, "syncmgr dev", Not(DEV)),
    (TUTORIAL_JAVASCRIPT, "syncmgr dev", Not(DEV)),
    (TUTORIAL_PYTHON, "syncmgr dev", Not(DEV)),
    (TUTORIAL_RUST, "syncmgr dev", Not(DEV)),
    ("guest/templates/javascript/README.md", "[requests.allow]", How::Manifest(PLUGIN_AND_BUILD)),
    ("guest/templates/python/README.md", "[requests.allow]", How::Manifest(PLUGIN_AND_BUILD)),
    ("guest/templates/typescript/README.md", "[requests.allow]", How::Manifest(PLUGIN_AND_BUILD)),
];

const FOLDER: &str = "guest/book/src/folder.md";
const GRANTS: &str = "guest/book/src/grants.md";
const INTRODUCTION: &str = "guest/book/src/introduction.md";
const LIFECYCLE: &str = "guest/book/src/lifecycle.md";
const NETWORK: &str = "guest/book/src/network.md";
const WEBDAV: &str = "guest/book/src/webdav.md";
const S3: &str = "guest/book/src/s3.md";
const ENGINE: &str = "guest/book/src/engine.md";
const OPERATING: &str = "guest/book/src/operating.md";
const PUBLISHING: &str = "guest/book/src/publishing.md";
const TESTING: &str = "guest/book/src/testing.md";
const TUTORIAL_C: &str = "guest/book/src/tutorial-c.md";
const TUTORIAL_JAVASCRIPT: &str = "guest/book/src/tutorial-javascript.md";
const TUTORIAL_PYTHON: &str = "guest/book/src/tutorial-python.md";
const TUTORIAL_RUST: &str = "guest/book/src/tutorial-rust.md";
const WINDOWS: &str = "guest/book/src/windows.md";

const ON_WINDOWS: &str = "it is for Windows, where `windows` does the like under Wine";
const DEV: &str = "it does not end; `project` runs it where it waits for changes";

/// Pages on which a test covers every block with one of these infos, whatever their number.
const WHOLE_PAGES: &[(&str, &[&str], &str)] = &[
    (TUTORIAL_C, &["sh", "text", "c"], "project::the_c_tutorial_works_as_written"),
    (
        TUTORIAL_JAVASCRIPT,
        &["sh", "text", "javascript"],
        "project::the_javascript_tutorial_works_as_written",
    ),
    (TUTORIAL_PYTHON, &["sh", "text", "python"], "project::the_python_tutorial_works_as_written"),
    (TUTORIAL_RUST, &["sh", "text"], "project::the_rust_tutorial_works_as_written"),
    ("guest/templates/c/README.md", &["sh"], "project::a_new_c_project_is_built_tested_and_packed"),
    (
        "guest/templates/javascript/README.md",
        &["sh"],
        "project::a_new_javascript_project_is_built_tested_and_packed",
    ),
    (
        "guest/templates/python/README.md",
        &["sh"],
        "project::a_new_python_project_is_built_tested_and_packed",
    ),
    (
        "guest/templates/typescript/README.md",
        &["sh"],
        "project::a_new_typescript_project_is_built_tested_and_packed",
    ),
    (
        "guest/templates/rust/README.md",
        &["sh"],
        "project::a_new_rust_project_is_built_tested_and_packed",
    ),
    ("guest/templates/http/c/README.md", &["sh"], "project::a_c_project_sends_requests"),
    (
        "guest/templates/http/javascript/README.md",
        &["sh"],
        "project::a_javascript_project_sends_requests",
    ),
    ("guest/templates/http/python/README.md", &["sh"], "project::a_python_project_sends_requests"),
    ("guest/templates/http/rust/README.md", &["sh"], "project::a_rust_project_sends_requests"),
    (
        "guest/templates/http/typescript/README.md",
        &["sh"],
        "project::a_typescript_project_sends_requests",
    ),
    ("wit/reference.md", &["wit"], "contract::the_reference_equals_the_wit"),
];

/// Returns every page with code blocks, by its path in the repository.
fn documents() -> Result<BTreeMap<String, Vec<Block>>> {
    fn collect(folder: &Path, pages: &mut Vec<PathBuf>) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            }
            if path.is_dir() {
                collect(&path, pages)?;
            } else if path.extension().is_some_and(|end| end == "md") {
                pages.push(path);
            }
        }
        Ok(())
    }
    let root = workspace().canonicalize()?;
    let mut pages = Vec::new();
    collect(&root, &mut pages)?;
    let mut documents = BTreeMap::new();
    for page in pages {
        let found = blocks(&fs::read_to_string(&page)?);
        let path = page.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
        if !found.is_empty() {
            documents.insert(path, found);
        }
    }
    Ok(documents)
}

/// Returns the blocks of a page that a row of [`BLOCKS`] refers to.
fn named<'a>(page: &'a [Block], start: &'a str) -> impl Iterator<Item = &'a Block> {
    page.iter().filter(move |block| {
        !["rust", "wit"].contains(&block.language()) && block.text.starts_with(start)
    })
}

/// Returns whether a test of this name exists, such as `suite::test`.
fn test_exists(name: &str) -> Result<bool> {
    let (suite, _) = name.split_once("::").context("a suite and a test")?;
    let test = name.rsplit("::").next().context("a test")?;
    Ok(conformance::suite_source(suite)?.contains(&format!("#[test]\nfn {test}(")))
}

#[test]
fn every_block_has_a_test_or_a_reason() -> Result<()> {
    let documents = documents()?;
    let doctests = fs::read_to_string(workspace().join("tests/src/lib.rs"))?;
    for (page, found) in &documents {
        for block in found {
            let place = || format!("{page}:{}, ```{}", block.line, block.info);
            if block.language() == "rust" {
                let included = doctests.contains(&format!("include_str!(\"../../{page}\")"));
                ensure!(included, "{}: tests/src/lib.rs does not have the page", place());
                let compiled = block.info == "rust" || block.info == "rust,no_run";
                ensure!(compiled, "{}: it is not compiled", place());
                continue;
            }
            let rows = BLOCKS.iter().filter(|(of, start, _)| {
                of == page && named(std::slice::from_ref(block), start).next().is_some()
            });
            let mut hows: Vec<_> = rows.map(|(_, _, how)| how).collect();
            let whole = WHOLE_PAGES
                .iter()
                .any(|(of, infos, _)| of == page && infos.contains(&block.info.as_str()));
            ensure!(
                hows.len() + usize::from(whole) == 1,
                "{}: {} rows of this suite say what is done with it:\n{}",
                place(),
                hows.len() + usize::from(whole),
                block.text
            );
            let carried_out = !matches!(hows.pop(), Some(Not(_) | By(_)));
            let ignored = block.info.ends_with(",ignore");
            ensure!(!(carried_out && ignored), "{}: it is not ignored", place());
        }
    }
    for (page, start, how) in BLOCKS {
        let found = documents.get(*page).map(Vec::as_slice).unwrap_or_default();
        ensure!(named(found, start).count() == 1, "{page} has no block {start:?}");
        match how {
            By(test) => ensure!(test_exists(test)?, "there is no test {test}"),
            Not(why) => ensure!(why.contains(' '), "{page}: {start:?} needs a reason"),
            Run(..)
            | File(_)
            | Shows(..)
            | ShowsLine(..)
            | Session(_)
            | Workflow(_)
            | How::Manifest(_) => {}
        }
    }
    for (page, infos, test) in WHOLE_PAGES {
        let found = documents.get(*page).map(Vec::as_slice).unwrap_or_default();
        for info in *infos {
            ensure!(found.iter().any(|block| block.info == *info), "{page} has no {info}");
        }
        ensure!(test_exists(test)?, "there is no test {test}");
    }
    Ok(())
}

/// Returns the arguments of each `syncmgr` command in a block.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let lines = block.text.lines().map(|line| {
        let line = line.trim_start().trim_start_matches("$ ").trim_start_matches("- run: ");
        let command = line.split(" #").next().unwrap_or_default();
        command.replace("cargo demo ", "syncmgr demo ").replace("{{name}}", "mirror")
    });
    lines
        .filter(|line| line.starts_with("syncmgr "))
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn every_command_in_a_block_is_valid() -> Result<()> {
    let mut checked = 0;
    for (page, found) in documents()? {
        for block in found.iter().filter(|block| block.language() != "rust") {
            for command in commands(block) {
                let arguments: Vec<_> = command.iter().map(String::as_str).collect();
                syncmgr_cli::check_arguments(&arguments).map_err(|error| {
                    anyhow::anyhow!("{page}:{}: {}: {error}", block.line, command.join(" "))
                })?;
                checked += 1;
            }
        }
    }
    ensure!(checked > 80, "{checked} commands");
    for wrong in [
        &["syncmgr", "run", "--job", "a.toml", "--dir", "b=c"][..],
        &["syncmgr", "sync"],
        &["syncmgr", "register"],
    ] {
        ensure!(syncmgr_cli::check_arguments(wrong).is_err(), "{wrong:?}");
    }
    Ok(())
}

#[test]
fn every_manifest_in_a_block_is_valid() -> Result<()> {
    let documents = documents()?;
    for (page, start, how) in BLOCKS {
        let How::Manifest(rest) = how else { continue };
        let block = documents.get(*page).and_then(|found| named(found, start).next());
        let part = &block.context("a block")?.text;
        Manifest::parse(&format!("{rest}{part}"))
            .map_err(|error| anyhow::anyhow!("{page}: {error}"))?;
        let misspelt = part.replacen("[requests.", "[requests.x", 1).replacen("version", "ver", 1);
        ensure!(Manifest::parse(&format!("{rest}{misspelt}")).is_err(), "{page} is not checked");
    }
    Ok(())
}

#[cfg(unix)]
mod carried_out {
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
}

//! The program, from its arguments to its exit status.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::home::{Home, Ran};

#[cfg(unix)]
mod interrupted;
#[cfg(all(unix, not(target_os = "macos")))]
mod keyring;
mod messages;
mod network;
mod network_recordings;
mod output;
#[cfg(unix)]
mod trust;

impl Home {
    /// Creates two directories with a file on the left.
    fn with_pair() -> anyhow::Result<Self> {
        let home = Self::new()?;
        home.write("left/a.txt", "hello")?;
        fs::create_dir(home.path("right"))?;
        Ok(home)
    }
}

const PAIR: [&str; 6] = ["run", "folder", "--dir", "left=left", "--dir", "right=right"];

fn pair_with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    PAIR.into_iter().chain(more.iter().copied()).collect()
}

#[test]
fn two_folders_are_synced_and_the_second_run_has_nothing_to_do() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    let ran = home.run(&PAIR)?.expect(0, "succeeded: folder, 1 copied")?;
    assert_eq!(ran.stderr, "", "plain lines only, without a terminal");
    assert_eq!(fs::read_to_string(home.path("right/a.txt"))?, "hello");
    home.run(&PAIR)?.expect(0, "succeeded: folder, nothing to do")?;
    Ok(())
}

#[test]
fn inspect_shows_the_sdk_of_a_plugin() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    let sdk = format!("rust {}", env!("CARGO_PKG_VERSION"));
    home.run(&["inspect", "folder"])?.expect(0, &format!("sdk       {sdk}\n"))?;
    let json = home.run(&["inspect", "folder", "--json"])?.expect(0, "")?.stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json)?["sdk"], sdk.as_str());
    Ok(())
}

#[test]
fn every_exit_status_occurs() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    home.write("right/a.txt", "other")?;
    home.run(&PAIR)?.expect(1, "changed on both sides")?;
    home.run(&pair_with(&["--set", "mode=sideways"]))?.expect(2, "two-way-safe")?;
    home.run(&["run", "folder", "--dir", "left=left"])?.expect(2, "--dir right=PATH")?;
    home.run(&["run", "nothing"])?.expect(2, "not a file, not a built-in plugin")?;
    home.run(&["run", "missing.wasm"])?.expect(2, "missing.wasm")?;
    home.run(&["run", "folder", "--dir", "x"])?.expect(2, "NAME=PATH")?;
    home.run(&["frobnicate"])?.expect(2, "unrecognized subcommand")?;
    home.run(&pair_with(&["--item", "other"]))?
        .expect(2, "unknown item \"other\"; the plugin has `folder`")?;

    let gone = ["run", "folder", "--dir", "left=left", "--dir", "right=gone"];
    let message = format!(
        "the directory `right` ({}) does not exist; create it, or mount its file system",
        home.path("gone").display()
    );
    home.run(&gone)?.expect(4, &message)?;

    let script = ["run", conformance::SCRIPT, "--set", "items=a"];
    for (commands, status, words) in [
        ("synchronize=progress item=a status=succeeded", 0, "succeeded: a"),
        ("synchronize=progress item=a status=failed", 3, "failed: a"),
        ("synchronize=fail code=other text=so_what", 3, "so what"),
        ("synchronize=progress item=a status=skipped", 1, "skipped: a"),
        ("synchronize=progress item=a status=stopped", 5, "stopped: a"),
        ("synchronize=fail code=busy", 6, "busy"),
        ("synchronize=fail code=safety-stop", 4, "safety-stop"),
        ("synchronize=panic text=oh_no", 7, "oh no"),
        ("needs-user=yes", 1, "has a question for the user"),
        ("declines=yes", 0, "declines runs of this kind"),
    ] {
        let arguments: Vec<&str> = script.into_iter().chain(["--set", commands]).collect();
        home.run(&arguments)?.expect(status, words).with_context(|| commands.to_owned())?;
    }
    Ok(())
}

#[test]
fn json_has_an_object_for_each_callback_and_a_report() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    home.write("left/d/b.txt", "b")?;
    let ran = home.run(&pair_with(&["--json"]))?.expect(0, "report")?;
    assert_eq!(ran.stderr, "");
    let lines = ran.json_lines()?;
    for line in &lines {
        if line["event"] == "progress" {
            assert_eq!(line["response"], "continue", "{line}");
            assert_eq!(line["hresult"]["name"], "S_OK", "{line}");
            assert_eq!(line["hresult"]["value"], "0x00000000", "{line}");
        }
    }
    assert_eq!(lines[0]["event"], "started");
    let report = lines.last().context("there are lines")?;
    assert_eq!(report["event"], "report");
    let item = &report["items"][0];
    assert_eq!(item["status"], "succeeded");
    assert_eq!(item["counts"]["copied"], 2);
    assert_eq!(item["counts"]["bytes-copied"], 6);
    assert_eq!(item["counts"]["directories"], 1);
    assert_eq!(report["hresult"]["name"], "S_OK");
    assert_eq!(report["exit-code"], 0);
    Ok(())
}

#[test]
fn a_dry_run_changes_nothing_even_without_plugin_support() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    home.run(&pair_with(&["--dry-run"]))?
        .expect(0, "copy  left -> right  a.txt  (new on left, 5 bytes)")?;
    assert!(!home.path("right/a.txt").exists());

    let write = "synchronize=write path=/left/new text=x\nprogress item=a status=succeeded";
    let arguments =
        ["run", conformance::SCRIPT, "--set", "items=a", "--set", write, "--dir", "left=left"];
    let dry: Vec<&str> = arguments.into_iter().chain(["--dry-run"]).collect();
    home.run(&dry)?.expect(0, "write: ")?;
    assert!(!home.path("left/new").exists());
    home.run(&arguments)?.expect(0, "write: ok")?;
    assert!(home.path("left/new").exists());
    home.run(&["run", conformance::HELLO, "--dry-run"])?
        .expect(0, "plugin `hello` does not support dry runs")?;
    Ok(())
}

#[test]
fn a_job_file_can_have_several_items() -> anyhow::Result<()> {
    let home = Home::new()?;
    for name in ["one/l/a", "one/r/b", "two/l/c", "two/r/d"] {
        home.write(name, name)?;
    }
    let job = home.write(
        "jobs/sync.toml",
        r#"
        plugin = "folder"
        [settings]
        durable = false
        [items.first]
        dirs = { left = "../one/l", right = "../one/r" }
        [items.second]
        name = "The second"
        dirs = { left = "../two/l:ro", right = "../two/r" }
        settings = { mode = "mirror" }
        "#,
    )?;
    let job = job.to_str().context("it is text")?;
    home.run(&["items", "--job", job])?.expect(0, "The second")?;
    home.run(&["run", "--job", job, "--item", "first"])?.expect(0, "succeeded: first, 2 copied")?;
    assert!(!home.path("two/r/c").exists(), "only the item named");
    let ran = home.run(&["run", "--job", job])?.expect(0, "succeeded: first, nothing to do")?;
    ran.expect(0, "succeeded: The second, 1 copied, 1 deleted")?;
    home.write("jobs/bad.toml", "plugin = \"folder\"\nspeed = 9")?;
    home.run(&["run", "--job", "jobs/bad.toml"])?.expect(2, "unknown field `speed`")?;
    Ok(())
}

#[test]
fn the_advice_of_a_safety_stop_works_with_a_job_file() -> anyhow::Result<()> {
    let home = Home::new()?;
    let names = ["a", "b", "c", "d"];
    for name in names {
        home.write(&format!("l/{name}"), name)?;
    }
    fs::create_dir(home.path("r"))?;
    let pair = "dirs = { left = \"l\", right = \"r\" }";
    let job = format!("plugin = \"folder\"\n[items.docs]\n{pair}\n");
    home.write("one.toml", &job)?;
    home.write("own.toml", format!("{job}settings = {{ max-delete = \"0\" }}\n"))?;
    for (job, option) in [
        ("one.toml", ["--set", "max-delete=any"]),
        ("own.toml", ["--set", "max-delete=any"]),
        ("own.toml", ["--set", "docs.max-delete=any"]),
        ("own.toml", ["--max-delete", "any"]),
    ] {
        for name in names {
            home.write(&format!("l/{name}"), name)?;
        }
        home.run(&["run", "--job", job])?.expect(0, "succeeded")?;
        for name in names {
            fs::remove_file(home.path("l").join(name))?;
        }
        home.run(&["run", "--job", job])?.expect(4, "`--max-delete ")?;
        assert!(home.path("r/a").exists());
        home.run(&[&["run", "--job", job][..], &option].concat())?
            .expect(0, "4 deleted")
            .with_context(|| option.join(" "))?;
    }
    home.run(&["run", "--job", "one.toml", "--dir", "left=r"])?.expect(2, "cannot be used with")?;
    Ok(())
}

#[test]
fn validate_reports_each_invalid_file() -> anyhow::Result<()> {
    let home = Home::new()?;
    let good = fs::read(conformance::HELLO)?;
    let newer =
        replace(&good, b"syncmgr:plugin/synchronize@0.1.0", b"syncmgr:plugin/synchronize@0.9.0");
    let later = replace(&fs::read(conformance::SCRIPT)?, b"@0.1.0", b"@0.1.7");
    let later_interface =
        replace(&later, b"syncmgr:plugin/statistics@", b"syncmgr:plugin/statistiks@");
    let later_function = replace(&later, b"set-bytes-per-step", b"set-bytes-per-stop");
    let unknown = replace(&good, b"wasi:cli/environment@0.2.", b"acme:new/environment@0.2.");
    fs::create_dir(home.path("directory"))?;
    let files: [(&str, &[u8], &str, &str); 11] = [
        ("core.wasm", b"\0asm\x01\0\0\0", "contract-core-module", "wasm-tools component new"),
        ("cut.wasm", &good[..good.len() / 2], "contract-truncated", "is truncated"),
        ("head.wasm", b"\0asm", "contract-truncated", "is truncated after 4 bytes"),
        (
            "other.wasm",
            &fs::read(conformance::OTHER_WORLD)?,
            "contract-other-world",
            "another world",
        ),
        ("newer.wasm", &newer, "contract-other-version", "update this host"),
        ("interface.wasm", &later_interface, "contract-other-version", "0.1.7"),
        ("function.wasm", &later_function, "contract-types", "supports 0.1.0: update this host"),
        ("unknown.wasm", &unknown, "contract-unknown-imports", "acme:new/environment"),
        ("text.wasm", b"(component)", "contract-not-wasm", "wasm-tools parse"),
        ("binary.wasm", b"\x7fELF\xff\xfe", "contract-not-wasm", "is not WebAssembly"),
        ("empty.wasm", b"", "contract-empty", "is empty"),
    ];
    let mut sentences = std::collections::BTreeSet::new();
    for (name, bytes, code, words) in files {
        home.write(name, bytes)?;
        let ran = home.run(&["validate", name])?.expect(2, words).context(name)?;
        sentences.insert(ran.stderr.clone());
        let ran = home.run(&["validate", "--json", name])?.expect(2, code).context(name)?;
        assert_eq!(ran.json_lines()?[0]["valid"], false, "{name}");
    }
    let ran =
        home.run(&["validate", "directory"])?.expect(2, "cannot read the plugin directory")?;
    sentences.insert(ran.stderr);
    assert_eq!(sentences.len(), 12, "each has a different message: {sentences:#?}");
    for shipped in [conformance::HELLO, conformance::FOLDER, conformance::SCRIPT] {
        home.run(&["validate", shipped])?.expect(0, "is a plugin of syncmgr:plugin@0.1.0")?;
    }
    Ok(())
}

/// Replaces every occurrence of a text with another one of equal length.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for at in 0..=changed.len().saturating_sub(from.len()) {
        if changed[at..].starts_with(from) {
            changed[at..at + to.len()].copy_from_slice(to);
        }
    }
    changed
}

#[test]
fn inspect_describes_a_plugin_without_running_it() -> anyhow::Result<()> {
    let home = Home::new()?;
    let ran = home.run(&["inspect", "folder"])?.expect(0, "contract  syncmgr:plugin@0.1.0")?;
    let ran = ran.expect(0, "requests  directory left (read-write): one of the two folders")?;
    let ran = ran.expect(0, "grant it with --dir left=PATH")?;
    let ran = ran.expect(0, "limit     memory-bytes=1GiB")?;
    ran.expect(0, "imports   syncmgr:plugin/directories@0.1.0")?;
    let ran = home.run(&["inspect", "--json", conformance::HELLO])?;
    let described: serde_json::Value = serde_json::from_str(&ran.stdout)?;
    assert_eq!(described["contract-version"], "0.1.0");
    assert_eq!(described["name"], "hello");
    assert_eq!(described["requests"].as_array().context("there is a list")?.len(), 0);
    home.write("x.wasm", "")?;
    home.run(&["inspect", "x.wasm"])?.expect(2, "is empty")?;
    Ok(())
}

#[test]
fn plugin_text_cannot_control_the_terminal() -> anyhow::Result<()> {
    let home = Home::new()?;
    let attack = "synchronize=progress item=a text=\u{1b}[2Jgone\u{202e} status=succeeded\nlog text=\u{1b}]0;title\u{7}";
    let ran = home.run(&["run", conformance::SCRIPT, "--set", "items=a", "--set", attack])?;
    assert_eq!(ran.status, 0);
    assert!(ran.stdout.contains("\\u{1b}[2Jgone\\u{202e}"), "{}", ran.stdout);
    assert!(!ran.stdout.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", ran.stdout);
    Ok(())
}

#[test]
fn a_plugin_cannot_imitate_lines_of_the_host() -> anyhow::Result<()> {
    let home = Home::new()?;
    let lies = "synchronize=log text=succeeded:_a\nlog level=warning text=failed:_a\n\
                progress item=error: status=failed text=succeeded:_a";
    let ran = home.run(&["run", conformance::SCRIPT, "--set", "items=error:", "--set", lies])?;
    let ran = ran.expect(3, "failed: error:, succeeded: a")?;
    for line in ran.stdout.lines().filter(|line| !line.starts_with("  ")) {
        assert!(line.starts_with("failed: "), "{:?}", ran.stdout);
    }
    Ok(())
}

#[test]
fn an_excess_grant_is_reported_as_a_probable_typo() -> anyhow::Result<()> {
    let home = Home::new()?;
    home.run(&["run", "folder", "--dir", "lfet=left", "--dir", "right=right"])?
        .expect(2, "plugin `folder` does not request the directory `lfet`")?;
    home.run(&["run", conformance::HELLO, "--allow", "wall-clock"])?
        .expect(2, "does not request the capability `wall-clock`")?;
    home.run(&["run", conformance::HELLO, "--allow", "everything"])?
        .expect(2, "unknown capability `everything`")?;
    Ok(())
}

#[test]
fn denials_limits_and_policies_are_command_line_options() -> anyhow::Result<()> {
    let home = Home::new()?;
    let script = |more: &[&'static str]| {
        let mut args = vec!["run", conformance::SCRIPT, "--set", "items=a"];
        args.extend(more);
        home.run(&args)
    };
    script(&["--set", "synchronize=clock"])?.expect(7, "grant it with `--allow wall-clock`")?;
    script(&["--set", "synchronize=clock", "--allow", "wall-clock"])?.expect(3, "a")?;
    script(&["--set", "synchronize=spin", "--limit", "compute-time=100ms"])?
        .expect(7, "raise `compute-time`")?;
    script(&["--limit", "speed=1"])?.expect(2, "unknown limit `speed`")?;
    script(&["--limit", "component-bytes=1KiB"])?.expect(2, "raise `component-bytes`")?;
    script(&["--secret", "token=hunter2"])?
        .expect(2, "--secret KEY=env:VARIABLE|file:PATH|keyring:NAME")?;
    home.write("token", "hunter2\n")?;
    script(&[
        "--secret",
        "token=file:token",
        "--set",
        "synchronize=progress item=a text=$token status=succeeded",
    ])?
    .expect(0, "succeeded: a, [secret]")?;

    let crashing = ["--set", "synchronize=panic text=boom", "--on-crash", "quarantine"];
    script(&crashing)?.expect(7, "boom")?;
    script(&[])?.expect(7, "is in quarantine")?;
    // The quarantine applies to the component, whatever the name of its file.
    fs::copy(conformance::SCRIPT, home.path("renamed.wasm"))?;
    home.run(&["run", "renamed.wasm"])?.expect(7, "is in quarantine")?;
    home.run(&["run", conformance::HELLO])?.expect(0, "Greeting")?;
    fs::copy(conformance::HELLO, home.path("renamed.wasm"))?;
    home.run(&["run", "renamed.wasm"])?.expect(0, "Greeting")?;
    script(&["--release"])?.expect(3, "failed")?;
    script(&[])?.expect(3, "failed")?;
    let restarted = ["--set", "synchronize=crash-once\nprogress item=a status=succeeded"];
    // The option under its earlier name.
    script(&[&restarted[..], &["--on-death", "restart"]].concat())?.expect(0, "succeeded: a")?;
    Ok(())
}

#[test]
fn the_demo_makes_two_folders_and_syncs_them() -> anyhow::Result<()> {
    let home = Home::new()?;
    home.run(&["demo", "demo"])?.expect(0, "succeeded: folder, 307 copied")?;
    home.run(&["demo", "demo"])?.expect(0, "nothing to do")?;
    Ok(())
}

#[test]
fn completions_are_printed_for_each_shell() -> anyhow::Result<()> {
    let home = Home::new()?;
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        home.run(&["completions", shell])?.expect(0, "syncmgr")?;
    }
    Ok(())
}

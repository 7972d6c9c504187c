//! Plugins as native handlers of Windows, with a client in C under Wine: the logs of its calls are
//! compared with those in `tests/com/expected`. `BLESS=1` updates them.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use conformance::wine::{NATIVE_HANDLER, Ran, Wine, windows_path};
use conformance::{HELLO, SCRIPT, compare_with_file};

const BOTH: &str = "synchronize=progress item=a status=updating max=3 text=begun quiet=1
progress item=a value=1 quiet=1
progress item=a value=2 quiet=1
progress item=a status=succeeded value=3 text=done quiet=1
progress item=b status=updating-indeterminate quiet=1
progress item=b status=succeeded quiet=1";

const REPORTS: &str = "synchronize=progress item=a status=updating
progress item=a value=1
progress item=b status=updating";

const CRASHES: &str =
    "synchronize=progress item=a status=updating quiet=1\npanic text=out_of_lemons";
const LIMITED: &str = "synchronize=progress item=a status=updating quiet=1\nspin";
const DENIED: &str = "synchronize=progress item=a status=updating quiet=1\nclock";
const WORKS: &str = "synchronize=work item=a steps=50\nwork item=b steps=3";
const WAITS: &str = "synchronize=progress item=a status=updating quiet=1\nwait-cancelled item=a";
const ERROR: &str = "synchronize=log item=a level=error text=it_broke id=e jump=1 code=busy
progress item=a status=failed quiet=1
progress item=b status=succeeded quiet=1";
const QUESTION: &str = "synchronize=question text=Which_one? choices=one,two
progress item=a status=succeeded quiet=1
progress item=b status=succeeded quiet=1";

const SLOWLY: &str = "synchronize=sleep ms=300\nprogress item=a status=succeeded quiet=1";

/// The name, options of `syncmgr register`, and arguments of the client.
const SCENARIOS: &[(&str, &[&str], &[&str])] = &[
    ("normal", &["--set", BOTH], &["--enum-exercise"]),
    ("apartment", &["--set", BOTH], &["--apartment", "sta"]),
    ("apartment-without-proxy", &["--set", BOTH], &["--apartment", "sta", "--no-proxy"]),
    ("cancel-item", &["--set", WORKS], &["--answer", "Progress/a:3=CANCELITEM"]),
    ("cancel-all", &["--set", REPORTS], &["--answer", "Progress:2=CANCELALL"]),
    (
        "cancel-item-in-an-apartment",
        &["--set", WORKS],
        &["--apartment", "sta", "--answer", "Progress/a:3=CANCELITEM"],
    ),
    ("another-success", &["--set", REPORTS], &["--answer", "Progress:1+=S_FALSE"]),
    ("failing-progress", &["--set", REPORTS], &["--answer", "Progress/a:1=E_FAIL"]),
    ("disconnected", &["--set", REPORTS], &["--answer", "Progress/a:2=RPC_E_DISCONNECTED"]),
    ("trap", &["--set", CRASHES], &[]),
    ("limit", &["--set", LIMITED, "--limit", "compute-time=200ms"], &[]),
    ("denied", &["--set", DENIED], &[]),
    ("declines", &["--set", "declines=1"], &[]),
    ("needs-user", &["--set", "needs-user=1"], &["--flags", "4"]),
    ("missing-items", &["--set", "missing=1", "--set", "unchecked=b"], &["--celt", "5"]),
    ("prepare-fails", &["--set", "prepare-for-sync=fail code=access-denied text=no"], &[]),
    ("cookie", &["--set", BOTH], &["--flags", "5", "--cookie", "0aff"]),
    (
        "without-listing",
        &["--set", BOTH],
        &["--no-info", "--no-enum", "--items", "{AB0C199C-E2EB-5C9B-86D1-22D2F924EEA2}"],
    ),
    ("push", &["--set", WAITS], &["--push", "a:1=1"]),
    ("push-in-an-apartment", &["--set", WAITS], &["--apartment", "sta", "--push", "*:1=0"]),
    ("push-while-preparing", &["--set", BOTH], &["--push-preparing", "a=1"]),
    ("callback-taken-away", &["--set", WAITS], &["--null-callback-at", "1"]),
    ("released", &["--set", WAITS], &["--release-at", "1"]),
    ("released-in-an-apartment", &["--set", WAITS], &["--apartment", "sta", "--release-at", "1"]),
    (
        "error-and-retry",
        &["--set", ERROR, "--set", "detail=the whole story", "--set", "retry=a"],
        &["--show-error", "--click", "OK"],
    ),
    ("question", &["--set", QUESTION], &["--click", "OK"]),
    (
        "question-that-may-not-be-shown",
        &["--set", QUESTION],
        &["--answer", "EnableModeless:1=S_FALSE"],
    ),
    ("question-without-a-user", &["--set", QUESTION], &["--flags", "3"]),
    ("properties", &["--set", BOTH], &["--show-properties", "*", "--click", "OK"]),
];

/// Compares a log with the expected one. The class differs by the name, which describes the behavior.
fn compare(name: &str, log: &str, class: &str) -> Result<()> {
    let file = format!("tests/com/expected/{name}.log");
    compare_with_file(&file, &log.replace(class, "{CLASS}"))
}

#[test]
fn the_logs_of_the_c_client_equal_the_expected_ones() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    let mut failures = Vec::new();
    for (name, grants, client) in SCENARIOS {
        let class = wine.register(SCRIPT, name, &[&["--set", "items=a b"], *grants].concat())?;
        let client = [&["--timeout", "30"], *client, &[class.as_str()]].concat();
        let compared = wine.client(&client).and_then(|log| compare(name, &log, &class));
        failures.extend(compared.err().map(|error| format!("{name}: {error:#}")));
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

#[test]
fn invalid_arguments_of_a_c_client_are_rejected() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    // Slow enough for calls during the work.
    let slow = ["--set", "items=a", "--set", "prepare-for-sync=sleep ms=300", "--set", SLOWLY];
    let class = wine.register(SCRIPT, "bad", &slow)?;
    let log = wine.client(&["--bad", &class])?;
    // The number of the thread, and the end of the previous one, depend on the time.
    let steady = |line: &&str| {
        !line.starts_with("worker")
            && !line.contains("DllCanUnloadNow")
            && !line.contains("callback refs=")
    };
    let lines: Vec<_> = log.lines().filter(steady).collect();
    compare("bad", &(lines.join("\n") + "\n"), &class)
}

#[test]
fn a_thousand_runs_leave_nothing_behind() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    let class = wine.register(HELLO, "leaks", &[])?;
    for (apartment, runs) in [("mta", "1000"), ("sta", "300")] {
        let log = wine.client(&["--repeat", runs, "--apartment", apartment, &class])?;
        let leaks =
            log.lines().find_map(|line| line.strip_prefix("leak ")).context("a leak report")?;
        let leaks: BTreeMap<_, _> =
            leaks.split(' ').filter_map(|leak| leak.split_once('=')).collect();
        for (what, expected) in
            [("handles", "0"), ("threads", "0"), ("callback_refs", "0"), ("unload", "0x00000000")]
        {
            ensure!(leaks.get(what) == Some(&expected), "{apartment}: {what} of {leaks:?}");
        }
        let bytes: i64 = leaks.get("bytes_per_run").context("a leak report")?.parse()?;
        // A leaked object or thread would exceed this.
        ensure!(bytes < 1000, "{apartment}: {leaks:?}");
    }
    Ok(())
}

#[test]
fn handlers_of_equal_and_different_classes_run_concurrently() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    let one = wine.register(SCRIPT, "at-once-1", &["--set", "items=a b", "--set", BOTH])?;
    let two = wine.register(HELLO, "at-once-2", &[])?;
    for other in [&one, &two] {
        let log = wine.client(&["--no-gate", "--concurrent", other, &one])?;
        let completed =
            log.lines().filter(|line| line.contains("SynchronizeCompleted hr=0x00000000"));
        ensure!(completed.count() == 2, "{log}");
    }
    Ok(())
}

/// Returns the reports in a log of the client, as far as the program prints them, too.
fn progress_of_client(log: &str) -> Vec<(String, i64, i64)> {
    let of = |line: &str, name: &str| {
        let value = line.split(&format!(" {name}=")).nth(1)?;
        value.split(' ').next()?.parse().ok()
    };
    let lines = log.lines().filter(|line| line.contains(" Progress "));
    lines
        .map(|line| {
            let status = of(line, "status").unwrap_or(-1).to_string();
            (status, of(line, "value").unwrap_or(-1), of(line, "max").unwrap_or(-1))
        })
        .collect()
}

/// Returns the reports of a run with `--json`. Absent fields keep their previous value.
fn progress_of_program(stdout: &str) -> Result<Vec<(String, i64, i64)>> {
    // A native report always has a status.
    let begun = || ("3".to_owned(), 0, 0);
    let mut standings = BTreeMap::new();
    let mut reports = Vec::new();
    for line in stdout.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        if line["event"] != "progress" {
            continue;
        }
        let (status, value, max) = standings.entry(line["item"].to_string()).or_insert_with(begun);
        if let Some(name) = line["status-type"].as_str() {
            *status = match name {
                "stopped" => "0",
                "skipped" => "1",
                "pending" => "2",
                "updating" => "3",
                "succeeded" => "4",
                "failed" => "5",
                "updating-indeterminate" => "8",
                other => bail!("the status {other}"),
            }
            .to_owned();
        }
        *value = line["prog-value"].as_i64().unwrap_or(*value);
        *max = line["max-value"].as_i64().unwrap_or(*max);
        if *max > 0 {
            *value = (*value).min(*max);
        }
        reports.push((status.clone(), *value, *max));
    }
    Ok(reports)
}

/// Returns the parts that are equal in every run: the statuses of the item, and the total. The
/// number of reports in between depends on the speed.
fn landmarks(reports: &[(String, i64, i64)]) -> (Vec<&str>, i64) {
    let mut statuses: Vec<_> = reports.iter().map(|(status, ..)| status.as_str()).collect();
    statuses.dedup();
    (statuses, reports.last().map_or(0, |(.., max)| *max))
}

fn sample(folder: &Path) -> Result<()> {
    let (left, right) = (folder.join("left"), folder.join("right"));
    fs::create_dir_all(left.join("sub"))?;
    fs::create_dir_all(&right)?;
    for number in 0..30 {
        fs::write(left.join(format!("sub/file-{number}")), format!("content {number}"))?;
    }
    fs::write(right.join("other"), "other")?;
    Ok(())
}

#[test]
fn folder_reports_the_same_progress_through_com_and_in_the_program() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    let mut reports = Vec::new();
    for through_com in [false, true] {
        let folder = wine.folder(if through_com { "folder-com" } else { "folder-program" })?;
        sample(&folder)?;
        let grant = |name: &str| -> Result<String> {
            Ok(format!("{name}={}", windows_path(&folder.join(name))?))
        };
        let (left, right) = (grant("left")?, grant("right")?);
        let grants = ["--dir", &left, "--dir", &right];
        reports.push(match through_com {
            true => {
                let class = wine.register("folder", "folder", &grants)?;
                let log = wine.client(&[&class])?;
                ensure!(log.contains("SynchronizeCompleted hr=0x00000000"), "{log}");
                let again = wine.client(&[&class])?;
                ensure!(again.contains("nothing to do"), "{again}");
                progress_of_client(&log)
            }
            false => {
                let arguments = [&["run", "folder", "--json"], &grants[..]].concat();
                progress_of_program(&wine.syncmgr(&arguments)?.expect(0)?.stdout)?
            }
        });
        for (path, content) in [("left/other", "other"), ("right/sub/file-17", "content 17")] {
            ensure!(fs::read_to_string(folder.join(path))? == content, "{path}");
        }
    }
    let [program, com] = <[_; 2]>::try_from(reports).map_err(|_| anyhow::anyhow!("two runs"))?;
    assert_eq!(landmarks(&program), landmarks(&com));
    Ok(())
}

#[test]
fn hello_reports_the_same_through_com_and_in_the_program() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    let class = wine.register(HELLO, "hello", &[])?;
    let program = wine.syncmgr(&["run", "hello", "--json"])?.expect(0)?;
    assert_eq!(progress_of_program(&program.stdout)?, progress_of_client(&wine.client(&[&class])?));
    Ok(())
}

#[test]
fn the_program_runs_registered_handlers_by_class() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    let class = wine.register(SCRIPT, "by-class", &["--set", "items=a b", "--set", BOTH])?;
    let ran = wine.syncmgr(&["run", "--clsid", &class, "--json"])?.expect(0)?;
    let direct = wine.syncmgr(&["run", "by-class", "--json"])?.expect(0)?;
    assert_eq!(progress_of_program(&ran.stdout)?, progress_of_program(&direct.stdout)?);
    // The script reports about both items. The report about the other one is refused with a warning.
    let ran = wine.syncmgr(&["run", "--clsid", &class, "--item", "b"])?.expect(1)?;
    assert!(ran.stdout.contains("no item of the run has this id"), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("succeeded").count(), 1, "{}", ran.stdout);
    let unknown = "{12345678-0000-0000-0000-000000000000}";
    let ran = wine.syncmgr(&["run", "--clsid", unknown])?.expect(2)?;
    assert!(ran.stderr.contains("is not registered"), "{}", ran.stderr);
    Ok(())
}

/// Limits for a handler that does not complete.
const QUICKLY: &[&str] = &["--item", "Alpha", "--limit", "idle-time=1s", "--limit", "grace=200ms"];

#[test]
fn the_program_handles_every_behavior_of_a_c_handler() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    wine.run("regsvr32", &["/s", "native_handler.dll"])?.expect(0)?;
    let run = |mode: &str, arguments: &[&str]| -> Result<Ran> {
        let arguments = [&["run", "--clsid", NATIVE_HANDLER], arguments].concat();
        wine.run_with("syncmgr.exe", &arguments, &[("HANDLER_MODE", mode)])
    };
    for (mode, arguments, status, words) in [
        ("", &[][..], 3, "failed: Gamma"),
        // Its first failure remains in the result.
        ("", &["--retries", "1"], 1, "succeeded: Gamma"),
        ("", &["--item", "Delta"], 0, "succeeded: Delta"),
        ("decline", &[], 0, "declines runs of this kind"),
        ("missing", &["--item", "Alpha"], 0, "succeeded: Alpha"),
        ("needs-user", &[], 1, "skipped: Alpha, needs the user"),
        ("prepare-fails", &[], 3, "prepare-for-sync failed: E_FAIL"),
        ("sync-fails", &[], 3, "synchronize failed: E_FAIL"),
        ("double", &[], 3, "failed: E_FAIL"),
        ("synchronous", &["--item", "Alpha"], 0, "succeeded: Alpha"),
        ("garbage", &["--item", "Alpha"], 0, "succeeded: Alpha"),
        ("silent", &["--item", "Beta"], 3, "Beta, ended without a result"),
        ("cookie", &["--cookie", "0aff", "--item", "Alpha"], 0, "cookie 0aff"),
        ("question", &["--item", "Alpha"], 0, "EnableModeless answered 0x00000001"),
        ("late", &["--item", "Alpha"], 0, "succeeded: Alpha"),
        ("nameless", &["--item", "Alpha"], 0, "succeeded: Alpha"),
        ("never", QUICKLY, 7, "exceeded its idle time limit (1s)"),
        ("hangs", QUICKLY, 7, "exceeded its idle time limit (1s) in `synchronize`"),
        ("release-hangs", QUICKLY, 7, "exceeded its idle time limit (1s) in `release`"),
        ("never", &["--limit", "wall-time=1s", "--limit", "grace=200ms"], 7, "`wall-time`"),
        ("exits", &[], 7, "ended its process with status 0x00000000"),
        ("terminates", &[], 7, "ended its process with status 0x00000000"),
        ("crashes", &[], 7, "ended its process with status 0xC0000005"),
        ("exits", &["--json"], 7, "\"code\":\"native-exit\""),
        ("", &["--limit", "memory-bytes=1MiB"], 2, "does not apply to native handlers"),
    ] {
        let ran = run(mode, arguments)?;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        ensure!(
            ran.status == status && said.contains(words),
            "{mode} {arguments:?}: status {} instead of {status}, or no {words:?} in {said}",
            ran.status
        );
    }
    // Absent fields keep their values, as this handler assumes.
    let ran = run("", &["--item", "Alpha", "--json"])?.expect(0)?;
    let reports = progress_of_program(&ran.stdout)?;
    assert_eq!(reports.last(), Some(&("4".to_owned(), 10, 10)), "{}", ran.stdout);
    wine.run("regsvr32", &["/s", "/u", "native_handler.dll"])?.expect(0)?;
    Ok(())
}

#[test]
fn both_files_have_a_version() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    let version = env!("CARGO_PKG_VERSION");
    for (file, description) in [
        ("syncmgr.exe", "Run, inspect and validate sync plugins"),
        ("syncmgr_com.dll", "Sync plugins as handlers of Windows' Synchronization Manager"),
    ] {
        let said = wine.run("version.exe", &[file])?.expect(0)?.stdout;
        for (name, value) in [
            ("FileDescription", description),
            ("FileVersion", version),
            ("OriginalFilename", file),
            ("ProductName", "syncmgr"),
            ("ProductVersion", version),
        ] {
            let line = format!("{name}: {value}");
            ensure!(said.lines().any(|found| found == line), "{file}: no {line:?} in {said}");
        }
        let fixed = format!("file version: {}.0", version);
        ensure!(said.contains(&fixed), "{file}: no {fixed:?} in {said}");
    }
    Ok(())
}

#[test]
fn a_load_failure_is_logged_and_returned() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    let class = wine.register(HELLO, "damaged", &[])?;
    let found = wine.run("cmd", &["/c", r"dir /s /b C:\ProgramData\syncmgr\installed\damaged"])?;
    let compiled = found.stdout.lines().find(|line| line.ends_with(".compiled"));
    let compiled = compiled.context("it is compiled")?.to_owned();
    wine.run("cmd", &["/c", &format!("echo x> {compiled}")])?.expect(0)?;
    let ran = wine.run("client.exe", &[&class])?;
    ensure!(
        ran.stdout.contains("CoCreateInstance") && ran.stdout.contains("0x80070570"),
        "{ran:?}"
    );
    let note = r"type %APPDATA%\syncmgr\plugins\damaged\last-error.txt";
    let note = wine.run("cmd", &["/c", note])?;
    ensure!(note.stdout.contains("recompile it"), "{note:?}");
    // The program can compile it, and does.
    wine.syncmgr(&["run", "damaged"])?.expect(0)?;
    wine.client(&[&class])?;
    let report = r"type %APPDATA%\syncmgr\plugins\damaged\last-run.json";
    let report = wine.run("cmd", &["/c", report])?;
    ensure!(report.stdout.contains("\"outcome\":\"completed\""), "{report:?}");
    Ok(())
}

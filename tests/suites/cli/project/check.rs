//! The conformance checks, with conforming and nonconforming plugins.

use super::*;

/// Returns each check of a report with its verdict.
pub(super) fn checks(report: &Value) -> Result<Vec<(&str, &str)>> {
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
fn shipped_plugins_conform() -> Result<()> {
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
        let ran = home.run(&test)?.expect(0, "")?;
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
fn verdicts_have_a_json_and_a_text_form() -> Result<()> {
    let home = Home::new()?;
    let script = conformance::SCRIPT;
    let never_ends = ["--set", "items=a", "--set", "synchronize=progress item=a status=updating"];
    let arguments = [&["test", script][..], &never_ends, &["--junit", "report.xml"]].concat();
    let ran = home.run(&arguments)?.expect(3, "FAILED")?;
    ensure!(ran.stdout.contains("every-item-ends") && ran.stdout.contains("| >"), "{ran:?}");
    let xml = fs::read_to_string(home.path("report.xml"))?;
    ensure!(
        xml.contains("<testcase name=\"every-item-ends\"") && xml.contains("<failure"),
        "{xml}"
    );
    let one = ["test", script, "--check", "handler-info"];
    home.run(&one)?.expect(0, "1 passed, 0 failed, 0 skipped")?;
    home.run(&["test", script, "--check", "magic"])?.expect(2, "--list")?;
    home.run(&["test", "--list"])?.expect(0, "cancel-between")?;
    home.run(&["test"])?.expect(2, "syncmgr new")?;
    Ok(())
}

/// The faults of the plugin `nonconforming`, each with the check that fails, and words of its verdict.
const FAULTS: &[(&str, &str, &str)] = &[
    ("nameless", "handler-info", "the handler's name is empty"),
    ("changing-ids", "stable-items", "lists other items"),
    ("only-manual", "any-trigger", "crashed in `initialize`"),
    ("changes-when-listing", "no-items", "no item was selected, but target/inbox is new"),
    ("knows-every-error", "unknown-ids", "`show-error` with an unknown id"),
    ("knows-its-items", "unknown-ids", "`prepare-for-sync` with an unknown id"),
    ("never-looks-the-id-up", "unknown-ids", "reported `succeeded` for an unknown id"),
    ("goes-on-after-the-end", "status-order", "after its terminal status"),
    ("falling-values", "progress-grows", "decreases from 5 to 3"),
    ("more-than-all", "progress-grows", "progress 12 exceeds its maximum 10"),
    ("floods", "no-flood", "reports in"),
    ("copies-again", "second-run", "a second run without changes"),
    ("never-listens", "cancel-item", "still reports work after `cancel-item`"),
    ("ignores-cancel-all", "cancel-all", "still reports work after `cancel-all`"),
    ("changes-when-listing", "cancel-first", "before the first change"),
    ("deaf", "cancel-between", "did not notice"),
    ("done-though-cancelled", "run-after-cancel", "a run after a cancelled one"),
    ("takes-any-property", "properties", "accepts a property that it does not have"),
    ("promises-details", "error-details", "`show-error` is not implemented"),
    ("unwraps", "denied", "crashed in `synchronize`: panicked"),
    ("fails-without-a-code", "denied", "failed without an error code"),
    ("fails-without-a-code", "read-only", "failed without an error code"),
    ("storage-is-never-full", "storage-full", "crashed in `synchronize`: panicked"),
    ("expects-its-server", "servers-denied", "without its servers: "),
    ("believes-its-server", "servers-fail", "with a server, it answers 429: "),
    ("waits-for-its-server", "servers-slow", "while it waits for a server: "),
    ("time-never-goes-back", "clock-jumps", "seconds after 1970"),
    ("writes-in-place", "killed", "write to a temporary file"),
    ("writes-in-place-by-wasi", "killed", "write to a temporary file"),
];

/// Returns the checks of the plugin `nonconforming`.
fn test_nonconforming(home: &Home, arguments: &[&str]) -> Result<Ran> {
    let fixture = conformance::workspace().join("tests/data/fixture");
    let fixture = fixture.to_str().context("a path")?;
    let test = ["test", conformance::NONCONFORMING, "--fixture", fixture];
    home.run(&[&test, arguments].concat())
}

#[test]
fn each_fault_fails_the_expected_check() -> Result<()> {
    let home = Home::new()?;
    for (fault, check, words) in FAULTS {
        let set = format!("fault={fault}");
        let ran = test_nonconforming(&home, &["--set", &set, "--check", check, "--json"])?;
        let report = ran.expect(3, "")?.json()?;
        let failed = &report["checks"][0];
        let is_right = failed["check"] == *check
            && failed["verdict"] == "failed"
            && failed["why"].as_str().is_some_and(|why| why.contains(words));
        ensure!(is_right, "{fault}: wanted {check}, {words:?}: {report:#}");
    }
    Ok(())
}

#[test]
fn unusual_conforming_plugins_pass() -> Result<()> {
    let home = Home::new()?;
    test_nonconforming(&home, &[])?.expect(0, " 0 failed")?;
    // A handler that declines is not checked further, and conforms.
    let declines = ["test", conformance::SCRIPT, "--set", "items=a", "--set", "declines=yes"];
    let ran = home.run(&declines)?.expect(0, "the plugin declines manual runs")?;
    ensure!(ran.stdout.contains(" 0 failed"), "{ran:?}");
    Ok(())
}

#[test]
fn a_plugin_that_hangs_does_not_block_the_checks() -> Result<()> {
    let home = Home::new()?;
    let spins = ["test", conformance::SCRIPT, "--set", "items=a", "--set", "synchronize=spin"];
    let one = [&spins[..], &["--check", "every-item-ends"]].concat();
    home.run(&one)?.expect(3, "hangs in `synchronize`")?;
    Ok(())
}

#[test]
fn a_plugin_that_floods_the_checks_is_terminated() -> Result<()> {
    let home = Home::new()?;
    let text = "x".repeat(4000);
    let flood = format!("synchronize=progress item=a text={text} times=999999999");
    let floods = ["test", conformance::SCRIPT, "--set", "items=a", "--set", &flood];
    let one = [&floods[..], &["--check", "every-item-ends"]].concat();
    home.run(&one)?.expect(3, "raise `record-bytes`")?;
    Ok(())
}

#[test]
fn a_sparse_file_is_not_read_into_memory() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir_all(home.path("fixture/left"))?;
    let sparse = "synchronize=write path=/left/a text=x
                  resize path=/left/a bytes=8796093022208
                  progress item=a status=succeeded";
    let sparse: Vec<_> = sparse.lines().map(str::trim).collect();
    let sparse = sparse.join("\n");
    let test = ["test", conformance::SCRIPT, "--fixture", "fixture", "--set", "items=a"];
    let one = [&test[..], &["--set", &sparse, "--check", "every-item-ends"]].concat();
    home.run(&one)?.expect(0, "1 passed")?;
    Ok(())
}

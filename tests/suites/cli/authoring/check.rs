//! The conformance checks, with conforming and nonconforming plugins.

use super::*;

/// Returns each check of a report with its verdict.
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

/// The violation of each nonconforming plugin.
fn nonconforming_plugins(language: &str) -> Result<Vec<(String, String, String)>> {
    let table = conformance::workspace().join("tests/plugins/nonconforming/expected.tsv");
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
    let fixture = conformance::workspace().join("tests/plugins/nonconforming/fixture");
    let fixture = fixture.display().to_string();
    let test = ["test", &component, "--fixture", &fixture, "--check", check, "--json"];
    let ran = home.run(&test)?;
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
fn nonconforming_rust_plugins_fail_the_expected_checks() -> Result<()> {
    let home = Home::new()?;
    let plugins = nonconforming_plugins("rust")?;
    ensure!(plugins.len() >= 5);
    for (name, check, words) in plugins {
        let component = Path::new(conformance::NONCONFORMING).join(format!("{name}.wasm"));
        fails_for(&home, &component, &check, &words)?;
    }
    Ok(())
}

#[test]
fn unusual_conforming_plugins_pass() -> Result<()> {
    let home = Home::new()?;
    let fixture = conformance::workspace().join("tests/plugins/nonconforming/fixture");
    let component = Path::new(conformance::NONCONFORMING).join("keeps_its_ids.wasm");
    let test = ["test", &component.display().to_string(), "--fixture"].map(str::to_owned);
    let test = [&test[..], &[fixture.display().to_string()]].concat();
    let test: Vec<_> = test.iter().map(String::as_str).collect();
    home.run(&test)?.expect(0, " 0 failed")?;
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

#[test]
fn nonconforming_c_plugins_fail_the_expected_checks() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "wrong", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "wrong", "c")? {
        return Ok(());
    }
    let plugins = nonconforming_plugins("c")?;
    ensure!(plugins.len() >= 5);
    let sources = conformance::workspace().join("tests/plugins/nonconforming/c");
    for entry in fs::read_dir(home.path("wrong/src"))? {
        fs::remove_file(entry?.path())?;
    }
    fs::copy(sources.join("common.h"), home.path("wrong/src/common.h"))?;
    for (name, check, words) in plugins {
        fs::copy(sources.join(format!("{name}.c")), home.path("wrong/src/wrong.c"))?;
        home.run_in("wrong", &["build"])?.expect(0, "built")?;
        fails_for(&home, &home.path("wrong/build/wrong.wasm"), &check, &words)?;
    }
    Ok(())
}

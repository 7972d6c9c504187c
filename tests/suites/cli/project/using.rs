//! The output of the commands for plugin authors.

use super::*;

/// Returns the arguments of a command for the script plugin, with one item and these settings.
fn script<'a>(command: &'a [&'a str], settings: &'a [&'a str]) -> Vec<&'a str> {
    let mut arguments = command.to_vec();
    for setting in settings.iter().chain(&["items=a"]) {
        arguments.extend(["--set", setting]);
    }
    arguments
}

#[test]
fn plugin_output_is_shown_immediately() -> Result<()> {
    let home = Home::new()?;
    let prints = "synchronize=print text=so_far\nprogress item=a status=succeeded";
    let run = ["run", conformance::SCRIPT];
    let ran = home.run(&script(&run, &[prints]))?.expect(0, "succeeded")?;
    ensure!(!ran.stderr.contains("so far") && !ran.stdout.contains("so far"), "{ran:?}");
    let verbose = [&run[..], &["--verbose"]].concat();
    home.run(&script(&verbose, &[prints]))?.expect(0, "  stderr | so far\n")?;
    let json = [&run[..], &["-v", "--json"]].concat();
    let ran = home.run(&script(&json, &[prints]))?.expect(0, "  stderr | so far\n")?;
    ensure!(ran.stdout.lines().all(|line| line.starts_with('{')), "{ran:?}");
    let test = ["test", conformance::SCRIPT, "--check", "every-item-ends"];
    home.run(&script(&test, &[prints]))?.expect(0, "  stderr | so far\n")?;
    // Control characters are escaped, secrets are redacted, and the output is bounded.
    let rude = "synchronize=print text=\u{1b}[2J_token:$token";
    let mut command = home.command(&script(&verbose, &[rude]));
    let output = command.args(["--secret", "token=env:TOKEN"]).env("TOKEN", "hunter2").output()?;
    let ran = Ran::of(&output);
    ensure!(ran.stderr.contains("token:[secret]") && !ran.stderr.contains('\u{1b}'), "{ran:?}");
    let line = format!("print text={}\n", "x".repeat(1000));
    let floods = format!("synchronize={}", line.repeat(60));
    let ran = home.run(&script(&verbose, &[&floods]))?;
    ensure!(ran.stderr.matches("xxx\n").count() == 60, "{}", ran.stderr.len());
    Ok(())
}

#[test]
fn error_details_are_shown() -> Result<()> {
    let home = Home::new()?;
    let settings = [
        "synchronize=log level=error text=broken id=e jump=yes\nprogress item=a status=failed",
        "detail=the whole\nstory",
        "retry=a",
    ];
    let run = ["run", conformance::SCRIPT, "--retries", "1"];
    let ran = home.run(&script(&run, &settings))?.expect(3, "  details: the whole\n")?;
    ensure!(ran.stdout.contains("  details: story\n"), "{ran:?}");
    let json = [&run[..], &["--json"]].concat();
    let ran = home.run(&script(&json, &settings))?.expect(3, "error-shown")?;
    let line = ran.stdout.lines().find(|line| line.contains("error-shown")).context("a line")?;
    let shown: Value = serde_json::from_str(line)?;
    ensure!(shown["text"] == "the whole\nstory", "{shown}");
    ensure!(shown["retry"].as_array().is_some_and(|items| items.len() == 1), "{shown}");
    Ok(())
}

#[test]
fn properties_can_be_shown_and_changed() -> Result<()> {
    let home = Home::new()?;
    let properties = ["properties", conformance::SCRIPT, "--setting", "items=a b"];
    let with = |more: &[&str]| home.run(&[&properties[..], more].concat());
    let ran =
        with(&[])?.expect(0, "the handler:\n  speed=fast\n      Speed (one of: slow, fast)")?;
    ensure!(ran.stdout.contains("\na (") && ran.stdout.contains("\nb ("), "{ran:?}");
    let sheets = with(&["--json"])?.expect(0, "")?.json()?;
    ensure!(sheets.as_array().is_some_and(|sheets| sheets.len() == 3), "{sheets}");
    ensure!(sheets[1]["name"] == "a", "{sheets}");
    let property = &sheets[1]["properties"][0];
    ensure!(property["name"] == "speed" && property["read-only"] == false, "{property}");
    ensure!(property["field"]["choice"]["selected"] == 1, "{property}");
    let ran = with(&["--item", "b"])?.expect(0, "b (")?;
    ensure!(!ran.stdout.contains("handler"), "{ran:?}");
    with(&["--set", "speed=slow"])?.expect(0, "changed; the plugin has other items now")?;
    with(&["--item", "a", "--set", "speed=slow"])?.expect(0, "changed")?;
    for (more, words) in [
        (&["--set", "speed=warp"][..], "slow, fast"),
        (&["--set", "size=1"], "unknown property `size`; use one of speed"),
        (&["--set", "speed"], "NAME=VALUE"),
        (&["--item", "c"], "unknown item `c`"),
    ] {
        with(more)?.expect(2, words)?;
    }
    home.run(&["properties", conformance::HELLO])?.expect(0, "no properties")?;
    Ok(())
}

#[test]
fn a_denied_request_is_reported_before_the_run() -> Result<()> {
    let home = Home::new()?;
    let run = ["run", conformance::SCRIPT];
    let ends = ["synchronize=progress item=a status=succeeded"];
    let words = "requests `wall-clock` (for tests), which is not granted";
    let ran = home.run(&script(&run, &ends))?.expect(0, words)?;
    ensure!(ran.stderr.contains("grant it with `--allow randomness`"), "{ran:?}");
    let granted = [&run[..], &["--allow", "wall-clock", "--allow", "randomness"]].concat();
    let ran = home.run(&script(&granted, &ends))?.expect(0, "succeeded")?;
    ensure!(ran.stderr.is_empty(), "{ran:?}");
    Ok(())
}

#[test]
fn a_fixture_grants_only_requested_capabilities() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir_all(home.path("fixture/surplus"))?;
    let test = ["test", conformance::HELLO, "--fixture", "fixture"];
    home.run(&test)?.expect(2, "does not request the directory `surplus`")?;
    home.run(&["test", conformance::HELLO, "--set", "mode=1"])?.expect(2, "no setting `mode`")?;
    Ok(())
}

#[test]
fn commands_default_to_the_current_project() -> Result<()> {
    let home = Home::new()?;
    for command in ["run", "items", "properties", "inspect", "validate"] {
        home.run(&[command])?.expect(2, "in the folder of a project")?;
    }
    home.run(&["new", "mine", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "mine", "c")? {
        return Ok(());
    }
    // It is built first.
    home.run_in("mine/src", &["validate"])?.expect(0, "mine.wasm is a plugin")?;
    home.run_in("mine", &["items"])?.expect(0, "copy")?;
    home.run_in("mine", &["inspect"])?.expect(0, "name      mine")?;
    home.run_in("mine", &["properties"])?.expect(0, "no properties")?;
    fs::create_dir(home.path("copies"))?;
    let grants = ["--dir", "source=fixture/source", "--dir", "target=../copies"];
    home.run_in("mine", &[&["run"][..], &grants].concat())?.expect(0, "succeeded")?;
    ensure!(home.path("copies/welcome.txt").exists());
    Ok(())
}

#[test]
fn validating_uses_the_cache_and_building_keeps_it_small() -> Result<()> {
    let home = Home::new()?;
    let cache = || -> Result<Value> { home.run(&["cache", "--json"])?.expect(0, "")?.json() };
    home.run(&["validate", conformance::HELLO])?.expect(0, "is a plugin")?;
    let held = cache()?;
    ensure!(held["entries"] == 1 && held["limit"] == 512 << 20, "{held}");
    home.run(&["cache"])?.expect(0, "of at most 512")?;
    home.run(&["validate", conformance::HELLO])?.expect(0, "is a plugin")?;
    ensure!(cache()? == held);
    home.run(&["validate", "folder"])?.expect(0, "folder is a plugin")?;

    home.run(&["cache", "--clear"])?.expect(0, "")?;
    home.run(&["new", "mine", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "mine", "c")? {
        return Ok(());
    }
    for text in ["one", "two", "three"] {
        let source = home.path("mine/src/more.c");
        fs::write(source, format!("const char *const more = \"{text}\";\n"))?;
        let exported = format!("__attribute__((export_name(\"{text}\"))) void f(void) {{}}\n");
        fs::write(home.path("mine/src/exported.c"), exported)?;
        home.run_in("mine", &["build"])?.expect(0, "built")?;
        ensure!(cache()?["entries"] == 1, "only the latest build of a project is kept");
    }
    Ok(())
}

#[test]
fn frames_of_a_crash_have_file_and_line() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "mine", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "mine", "c")? {
        return Ok(());
    }
    let source = home.path("mine/src/handler.c");
    let text = fs::read_to_string(&source)?;
    let entry = "bool exports_syncmgr_plugin_synchronize_synchronize(plugin_error_t *err)\n{";
    ensure!(text.contains(entry), "{text}");
    let crash = "#include <stdio.h>\n__attribute__((noinline)) static void crash(void)\n{\n    \
                 puts(\"about to crash\");\n    fflush(stdout);\n    __builtin_trap();\n}\n";
    let text = text.replace(entry, &format!("{crash}\n{entry}\n    crash();"));
    fs::write(&source, &text)?;
    let line = text.lines().position(|line| line.contains("__builtin_trap")).context("a line")? + 1;
    let ran = home.run_in("mine", &["dev", "--once"])?.expect(7, "crash")?;
    ensure!(ran.stderr.contains("  stdout | about to crash\n"), "{ran:?}");
    ensure!(!ran.stdout.contains("handler.c"), "without debug information: {ran:?}");

    let manifest = home.path("mine/syncmgr.toml");
    let text = fs::read_to_string(&manifest)?;
    fs::write(&manifest, text.replace("language = \"c\"", "language = \"c\"\ndebug = true"))?;
    let place = format!("crash at ./src/handler.c:{line}:");
    home.run_in("mine", &["dev", "--once"])?.expect(7, &place)?;
    Ok(())
}

#[test]
fn a_version_has_three_numbers() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "mine", "--lang", "c"])?.expect(0, "")?;
    let manifest = home.path("mine/syncmgr.toml");
    let text = fs::read_to_string(&manifest)?;
    for version in ["", "1", "1.0", "v1.0.0", "latest"] {
        fs::write(&manifest, text.replace("0.1.0", version))?;
        home.run_in("mine", &["pack"])?.expect(2, "invalid version")?;
    }
    Ok(())
}

//! The conditions under which `build` builds, and its error messages.

use super::*;

#[test]
fn a_missing_tool_is_named_with_its_installation() -> Result<()> {
    let home = Home::new()?;
    let nothing = home.path("nothing");
    fs::create_dir(&nothing)?;
    for (language, words) in [
        ("rust", "sh.rustup.rs"),
        ("c", "apt install clang lld wasi-libc"),
        ("python", ".venv/bin/pip install -r requirements.txt"),
        ("javascript", "npm install"),
        ("typescript", "npm install"),
    ] {
        let name = format!("my-{language}");
        home.run(&["new", &name, "--lang", language])?.expect(0, "")?;
        let output = home.command_in(&name, &["build"]).env("PATH", &nothing).output()?;
        Ran::of(&output).expect(2, words)?;
        ensure!(!home.path(&name).join(format!("build/{name}.wasm")).exists());
    }
    Ok(())
}

#[test]
fn errors_of_the_language_tools_are_shown() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "mine", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "mine", "c")? {
        return Ok(());
    }
    home.run_in("mine", &["build"])?.expect(0, "built")?;
    let source = home.path("mine/src/handler.c");
    let text = fs::read_to_string(&source)?;
    fs::write(&source, format!("{text}\nint broken(void) {{ return nothing; }}\n"))?;
    home.run_in("mine", &["build"])?.expect(2, "undeclared identifier 'nothing'")?;
    ensure!(home.path("mine/build/mine.wasm").exists(), "the previous build is kept");

    let manifest = home.path("mine/syncmgr.toml");
    let text = fs::read_to_string(&manifest)?;
    fs::write(&manifest, text.replace("read-only", "read-sometimes"))?;
    home.run_in("mine", &["build"])?.expect(2, "read-sometimes")?;
    Ok(())
}

/// The lines of a process, as they are written.
fn lines(from: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(unix)]
#[test]
fn dev_rebuilds_only_after_changes() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "mine", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "mine", "c")? {
        return Ok(());
    }
    let mut command = home.command_in("mine", &["dev"]);
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
    // Unchanged content and outputs of the build are not changes.
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
fn changes_are_built_before_tests_and_packing() -> Result<()> {
    let home = Home::new()?;
    home.run(&["new", "mine", "--lang", "c"])?.expect(0, "")?;
    if !ready(&home, "mine", "c")? {
        return Ok(());
    }
    let built = || fs::metadata(home.path("mine/build/mine.wasm"))?.modified();
    home.run_in("mine", &["pack"])?.expect(0, "packed")?;
    let first = built()?;
    home.run_in("mine", &["test", "--check", "handler-info"])?.expect(0, "1 passed")?;
    home.run_in("mine", &["pack"])?.expect(0, "packed")?;
    ensure!(built()? == first, "nothing was changed");
    let source = home.path("mine/src/handler.c");
    let text = fs::read_to_string(&source)?;
    fs::write(&source, format!("{text}\nint broken(void) {{ return nothing; }}\n"))?;
    for command in ["pack", "test"] {
        home.run_in("mine", &[command])?.expect(2, "undeclared identifier 'nothing'")?;
    }
    fs::write(&source, &text)?;
    home.run_in("mine", &["test", "--check", "handler-info"])?.expect(0, "1 passed")?;
    ensure!(built()? == first, "the component was built from the same sources");
    let other = text.replace("another run copies", "a second run copies");
    ensure!(other != text);
    fs::write(&source, other)?;
    home.run_in("mine", &["test", "--check", "handler-info"])?.expect(0, "1 passed")?;
    ensure!(built()? > first, "the source has changed");
    Ok(())
}

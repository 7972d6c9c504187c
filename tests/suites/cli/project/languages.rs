//! Properties of the components of every language. They fit the world. Two builds of the same sources
//! are the same component, except for the memory of Python's interpreter. Unchanged sources are not
//! built again.

use super::*;
use wasmparser::{Parser, Payload};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

/// Returns the sections of a component and its modules, without those that contain state.
fn sections_without_state(component: &[u8]) -> Result<Vec<&[u8]>> {
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        let is_left_out = matches!(
            payload,
            Payload::MemorySection(_)
                | Payload::GlobalSection(_)
                | Payload::DataSection(_)
                | Payload::ModuleSection { .. }
                | Payload::ComponentSection { .. }
        );
        if let Some((_, range)) = payload.as_section().filter(|_| !is_left_out) {
            sections.push(&component[range]);
        }
    }
    Ok(sections)
}

/// Builds the same new project in two folders.
fn twice(language: &str) -> Result<()> {
    let home = Home::new()?;
    for folder in ["here", "there/and/deeper"] {
        fs::create_dir_all(home.path(folder))?;
    }
    let name = format!("my-{language}");
    home.run_in("here", &["new", &name, "--lang", language])?.expect(0, "")?;
    let (here, there) = (format!("here/{name}"), format!("there/and/deeper/{name}"));
    let copied =
        Command::new("cp").arg("-r").arg(home.path(&here)).arg(home.path(&there)).status()?;
    ensure!(copied.success());
    if !ready(&home, &here, language)? || !ready(&home, &there, language)? {
        return Ok(());
    }
    let component = |folder: &str| fs::read(home.path(folder).join(format!("build/{name}.wasm")));
    for folder in [&here, &there] {
        home.run_in(folder, &["build"])?.expect(0, "built")?;
        conformance::fits_the_world(&component(folder)?)?;
    }
    let (one, other) = (component(&here)?, component(&there)?);
    let path = home.path("").display().to_string();
    let path = path.as_bytes();
    for component in [&one, &other] {
        ensure!(!component.windows(path.len()).any(|bytes| bytes == path), "it has a path in it");
    }
    match language {
        // The tool initializes the interpreter with random numbers, and has no option to prevent
        // it.
        "python" => ensure!(
            sections_without_state(&one)? == sections_without_state(&other)?,
            "two builds of the same sources differ in more than memory"
        ),
        _ => {
            ensure!(one == other, "two builds of the same sources are different");
            home.run_in(&here, &["build", "--force"])?.expect(0, "is up to date")?;
        }
    }
    // Without changes, or after changes to files that are not inputs of the build.
    fs::write(home.path(&here).join("README.md"), "")?;
    fs::write(home.path(&here).join("fixture/source/more.txt"), "")?;
    let output = home.command_in(&here, &["build"]).env("PATH", "/nowhere").output()?;
    match language {
        // Cargo decides.
        "rust" => home.run_in(&here, &["build"])?,
        _ => Ran::of(&output),
    }
    .expect(0, "is up to date")?;
    Ok(())
}

#[test]
fn rust_builds_are_reproducible() -> Result<()> {
    twice("rust")
}

#[test]
fn c_builds_are_reproducible() -> Result<()> {
    twice("c")
}

#[test]
fn python_builds_differ_only_in_memory() -> Result<()> {
    twice("python")
}

#[test]
fn javascript_builds_are_reproducible() -> Result<()> {
    twice("javascript")
}

#[test]
fn typescript_builds_are_reproducible() -> Result<()> {
    twice("typescript")
}

#[test]
fn the_contract_compiles_in_cpp() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(conformance::workspace().join("wit"))?;
    let world = resolve.select_world(&[package], Some("plugin"))?;
    let mut files = Files::default();
    wit_bindgen_cpp::Opts::default().build(None).generate(&mut resolve, world, &mut files)?;
    for (name, content) in files.iter() {
        fs::write(home.path().join(name), content)?;
    }
    // A native compiler does not know the attributes for WebAssembly.
    let compiled = Command::new("g++")
        .args(["-std=c++23", "-fsyntax-only", "-Wno-attributes", "plugin.cpp"])
        .current_dir(&home)
        .output();
    let Ok(compiled) = compiled else {
        ensure!(std::env::var_os("SYNCMGR_REQUIRE_LANGUAGES").is_none(), "there is no g++");
        eprintln!("skipped: there is no g++");
        return Ok(());
    };
    ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Ok(())
}

#[test]
fn requests_are_added_to_any_component() -> Result<()> {
    let home = Home::new()?;
    let component = home.path("hello.wasm");
    fs::copy(conformance::HELLO, &component)?;
    let requests = |text: &str| fs::write(home.path("requests.toml"), text);
    let embed = ["embed", "hello.wasm", "--requests", "requests.toml"];
    let requested = || -> Result<Vec<String>> {
        let inspected = home.run(&["inspect", "hello.wasm", "--json"])?.expect(0, "")?.json()?;
        let requests = inspected["requests"].as_array().context("requests")?.clone();
        let name = |one: &Value| one["name"].as_str().map(str::to_owned);
        requests.iter().map(|one| name(one).context("a name")).collect()
    };
    requests("[directories]\ninbox = { access = \"read-only\", why = \"mail\" }\n")?;
    home.run(&embed)?.expect(0, "wrote hello.wasm")?;
    ensure!(requested()? == ["inbox"]);
    // New requests replace the existing ones.
    requests("[settings]\nmode = \"how\"\n[allow]\nwall-clock = \"when\"\n")?;
    home.run(&embed)?.expect(0, "wrote hello.wasm")?;
    ensure!(requested()? == ["mode", "wall-clock"], "{:?}", requested()?);
    let other = [&embed[..], &["--output", "other.wasm"]].concat();
    home.run(&other)?.expect(0, "wrote other.wasm")?;
    ensure!(fs::read(&component)? == fs::read(home.path("other.wasm"))?);
    home.run(&["run", "other.wasm", "--allow", "wall-clock"])?.expect(0, "succeeded")?;

    let before = fs::read(&component)?;
    requests("[magic]\n")?;
    home.run(&embed)?.expect(2, "magic")?;
    requests("")?;
    // The macro of the SDK has added a section to a module of this component.
    fs::copy(conformance::SCRIPT, home.path("script.wasm"))?;
    home.run(&["embed", "script.wasm", "--requests", "requests.toml"])?
        .expect(2, "occurs twice")?;
    home.run(&["embed", "requests.toml", "--requests", "requests.toml"])?.expect(2, "")?;
    home.run(&["embed", "hello.wasm", "--requests", "missing"])?.expect(2, "missing")?;
    ensure!(fs::read(&component)? == before, "a failure changes nothing");
    Ok(())
}

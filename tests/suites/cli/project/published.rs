//! Projects that use the packages of the SDK instead of copies.

use conformance::workspace;

use super::*;

/// Creates and builds a project with the packages that `.ci/package` creates, as if they came from
/// a registry; `false`: tools are missing.
fn build_with_packages(home: &Home, language: &str, more: &[&str]) -> Result<bool> {
    home.run(&[&["new", "mine", "--lang", language, "--no-vendor"], more].concat())?
        .expect(0, "syncmgr build")?;
    let script = workspace().join(".ci/package").display().to_string();
    let packages = home.path("packages").display().to_string();
    let npm = format!("{packages}/syncmgr-plugin-{}.tgz", env!("CARGO_PKG_VERSION"));
    let pip = ["install", "--quiet", "--requirement", "requirements.txt", "--find-links"];
    let steps: &[&[&str]] = match language {
        "python" => &[
            &["python3", "-m", "venv", ".venv"],
            &[&[".venv/bin/pip"], &pip[..], &[&packages]].concat(),
        ],
        _javascript => &[&["npm", "install", "--silent", "--no-audit", "--no-fund", &npm]],
    };
    let make: &[&str] = &["python3", &script, "sdk", &packages];
    if !can_run(home, "mine", language, &[&[make], steps].concat())? {
        return Ok(false);
    }
    home.run_in("mine", &["build"])?.expect(0, "build/mine.wasm")?;
    home.run_in("mine", &["validate", "build/mine.wasm"])?.expect(0, "is a plugin")?;
    Ok(true)
}

#[test]
fn a_python_project_uses_the_wheel_of_the_sdk() -> Result<()> {
    let home = Home::new()?;
    if build_with_packages(&home, "python", &[])? {
        home.run_in("mine", &["test", "--check", "cancel-all"])?.expect(0, " 0 failed")?;
    }
    Ok(())
}

#[test]
fn a_typescript_project_uses_the_npm_package_of_the_sdk() -> Result<()> {
    let home = Home::new()?;
    if !build_with_packages(&home, "typescript", &["--with", "http"])? {
        return Ok(());
    }
    // The types of the package are those of its sources.
    let packages = workspace().join("guest/templates/packages");
    for folder in ["javascript", "javascript-http"] {
        let sources = packages.join(folder).join("syncmgr-plugin");
        for source in fs::read_dir(sources)? {
            let source = source?;
            let name = format!("mine/sources/{}", source.file_name().display());
            home.write(&name, fs::read(source.path())?)?;
        }
    }
    home.write(
        "mine/declarations.json",
        r#"{
            "extends": "./tsconfig.json",
            "compilerOptions": {
                "declaration": true,
                "emitDeclarationOnly": true,
                "outDir": "declarations"
            },
            "include": ["sources/*.js", "types/*.d.ts"]
        }"#,
    )?;
    let compiler = "node_modules/typescript/bin/tsc";
    let compile: &[&str] = &["node", compiler, "--project", "declarations.json"];
    ensure!(can_run(&home, "mine", "typescript", &[compile])?, "the compiler fails");
    for module in ["failure", "http", "index"] {
        let name = format!("{module}.d.ts");
        let made = fs::read_to_string(home.path("mine/declarations/sources").join(&name))?;
        let file = packages.join("npm").join(&name);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &made)?;
        }
        ensure!(fs::read_to_string(&file)? == made, "{name} differs: renew it with `BLESS=1`");
    }
    Ok(())
}

//! Files that determine the rights of a plugin: its job file, its earlier grants, and the state
//! directory.

use super::*;
use std::os::unix::fs::symlink;

const WORK: &str = "synchronize=progress item=a status=succeeded text=worked";

/// Runs the script plugin with a directory, and more options.
fn run(home: &Home, dir: &str, more: &[&str]) -> anyhow::Result<Ran> {
    let dir = format!("x={dir}");
    let run = ["run", conformance::SCRIPT, "--set", "items=a", "--set", WORK, "--dir", &dir];
    home.run(&[&run[..], more].concat())
}

#[test]
fn a_plugin_cannot_change_its_grants() -> anyhow::Result<()> {
    let home = Home::new()?;
    for name in ["docs/inner", "apart", "plugin"] {
        fs::create_dir_all(home.path(name))?;
    }
    fs::copy(conformance::SCRIPT, home.path("plugin/script.wasm"))?;
    let job = |dir: &str, more: &str| {
        format!(
            "plugin = {:?}\n[settings]\nitems = \"a\"\nsynchronize = {:?}\n{more}\n[dirs]\nx = {:?}\n",
            home.path("plugin/script.wasm"),
            WORK.trim_start_matches("synchronize="),
            home.0.path().join(dir),
        )
    };
    let run_job = |name: &str| home.run(&["run", "--job", name]);
    // The job file.
    for (file, dir, refused) in [
        ("docs/inner/job.toml", "docs", true),
        ("docs/inner/job.toml", "docs/inner", true),
        ("docs/inner/job.toml", "docs:ro", false),
        ("docs/inner/job.toml", "apart", false),
        ("job.toml", "docs", false),
        // The component file.
        ("job.toml", "plugin", true),
        ("job.toml", "plugin:ro", false),
    ] {
        home.write(file, job(dir, ""))?;
        let (status, words) = if refused { (2, "cannot be granted") } else { (0, "worked") };
        run_job(file)?.expect(status, words).with_context(|| format!("{file} with {dir}"))?;
        home.run(&["run", "--job", file, "--dry-run"])?.expect(0, "worked")?;
        home.run(&["items", "--job", file])?.expect(0, "a")?;
        fs::remove_file(home.path(file))?;
    }
    // A link to the job file.
    home.write("apart/job.toml", job("docs", ""))?;
    symlink("../apart/job.toml", home.path("docs/link.toml"))?;
    run_job("apart/job.toml")?.expect(0, "worked")?;
    run_job("docs/link.toml")?.expect(2, "it contains the job file")?;
    // A secret.
    home.write("docs/token", "hunter2")?;
    home.write("job.toml", job("docs", "[secrets]\ntoken = { file = \"docs/token\" }"))?;
    run_job("job.toml")?.expect(2, "it contains the secret file")?;
    run(&home, "docs", &["--secret", "token=file:docs/token"])?.expect(2, "the secret file")?;
    run(&home, "apart", &["--secret", "token=file:docs/token"])?.expect(0, "worked")?;
    // A recording.
    run(&home, "docs", &["--record", "docs/run.jsonl"])?.expect(2, "it contains the recording")?;
    run(&home, "docs:ro", &["--record", "docs/run.jsonl"])?.expect(0, "worked")?;
    // A file that would be registered the next time.
    home.write("docs/grants.toml", "[dirs]\nx = \".\"\n")?;
    home.run(&["register", conformance::SCRIPT, "--name", "x", "--grants", "docs/grants.toml"])?
        .expect(2, "it contains the job file")?;
    Ok(())
}

#[test]
fn the_state_directory_is_known_under_every_name() -> anyhow::Result<()> {
    let home = Home::new()?;
    fs::create_dir_all(home.path("outer/inner"))?;
    fs::create_dir(home.path("docs"))?;
    symlink("outer/inner", home.path("link"))?;
    symlink("../outer", home.path("docs/up"))?;
    for (state, dir, refused) in [
        ("outer/inner/state", "outer", true),
        ("link/state", "outer", true),
        ("outer/inner/state", "link", true),
        ("docs/up/inner/state", "docs", true),
        ("docs/up/inner/state", "outer/inner", true),
        ("link/state", "link/state/plugins", true),
        ("link/state", "docs", false),
    ] {
        let state = home.path(state).display().to_string();
        let (status, words) = if refused { (2, "cannot be granted") } else { (0, "worked") };
        run(&home, dir, &["--state-dir", &state])?
            .expect(status, words)
            .with_context(|| format!("{state} and {dir}"))?;
        // A read-only grant may include all of them.
        if !dir.contains("state") {
            run(&home, dir, &["--state-dir", &state, "--dry-run"])?.expect(0, "worked")?;
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_bind_mount_is_recognized_at_both_paths() -> anyhow::Result<()> {
    conformance::isolation::with_own_mounts(a_bind_mount_is_recognized_at_both_paths, || {
        let home = Home::new()?;
        for name in ["outer/state", "outer/docs", "bound", "apart", "part"] {
            fs::create_dir_all(home.path(name))?;
        }
        let job = format!(
            "plugin = {:?}\n[settings]\nitems = \"a\"\n[dirs]\nx = \"outer\"\n",
            conformance::SCRIPT
        );
        home.write("outer/docs/job.toml", job.replace("\"outer\"", "\"../../outer\""))?;
        for (from, to) in [("outer", "bound"), ("outer/docs", "part")] {
            let mount = Command::new("mount")
                .arg("--bind")
                .args([home.path(from), home.path(to)])
                .status()?;
            anyhow::ensure!(mount.success());
        }
        let state = home.path("outer/state").display().to_string();
        let state = ["--state-dir", state.as_str()];
        for (dir, refused) in [
            ("bound", true),
            ("bound/state", true),
            ("bound/docs", false),
            ("part", false),
            ("apart", false),
        ] {
            let (status, words) = if refused { (2, "cannot be granted") } else { (0, "worked") };
            run(&home, dir, &state)?.expect(status, words).context(dir)?;
        }
        let state = home.path("bound/state").display().to_string();
        let state = ["--state-dir", state.as_str()];
        run(&home, "outer", &state)?.expect(2, "cannot be granted")?;
        run(&home, "outer/docs", &state)?.expect(0, "worked")?;
        // The job file is in a granted directory that is also mounted elsewhere.
        home.write(
            "part/job.toml",
            job.replace("\"outer\"", &format!("{:?}", home.path("outer"))),
        )?;
        home.run(&["run", "--job", "part/job.toml", "--state-dir", "elsewhere"])?
            .expect(2, "it contains the job file")?;
        for at in ["part", "bound"] {
            Command::new("umount").arg(home.path(at)).status()?;
        }
        Ok(())
    })
}

#[test]
fn a_registered_directory_is_checked_by_identity() -> anyhow::Result<()> {
    let home = Home::new()?;
    fs::create_dir_all(home.path("docs"))?;
    fs::create_dir_all(home.path("secret"))?;
    let register = |dir: &str| {
        let dir = format!("x={dir}");
        let script =
            ["register", conformance::SCRIPT, "--name", "mine", "--set", "items=a", "--set", WORK];
        home.run(&[&script[..], &["--dir", &dir]].concat())?.expect(0, "registered")
    };
    let run = || home.run(&["run", "mine"]);
    register("docs")?;
    run()?.expect(0, "worked")?;
    // A link at its path.
    fs::rename(home.path("docs"), home.path("moved"))?;
    run()?.expect(0, "worked").context("the plugin handles a missing directory")?;
    for target in ["secret", "nowhere"] {
        symlink(target, home.path("docs"))?;
        run()?.expect(2, "register the plugin again").context(target)?;
        fs::remove_file(home.path("docs"))?;
    }
    home.run(&["list"])?.expect(0, "mine")?;
    // Another directory.
    fs::create_dir(home.path("docs"))?;
    if cfg!(target_os = "linux") {
        run()?.expect(2, "another directory is in its place")?;
    }
    register("docs")?;
    run()?.expect(0, "worked")?;
    fs::remove_dir(home.path("docs"))?;
    fs::rename(home.path("moved"), home.path("docs"))?;
    register("docs")?;
    run()?.expect(0, "worked")?;
    // A link in a parent directory.
    fs::create_dir_all(home.path("a/b"))?;
    register("a/b")?;
    fs::rename(home.path("a"), home.path("c"))?;
    symlink("c", home.path("a"))?;
    run()?.expect(2, "a link leads to")?;
    Ok(())
}

#[test]
fn the_path_of_a_registered_directory_is_not_parsed_again() -> anyhow::Result<()> {
    let home = Home::new()?;
    for (name, given, access) in [
        ("x:ro", "x:ro/", "read-write"),
        ("x:ro", "x:ro:ro", "read-only"),
        ("~", "./~", "read-write"),
        ("y", "./link/../y:ro", "read-only"),
    ] {
        fs::create_dir_all(home.path(name))?;
        fs::create_dir_all(home.path("link"))?;
        let dir = format!("x={given}");
        home.run(&["register", conformance::SCRIPT, "--name", "mine", "--dir", &dir])?
            .expect(0, "registered")?;
        let list: serde_json::Value = serde_json::from_str(&home.run(&["list", "--json"])?.stdout)?;
        let path = home.path(name).canonicalize()?;
        assert_eq!(list[0]["dirs"][0]["path"], path.display().to_string(), "{given}");
        assert_eq!(list[0]["dirs"][0]["access"], access, "{given}");
    }
    Ok(())
}

/// The parts of the state directory, each a folder or a file, after a run and with a quarantined
/// plugin.
fn parts() -> anyhow::Result<Vec<String>> {
    let parts = [
        "state",
        "state/plugins",
        "state/plugins/mine",
        "state/plugins/mine/storage",
        "state/quarantine",
        &quarantine_note()?,
        "state/installed",
        "state/installed/mine/registration.toml",
    ];
    Ok(parts.map(str::to_owned).into())
}

/// Returns the file that records the quarantine.
fn quarantine_note() -> anyhow::Result<String> {
    let digest = blake3::hash(&fs::read(conformance::SCRIPT)?);
    Ok(format!("state/quarantine/{}", digest.to_hex()))
}

fn home_with_every_part() -> anyhow::Result<Home> {
    let home = Home::new()?;
    let script =
        ["register", conformance::SCRIPT, "--name", "mine", "--set", "items=a", "--set", WORK];
    home.run(&script)?.expect(0, "registered")?;
    let crashing =
        ["run", "mine", "--set", "synchronize=panic text=no", "--on-crash", "quarantine"];
    home.run(&[&crashing[..], &["--set", "items=a"]].concat())?.expect(7, "no")?;
    home.run(&["run", "mine"])?.expect(7, "quarantine")?;
    Ok(home)
}

#[test]
fn a_link_does_not_reach_the_state_directory() -> anyhow::Result<()> {
    for part in &parts()?[1..] {
        let home = home_with_every_part()?;
        let elsewhere = home.path("elsewhere");
        fs::rename(home.path(part), &elsewhere)?;
        symlink(&elsewhere, home.path(part))?;
        let before = fs::metadata(&elsewhere)?.modified()?;
        home.run(&["run", "mine"])?.expect(7, "is a symbolic link or writable by other users")?;
        assert_eq!(fs::metadata(&elsewhere)?.modified()?, before, "{part}");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn files_of_another_user_are_not_used() -> anyhow::Result<()> {
    // Only root can change the owner of files. A user namespace has no other users.
    if Command::new("id").arg("-u").output()?.stdout != b"0\n" {
        return Ok(());
    }
    const NOBODY: u32 = 65_534;
    for part in parts()? {
        let home = home_with_every_part()?;
        let mine = home.run(&["run", "mine", "--release"])?;
        mine.expect(0, "worked")?;
        if part == quarantine_note()? {
            home.write(&part, "of another user")?;
        }
        std::os::unix::fs::chown(home.path(&part), Some(NOBODY), Some(NOBODY))?;
        home.run(&["run", "mine"])?.expect(7, "belongs to user 65534").context(part)?;
    }
    // The precompiled component is compiled again.
    for part in ["state/cache", "the file"] {
        let home = Home::new()?;
        let run = ["run", conformance::HELLO];
        home.run(&run)?.expect(0, "Greeting")?;
        let file = fs::read_dir(home.path("state/cache"))?.next().context("it is kept")??.path();
        let path = if part == "the file" { file.clone() } else { home.path(part) };
        std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY))?;
        let before = fs::metadata(&file)?.modified()?;
        home.run(&run)?.expect(0, "Greeting")?;
        let is_used = file.exists() && fs::metadata(&file)?.modified()? == before;
        assert!(is_used || part == "the file", "{part}");
    }
    Ok(())
}

#[test]
fn leftovers_of_a_killed_process_are_removed_from_the_cache() -> anyhow::Result<()> {
    let home = Home::new()?;
    home.run(&["run", conformance::HELLO])?.expect(0, "Greeting")?;
    let left = [home.write("state/cache/99-0.new", "x")?, home.write("state/cache/.tmpa1", "x")?];
    let held = home.write("state/cache/98-0.new", "x")?;
    let lock = fs::File::open(&held)?;
    lock.lock()?;
    home.run(&["run", conformance::SCRIPT, "--set", "items=a", "--set", WORK])?
        .expect(0, "worked")?;
    assert!(left.iter().all(|path| !path.exists()), "a new entry takes them along");
    assert!(held.exists(), "it is being written");
    drop(lock);
    home.run(&["cache", "--clear"])?.expect(0, "0 compiled")?;
    assert_eq!(fs::read_dir(home.path("state/cache"))?.count(), 0);
    Ok(())
}

#[test]
fn a_damaged_registration_can_be_removed() -> anyhow::Result<()> {
    let home = Home::new()?;
    let file = "state/installed/mine/registration.toml";
    for content in [Some("clsid = 5"), Some("\0"), Some(""), None] {
        home.run(&["register", conformance::SCRIPT, "--name", "mine"])?.expect(0, "registered")?;
        match content {
            Some(content) => drop(home.write(file, content)?),
            None => fs::remove_file(home.path(file))?,
        }
        home.run(&["run", "mine"])?.expect(if content.is_some() { 7 } else { 2 }, "mine")?;
        home.run(&["unregister", "mine"])?.expect(0, "unregistered mine")?;
        assert!(!home.path("state/installed/mine").exists());
        home.run(&["unregister", "mine"])?.expect(2, "no plugin is registered as `mine`")?;
    }
    Ok(())
}

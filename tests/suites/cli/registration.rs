//! Installed plugins: registering, listing, running by name, replacing and removing them, and
//! damaged or foreign installations.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use conformance::SCRIPT;

use crate::home::Home;

impl Home {
    /// Registers the script plugin under a name, with these settings.
    fn register(&self, name: &str, settings: &[&str]) -> Result<()> {
        let mut arguments = vec!["register", SCRIPT, "--name", name];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        self.run(&arguments)?.expect(0, "registered")?;
        Ok(())
    }

    fn installed(&self, name: &str) -> PathBuf {
        self.path("state/installed").join(name)
    }

    /// Returns the only file with this extension.
    fn file(&self, name: &str, extension: &str) -> Result<PathBuf> {
        let files = fs::read_dir(self.installed(name))?;
        let mut paths = files.flatten().map(|entry| entry.path());
        let found = paths.find(|path| path.extension().is_some_and(|found| found == extension));
        found.with_context(|| format!("there is no {extension} of {name}"))
    }
}

const WORK: &str = "synchronize=progress item=a status=succeeded text=worked";

#[test]
fn a_registered_plugin_runs_by_name_with_its_grants() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.path("inbox"))?;
    home.run(&["list"])?.expect(0, "")?;
    home.run(&[
        "register",
        SCRIPT,
        "--name",
        "mine",
        "--dir",
        "inbox=inbox:ro",
        "--set",
        "items=a",
        "--set",
        "synchronize=read path=/inbox/letter\nprogress item=a status=succeeded",
        "--secret",
        "token=env:HOME",
        "--allow",
        "wall-clock",
        "--limit",
        "memory-bytes=64MiB",
    ])?
    .expect(0, "registered mine as {")?;
    fs::write(home.path("inbox/letter"), "Dear,")?;
    home.run(&["run", "mine"])?.expect(0, "read: 5 bytes")?;
    let listed = home.run(&["list"])?.expect(0, "mine  {")?.said();
    for words in ["inbox: ", "(read-only)", "items=a", "secrets: token", "allowed: wall-clock"] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    let list: serde_json::Value = serde_json::from_str(&home.run(&["list", "--json"])?.stdout)?;
    assert_eq!(list[0]["name"], "mine");
    assert_eq!(list[0]["scope"], "user");
    assert_eq!(list[0]["dirs"][0]["access"], "read-only");
    home.run(&["inspect", "mine"])?.expect(0, "contract")?;
    home.run(&["items", "mine"])?.expect(0, "[x]")?;
    home.run(&["unregister", "mine"])?.expect(0, "remains in")?;
    home.run(&["run", "mine"])?.expect(2, "no plugin `mine`")?;
    home.run(&["unregister", "mine"])?.expect(2, "no plugin is registered as `mine`")?;
    assert!(!home.installed("mine").exists());
    assert!(home.path("state/plugins/mine/storage").exists(), "its own files stay");
    Ok(())
}

#[test]
fn unregister_all_continues_after_a_failure() -> Result<()> {
    let home = Home::new()?;
    home.run(&["unregister"])?.expect(2, "required arguments")?;
    home.run(&["unregister", "--all"])?.expect(0, "")?;
    for name in ["one", "two", "three"] {
        home.register(name, &["items=a"])?;
    }
    home.run(&["unregister", "one", "--all"])?.expect(2, "cannot be used with")?;
    fs::write(home.installed("two").join("registration.toml"), "damaged")?;
    home.run(&["unregister", "--all"])?.expect(7, "unregistered three; its storage")?;
    assert!(!home.installed("one").exists() && !home.installed("three").exists());
    Ok(())
}

#[test]
fn the_command_line_overrides_registered_grants() -> Result<()> {
    let home = Home::new()?;
    home.register("mine", &["items=a", WORK])?;
    home.run(&["run", "mine"])?.expect(0, "succeeded: a, worked")?;
    home.run(&["run", "mine", "--set", "items=b"])?.expect(3, "failed")?;
    home.run(&["run", "mine", "--limit", "items=none"])?.expect(0, "succeeded: a, worked")?;
    Ok(())
}

#[test]
fn a_job_file_provides_grants() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir_all(home.path("jobs/a"))?;
    let job = "[dirs]\ninbox = \"a:ro\"\n[settings]\nitems = \"a\"\n";
    fs::write(home.path("jobs/grants.toml"), job)?;
    let register = ["register", SCRIPT, "--name", "mine", "--grants", "jobs/grants.toml"];
    home.run(&register)?.expect(0, "registered")?;
    let inbox = home.path("jobs/a").canonicalize()?;
    home.run(&["list"])?.expect(0, &inbox.display().to_string())?;
    fs::copy(SCRIPT, home.path("letters-1.2.0.wasm"))?;
    home.run(&["register", "letters-1.2.0.wasm"])?.expect(0, "registered letters as")?;
    fs::write(home.path("jobs/grants.toml"), "plugin = \"other\"")?;
    home.run(&register)?.expect(2, "the file is for the plugin `other`")?;
    fs::write(home.path("jobs/grants.toml"), "speed = 1")?;
    home.run(&register)?.expect(2, "unknown field `speed`")?;
    home.run(&["run", "mine"])?.expect(3, "")?;
    Ok(())
}

#[test]
fn a_failed_registration_changes_nothing() -> Result<()> {
    let home = Home::new()?;
    home.register("mine", &["items=a", WORK])?;
    for (arguments, words) in [
        (vec!["register", "missing.wasm"], "missing.wasm"),
        (vec!["register", SCRIPT, "--name", "A b"], "invalid plugin name"),
        (vec!["register", SCRIPT, "--name", "../mine"], "invalid plugin name"),
        (vec!["register", SCRIPT, "--name", "folder"], "is a built-in plugin"),
        (vec!["register", conformance::OTHER_WORLD, "--name", "mine"], "not a plugin"),
        (
            vec!["register", conformance::HELLO, "--name", "mine", "--dir", "inbox=."],
            "does not request the directory `inbox`",
        ),
        (vec!["register", SCRIPT, "--name", "mine", "--limit", "speed=1"], "unknown limit"),
    ] {
        home.run(&arguments)?.expect(2, words)?;
    }
    if cfg!(not(windows)) {
        home.run(&["register", SCRIPT, "--machine"])?.expect(2, "on Windows only")?;
    }
    home.run(&["run", "mine"])?.expect(0, "succeeded: a, worked")?;
    Ok(())
}

#[test]
fn registering_again_replaces_the_component_and_the_grants_and_keeps_the_class() -> Result<()> {
    let home = Home::new()?;
    let class = |home: &Home| -> Result<String> {
        let list: serde_json::Value = serde_json::from_str(&home.run(&["list", "--json"])?.stdout)?;
        Ok(list[0]["clsid"].as_str().context("it has a class")?.to_owned())
    };
    home.register("mine", &["items=a", WORK])?;
    let before = class(&home)?;
    home.run(&["register", conformance::HELLO, "--name", "mine"])?.expect(0, "registered")?;
    assert_eq!(class(&home)?, before);
    home.run(&["run", "mine"])?.expect(0, "succeeded: Greeting")?;
    assert_eq!(
        fs::read_dir(home.installed("mine"))?.count(),
        3,
        "nothing is left of the other one"
    );
    Ok(())
}

#[test]
fn a_stated_class_belongs_to_one_plugin() -> Result<()> {
    let home = Home::new()?;
    let stated = "6295df40-0000-11d1-8707-00c04fd93327";
    let with_class = |class: &str| -> Result<PathBuf> {
        let component = fs::read(conformance::HELLO)?;
        let path = home.path("stated.wasm");
        fs::write(&path, custom_section(component, &format!("clsid = \"{class}\"")))?;
        Ok(path)
    };
    let path = with_class(stated)?;
    let path = path.to_str().context("it is Unicode")?;
    home.run(&["inspect", path])?.expect(0, &stated.to_uppercase())?;
    home.run(&["register", path, "--name", "one"])?.expect(0, &stated.to_uppercase())?;
    home.run(&["register", path, "--name", "two"])?.expect(2, "which `one` already has")?;
    home.run(&["register", path, "--name", "one"])?.expect(0, "registered one")?;
    with_class("00000000-0000-0000-0000-000000000000")?;
    home.run(&["register", path, "--name", "two"])?.expect(2, "GUID_NULL")?;
    with_class("nonsense")?;
    home.run(&["register", path, "--name", "two"])?
        .expect(2, "invalid `syncmgr-requests` section")?;
    Ok(())
}

/// Adds a section of requests to a component.
fn custom_section(mut component: Vec<u8>, text: &str) -> Vec<u8> {
    let name = syncmgr_host::requests::SECTION;
    let length = 1 + name.len() + text.len();
    let (low, high) = (length & 0x7F | 0x80, length >> 7);
    component.push(0);
    component.extend([low, high].map(|byte| u8::try_from(byte).unwrap_or(0)));
    component.push(u8::try_from(name.len()).unwrap_or(0));
    component.extend(name.bytes());
    component.extend(text.bytes());
    component
}

#[test]
fn a_damaged_installation_is_repaired_or_rejected() -> Result<()> {
    let home = Home::new()?;
    home.register("mine", &["items=a", WORK])?;
    // A damaged precompiled component is compiled again.
    let compiled = home.file("mine", "compiled")?;
    let whole = fs::read(&compiled)?;
    let flipped = |at: usize| {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        damaged
    };
    let middle = whole.len() / 2;
    for damaged in [vec![], b"garbage".to_vec(), whole[..middle].to_vec(), flipped(middle)] {
        fs::write(&compiled, &damaged)?;
        home.run(&["run", "mine"])?.expect(0, "succeeded: a, worked")?;
        assert_eq!(fs::read(&compiled)?.len(), whole.len());
    }
    fs::remove_file(&compiled)?;
    home.run(&["run", "mine"])?.expect(0, "succeeded: a, worked")?;
    // A damaged component cannot be restored.
    let component = home.file("mine", "wasm")?;
    let bytes = fs::read(&component)?;
    fs::write(&component, &bytes[..100])?;
    home.run(&["run", "mine"])?.expect(0, "succeeded: a, worked")?;
    fs::remove_file(&compiled)?;
    home.run(&["run", "mine"])?.expect(7, "not the registered component")?;
    fs::write(home.installed("mine").join("registration.toml"), "x = 1")?;
    home.run(&["run", "mine"])?.expect(7, "is damaged")?;
    home.register("other", &["items=a", WORK])?;
    home.run(&["list"])?.expect(7, "other  {")?;
    Ok(())
}

#[cfg(unix)]
#[test]
fn files_writable_by_others_are_not_run() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new()?;
    home.register("mine", &["items=a", WORK])?;
    let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for (path, mode) in [
        (home.path("state/installed"), 0o700),
        (home.installed("mine"), 0o700),
        (home.file("mine", "compiled")?, 0o600),
    ] {
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, mode, "{path:?}");
        for open in [0o020, 0o002] {
            chmod(&path, mode | open)?;
            home.run(&["run", "mine"])?.expect(7, "writable by other users")?;
        }
        chmod(&path, mode)?;
    }
    home.run(&["run", "mine"])?.expect(0, "succeeded: a, worked")?;
    // A link leads to an unchecked location.
    let compiled = home.file("mine", "compiled")?;
    fs::rename(&compiled, home.path("elsewhere"))?;
    std::os::unix::fs::symlink(home.path("elsewhere"), &compiled)?;
    home.run(&["run", "mine"])?.expect(7, "writable by other users")?;
    Ok(())
}

#[test]
fn a_file_is_compiled_once_and_damaged_code_is_not_used() -> Result<()> {
    let home = Home::new()?;
    let run = ["run", SCRIPT, "--set", "items=a", "--set", WORK];
    let cached = || -> Result<Vec<PathBuf>> {
        Ok(fs::read_dir(home.path("state/cache"))?.flatten().map(|entry| entry.path()).collect())
    };
    home.run(&["cache"])?.expect(0, "0 compiled plugins")?;
    home.run(&run)?.expect(0, "succeeded: a, worked")?;
    let files = cached()?;
    assert_eq!(files.len(), 1);
    let whole = fs::read(&files[0])?;
    home.run(&run)?.expect(0, "succeeded: a, worked")?;
    assert_eq!(cached()?, files);
    for damaged in [&[][..], b"garbage", &whole[..whole.len() - 1]] {
        fs::write(&files[0], damaged)?;
        home.run(&run)?.expect(0, "succeeded: a, worked")?;
        assert_eq!(fs::read(&files[0])?.len(), whole.len(), "it is compiled again");
    }
    // The limit applies to cached code, too.
    home.run(&[&run[..], &["--limit", "component-bytes=1KiB"]].concat())?.expect(2, "too large")?;
    home.run(&["cache", "--json"])?.expect(0, "\"entries\":1")?;
    home.run(&["cache", "--clear"])?.expect(0, "0 compiled plugins")?;
    assert!(cached()?.is_empty());
    Ok(())
}

#[test]
fn a_full_cache_evicts_the_least_recently_used() -> Result<()> {
    let home = Home::new()?;
    let host = syncmgr_host::Host::new()?;
    let (hello, script) = (fs::read(conformance::HELLO)?, fs::read(SCRIPT)?);
    let roomy = syncmgr_install::CodeCache::new(home.0.path());
    let size = |component: &[u8]| -> Result<u64> {
        roomy.clear()?;
        roomy.load(&host, "plugin", component)?;
        Ok(roomy.entries()?.iter().map(|entry| entry.bytes).sum())
    };
    let (small, large) = (size(&hello)?, size(&script)?);
    assert!(small < large);
    let cache = roomy.clone().max_bytes(large);
    cache.load(&host, "plugin", &hello)?;
    assert_eq!(cache.entries()?.len(), 1, "the other one had to go");
    assert_eq!(cache.entries()?[0].bytes, small);
    cache.load(&host, "plugin", &script)?;
    assert_eq!(cache.entries()?[0].bytes, large);
    roomy.clear()?;
    let tiny = roomy.clone().max_bytes(small - 1);
    tiny.load(&host, "plugin", &hello)?;
    assert!(tiny.entries()?.is_empty(), "what is too large is not kept");
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_cache_writable_by_others_is_not_used() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new()?;
    let run = ["run", SCRIPT, "--set", "items=a", "--set", WORK];
    home.run(&run)?.expect(0, "succeeded: a, worked")?;
    let cache = home.path("state/cache");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777))?;
    let file = fs::read_dir(&cache)?.next().context("it is compiled")??.path();
    let before = fs::metadata(&file)?.modified()?;
    home.run(&run)?.expect(0, "succeeded: a, worked")?;
    assert_eq!(fs::metadata(&file)?.modified()?, before, "neither read nor written");
    Ok(())
}

#[test]
fn the_state_directory_cannot_be_granted() -> Result<()> {
    let home = Home::new()?;
    home.register("mine", &["items=a", WORK])?;
    fs::create_dir(home.path("other"))?;
    let run = |dir: &str| {
        home.run(&["run", SCRIPT, "--set", "items=a", "--set", WORK, "--dir", &format!("x={dir}")])
    };
    for dir in
        [".", "state", "state/installed", "state/cache", "state/plugins/mine/storage", "state:ro"]
    {
        run(dir)?.expect(2, "cannot be granted")?;
        let grant = format!("x={dir}");
        home.run(&["register", SCRIPT, "--name", "other", "--dir", &grant])?
            .expect(2, "cannot be granted")?;
    }
    // A backup of all files needs read access only.
    run(".:ro")?.expect(0, "succeeded: a, worked")?;
    run("other")?.expect(0, "succeeded: a, worked")?;
    Ok(())
}

#[test]
fn run_all_runs_in_sequence_and_returns_the_worst_status() -> Result<()> {
    let home = Home::new()?;
    home.run(&["run", "--all"])?.expect(0, "")?;
    home.register("b-good", &["items=a", WORK])?;
    home.run(&["run", "--all"])?.expect(0, "plugin: b-good")?;
    home.register("a-bad", &["items=a", "synchronize=panic text=no"])?;
    home.register("c-failing", &["items=a", "synchronize=progress item=a status=failed"])?;
    let said = home.run(&["run", "--all"])?.expect(7, "succeeded: a, worked")?.said();
    let places: Vec<_> =
        ["plugin: a-bad", "plugin: b-good", "plugin: c-failing"].map(|name| said.find(name)).into();
    assert!(places.is_sorted() && !places.contains(&None), "{said}");
    let json = home.run(&["run", "--all", "--json"])?.expect(7, "")?.stdout;
    let reports = json.lines().filter(|line| line.contains("\"event\":\"report\""));
    assert_eq!(reports.count(), 3);
    home.run(&["run", "--all", "b-good"])?.expect(2, "cannot be used with")?;
    Ok(())
}

#[test]
fn the_event_and_the_cookie_reach_the_plugin() -> Result<()> {
    let home = Home::new()?;
    home.register("mine", &["items=a"])?;
    for (arguments, words) in [
        (&["--cookie", "0aff"][..], "initialize: SyncEvent::Invoke 0 Some([10, 255])"),
        (&["--trigger", "invoke"], "initialize: SyncEvent::Invoke 0 None"),
        (&["--trigger", "connect"], "initialize: SyncEvent::Connect 0 None"),
        (&["--trigger", "pending-disconnect"], "initialize: SyncEvent::PendingDisconnect 0 None"),
        (&["--trigger", "idle"], "initialize: SyncEvent::Idle 0 None"),
        (&["--trigger", "scheduled"], "initialize: SyncEvent::Scheduled 0 None"),
        (&[], "initialize: SyncEvent::Manual 0 None"),
    ] {
        home.run(&[&["run", "mine"], arguments].concat())?.expect(3, words)?;
    }
    home.run(&["run", "mine", "--cookie", "x"])?.expect(2, "pairs of the digits")?;
    home.run(&["run", "mine", "--trigger", "noon"])?.expect(2, "invalid value")?;
    if cfg!(not(windows)) {
        let class = "6295df40-0000-11d1-8707-00c04fd93327";
        home.run(&["run", "--clsid", class])?.expect(2, "on Windows only")?;
    }
    home.run(&["run"])?.expect(2, "in the folder of a project")?;
    Ok(())
}

#[test]
fn the_built_in_plugin_is_registered_with_its_requests() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.path("left"))?;
    fs::create_dir(home.path("right"))?;
    fs::write(home.path("left/a"), "a")?;
    home.run(&["register", "folder", "--dir", "left=left", "--dir", "right=right"])?
        .expect(0, "registered folder")?;
    home.run(&["run", "folder"])?.expect(0, "1 copied")?;
    // It receives its requests, whatever the other grants are.
    home.run(&["run", "folder", "--dir", "left=left", "--dir", "right=right"])?
        .expect(0, "nothing to do")?;
    fs::write(
        home.path("job.toml"),
        "plugin = \"folder\"\n[dirs]\nleft = \"left\"\nright = \"right\"\n",
    )?;
    home.run(&["run", "--job", "job.toml"])?.expect(0, "nothing to do")?;
    // It shares the state with the unregistered plugin.
    home.run(&["unregister", "folder"])?.expect(0, "unregistered")?;
    home.run(&["run", "folder", "--dir", "left=left", "--dir", "right=right"])?
        .expect(0, "nothing to do")?;
    Ok(())
}

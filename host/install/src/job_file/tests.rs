//! Job files, and the grants that they contain.

use syncmgr_host::Capability;

use super::*;

const JOB: &str = r#"
    plugin = "folder"
    allow = ["wall-clock"]
    schedule = "*/15 * * * *"
    [hooks]
    on-failure = ["notify-send", "./a b"]
    on-success = ["./tell.sh"]
    [settings]
    durable = false
    [secrets]
    one = { env = "ONE" }
    two = { file = "two.txt" }
    zoo = { keyring = "dav" }
    [limits]
    memory-bytes = "64MiB"
    items = 7
    component-bytes = "1MiB"
    [items.docs]
    name = "Documents"
    dirs = { left = "a", right = "/nowhere/b:ro" }
    settings = { mode = "mirror", ignore = ["*.o", "*.tmp"], max-delete = 7 }
"#;

fn parse(text: &str, base: &str) -> Result<Grants, InstallError> {
    JobFile::parse(text)?.grants(Path::new(base))
}

fn names(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn directories(grants: &Grants) -> Vec<(&str, &Path, Access)> {
    grants.directories.iter().map(|g| (g.name(), g.path(), g.access())).collect()
}

#[test]
fn a_job_file_becomes_grants_and_settings() {
    let grants = parse(JOB, "/jobs").unwrap();
    assert_eq!(JobFile::parse(JOB).unwrap().plugin(), Some("folder"));
    assert_eq!(grants.allow, [Capability::WallClock]);
    let two = Secret::File("/jobs/two.txt".into());
    let zoo = Secret::Keyring("dav".parse().unwrap());
    let secrets = [("one", Secret::Env("ONE".to_owned())), ("two", two), ("zoo", zoo)];
    assert_eq!(grants.secrets, secrets.map(|(name, secret)| (name.to_owned(), secret)));
    assert_eq!(grants.schedule.as_deref(), Some("*/15 * * * *"));
    assert_eq!(grants.hooks.on_failure, ["notify-send", "./a b"]);
    assert_eq!(grants.hooks.on_success, ["/jobs/./tell.sh"]);
    let limits = grants.limits();
    assert_eq!((limits.session.memory_bytes, limits.session.items), (64 << 20, 7));
    assert_eq!(limits.load.component_bytes, 1 << 20);
    assert_eq!(
        directories(&grants),
        [
            ("docs.left", Path::new("/jobs/a"), Access::ReadWrite),
            ("docs.right", Path::new("/nowhere/b"), Access::ReadOnly),
        ]
    );
    assert_eq!(
        names(&grants.settings),
        [
            ("durable", "false"),
            ("docs.name", "Documents"),
            ("docs.ignore", "*.o\n*.tmp"),
            ("docs.max-delete", "7"),
            ("docs.mode", "mirror"),
        ]
    );
}

#[test]
fn registered_grants_do_not_depend_on_the_folder() {
    let grants = parse(JOB, "/jobs").unwrap();
    let kept = toml::to_string(&JobFile::of(&grants).unwrap()).unwrap();
    let again = parse(&kept, "/elsewhere").unwrap();
    let again = again.with_directories(grants.registered_directories().unwrap()).unwrap();
    assert_eq!(directories(&again), directories(&grants));
    assert_eq!(again.secrets, grants.secrets);
    assert_eq!(again.allow, grants.allow);
    assert_eq!(
        (&again.hooks.on_failure, &again.schedule),
        (&grants.hooks.on_failure, &grants.schedule)
    );
    assert_eq!(again.hooks.on_success, ["/jobs/tell.sh"]);
    let sorted = |grants: &Grants| {
        let mut settings = grants.settings.clone();
        settings.sort();
        settings
    };
    assert_eq!(sorted(&again), sorted(&grants));
    assert_eq!(again.limits().session, grants.limits().session);
    assert_eq!(again.limits().load, grants.limits().load);
}

#[test]
fn an_invalid_job_file_is_an_error_with_the_reason() {
    for (job, words) in [
        ("plugin = 1", "plugin"),
        ("item = 1", "unknown field `item`"),
        ("[dirs]\n\"a b\" = \"/x\"", "`a b`"),
        ("[dirs]\na = \":ro\"", "has no path"),
        ("allow = [\"all\"]", "`all`"),
        ("[limits]\nspeed = 1", "`speed`"),
        ("[limits]\ngrace = 1", "grace"),
        ("[secrets]\nx = \"plain\"", "expected one of `env`, `file`, `keyring`"),
        ("[secrets]\nx = { keyring = \"a\\nb\" }", "1 to 128 bytes"),
        ("[hooks]\non-failure = [\"\", \"x\"]", "hook `on-failure`: the program has no name"),
        ("[hooks]\non-failure = \"x\"", "expected a sequence"),
        ("[hooks]\non-error = [\"x\"]", "unknown field `on-error`"),
        ("plugin = ", "TOML"),
        ("[items.\"my.docs\"]\nname = \"Docs\"", "invalid item key `my.docs`"),
        ("[items.\"\"]\nname = \"Docs\"", "invalid item key ``"),
        ("[settings]\n\"a.b\" = 1\n[items.a]\nsettings = { b = 2 }", "`a.b` is given twice"),
        ("[dirs]\na = \"C:\\Users\\me\"", "write a path in single quotes"),
        ("[dirs]\na = \"C:\\docs\"\n[items]\n", "write a path in single quotes"),
    ] {
        let error = parse(job, "").err().unwrap().to_string();
        assert!(error.contains(words), "{job:?}: {error}");
    }
}

#[test]
fn a_file_that_is_not_text_is_an_error_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("job.toml");
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    };
    for (bytes, words) in [
        (utf16("\u{feff}plugin = \"folder\"", false), "UTF-16"),
        (utf16("\u{feff}plugin = \"folder\"", true), "UTF-16"),
        (utf16("plugin = \"folder\"", false), "UTF-16"),
        (b"plugin = \"caf\xe9\"".to_vec(), "not UTF-8"),
        (vec![b' '; 2 << 20], "larger than 1 MiB"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let error = JobFile::read(&file).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    std::fs::write(&file, "\u{feff}plugin = 1").unwrap();
    assert_eq!(JobFile::read(&file).unwrap(), "plugin = 1");
}

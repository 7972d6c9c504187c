//! A plugin receives the intersection of its requests and the grants.

use std::path::Path;

use conformance::script::{Ran, Script};
use conformance::session::DrivenSession;
use conformance::{FOLDER, HELLO, host, limits};
use syncmgr_host::sink::{Discard, EventLog, JsonLines};
use syncmgr_host::{
    Access, Capability, Grant, Hresult, Plugin, RunReport, RunRequest, SessionOptions, full_message,
};

fn load(path: &str) -> anyhow::Result<Plugin> {
    Ok(host().load_file(path)?)
}

/// Returns the script plugin with other requests.
fn requesting(toml: &str) -> anyhow::Result<Plugin> {
    let bytes = std::fs::read(conformance::SCRIPT)?;
    let name = b"syncmgr-requests";
    let at = bytes.windows(name.len()).position(|window| window == name).expect("it has a section");
    let start = at + name.len();
    // The length of the section precedes its name, in at most five bytes; the new content is padded
    // to the length of the old one.
    let end = start + length(&bytes, at) - name.len() - 1;
    let mut changed = bytes[..start].to_vec();
    changed.extend(toml.as_bytes());
    assert!(changed.len() <= end, "the requests are longer than the old ones");
    changed.resize(end, b'\n');
    changed.extend(&bytes[end..]);
    Ok(host().load("script", &changed)?)
}

/// Returns the length of the section whose name is at this offset.
fn length(bytes: &[u8], name: usize) -> usize {
    // The name is preceded by the section id 0, the length of the section, and the length of the
    // name.
    let mut at = name - 2;
    while bytes[at - 1] & 0x80 != 0 {
        at -= 1;
    }
    bytes[at..name - 1]
        .iter()
        .enumerate()
        .map(|(place, byte)| usize::from(byte & 0x7f) << (7 * place))
        .sum()
}

fn run(plugin: &Plugin, options: SessionOptions) -> anyhow::Result<Ran> {
    let recorder = EventLog::new();
    let report = plugin.run(options, recorder.clone(), &RunRequest::default())?;
    Ok(Ran { report, recorded: recorder.recorded() })
}

fn synchronize(commands: &str) -> SessionOptions {
    let lines: Vec<_> = commands.lines().map(str::trim).collect();
    SessionOptions::new().setting("items", "a").setting("synchronize", lines.join("\n"))
}

#[test]
fn requests_are_read_without_running_anything() -> anyhow::Result<()> {
    let hello = load(HELLO)?;
    assert!(hello.description().requests.is_empty());
    let folder = load(FOLDER)?;
    let requests = &folder.description().requests;
    assert_eq!(requests.directory("left"), Some(Access::ReadWrite));
    assert_eq!(requests.directory("docs.right"), Some(Access::ReadWrite));
    assert_eq!(requests.directory("elsewhere"), None);
    assert!(requests.capability(Capability::WallClock));
    assert!(!requests.capability(Capability::Randomness));
    Ok(())
}

#[test]
fn a_setting_that_the_plugin_cannot_have_prevents_the_start() -> anyhow::Result<()> {
    let plugin = requesting(
        "[settings]\nitems = ''\nsynchronize = ''\n\
         mode = { values = ['two-way', 'mirror'], default = 'two-way', per-item = true }\n\
         fast = { type = 'boolean' }\ndepth = { type = 'integer', min = 1, max = 9 }",
    )?;
    let said = |name: &str, value: &str| -> anyhow::Result<String> {
        let options = synchronize("").setting(name, value);
        Ok(match plugin.run(options, Discard, &RunRequest::default()) {
            Ok(report) => format!("{:?}", report.outcome),
            Err(error) => format!("{}: {}", error.code(), full_message(&error)),
        })
    };
    for (name, value, words) in [
        ("mode", "mirror", "Completed"),
        ("docs.mode", "two-way", "Completed"),
        ("fast", "true", "Completed"),
        ("depth", "9", "Completed"),
        ("mode", "mirorr", "the setting `mode` is `mirorr`; use `two-way` or `mirror`"),
        ("docs.mode", "", "the setting `docs.mode` is ``; use `two-way` or `mirror`"),
        ("fast", "yes", "the setting `fast` is `yes`; use `true` or `false`"),
        ("depth", "10", "the setting `depth` is `10`; use a number from 1 to 9"),
        ("mod", "mirror", "the plugin has no setting `mod`; did you mean `mode`?; list"),
        ("docs.fast", "true", "the plugin has no setting `docs.fast`; did you mean `fast`?"),
        ("name", "x", "the plugin has no setting `name`; list its settings with"),
        ("other-thing", "x", "the plugin has no setting `other-thing`; list its settings with"),
    ] {
        let said = said(name, value)?;
        anyhow::ensure!(said.contains(words), "{name}={value}: {said}");
        anyhow::ensure!(said == "Completed" || said.starts_with("grant-refused: "), "{said}");
    }
    Ok(())
}

#[test]
fn an_excess_grant_is_named_and_not_applied() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join("file"), "12345")?;
    let plugin = requesting(
        "[settings]\nitems = ''\nsynchronize = ''\n\
         [directories]\nwanted = { access = 'read-only' }",
    )?;
    let inner = home.path().join("inner");
    std::fs::create_dir(&inner)?;
    let options = synchronize("read path=/other/file\nclock\nread path=/wanted/x")
        .grant(Grant::new("other", home.path(), Access::ReadWrite)?)
        .secret("token", "hunter2")
        .allow(Capability::Randomness);
    let excess = plugin.excess_grants(&options);
    let mut excess: Vec<_> = excess.iter().map(ToString::to_string).collect();
    excess.sort();
    let expected = ["the capability `randomness`", "the directory `other`", "the secret `token`"];
    assert_eq!(excess, expected);
    let ran = run(&plugin, options)?;
    assert!(!ran.said_in_synchronize()[0].contains("bytes"), "{:?}", ran.said());
    assert_eq!(ran.error_code(), Some("ended-denied"));

    // A directory that is requested read-only is not granted read-write.
    let options = synchronize("write path=/wanted/new text=x\nread path=/wanted/file")
        .grant(Grant::new("wanted", home.path(), Access::ReadWrite)?);
    let ran = run(&plugin, options)?;
    assert!(!ran.said_in_synchronize()[0].contains("ok"), "{:?}", ran.said());
    assert_eq!(ran.said_in_synchronize()[1], "read: 5 bytes");
    assert!(!home.path().join("new").exists());
    Ok(())
}

#[test]
fn a_denial_names_the_plugin_the_capability_and_the_remedy() -> anyhow::Result<()> {
    let unasking = requesting("[settings]\n'*' = ''")?;
    let script = conformance::script::plugin();
    for (plugin, command, message) in [
        (
            &script,
            "clock",
            "script: access denied in `synchronize`: the time of day (`wall-clock`); grant it",
        ),
        (
            &unasking,
            "clock",
            "script: access denied in `synchronize`: the time of day (`wall-clock`); its author \
             must request it before it can be granted",
        ),
        (
            &script,
            "random",
            "script: access denied in `synchronize`: secret random numbers (`randomness`); grant it",
        ),
    ] {
        let ran = run(plugin, synchronize(command))?;
        let error = ran.report.error().map(ToString::to_string).unwrap_or_default();
        assert_eq!(error, message);
        assert_eq!(ran.report.hresult(), Hresult::E_ACCESSDENIED);
        assert_eq!(ran.report.items[0].hresult(), Hresult::E_ACCESSDENIED);
    }
    for &capability in Capability::ALL {
        let options = synchronize("clock\nrandom\nprogress item=a status=succeeded");
        let ran = run(&script, options.allow(capability))?;
        assert_eq!(ran.error_code(), Some("ended-denied"), "{capability:?} alone");
    }
    let options = synchronize("clock\nrandom\nprogress item=a status=succeeded")
        .allow(Capability::WallClock)
        .allow(Capability::Randomness);
    let ran = run(&script, options)?;
    assert!(ran.report.error().is_none(), "{:?}", ran.report.outcome);
    Ok(())
}

#[test]
fn secrets_are_redacted_everywhere() -> anyhow::Result<()> {
    const SECRET: &str = "hunter2-and-more";
    for commands in [
        "",
        "progress item=a text=$token status=succeeded",
        "log level=error text=it_is_$token item=a",
        "question text=$token choices=$token,b",
        "count item=a name=$token value=1",
        "connect to=$token",
        "fail text=$token",
        "print text=$token\npanic text=$token",
    ] {
        let plugin = conformance::script::plugin();
        let options = synchronize(commands).setting("items", "a hunter2-and-more");
        let options = options.secret("token", SECRET);
        let mut json = JsonLines::new(Vec::new());
        let report: RunReport = {
            let recorder = EventLog::new();
            let report = plugin.run(options, recorder.clone(), &RunRequest::default())?;
            let recorded = format!("{:?}", recorder.recorded());
            assert!(!recorded.contains(SECRET), "{commands}: {recorded}");
            report
        };
        json.report(&report, None);
        let written = String::from_utf8(json.finish()?)?;
        assert!(!written.contains(SECRET), "{commands}: {written}");
        let text = format!("{report:?}");
        assert!(!text.contains(SECRET), "{commands}: {text}");
        assert!(text.contains("[secret]"), "it is the name of an item: {text}");
    }
    Ok(())
}

#[test]
fn invalid_settings_and_secrets_are_rejected() -> anyhow::Result<()> {
    let plugin = conformance::script::plugin();
    for (name, value) in [("", "x"), ("a=b", "x"), ("a", "x\0y"), ("a\0", "x")] {
        let options = SessionOptions::new().setting(name, value);
        assert!(
            DrivenSession::start(&plugin, options, EventLog::new()).is_err(),
            "{name:?}={value:?}"
        );
    }
    let twice = SessionOptions::new().setting("a", "x").secret("a", "y");
    assert!(DrivenSession::start(&plugin, twice, EventLog::new()).is_err());
    Ok(())
}

#[test]
fn the_storage_quota_applies_to_wasi_writes() -> anyhow::Result<()> {
    let script = |storage: &Path, commands: &str| {
        let limits = limits(|limits| limits.storage_bytes = 20_000);
        let storage = storage.to_owned();
        Script::new("a")
            .on("synchronize", commands)
            .options(|options| options.storage(storage).limits(limits))
            .run()
    };
    for commands in [
        "fill path=/storage/x bytes=9000\nfill path=/storage/y bytes=9000",
        "fill path=/storage/x bytes=9000\nappend path=/storage/x bytes=9000",
        "resize path=/storage/x bytes=9000\nresize path=/storage/x bytes=90000",
    ] {
        let home = tempfile::tempdir()?;
        let ran = script(home.path(), commands)?;
        let said = ran.said_in_synchronize();
        assert!(said[0].ends_with("ok"), "{said:?}");
        assert!(!said[1].ends_with("ok"), "{commands}: {said:?}");
        let stored = |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.metadata()?.len());
        let stored = home.path().read_dir()?.map(stored).sum::<std::io::Result<u64>>()?;
        assert!(stored <= 20_000, "{commands}: {stored} bytes are stored");
        // Files that existed before count.
        std::fs::write(home.path().join("before"), vec![1; 9000])?;
        let ran = script(home.path(), "sleep ms=1\nfill path=/storage/z bytes=5000")?;
        assert!(!ran.said_in_synchronize()[0].ends_with("ok"), "{:?}", ran.said());
    }
    // An unlinked file uses space while it is open, and unlinking a second name frees none.
    for commands in [
        "nameless path=/storage/x bytes=9000 times=20",
        "names path=/storage/x to=/storage/y bytes=9000 times=20",
    ] {
        let home = tempfile::tempdir()?;
        let ran = script(home.path(), commands)?;
        let said = ran.said_in_synchronize()[0].to_owned();
        let written: usize = said.rsplit(' ').next().unwrap_or_default().parse()?;
        assert!((1..5).contains(&written), "{commands}: {said}");
    }
    // Replacing existing content needs no additional space.
    let home = tempfile::tempdir()?;
    let ran = script(
        home.path(),
        "fill path=/storage/x bytes=9000\nrewrite path=/storage/x bytes=9000 times=50",
    )?;
    assert!(ran.said_in_synchronize().iter().all(|line| line.ends_with("ok")), "{:?}", ran.said());
    Ok(())
}

#[test]
fn a_plugin_cannot_exhaust_the_open_files_of_the_host() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join("file"), "x")?;
    let limits = limits(|limits| limits.open_files = 20);
    let ran = Script::new("a")
        .on("synchronize", "hoard path=/storage/file count=1000")
        .options(|options| options.storage(home.path()).limits(limits))
        .run()?;
    let said = ran.said_in_synchronize();
    let held: usize = said[0].strip_prefix("hoard: ").expect("a log line").parse()?;
    assert!((10..=20).contains(&held), "{held} files were open");
    Ok(())
}

#[test]
fn a_stream_keeps_its_file_open() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join("file"), "x")?;
    let limits = limits(|limits| limits.open_files = 20);
    for (command, most) in [("streams", 20), ("listings", 8), ("locks", 20)] {
        let ran = Script::new("a")
            .on("synchronize", &format!("{command} count=100"))
            .options(|options| options.storage(home.path()).limits(limits.clone()))
            .run()?;
        let said = ran.said_in_synchronize();
        let held: usize = said[0].rsplit(' ').next().unwrap_or_default().parse()?;
        assert!((1..=most).contains(&held), "{held} {command}");
    }
    Ok(())
}

#[test]
fn a_read_only_grant_prevents_all_changes() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let (closed, open) = (home.path().join("closed"), home.path().join("open"));
    for place in [&closed, &open] {
        std::fs::create_dir(place)?;
        std::fs::write(place.join("file"), "12345")?;
        std::fs::create_dir(place.join("folder"))?;
    }
    let before = conformance::trees::read(&closed)?;
    let times = |name: &str| closed.join(name).metadata()?.modified();
    let modified = (times("file")?, times("folder")?, times("")?);
    let ran = Script::new("a")
        .on(
            "synchronize",
            "write path=/closed/file text=x
             write path=/closed/new text=x
             append path=/closed/file bytes=5
             resize path=/closed/file bytes=0
             truncate path=/closed/file
             rename path=/closed/file to=/closed/other
             rename path=/closed/file to=/open/taken
             rename path=/open/file to=/closed/file
             link path=/closed/file to=/open/linked
             link path=/open/file to=/closed/linked
             remove path=/closed/file
             rmdir path=/closed/folder
             mkdir path=/closed/made
             touch path=/closed/file
             write path=/open/linked text=x
             write path=/open/taken text=x",
        )
        .options(|options| {
            options
                .grant(Grant::new("closed", &closed, Access::ReadOnly).expect("the name is good"))
                .grant(Grant::new("open", &open, Access::ReadWrite).expect("the name is good"))
        })
        .run()?;
    let said = ran.said_in_synchronize();
    assert_eq!(said.len(), 16, "{said:?}");
    assert!(said[..14].iter().all(|line| !line.ends_with("ok")), "{said:?}");
    assert_eq!(conformance::trees::read(&closed)?, before);
    assert_eq!((times("file")?, times("folder")?, times("")?), modified);
    Ok(())
}

#[test]
fn flushing_several_files_answers_for_each_of_them() -> anyhow::Result<()> {
    for (count, answers) in [
        (0, ""),
        (1, "Err(ErrorCode::AccessDenied) 1"),
        (2, "Err(ErrorCode::AccessDenied) 1, Ok(()) 1"),
        (100, "Err(ErrorCode::AccessDenied) 1, Ok(()) 99"),
        (2_000, "Err(ErrorCode::AccessDenied) 1, Ok(()) 1023, Err(ErrorCode::InvalidArgument) 976"),
    ] {
        let home = tempfile::tempdir()?;
        let options = synchronize(&format!("flush count={count}")).storage(home.path());
        let ran = run(&conformance::script::plugin(), options)?;
        assert_eq!(ran.said_in_synchronize(), [format!("flush: {answers}")], "{:?}", ran.report);
    }
    Ok(())
}

#[test]
fn flushing_several_directories_answers_for_each_of_them() -> anyhow::Result<()> {
    for (access, count, answers) in [
        (Access::ReadWrite, 0, ""),
        (Access::ReadWrite, 1, "Ok(()) 1"),
        (Access::ReadWrite, 100, "Ok(()) 100"),
        (Access::ReadWrite, 2_000, "Ok(()) 1024, Err(ErrorCode::InvalidArgument) 976"),
        (Access::ReadOnly, 2, "Err(ErrorCode::AccessDenied) 2"),
    ] {
        let home = tempfile::tempdir()?;
        let options = synchronize(&format!("flush-directories name=docs count={count}"))
            .grant(Grant::new("docs", home.path(), access)?);
        let ran = run(&conformance::script::plugin(), options)?;
        let expected = format!("flush-directories: {answers}");
        assert_eq!(ran.said_in_synchronize(), [expected], "{:?}", ran.report);
    }
    Ok(())
}

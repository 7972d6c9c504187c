//! What errors say: each by its code, with its causes, as the program prints it. `BLESS=1` writes
//! the texts in `tests/data` anew.

// The system's own words, and how paths look, are others on Windows.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use conformance::corpus::bytes;
use conformance::corpus::core::Core;
use conformance::script::{Script, item};
use conformance::{host, workspace};
use syncmgr_authoring::{AuthoringError, Language, Project, create};
use syncmgr_host::http::{HttpDenial, HttpGrant, HttpGrantError, HttpPolicy};
use syncmgr_host::sink::{Discard, Sink};
use syncmgr_host::{
    Access, Call, CancelHandle, ErrorCode, Grant, GrantError, Host, HostOptions, Hresult, Item,
    Limits, LoadError, LoadLimits, OnDeath, Outcome, Report, RunRequest, Selection, SessionError,
    SessionOptions, StartError, Trigger,
};
use syncmgr_kit::{Fixture, KitError, Recording, Stage};
use syncmgr_store::{Granted, Registrations, Scope, StoreError, create_private, host_options};
use url::Url;

/// So long that only what it is about takes longer, on machines that are busy, too.
const SHORT: Duration = Duration::from_millis(400);

/// Codes of errors that cannot be made here, each with the reason.
const ELSEWHERE: [(&str, &str); 5] = [
    ("registry-class-taken", "Windows' registry"),
    ("registry-key", "Windows' registry"),
    ("registry-manager", "Windows' sync manager"),
    ("registry-no-library", "the library of the native handlers"),
    ("registry-open-library", "the library of the native handlers"),
];

/// An error that has a code.
trait Coded: std::error::Error + Send + Sync + Sized + 'static {
    fn code_of(&self) -> &'static str;
}

macro_rules! coded {
    ($($error:ty),*) => {
        $(impl Coded for $error {
            fn code_of(&self) -> &'static str {
                self.code()
            }
        })*
    };
}

coded!(
    LoadError,
    SessionError,
    StartError,
    StoreError,
    AuthoringError,
    KitError,
    HttpDenial,
    HttpGrantError
);

/// What was said, by codes, and a folder for whatever it takes.
struct Told {
    home: tempfile::TempDir,
    texts: Vec<(&'static str, String)>,
}

impl Told {
    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn text(&mut self, code: &'static str, text: &str) {
        let text = masked(&text.replace(&self.home.path().display().to_string(), "HOME"));
        let with_code = text.strip_prefix(&format!("error[{code}]: "));
        let text = with_code.or(text.strip_prefix("error: ")).unwrap_or(&text);
        self.texts.push((code, text.trim_end().to_owned()));
    }

    fn error(&mut self, error: impl Coded) {
        let code = error.code_of();
        self.text(code, &syncmgr_cli::error_text(&error.into()));
    }

    fn refused<T>(&mut self, result: Result<T, impl Coded>) -> Result<()> {
        let said = || format!("it was not refused; the last one was {:?}", self.texts.last());
        let error = result.err().with_context(said)?;
        self.error(error);
        Ok(())
    }

    /// What the program says at the end, run with nothing but this search path.
    fn program(&mut self, code: &'static str, folder: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new(env!("CARGO_BIN_EXE_syncmgr"))
            .args(arguments)
            .current_dir(self.path(folder))
            .env("SYNCMGR_STATE_DIR", self.path("state"))
            .env("PATH", self.path("bin"))
            .output()?;
        let said = String::from_utf8(output.stderr)?;
        let error = said.find("error[").with_context(|| format!("{arguments:?}: {said}"))?;
        self.text(code, &said[error..]);
        Ok(())
    }

    /// An entry on each line, or more where causes are told; sorted by code.
    fn page(&self) -> String {
        let mut texts: Vec<_> = self.texts.iter().collect();
        texts.sort_by_key(|(code, _)| *code);
        texts.into_iter().map(|(code, text)| format!("{code}: {text}\n")).collect()
    }
}

/// Runs the script, and returns what the program prints of that.
fn run(state: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_syncmgr"))
        .args(["run", conformance::SCRIPT])
        .args(arguments)
        .env("SYNCMGR_STATE_DIR", state)
        .output()?;
    ensure!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Puts words in place of what the next build may have otherwise.
fn masked(text: &str) -> String {
    let place = |c: char| c.is_ascii_digit() || c == ':';
    let digit = |c: char| c.is_ascii_hexdigit();
    let text = replaced(text, "script.rs:", place, "LINE:COLUMN:");
    replaced(&replaced(&text, "at offset 0x", digit, "N"), "/installed/mail/", digit, "DIGEST")
}

/// Replaces the characters of a kind that follow a text.
fn replaced(text: &str, after: &str, kind: impl Fn(char) -> bool, by: &str) -> String {
    let mut parts = text.split(after);
    let before = parts.next().unwrap_or_default().to_owned();
    parts.fold(before, |text, part| match part.trim_start_matches(&kind) {
        rest if rest.len() == part.len() => format!("{text}{after}{rest}"),
        rest => format!("{text}{after}{by}{rest}"),
    })
}

/// Compares with a file of `tests/data`.
fn compare(name: &str, now: &str) -> Result<()> {
    let path = workspace().join("tests/data").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, now)?;
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    if now == before {
        return Ok(());
    }
    let same = before.lines().zip(now.lines()).take_while(|(before, now)| before == now).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(nothing)").to_owned();
    bail!(
        "tests/data/{name} differs in line {}:\n  it was: {}\n  it is:  {}\n\
         If that is right: `BLESS=1 cargo test -p syncmgr --test errors`",
        same + 1,
        line(&before),
        line(now)
    );
}

fn host_with(change: impl FnOnce(&mut LoadLimits)) -> Result<Host> {
    let mut limits = LoadLimits::default();
    change(&mut limits);
    Ok(Host::with_options(HostOptions::new().limits(limits))?)
}

fn loading(told: &mut Told) -> Result<()> {
    told.refused(host().load_file(Path::new("missing.wasm")))?;
    told.refused(host_with(|limits| limits.component_bytes = 1 << 10)?.load("mail", &[0; 2048]))?;
    for large in [bytes::doubling, bytes::huge_function] {
        let host = host_with(|limits| {
            limits.expansion = 1_000;
            limits.function_bytes = 256 << 10;
        })?;
        told.refused(host.load("mail", &large()?))?;
    }
    // No time at all is over before the compiler is.
    let script = fs::read(conformance::SCRIPT)?;
    told.refused(host_with(|limits| limits.compile_time = Duration::ZERO)?.load("mail", &script))?;
    let references = Core::new().also("(table 1 externref)").component()?;
    told.refused(host().load("mail", &references))
}

/// A component of a version of the contract, by its name and nothing else.
fn of_version(version: &str) -> Result<Vec<u8>> {
    let export = format!("(export \"syncmgr:plugin/synchronize@{version}\" (instance $none))");
    Ok(wat::parse_str(format!("(component (instance $none) {export})"))?)
}

fn contract(told: &mut Told) -> Result<()> {
    type Make = fn() -> Result<Vec<u8>>;
    let guests: [Make; 18] = [
        bytes::nothing,
        bytes::plain_text,
        || Ok(b"\x7fELF\xff\xfe".to_vec()),
        bytes::module,
        || Ok(b"\0asm".to_vec()),
        bytes::noise,
        bytes::deep,
        bytes::no_exports,
        || Ok(fs::read(conformance::OTHER_WORLD)?),
        bytes::other_version,
        || of_version("0.0.9"),
        || of_version("0.1.9"),
        bytes::unknown_import,
        bytes::malformed_requests,
        bytes::binary_requests,
        bytes::doubled_requests,
        bytes::empty_export,
        bytes::missing_function,
    ];
    for guest in guests {
        told.refused(host().load("mail", &guest()?))?;
    }
    Ok(())
}

/// How a run of a plugin fails.
fn failure(report: Report) -> Result<SessionError> {
    match report.outcome {
        Outcome::Failed(error) => Ok(error),
        other @ (Outcome::Declined
        | Outcome::NothingSelected
        | Outcome::NeedsUser
        | Outcome::Completed) => bail!("it did not fail: {other:?}"),
    }
}

fn running(told: &mut Told) -> Result<()> {
    for commands in [
        "fail code=no-space text=the_disk_of_the_server_is_full",
        "fail code=no-space",
        "panic text=no_more_lemons",
        "exit status=3",
    ] {
        told.error(failure(Script::new("a").on("synchronize", commands).run()?.report)?);
    }
    told.error(failure(Script::new("a").on("enum-items", "panic text=no").run()?.report)?);
    told.error(failure(Script::new("a a").run()?.report)?);
    let silent =
        host().load("mail", &Core::new().body("synchronize", "unreachable").component()?)?;
    told.error(failure(silent.run_blocking(
        SessionOptions::new(),
        Discard,
        &RunRequest::default(),
    )?)?);
    for items in ["a b", "a b c d e f g"] {
        let only = Selection::Only(vec!["z".to_owned()]);
        let script = Script::new(items).request(|request| request.selection = only);
        told.error(failure(script.run()?.report)?);
    }
    told.error(SessionError::Native {
        plugin: "Offline Files".to_owned(),
        call: Call::Synchronize,
        hresult: Hresult::E_ACCESSDENIED,
    });

    let mut session = Script::new("a").on("get-properties", "panic text=no").start(Discard)?;
    let errors = session.block_on(async |session| {
        let early = session.enum_items().await.err();
        session.initialize(Trigger::MANUAL, None).await?;
        let twice = session.initialize(Trigger::MANUAL, None).await.err();
        let nothing = session.prepare_for_sync(&[]).await.err();
        let unprepared = session.synchronize().await.err();
        let _died = session.properties(None).await;
        let dead = session.enum_items().await.err();
        Ok([early, twice, nothing, unprepared, dead])
    })?;
    for error in errors {
        told.error(error.context("it was not refused")?);
    }

    struct Broken;
    impl Sink for Broken {
        fn started(&mut self, _items: &[Item]) {
            // As a panic, without its message among those of the tests.
            std::panic::resume_unwind(Box::new("a sink that is broken"));
        }
    }
    let script = conformance::script::plugin();
    let options = SessionOptions::new().setting("items", "a");
    match script.run_blocking(options, Broken, &RunRequest::default()) {
        Err(StartError::Session(error)) => told.error(error),
        Err(error @ (StartError::Grant(_) | StartError::Quarantined { .. })) => bail!(error),
        Ok(report) => bail!("nobody noticed: {:?}", report.outcome),
    }
    Ok(())
}

fn ended(told: &mut Told) -> Result<()> {
    type Change = fn(&mut Limits);
    type Cancel = fn(&CancelHandle);
    let long = format!("log text={}", "x".repeat(100 << 10));
    let rows: [(&str, Change, Cancel); 11] = [
        ("spin", |_| {}, CancelHandle::kill),
        ("spin", |limits| limits.grace = SHORT, CancelHandle::cancel_all),
        (
            "progress item=a status=updating\nspin",
            |limits| limits.grace = SHORT,
            |cancel| cancel.cancel_item(item("a")),
        ),
        ("spin", |limits| limits.compute_time = SHORT, |_| {}),
        ("sleep ms=60000", |limits| limits.wall_time = SHORT, |_| {}),
        ("sleep ms=60000", |limits| limits.idle_time = SHORT, |_| {}),
        ("allocate bytes=99000000", |limits| limits.memory_bytes = 64 << 20, |_| {}),
        ("pollables count=1000", |limits| limits.handles = 100, |_| {}),
        (&long, |limits| limits.host_call_bytes = 64 << 10, |_| {}),
        ("clock", |_| {}, |_| {}),
        ("random", |_| {}, |_| {}),
    ];
    for (commands, change, cancel) in rows {
        let mut limits = Limits::default();
        change(&mut limits);
        let script = Script::new("a").on("synchronize", commands);
        let script = script.options(|options| options.limits(limits));
        told.error(failure(script.run_with(cancel)?.report)?);
    }
    let memories: String = (0..30).map(|_| "(memory 1)\n").collect();
    for core in [
        Core::new().also("(table 9000000 funcref)"),
        Core::new().also("(func $deep call $deep)").body("synchronize", "call $deep unreachable"),
        Core::new().also(memories),
    ] {
        let plugin = host().load("mail", &core.component()?)?;
        let options = SessionOptions::new().limits(conformance::corpus::limits());
        told.error(failure(plugin.run_blocking(options, Discard, &RunRequest::default())?)?);
    }
    Ok(())
}

/// What the contract has codes for: an answer without words, and an item that failed.
fn reported(told: &mut Told) -> Result<()> {
    let names = ErrorCode::ALL.map(ErrorCode::name);
    let mut commands = String::new();
    for name in names {
        let script = Script::new("a").on("synchronize", &format!("fail code={name}"));
        told.text(name, &syncmgr_cli::error_text(&failure(script.run()?.report)?.into()));
        commands += &format!(
            "log level=error item={name} code={name} text=x\nprogress item={name} status=failed\n"
        );
    }
    let items = format!("items={}", names.join(" "));
    let commands = format!("synchronize={commands}");
    let said = run(&told.path("state"), &["--set", &items, "--set", &commands])?;
    for name in names {
        let line = said.lines().find(|line| line.ends_with(&format!("]: {name}")));
        told.text(name, line.with_context(|| format!("nothing about {name} in: {said}"))?);
    }
    Ok(())
}

/// What is wrong with a grant.
fn grants(told: &Told) -> Result<Vec<GrantError>> {
    let (outer, inner) = (told.folder("docs")?, told.folder("docs/inner")?);
    fs::write(outer.join("file"), "")?;
    let granted = |name: &str, path: &Path| Grant::new(name, path, Access::ReadWrite);
    let mut errors = vec![
        granted("a b", &outer).err().context("a name")?,
        "network".parse::<syncmgr_host::Capability>().err().context("a capability")?,
    ];
    let options = SessionOptions::new;
    for options in [
        options().grant(granted("left", &outer)?).grant(granted("left", &inner)?),
        options().grant(granted("left", &outer)?).grant(granted("right", &inner)?),
        options().storage(told.path("docs/file/storage")),
        options().setting("a=b", ""),
        options().setting("mode", "a\0b"),
        options().setting("token", "a").secret("token", "b"),
    ] {
        match conformance::script::plugin().start_blocking(options, Discard) {
            Err(StartError::Grant(error)) => errors.push(error),
            Err(error @ (StartError::Session(_) | StartError::Quarantined { .. })) => bail!(error),
            Ok(_session) => bail!("it was granted"),
        }
    }
    Ok(errors)
}

fn installing(told: &mut Told) -> Result<()> {
    let state = told.path("state/of-store");
    create_private(&state)?;
    let registrations = Registrations::new(&state);
    let component = Core::new().component()?;
    let host = Host::with_options(host_options(LoadLimits::default()))?;
    let prepare = |scope, name, component: &[u8], granted| {
        registrations.prepare(&host, scope, name, component.to_vec(), granted)
    };
    told.refused(prepare(Scope::Machine, "mail", &component, Granted::default()))?;
    told.refused(prepare(Scope::User, "My Mail", &component, Granted::default()))?;
    let granted = |text: &str| Granted::parse(text, &state);
    let misspelt = granted("[settings]\nmode = \"a\"\n[secrets]\ntoken = { env = \"T\" }")?;
    told.refused(prepare(Scope::User, "mail", &component, misspelt))?;
    let class =
        r#"(@custom "syncmgr-requests" "clsid = \"6295df2d-35ee-11d1-8707-00c04fd93327\"")"#;
    let stating = Core::new().also(class).component()?;
    prepare(Scope::User, "post", &stating, Granted::default())?.commit()?;
    told.refused(prepare(Scope::User, "mail", &stating, Granted::default()))?;
    told.refused(registrations.find("letters"))?;
    told.refused(registrations.find_class(Default::default()))?;
    for text in [
        "plugin = ",
        "speed = 9",
        "[limits]\nspeed = 1",
        "[limits]\nmemory-bytes = \"much\"",
        "[dirs]\nleft = \":ro\"",
    ] {
        told.refused(granted(text))?;
    }
    let secret = granted("[secrets]\ntoken = { env = \"SYNCMGR_NO_SUCH_VARIABLE\" }")?;
    let script = conformance::script::plugin();
    told.refused(registrations.session_options(&script, &secret, &state))?;
    told.refused(registrations.check(&script, &granted("[dirs]\nleft = \".\"")?))?;
    for error in grants(told)? {
        told.error(StoreError::from(error));
    }

    let installed = prepare(Scope::User, "mail", &component, Granted::default())?.commit()?;
    let file = installed.component_file();
    let folder = file.parent().context("it has a folder")?;
    let compiled = file.with_extension("compiled");
    let good = fs::read(&compiled)?;
    let other = host_options(LoadLimits { stack_bytes: 256 << 10, ..LoadLimits::default() });
    let other = other.without_signal_handlers();
    told.refused(registrations.load_compiled(&Host::with_options(other)?, &installed))?;
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    for bytes in [&damaged[..], b"something else"] {
        fs::write(&compiled, bytes)?;
        told.refused(registrations.load_compiled(&host, &installed))?;
    }
    fs::set_permissions(folder, Permissions::from_mode(0o777))?;
    told.refused(registrations.load_compiled(&host, &installed))?;
    fs::write(&file, "something else")?;
    told.refused(registrations.component(&installed))?;
    fs::remove_file(&file)?;
    told.refused(registrations.component(&installed))?;
    fs::write(folder.join("registration.toml"), "clsid = 5")?;
    told.refused(registrations.find("mail"))
}

fn authoring(told: &mut Told) -> Result<()> {
    let home = told.folder("projects")?;
    told.refused(create(&home, "My Plugin", Language::C))?;
    for language in Language::ALL {
        create(&home, language.name(), language)?;
        told.program("tool-missing", &format!("projects/{}", language.name()), &["build"])?;
    }
    told.refused(create(&home, "rust", Language::Rust))?;
    told.refused(Project::find(&told.path("nowhere")))?;
    let rustc = told.folder("bin")?.join("rustc");
    fs::write(&rustc, "#!/bin/sh\nexit 1\n")?;
    fs::set_permissions(&rustc, Permissions::from_mode(0o755))?;
    told.program("tool-failed", "projects/rust", &["build"])?;

    let project = told.folder("projects/c")?;
    told.refused(Project::find(&project)?.pack())?;
    let built = told.folder("projects/c/build")?.join("c.wasm");
    fs::write(&built, "something else")?;
    told.refused(Project::find(&project)?.pack())?;
    fs::write(&built, bytes::no_exports()?)?;
    told.refused(Project::find(&project)?.pack())?;
    let manifest = project.join("syncmgr.toml");
    let good = fs::read_to_string(&manifest)?;
    fs::write(&built, Core::new().component()?)?;
    fs::write(&manifest, good.replacen("[plugin]", "[plugin]\nhomepage = \"nowhere\"", 1))?;
    told.refused(Project::find(&project)?.pack())?;
    for broken in ["[plugin", "[plugin]\nname = \"c\"", &good.replace("\"c\"", "\"C C\"")] {
        fs::write(&manifest, broken)?;
        told.refused(Project::find(&project))?;
    }
    Ok(())
}

fn testing(told: &mut Told) -> Result<()> {
    let script = conformance::script::plugin();
    let fixture = |name: &str, folder: &Path| Fixture {
        directories: [(name.to_owned(), folder.to_owned())].into(),
        ..Fixture::default()
    };
    told.refused(Stage::new(&fixture("left", &told.path("gone"))))?;
    told.refused(Recording::read(&told.path("gone.jsonl")))?;
    let docs = told.folder("docs")?;
    told.refused(Stage::new(&fixture("a b", &docs))?.options(&script))?;
    let checks = ["is-nice".to_owned()];
    told.refused(syncmgr_kit::test(&script, &Fixture::default(), &checks, |_| {}))?;
    let recording = told.path("recording.jsonl");
    for text in ["", "{\"version\":1}", "lemons\n"] {
        fs::write(&recording, text)?;
        told.refused(Recording::read(&recording))?;
    }

    let trapping = Core::new().also("(func $s unreachable) (start $s)").component()?;
    let trapping = host().load("mail", &trapping)?;
    for error in grants(told)? {
        told.error(StartError::Grant(error));
    }
    let start = || trapping.start_blocking(SessionOptions::new(), Discard);
    told.refused(start().map_err(KitError::from))?;
    let request = RunRequest { on_death: OnDeath::Quarantine, ..RunRequest::default() };
    let dying = || trapping.run_blocking(SessionOptions::new(), Discard, &request);
    dying()?;
    told.refused(dying().map_err(KitError::from))?;
    // On the command line it is known what lets it go.
    let dies = ["--set", "items=a", "--on-death", "quarantine"];
    let dies = [&dies[..], &["--set", "synchronize=panic text=no_more_lemons"]].concat();
    run(&told.path("state"), &dies)?;
    let again = [&["run", conformance::SCRIPT][..], &dies].concat();
    told.program("plugin-quarantined", "", &again)
}

fn http(told: &mut Told) -> Result<()> {
    for text in [
        "ftp://example.com",
        "example.com/path",
        "example.com:0",
        "*.com",
        "local:*.example.com",
        "exa mple.com",
    ] {
        told.refused(text.parse::<HttpGrant>())?;
    }
    let granted = ["example.com", "localhost", "192.0.2.1"].map(str::parse).into_iter();
    let policy = HttpPolicy::new("mail", granted.collect::<Result<_, _>>()?);
    let url = Url::parse("https://example.com/letters?token=hunter2")?;
    for text in [
        "gopher://example.com",
        "https://exa_mple..com",
        "https://me:hunter2@example.com",
        "https://example.org/letters?token=hunter2",
    ] {
        told.refused(policy.check(&Url::parse(text)?))?;
    }
    told.refused(policy.plan(&url, |_, _| Err(std::io::ErrorKind::TimedOut.into())))?;
    for addresses in [&[][..], &["10.0.0.1:443"], &["169.254.169.254:443"]] {
        let addresses: Vec<_> =
            addresses.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        told.refused(policy.plan(&url, |_, _| Ok(addresses)))?;
    }
    let away = |_: &str, _| Ok(vec!["192.0.2.7:443".parse().map_err(std::io::Error::other)?]);
    told.refused(policy.plan(&Url::parse("https://localhost")?, away))?;
    told.refused(policy.follow(&url, "https://[", 0))?;
    told.refused(policy.follow(&url, "http://example.com", 0))?;
    told.refused(policy.follow(&url, "https://example.com", 10))
}

/// The codes that have a page, and those that could have one.
fn known_codes() -> Result<BTreeSet<String>> {
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(workspace().join("guest/book/src/errors"))? {
        let path = entry?.path();
        let stem = path.file_stem().context("a page")?.to_string_lossy().into_owned();
        codes.extend((stem != "README").then_some(stem));
    }
    let registry = fs::read_to_string(workspace().join("host/com/src/registry.rs"))?;
    let arms = registry.lines().filter(|line| line.trim().starts_with("Self::"));
    codes.extend(arms.filter_map(|arm| Some(arm.split_once("=> \"")?.1.split_once('"')?.0.into())));
    Ok(codes)
}

#[test]
fn every_error_says_what_it_said_before() -> Result<()> {
    let mut told = Told { home: tempfile::tempdir()?, texts: Vec::new() };
    for tell in [loading, contract, running, ended, reported, installing, authoring, testing, http]
    {
        tell(&mut told)?;
    }
    let known = known_codes()?;
    let mut seen: BTreeSet<_> = told.texts.iter().map(|(code, _)| (*code).to_owned()).collect();
    for (code, reason) in ELSEWHERE {
        ensure!(seen.insert(code.to_owned()), "{code} can be made here, too, in spite of {reason}");
    }
    let missing: Vec<_> = known.difference(&seen).collect();
    ensure!(missing.is_empty(), "nothing is told with the codes {missing:?}");
    let unknown: Vec<_> = seen.difference(&known).collect();
    ensure!(unknown.is_empty(), "no page tells of {unknown:?}");
    compare("error_messages.txt", &told.page())
}

/// What the program prints after a death, without the frames of Rust itself.
fn last_signs(said: &str) -> String {
    const RUST: [&str; 5] = ["abort", "std::", "core::", "alloc::", "__rustc::"];
    let mut kept = String::new();
    for line in said.lines().skip_while(|line| !line.starts_with("failed ")) {
        match line.trim_start().split_once(": ") {
            Some((number, frame)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                if !RUST.iter().any(|start| frame.starts_with(start)) {
                    kept += &format!("  N: {frame}\n");
                }
            }
            Some(_) | None => kept += &format!("{line}\n"),
        }
    }
    masked(&kept)
}

#[test]
fn a_death_is_told_with_the_last_of_stderr_and_the_names_on_the_stack() -> Result<()> {
    let home = tempfile::tempdir()?;
    let lines: String = (1..=30).map(|number| format!("print text=line_{number}\n")).collect();
    let panics = format!("synchronize={lines}panic text=no_more_lemons");
    let said = run(home.path(), &["--set", "items=a", "--set", &panics])?;
    compare("death.txt", &last_signs(&said))
}

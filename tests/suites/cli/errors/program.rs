//! Errors of installing, writing and testing plugins.

use super::plugins::grants;
use super::*;

pub(crate) fn installing(messages: &mut Messages) -> Result<()> {
    let state = messages.path("state/of-store");
    create_private(&state)?;
    let registrations = Registrations::new(&state);
    let component = Core::new().component()?;
    let host = Host::with_options(host_options(LoadLimits::default()))?;
    let prepare = |scope, name, component: &[u8], granted| {
        registrations.prepare(&host, scope, name, component.to_vec(), granted)
    };
    messages.refused(prepare(Scope::Machine, "mail", &component, Grants::default()))?;
    messages.refused(prepare(Scope::User, "My Mail", &component, Grants::default()))?;
    let granted = |text: &str| JobFile::parse(text).and_then(|job| job.grants(&state));
    for misspelt in
        ["[dirs]\nlefd = \".\"\n[secrets]\ntoken = { env = \"T\" }", "[settings]\nmode = \"a\""]
    {
        messages.refused(prepare(Scope::User, "mail", &component, granted(misspelt)?))?;
    }
    let folder = std::fs::read(conformance::FOLDER)?;
    for misspelt in ["[settings]\nmdoe = \"mirror\"", "[settings]\nmode = \"mirorr\""] {
        messages.refused(prepare(Scope::User, "docs", &folder, granted(misspelt)?))?;
    }
    let class =
        r#"(@custom "syncmgr-requests" "clsid = \"6295df2d-35ee-11d1-8707-00c04fd93327\"")"#;
    let stating = Core::new().also(class).component()?;
    prepare(Scope::User, "post", &stating, Grants::default())?.commit()?;
    messages.refused(prepare(Scope::User, "mail", &stating, Grants::default()))?;
    messages.refused(registrations.find("letters"))?;
    messages.refused(registrations.find_class(Default::default()))?;
    for text in [
        "plugin = ",
        "speed = 9",
        "[limits]\nspeed = 1",
        "[limits]\nmemory-bytes = \"much\"",
        "[dirs]\nleft = \":ro\"",
    ] {
        messages.refused(granted(text))?;
    }
    let secret = granted("[secrets]\ntoken = { env = \"SYNCMGR_NO_SUCH_VARIABLE\" }")?;
    let script = conformance::script::plugin();
    messages.refused(registrations.session_options(&script, &secret, &state))?;
    messages.refused(registrations.check(&script, &granted("[dirs]\nleft = \".\"")?))?;
    let docs = messages.folder("docs")?;
    let mut around = JobFile::parse("[dirs]\nleft = \".\"")?.grants(&docs)?;
    around.protect("the job file", &docs.join("job.toml"));
    messages.refused(registrations.check(&script, &around))?;
    for error in grants(messages)? {
        messages.error(InstallError::from(error));
    }
    // These require another user and another run.
    messages.error(InstallError::Foreign { path: state.clone(), owner: 1000, user: 0 });
    let why = "a link leads to /elsewhere".to_owned();
    messages.error(InstallError::Moved { name: "left".to_owned(), path: docs, why });

    let installed = prepare(Scope::User, "mail", &component, Grants::default())?.commit()?;
    let file = installed.component_file();
    let folder = file.parent().context("it has a folder")?;
    let compiled = file.with_extension("compiled");
    let good = fs::read(&compiled)?;
    let mut limits = LoadLimits::default();
    limits.stack_bytes = 256 << 10;
    let other = host_options(limits).without_signal_handlers();
    messages.refused(registrations.load_compiled(&Host::with_options(other)?, &installed))?;
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    for bytes in [&damaged[..], b"something else"] {
        fs::write(&compiled, bytes)?;
        messages.refused(registrations.load_compiled(&host, &installed))?;
    }
    fs::set_permissions(folder, Permissions::from_mode(0o777))?;
    messages.refused(registrations.load_compiled(&host, &installed))?;
    fs::write(&file, "something else")?;
    messages.refused(registrations.component(&installed))?;
    fs::remove_file(&file)?;
    messages.refused(registrations.component(&installed))?;
    fs::write(folder.join("registration.toml"), "clsid = 5")?;
    messages.refused(registrations.find("mail"))
}

pub(crate) fn history(messages: &mut Messages) -> Result<()> {
    for (code, statement) in [
        ("history-version", "PRAGMA user_version = 7"),
        ("history-database", "PRAGMA user_version = 1"),
    ] {
        let state = messages.folder(code)?;
        rusqlite::Connection::open(state.join("history.db"))?.execute_batch(statement)?;
        messages.program(code, code, &["history", "--state-dir", "."])?;
    }
    Ok(())
}

pub(crate) fn keyring(messages: &mut Messages) -> Result<()> {
    let no_bus = format!("unix:path={}", messages.path("bus").display());
    let ran = Command::new(env!("CARGO_BIN_EXE_syncmgr"))
        .args(["secret", "list"])
        .env("DBUS_SESSION_BUS_ADDRESS", no_bus)
        .output()?;
    messages.text("keyring-unavailable", &String::from_utf8(ran.stderr)?);
    let name: SecretName = "dav".parse()?;
    messages.refused("a\nb".parse::<SecretName>().map_err(InstallError::from))?;
    for secret in [Vec::new(), b"hunter2\xff".to_vec(), vec![b'x'; (1 << 20) + 1]] {
        messages.refused(store_secret(&name, secret).map_err(InstallError::from))?;
    }
    // These require a keyring, and a build without one.
    let problem = "its prompt was dismissed".to_owned();
    for error in [
        KeyringError::Missing { name: name.to_string() },
        KeyringError::Locked { problem },
        KeyringError::Failed { problem: "it did not answer".to_owned() },
        KeyringError::Unsupported,
    ] {
        messages.error(InstallError::from(error));
    }
    Ok(())
}

pub(crate) fn project(messages: &mut Messages) -> Result<()> {
    let home = messages.folder("projects")?;
    messages.refused(create(&home, "My Plugin", Language::C, Template::Copy, Sdk::Vendored))?;
    for language in Language::ALL {
        create(&home, language.name(), language, Template::Copy, Sdk::Vendored)?;
        messages.program("tool-missing", &format!("projects/{}", language.name()), &["build"])?;
    }
    messages.refused(create(&home, "rust", Language::Rust, Template::Copy, Sdk::Vendored))?;
    messages.refused(Project::find(&messages.path("nowhere")))?;
    let rustc = messages.folder("bin")?.join("rustc");
    fs::write(&rustc, "#!/bin/sh\nexit 1\n")?;
    fs::set_permissions(&rustc, Permissions::from_mode(0o755))?;
    messages.program("tool-failed", "projects/rust", &["build"])?;

    let project = messages.folder("projects/c")?;
    messages.refused(Project::find(&project)?.pack())?;
    let built = messages.folder("projects/c/build")?.join("c.wasm");
    fs::write(&built, "something else")?;
    messages.refused(Project::find(&project)?.pack())?;
    fs::write(&built, bytes::no_exports()?)?;
    messages.refused(Project::find(&project)?.pack())?;
    let manifest = project.join("syncmgr.toml");
    let good = fs::read_to_string(&manifest)?;
    fs::write(&built, Core::new().component()?)?;
    fs::write(&manifest, good.replacen("[plugin]", "[plugin]\nhomepage = \"nowhere\"", 1))?;
    messages.refused(Project::find(&project)?.pack())?;
    for broken in ["[plugin", "[plugin]\nname = \"c\"", &good.replace("\"c\"", "\"C C\"")] {
        fs::write(&manifest, broken)?;
        messages.refused(Project::find(&project))?;
    }
    Ok(())
}

pub(crate) fn testing(messages: &mut Messages) -> Result<()> {
    let script = conformance::script::plugin();
    let fixture = |name: &str, folder: &Path| Fixture {
        directories: [(name.to_owned(), folder.to_owned())].into(),
        ..Fixture::default()
    };
    messages.refused(TempFixture::new(&fixture("left", &messages.path("gone"))))?;
    messages.refused(Recording::read(&messages.path("gone.jsonl")))?;
    let docs = messages.folder("docs")?;
    messages.refused(TempFixture::new(&fixture("a b", &docs))?.options(&script))?;
    let checks = ["is-nice".to_owned()];
    messages.refused(syncmgr_cli::check::test(&script, &Fixture::default(), &checks, |_| {}))?;
    let recording = messages.path("recording.jsonl");
    for text in ["", "{\"version\":1}", "lemons\n"] {
        fs::write(&recording, text)?;
        messages.refused(Recording::read(&recording))?;
    }

    fs::write(docs.join("letter"), "x".repeat(1000))?;
    messages.refused(RecordingHead::default().record_directory("docs", &docs, 1000))?;

    let trapping = Core::new().also("(func $s unreachable) (start $s)").component()?;
    let trapping = host().load("mail", &trapping)?;
    for error in grants(messages)? {
        messages.error(StartError::Grant(error));
    }
    let start = || DrivenSession::start(&trapping, SessionOptions::new(), Discard);
    messages.refused(start().map_err(CheckError::from))?;
    let crashes = ["--set", "items=a", "--on-crash", "quarantine"];
    let crashes = [&crashes[..], &["--set", "synchronize=panic text=no_more_lemons"]].concat();
    run(&messages.path("state"), &crashes)?;
    let again = [&["run", conformance::SCRIPT][..], &crashes].concat();
    messages.program("plugin-quarantined", "", &again)
}

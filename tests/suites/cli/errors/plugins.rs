//! Errors of loading and running plugins.

use std::sync::Arc;

use super::*;

fn host_with(change: impl FnOnce(&mut LoadLimits)) -> Result<Host> {
    let mut limits = LoadLimits::default();
    change(&mut limits);
    Ok(Host::with_options(HostOptions::new().limits(limits))?)
}

pub(crate) fn loading(messages: &mut Messages) -> Result<()> {
    messages.refused(host().load_file("missing.wasm"))?;
    messages
        .refused(host_with(|limits| limits.component_bytes = 1 << 10)?.load("mail", &[0; 2048]))?;
    for large in [
        bytes::doubling as fn() -> Result<Vec<u8>>,
        bytes::huge_function,
        bytes::locals_in_loops,
        bytes::many_joining_functions,
    ] {
        let host = host_with(|limits| {
            limits.expansion = 1_000;
            limits.function_bytes = 256 << 10;
        })?;
        messages.refused(host.load("mail", &large()?))?;
    }
    // A time limit of zero is exceeded before the compiler ends.
    let script = fs::read(conformance::SCRIPT)?;
    messages
        .refused(host_with(|limits| limits.compile_time = Duration::ZERO)?.load("mail", &script))?;
    for answer in ["printf -- '-it has no code'", "echo memory allocation of 5 bytes failed >&2"] {
        let compiler = CompilerProgram::new("/bin/sh", ["-c", answer]);
        let host = Host::with_options(HostOptions::new().compiler(compiler))?;
        messages.refused(host.load("mail", &script))?;
    }
    Ok(())
}

/// Returns a component for a version of the contract, with the names only.
fn of_version(version: &str) -> Result<Vec<u8>> {
    let export = format!("(export \"syncmgr:plugin/synchronize@{version}\" (instance $none))");
    Ok(wat::parse_str(format!("(component (instance $none) {export})"))?)
}

pub(crate) fn contract(messages: &mut Messages) -> Result<()> {
    type Make = fn() -> Result<Vec<u8>>;
    let guests: [Make; 19] = [
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
        requests::malformed_requests,
        requests::binary_requests,
        requests::requests_with_a_command,
        requests::doubled_requests,
        bytes::empty_export,
        bytes::missing_function,
    ];
    for guest in guests {
        messages.refused(host().load("mail", &guest()?))?;
    }
    Ok(())
}

/// Returns the error of a run.
fn failure(report: RunReport) -> Result<SessionError> {
    let Outcome::Failed(error) = report.outcome else {
        bail!("it did not fail: {:?}", report.outcome);
    };
    Ok(error)
}

pub(crate) fn running(messages: &mut Messages) -> Result<()> {
    for commands in [
        "fail code=no-space text=the_disk_of_the_server_is_full",
        "fail code=no-space",
        "panic text=no_more_lemons",
        "exit status=3",
    ] {
        messages.error(failure(Script::new("a").on("synchronize", commands).run()?.report)?);
    }
    messages.error(failure(Script::new("a").on("enum-items", "panic text=no").run()?.report)?);
    messages.error(failure(Script::new("a a").run()?.report)?);
    let silent =
        host().load("mail", &Core::new().body("synchronize", "unreachable").component()?)?;
    messages.error(failure(silent.run(SessionOptions::new(), Discard, &RunRequest::default())?)?);
    for items in ["a b", "a b c d e f g"] {
        let only = Selection::Only(vec!["z".to_owned()]);
        let script = Script::new(items).request(|request| request.selection = only);
        messages.error(failure(script.run()?.report)?);
    }
    messages.error(SessionError::Native {
        plugin: "Offline Files".to_owned(),
        call: Call::Synchronize,
        hresult: Hresult::E_ACCESSDENIED,
    });
    messages.error(SessionError::Native {
        plugin: "Offline Files".to_owned(),
        call: Call::PrepareForSync,
        hresult: Hresult::S_SYNCMGR_CANCELALL,
    });
    messages.error(SessionError::NativeExit {
        plugin: "Offline Files".to_owned(),
        status: 0xC000_0005,
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
        messages.error(error.context("it was not refused")?);
    }

    struct Broken;
    impl Sink for Broken {
        fn started(&mut self, _items: &[Item]) {
            // Like a panic, but without its message in the output of the tests.
            std::panic::resume_unwind(Box::new("a sink that is broken"));
        }
    }
    let script = conformance::script::plugin();
    let options = SessionOptions::new().setting("items", "a");
    match script.run(options, Broken, &RunRequest::default()) {
        Err(StartError::Session(error)) => messages.error(error),
        Err(error) => bail!(error),
        Ok(report) => bail!("the failure was not detected: {:?}", report.outcome),
    }
    Ok(())
}

pub(crate) fn ended(messages: &mut Messages) -> Result<()> {
    type Change = fn(&mut Limits);
    type Cancel = fn(&CancelHandle);
    let long = format!("log text={}", "x".repeat(100 << 10));
    let counts: String = (0..64).map(|n| format!("count item=a name={n:0>60} value=1\n")).collect();
    let rows: [(&str, Change, Cancel); 12] = [
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
        (&counts, |limits| limits.item_bytes = 4 << 10, |_| {}),
        ("clock", |_| {}, |_| {}),
        ("random", |_| {}, |_| {}),
    ];
    for (commands, change, cancel) in rows {
        let script = Script::new("a").on("synchronize", commands);
        let script = script.options(|options| options.limits(limits(change)));
        messages.error(failure(script.run_with(cancel)?.report)?);
    }
    let script = Script::new("a").on("synchronize", "log level=warning text=x times=1000");
    let limits = limits(|limits| limits.record_bytes = 10 << 10);
    let recorded = script.options(|options| options.limits(limits)).report(EventLog::new())?;
    messages.error(failure(recorded)?);
    let memories: String = (0..30).map(|_| "(memory 1)\n").collect();
    for core in [
        Core::new().also("(table 9000000 funcref)"),
        Core::new().also("(func $deep call $deep)").body("synchronize", "call $deep unreachable"),
        Core::new().also(memories),
    ] {
        let plugin = host().load("mail", &core.component()?)?;
        let options = SessionOptions::new().limits(conformance::corpus::limits());
        messages.error(failure(plugin.run(options, Discard, &RunRequest::default())?)?);
    }
    Ok(())
}

/// Errors for results that have codes in the contract: an error without text, and a failed item.
pub(crate) fn reported(messages: &mut Messages) -> Result<()> {
    let names = ErrorCode::ALL.map(ErrorCode::name);
    let mut commands = String::new();
    for name in names {
        let script = Script::new("a").on("synchronize", &format!("fail code={name}"));
        messages.text(name, &syncmgr_cli::error_text(&failure(script.run()?.report)?.into()));
        commands += &format!(
            "log level=error item={name} code={name} text=x\nprogress item={name} status=failed\n"
        );
    }
    let items = format!("items={}", names.join(" "));
    let commands = format!("synchronize={commands}");
    let said = run(&messages.path("state"), &["-v", "--set", &items, "--set", &commands])?;
    for name in names {
        let line = said.lines().find(|line| line.ends_with(&format!("]: {name}")));
        messages.text(name, line.with_context(|| format!("nothing about {name} in: {said}"))?);
    }
    Ok(())
}

/// Returns the errors of grants.
pub(crate) fn grants(messages: &Messages) -> Result<Vec<GrantError>> {
    let (outer, inner) = (messages.folder("docs")?, messages.folder("docs/inner")?);
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
        #[cfg(target_os = "linux")]
        options().grant(granted("left", Path::new("/proc"))?),
        options().leave_out(&inner).grant(granted("left", &inner)?),
        options().storage(messages.path("docs/file/storage")),
        options().setting("a=b", ""),
        options().setting("mode", "a\0b"),
        options().setting("token", "a").secret("token", "b"),
    ] {
        match DrivenSession::start(&conformance::script::plugin(), options, Discard) {
            Err(StartError::Grant(error)) => errors.push(error),
            Err(error) => bail!(error),
            Ok(_session) => bail!("it was granted"),
        }
    }
    Ok(errors)
}

/// Adds the errors of logins.
fn logins(messages: &mut Messages) -> Result<()> {
    let (path, private) = (messages.path("token.json"), Permissions::from_mode(0o600));
    messages.refused(HttpAuth::oauth2(&path))?;
    fs::write(&path, r#"{ "refresh_token": "hunter2" }"#)?;
    messages.refused(HttpAuth::oauth2(&path))?;
    fs::set_permissions(&path, private)?;
    messages.refused(HttpAuth::oauth2(&path))?;
    for error in [
        HttpAuthError::FileWrite { path: path.clone(), why: "permission denied".to_owned() },
        HttpAuthError::Refused { path, code: "invalid_grant".to_owned() },
        HttpAuthError::Renewal { why: "the token endpoint did not answer in time".to_owned() },
    ] {
        messages.error(error);
    }
    Ok(())
}

pub(crate) fn http(messages: &mut Messages) -> Result<()> {
    let grant = |name: &str, url: &str| HttpGrant::new(name, url, Access::ReadOnly);
    messages.refused(grant("a b", "https://example.com"))?;
    for url in [
        "ftp://example.com",
        "https://example.com/?query",
        "https://example.com:0",
        "https://*.example.com",
        "https://example.com/a/../b",
    ] {
        messages.refused(grant("remote", url))?;
    }
    for (kind, secret) in [
        ("digest", "hunter2"),
        ("header:Host", "hunter2"),
        ("bearer", ""),
        ("bearer", "hunter2\nhunter3"),
        ("basic", "hunter2"),
        ("aws-sigv4:eu-central-1", "hunter2"),
    ] {
        messages.refused(HttpAuth::new(kind, secret))?;
    }
    logins(messages)?;
    let urls = ["https://example.com", "https://localhost", "https://192.0.2.1"];
    let grants: Result<Vec<_>, _> = urls.iter().map(|url| grant("remote", url)).collect();
    let policy = HttpPolicy::new(grants?);
    for (method, url) in [
        ("GET", "https://["),
        ("GET", "gopher://example.com"),
        ("GET", "https://exa_mple..com"),
        ("GET", "https://me:hunter2@example.com"),
        ("GET", "https://example.com/letters/../hunter2"),
        ("GET", "https://example.org/letters?token=hunter2"),
        ("TRACE", "https://example.com"),
        ("PUT", "https://example.com"),
    ] {
        messages.refused(policy.check(method, url))?;
    }
    for (url, addresses) in [
        ("https://example.com", &[][..]),
        ("https://example.com", &["10.0.0.1:443"]),
        ("https://example.com", &["169.254.169.254:443"]),
        ("https://localhost", &["192.0.2.7:443"]),
    ] {
        let addresses: Vec<_> =
            addresses.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        messages.refused(policy.check("GET", url)?.addresses(&addresses))?;
    }
    let (origin, source) = ("https://example.com".to_owned(), std::io::ErrorKind::TimedOut.into());
    messages.refused::<()>(Err(HttpDenial::Resolve { origin, source: Arc::new(source) }))
}

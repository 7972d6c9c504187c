//! Arbitrary calls in arbitrary order, of a sync manager and of a plugin that executes commands.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use syncmgr_fuzz::{SECRET, Shared, check_report, is_masked, status};
use syncmgr_host::{
    CancelHandle, Capability, ErrorId, Host, ItemId, Limits, Outcome, Participation, Plugin,
    PrepareOutcome, PropertyValue, RestartPolicy, RunReport, RunRequest, Selection, Session,
    SessionError, SessionOptions, StartError, SyncEvent, Trigger,
};
use uuid::Uuid;

/// The exports of the contract, each with a script.
const EXPORTS: [&str; 8] = [
    "initialize",
    "get-handler-info",
    "enum-items",
    "prepare-for-sync",
    "synchronize",
    "set-item-status",
    "show-error",
    "get-properties",
];
const ITEMS: [&str; 5] = ["a", "b", "c", "d", "null"];
const CODES: [&str; 5] = ["busy", "safety-stop", "no-space", "access-denied", "not-implemented"];

#[derive(Debug, Arbitrary)]
enum Command {
    Progress {
        item: u8,
        text: u8,
        status: Option<u8>,
        value: Option<i32>,
        max: Option<i32>,
        times: u8,
    },
    Log {
        level: u8,
        text: u8,
        item: Option<u8>,
        id: Option<u8>,
        jump: bool,
        code: Option<u8>,
    },
    DeleteLog(Option<u8>),
    Question {
        item: Option<u8>,
        text: u8,
        choices: u8,
        default: u8,
    },
    Connect(u8),
    IsCancelled(Option<u8>),
    Work(u8, u8),
    BytesPerStep(u8, u64),
    Count(u8, u8, u64),
    Print(u8),
    Fail(u8, u8),
    Rare(u16),
}

#[derive(Debug, Arbitrary)]
enum Step {
    Initialize { event: u8, settings: bool, may_bother_user: bool, cookie: Option<Vec<u8>> },
    HandlerInfo,
    EnumItems,
    Prepare(Vec<u8>),
    Synchronize,
    ShowError(u8),
    Properties(Option<u8>),
    SetProperties(Option<u8>, i64),
    Cancel(Option<u8>),
    Push(Option<u8>, u8),
    Kill,
    Report,
}

#[derive(Debug, Arbitrary)]
struct Input {
    scripts: [Vec<Command>; 8],
    items: Vec<u8>,
    unchecked: u8,
    retry: Vec<u8>,
    flags: u8,
    responses: Vec<u8>,
    progress_per_second: u8,
    log_entries: u8,
    log_bytes: u16,
    /// Restarts of an ordinary run; `None`: the steps are executed.
    run: Option<u8>,
    /// The number of steps of an ordinary run that come first.
    begun: u8,
    steps: Vec<Step>,
}

/// The steps of an ordinary run, and a cancellation that is delivered to the plugin.
fn ordinary() -> [Step; 5] {
    let (event, settings, may_bother_user) = (2, false, true);
    [
        Step::Initialize { event, settings, may_bother_user, cookie: None },
        Step::EnumItems,
        Step::Prepare(vec![0, 1, 2]),
        Step::Push(Some(0), 1),
        Step::Synchronize,
    ]
}

fn text(number: u8) -> String {
    let secret = secret();
    match number % 8 {
        0 => String::new(),
        1 => secret,
        2 => format!("a{secret}{secret}b"),
        3 => "long".repeat(2000),
        4 => secret.repeat(700),
        5 => "\u{1b}[31m".to_owned(),
        _ => format!("text-{number}"),
    }
}

fn secret() -> String {
    SECRET.iter().collect()
}

fn name(number: u8) -> &'static str {
    ITEMS[usize::from(number) % ITEMS.len()]
}

fn item(number: u8) -> ItemId {
    // The namespace of the ids in the SDK.
    let namespace = Uuid::from_u128(0x5ca1_3f6e_7d0b_4c52_9a46_1f0e_68b3_d27c);
    match name(number) {
        "null" => ItemId::from_uuid(Uuid::nil()),
        name => ItemId::from_uuid(Uuid::new_v5(&namespace, name.as_bytes())),
    }
}

fn option(key: &str, value: Option<impl std::fmt::Display>) -> String {
    value.map(|value| format!(" {key}={value}")).unwrap_or_default()
}

impl Command {
    fn line(&self) -> String {
        match self {
            Self::Progress { item, text: words, status: number, value, max, times } => format!(
                "progress item={} times={}{}{}{}{}",
                name(*item),
                times % 32,
                option("text", (words % 3 == 0).then(|| text(words / 3))),
                option("status", number.map(|number| status(number).name())),
                option("value", *value),
                option("max", *max),
            ),
            Self::Log { level, text: words, item, id, jump, code } => format!(
                "log level={} text={}{}{}{}{}",
                ["information", "warning", "error"][usize::from(*level) % 3],
                text(*words),
                option("item", item.map(name)),
                option("id", id.map(name)),
                option("jump", jump.then_some("yes")),
                option("code", code.map(|code| CODES[usize::from(code) % CODES.len()])),
            ),
            Self::DeleteLog(id) => format!("delete-log{}", option("id", id.map(name))),
            Self::Question { item, text: words, choices, default } => format!(
                "question text={} choices={} default={}{}",
                text(*words),
                vec![text(words / 8); usize::from(choices % 20)].join(","),
                default % 20,
                option("item", item.map(name)),
            ),
            Self::Connect(to) => format!("connect to={}", text(*to)),
            Self::IsCancelled(item) => format!("is-cancelled{}", option("item", item.map(name))),
            Self::Work(item, steps) => format!("work item={} steps={steps}", name(*item)),
            Self::BytesPerStep(item, bytes) => {
                format!("bytes-per-step item={} bytes={bytes}", name(*item))
            }
            Self::Count(item, words, value) => {
                format!("count item={} name={} value={value}", name(*item), text(*words))
            }
            Self::Print(words) => format!("print text={}", text(*words)),
            Self::Fail(code, words) => format!(
                "fail code={} text={}",
                CODES[usize::from(*code) % CODES.len()],
                text(*words)
            ),
            // Commands that terminate the plugin, some of them after a delay.
            Self::Rare(number) => match number {
                0..1000 => format!("panic text={}", text(number.to_le_bytes()[0])),
                1000..2000 => "exit status=3".to_owned(),
                2000..2500 => "allocate bytes=100000000".to_owned(),
                2500..3000 => "allocate bytes=1000000".to_owned(),
                3000..3010 => "spin".to_owned(),
                3010..3020 => "wait-cancelled".to_owned(),
                3020..3030 => "sleep ms=1000".to_owned(),
                3030..3500 => "sleep ms=1".to_owned(),
                3500..4000 => "clock".to_owned(),
                4000..4500 => "no-such-command".to_owned(),
                4500..5000 => "read path=/storage/x".to_owned(),
                5000..5500 => "write path=/left/x text=x".to_owned(),
                _ => "is-cancelled".to_owned(),
            },
        }
    }
}

impl Input {
    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.memory_bytes = 32 << 20;
        limits.items = 6;
        limits.log_entries = self.log_entries.into();
        limits.log_bytes = self.log_bytes.into();
        limits.output_bytes = 64;
        limits.progress_per_second = self.progress_per_second.into();
        limits.compute_time = Duration::from_millis(200);
        limits.wall_time = Duration::from_secs(1);
        limits.idle_time = Duration::from_millis(200);
        limits.grace = Duration::from_millis(50);
        limits
    }

    fn options(&self, cancel: CancelHandle) -> SessionOptions {
        let names = |numbers: &[u8]| {
            let names: Vec<_> = numbers.iter().take(8).map(|number| name(*number)).collect();
            names.join(" ")
        };
        let mut options = SessionOptions::new()
            .limits(self.limits())
            .cancel_with(cancel)
            .secret("token", secret())
            .setting("items", names(&self.items))
            .setting("unchecked", name(self.unchecked))
            .setting("retry", names(&self.retry))
            .setting("detail", text(self.flags));
        for (bit, name) in [(1, "missing"), (2, "needs-user"), (4, "declines")] {
            if self.flags & bit != 0 {
                options = options.setting(name, "yes");
            }
        }
        if self.flags & 8 != 0 {
            options = options.allow(Capability::WallClock);
        }
        if self.flags & 16 != 0 {
            options = options.setting("name", text(self.flags >> 5));
        }
        for (export, script) in EXPORTS.iter().zip(&self.scripts) {
            let lines: Vec<_> = script.iter().take(16).map(Command::line).collect();
            options = options.setting(*export, lines.join("\n"));
        }
        options
    }
}

fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| {
        let host = Host::new().expect("this system runs compiled code");
        let component = std::fs::read(env!("GUEST_SCRIPT")).expect("the component was built");
        host.load("script", &component).expect("it is a plugin")
    })
}

/// The state of a session as far as an embedder knows it.
#[derive(Debug, Default)]
struct Model {
    /// The result of `initialize`, if it was called.
    initialized: Option<Participation>,
    settings_only: bool,
    prepared: bool,
    has_crashed: bool,
}

fn check_error(error: &SessionError) {
    let text = format!("{error} {error:?}");
    assert!(is_masked(&text), "{text}");
    assert!(!error.hresult().is_success(), "{text}");
    assert!(!matches!(error, SessionError::Host { .. }), "{text}");
}

impl Model {
    /// Checks the result of a call that is permitted, or not, in this state.
    fn check<T>(&mut self, belongs: bool, result: Result<T, SessionError>) -> Option<T> {
        let code = match &result {
            Ok(_) => "",
            Err(error) => {
                check_error(error);
                error.code()
            }
        };
        match (self.has_crashed, belongs) {
            (true, _) => assert_eq!(code, "session-dead"),
            (false, false) => assert_eq!(code, "session-out-of-order"),
            (false, true) => assert!(code != "session-dead" && code != "session-out-of-order"),
        }
        self.has_crashed |= result.as_ref().is_err_and(SessionError::ends_session);
        result.ok()
    }

    fn takes_part(&self) -> bool {
        self.initialized == Some(Participation::Participates)
    }
}

async fn step(
    step: &Step,
    session: &mut Session,
    model: &mut Model,
    cancel: &CancelHandle,
    sink: &Shared,
    limits: &Limits,
) {
    let takes_part = model.takes_part();
    match step {
        Step::Initialize { event, settings, may_bother_user, cookie } => {
            let event = [
                SyncEvent::Connect,
                SyncEvent::PendingDisconnect,
                SyncEvent::Manual,
                SyncEvent::Idle,
                SyncEvent::Invoke,
                SyncEvent::Scheduled,
            ][usize::from(*event) % 6];
            let (settings, may_bother_user) =
                (*settings && event == SyncEvent::Idle, *may_bother_user);
            let trigger = Trigger { event, settings, may_bother_user };
            let result = session.initialize(trigger, cookie.as_deref()).await;
            if let Some(answer) = model.check(model.initialized.is_none(), result) {
                model.initialized = Some(answer);
                model.settings_only = settings;
            }
        }
        Step::HandlerInfo => {
            if let Some(info) = model.check(takes_part, session.handler_info().await) {
                assert!((1..=31).contains(&info.name.encode_utf16().count()));
                assert!(is_masked(&info.name), "{info:?}");
            }
        }
        Step::EnumItems => {
            if let Some(list) = model.check(takes_part, session.enum_items().await) {
                assert!(list.items.len() as u64 <= limits.items, "{list:?}");
            }
        }
        Step::Prepare(numbers) => {
            let items: Vec<_> = numbers.iter().take(8).map(|number| item(*number)).collect();
            let belongs = takes_part && !model.settings_only && !items.is_empty();
            let result = session.prepare_for_sync(&items).await;
            let is_error = result.is_err();
            match model.check(belongs, result) {
                Some(PrepareOutcome::Prepared) => model.prepared = true,
                Some(PrepareOutcome::NeedsUser) => assert!(sink.heard().have_all_ended()),
                None => assert!(!belongs || !is_error || sink.heard().have_all_ended()),
            }
        }
        Step::Synchronize => {
            model.check(model.prepared, session.synchronize().await);
            assert!(!model.prepared || sink.heard().have_all_ended());
            model.prepared = false;
        }
        Step::ShowError(id) => {
            let id = ErrorId::from_uuid(item(*id).as_uuid());
            if let Some(detail) = model.check(takes_part, session.show_error(id).await) {
                assert!(is_masked(&detail.text), "{detail:?}");
            }
        }
        Step::Properties(of) => {
            model.check(takes_part, session.properties(of.map(item)).await);
        }
        Step::SetProperties(of, value) => {
            let changes = [("speed", PropertyValue::Integer(*value))];
            model.check(takes_part, session.set_properties(of.map(item), &changes).await);
        }
        Step::Cancel(Some(of)) => cancel.cancel_item(item(*of)),
        Step::Cancel(None) => cancel.cancel_all(),
        Step::Push(of, number) => {
            let _ = cancel.set_item_status(of.map(item), status(*number));
        }
        Step::Kill => cancel.kill(),
        Step::Report => check_report(&session.report(Outcome::Completed), limits),
    }
}

/// Drives the calls of a session on this thread.
fn block_on<T>(calls: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.unwrap_or_else(|error| panic!("{error}")).block_on(calls)
}

fn steps(input: &Input, cancel: &CancelHandle) {
    let sink = Shared::new(input.responses.clone());
    let limits = input.limits();
    let mut session = match block_on(plugin().start(input.options(cancel.clone()), sink.clone())) {
        Ok(session) => session,
        Err(StartError::Session(error)) => return check_error(&error),
        Err(error) => panic!("{error:?}"),
    };
    let mut model = Model::default();
    block_on(async {
        let session = &mut session;
        let begun = ordinary().into_iter().take(usize::from(input.begun % 8));
        for one in &begun.collect::<Vec<_>>() {
            step(one, session, &mut model, cancel, &sink, &limits).await;
        }
        for one in input.steps.iter().take(24) {
            step(one, session, &mut model, cancel, &sink, &limits).await;
        }
    });
    let report = session.report(Outcome::Completed);
    check_report(&report, &limits);
    for item in &report.items {
        let heard = sink.heard().status(item.id);
        assert!(!item.status.is_terminal() || heard == Some(item.status) || heard.is_none());
    }
    assert!(session.log().iter().all(|entry| is_masked(&entry.text)));
}

fn check_run(report: &RunReport, input: &Input, sink: &Shared) {
    let mut limits = input.limits();
    let restarts = u64::from(report.restarts) + 1;
    limits.log_entries = limits.log_entries.saturating_mul(restarts);
    limits.log_bytes = limits.log_bytes.saturating_mul(restarts);
    check_report(report, &limits);
    assert!(report.items.iter().all(|item| item.status.is_terminal()), "{report:?}");
    assert!(sink.heard().have_all_ended(), "{report:?}");
    for item in &report.items {
        assert_eq!(sink.heard().status(item.id), Some(item.status), "{report:?}");
    }
    if let Some(error) = report.error() {
        check_error(error);
        assert_eq!(report.hresult(), error.hresult());
    }
}

fuzz_target!(|input: Input| {
    let cancel = CancelHandle::new();
    let Some(attempts) = input.run else {
        return steps(&input, &cancel);
    };
    let sink = Shared::new(input.responses.clone());
    let mut request = RunRequest::default();
    request.retries = u32::from(attempts / 4 % 3);
    if attempts / 16 % 4 == 0 {
        request.selection = Selection::Only(vec!["a".to_owned(), "b".to_owned()]);
    }
    if attempts % 4 != 0 {
        request.restart_policy =
            RestartPolicy::Restart { attempts: (attempts % 4).into(), backoff: Duration::ZERO };
    }
    match plugin().run(input.options(cancel), sink.clone(), &request) {
        Ok(report) => check_run(&report, &input, &sink),
        Err(error) => panic!("{error:?}"),
    }
});

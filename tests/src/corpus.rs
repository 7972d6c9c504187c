//! Nonconforming guests, each with its expected result.
//!
//! There are three kinds of guests: behaviors of the plugin `hostile`, core modules in the text
//! format with one replaced function ([`core`]), and components assembled by hand ([`bytes`]).

pub mod bytes;
pub mod core;
mod rows;
pub mod workdir;

use std::time::Duration;

use anyhow::Result;
use syncmgr_host::sink::Recorded;
use syncmgr_host::{Hresult, ItemId, Limits, LoadLimits, RunReport, Status};
use uuid::Uuid;

use workdir::Workdir;

/// What every session is given as a secret, and nobody may ever see.
pub const SECRET: &str = "hunter2-and-then-some";

/// Where a guest comes from.
#[derive(Clone, Debug)]
pub enum Guest {
    /// The plugin `hostile`, with this setting `behavior`.
    Behavior(&'static str),
    /// Bytes that may be a component.
    Made(fn() -> Result<Vec<u8>>),
    /// A core module that is made a component.
    Core(core::Core),
}

/// What is done to a run from outside.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Everything is cancelled.
    CancelAll,
    /// The first item is cancelled.
    CancelItem,
    /// It is killed.
    Kill,
}

/// What must come of it.
#[derive(Clone, Debug)]
pub enum Expected {
    /// It does not load: the code of the error.
    NotLoaded(&'static str),
    /// It runs.
    Ran {
        /// The code of the error that the run ends with.
        error: Option<&'static str>,
        /// The HRESULT of the run.
        hresult: Hresult,
        /// How each item ends.
        ends: Vec<Status>,
    },
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    /// The report.
    pub report: RunReport,
    /// Every callback.
    pub recorded: Vec<Recorded>,
    /// The same as JSON lines, with the report.
    pub json: String,
}

impl Ran {
    /// The message of the error that the run ended with.
    pub fn message(&self) -> String {
        self.report.error().map(ToString::to_string).unwrap_or_default()
    }

    /// The texts of the log.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.report.log.iter().map(|entry| entry.text.as_str())
    }
}

/// Something that must hold beside the outcome.
pub type Check = fn(&Ran) -> Result<()>;

/// One guest and what must come of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it does.
    pub name: String,
    /// The guest.
    pub guest: Guest,
    /// Its settings, beside the behavior.
    pub settings: Vec<(&'static str, String)>,
    /// Whether the directories of the place are granted.
    pub files: bool,
    /// Whether it has storage.
    pub storage: bool,
    /// What it may use.
    pub limits: Limits,
    /// A host of its own, with these limits.
    pub load: Option<LoadLimits>,
    /// How often items are tried again.
    pub retries: u32,
    /// Whether it is asked for its properties in place of an ordinary run.
    pub properties: bool,
    /// What is done to it, and how long after its start; at once where it is not to start first.
    pub act: Option<(Duration, Act)>,
    /// What happens to the place meanwhile.
    pub meanwhile: Option<fn(&Workdir)>,
    /// What must come of it.
    pub expected: Expected,
    /// What must hold beside that.
    pub checks: Vec<Check>,
}

/// The id of the first item of every guest.
pub fn first_item() -> ItemId {
    ItemId::from_uuid(Uuid::from_u64_pair(10, 1))
}

/// Every row.
pub fn rows() -> Vec<Row> {
    rows::all()
}

/// Limits that make the suite a fast one.
pub fn limits() -> Limits {
    Limits {
        memory_bytes: 64 << 20,
        table_elements: 10_000,
        instances: 20,
        handles: 500,
        open_files: 50,
        host_call_bytes: 4 << 20,
        storage_bytes: 1 << 20,
        log_entries: 1_000,
        log_bytes: 1 << 20,
        compute_time: Duration::from_millis(300),
        wall_time: Duration::from_secs(4),
        idle_time: Duration::from_secs(2),
        grace: Duration::from_millis(200),
        ..Limits::default()
    }
}

/// What one file may take to load.
pub fn load_limits() -> LoadLimits {
    LoadLimits {
        component_bytes: 2 << 20,
        function_bytes: 256 << 10,
        expansion: 1_000,
        compile_time: Duration::from_secs(60),
        ..LoadLimits::default()
    }
}

impl Row {
    fn new(name: impl Into<String>, guest: Guest) -> Self {
        Self {
            name: name.into(),
            guest,
            settings: Vec::new(),
            files: false,
            storage: false,
            limits: limits(),
            load: None,
            retries: 0,
            properties: false,
            act: None,
            meanwhile: None,
            expected: Expected::Ran {
                error: None,
                hresult: Hresult::S_OK,
                ends: vec![Status::Succeeded; 2],
            },
            checks: Vec::new(),
        }
    }

    /// A behavior of the plugin `hostile`, which is followed by an ordinary end.
    fn behavior(name: impl Into<String>, behavior: &'static str) -> Self {
        Self::new(name, Guest::Behavior(behavior))
    }

    /// A core module, which has one item.
    fn core(name: impl Into<String>, core: core::Core) -> Self {
        Self::new(name, Guest::Core(core)).ends(&[Status::Succeeded])
    }

    /// Bytes that do not load.
    fn made(name: &str, made: fn() -> Result<Vec<u8>>, code: &'static str) -> Self {
        Self { expected: Expected::NotLoaded(code), ..Self::new(name, Guest::Made(made)) }
    }

    fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    fn at(self, export: &str) -> Self {
        self.set("at", export)
    }

    fn much(self, much: u64) -> Self {
        self.set("much", much.to_string())
    }

    fn files(self) -> Self {
        Self { files: true, ..self }
    }

    fn storage(self) -> Self {
        Self { storage: true, ..self }
    }

    fn limit(mut self, change: fn(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    fn load(mut self, change: fn(&mut LoadLimits)) -> Self {
        change(self.load.get_or_insert_with(load_limits));
        self
    }

    fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }.set("jump", "yes")
    }

    fn properties(self) -> Self {
        Self { properties: true, ..self }.ends(&[])
    }

    fn act(self, milliseconds: u64, act: Act) -> Self {
        Self { act: Some((Duration::from_millis(milliseconds), act)), ..self }
    }

    fn meanwhile(self, what: fn(&Workdir)) -> Self {
        Self { meanwhile: Some(what), ..self }
    }

    /// The run fails like this.
    fn fails(mut self, code: &'static str) -> Self {
        if let Expected::Ran { error, hresult, .. } = &mut self.expected {
            *error = Some(code);
            *hresult = hresult_of(code);
        }
        self
    }

    fn hresult(mut self, expected: Hresult) -> Self {
        if let Expected::Ran { hresult, .. } = &mut self.expected {
            *hresult = expected;
        }
        self
    }

    fn ends(mut self, expected: &[Status]) -> Self {
        if let Expected::Ran { ends, .. } = &mut self.expected {
            *ends = expected.to_vec();
        }
        self
    }

    /// Dies before there is any item.
    fn dies_early(self, code: &'static str) -> Self {
        self.fails(code).ends(&[])
    }

    /// Dies with every item unfinished.
    fn dies(self, code: &'static str) -> Self {
        let items = match self.guest {
            Guest::Core(_) => 1,
            Guest::Behavior(_) | Guest::Made(_) => 2,
        };
        self.fails(code).ends(&vec![Status::Failed; items])
    }

    /// Does not load.
    fn not_loaded(self, code: &'static str) -> Self {
        Self { expected: Expected::NotLoaded(code), ..self }
    }

    fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }
}

/// The HRESULT that goes with the code of an error, unless a row says otherwise.
fn hresult_of(code: &str) -> Hresult {
    match code {
        "plugin-bad-data" => Hresult::HRESULT_ERROR_INVALID_DATA,
        "plugin-trap" | "plugin-exit" => Hresult::HRESULT_ERROR_PROCESS_ABORTED,
        "ended-killed" => Hresult::HRESULT_ERROR_CANCELLED,
        "ended-cancelled-all" => Hresult::HRESULT_ERROR_OPERATION_ABORTED,
        "ended-cancelled-item" => Hresult::HRESULT_ERROR_SERVICE_REQUEST_TIMEOUT,
        "ended-compute-time" => Hresult::HRESULT_ERROR_NOT_ENOUGH_QUOTA,
        "ended-wall-time" => Hresult::HRESULT_ERROR_TIMEOUT,
        "ended-idle-time" => Hresult::HRESULT_WAIT_TIMEOUT,
        "ended-memory" => Hresult::E_OUTOFMEMORY,
        "ended-tables" => Hresult::HRESULT_ERROR_NO_SYSTEM_RESOURCES,
        "ended-stack" => Hresult::HRESULT_ERROR_STACK_OVERFLOW,
        "ended-handles" => Hresult::HRESULT_ERROR_TOO_MANY_OPEN_FILES,
        "ended-host-call-bytes" => Hresult::HRESULT_ERROR_BUFFER_OVERFLOW,
        "ended-instances" => Hresult::HRESULT_ERROR_TOO_MANY_MODULES,
        "ended-denied" => Hresult::E_ACCESSDENIED,
        "ended-item-bytes" => Hresult::HRESULT_ERROR_NOT_ENOUGH_SERVER_MEMORY,
        "ended-record-bytes" => Hresult::HRESULT_ERROR_LOG_FILE_FULL,
        _ => Hresult::E_FAIL,
    }
}

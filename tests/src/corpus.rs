//! Nonconforming guests, each with its expected result.
//!
//! There are three kinds of guests: behaviors of the plugin `hostile`, core modules in the text
//! format with one replaced function ([`core`]), and components assembled by hand ([`bytes`],
//! [`requests`]).

pub mod bytes;
pub mod core;
pub mod requests;
mod rows;
pub mod workdir;

use std::time::Duration;

use anyhow::Result;
use syncmgr_host::sink::Recorded;
use syncmgr_host::{Hresult, ItemId, Limits, LoadLimits, RunReport, Status};
use uuid::Uuid;

use workdir::Workdir;

/// The secret of every session, which must never appear in an output.
pub const SECRET: &str = "hunter2-and-then-some";

/// The source of a guest.
#[derive(Clone, Debug)]
pub enum Guest {
    /// The plugin `hostile`, with this value of the setting `behavior`.
    Behavior(&'static str),
    /// Bytes that may be a component.
    Made(fn() -> Result<Vec<u8>>),
    /// A core module that is converted to a component.
    Core(core::Core),
}

/// An action on a run.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Cancel all items.
    CancelAll,
    /// Cancel the first item.
    CancelItem,
    /// Terminate the session.
    Kill,
}

/// The expected result.
#[derive(Clone, Debug)]
pub enum Expected {
    /// It fails to load with this error code.
    NotLoaded(&'static str),
    /// It runs.
    Ran {
        /// The code of the error of the run.
        error: Option<&'static str>,
        /// The HRESULT of the run.
        hresult: Hresult,
        /// The end of each item.
        ends: Vec<Status>,
    },
}

/// The results of a run.
#[derive(Debug)]
pub struct Ran {
    /// The report.
    pub report: RunReport,
    /// Every callback.
    pub recorded: Vec<Recorded>,
    /// The events and the report as JSON lines.
    pub json: String,
}

impl Ran {
    /// Returns the message of the error of the run.
    pub fn message(&self) -> String {
        self.report.error().map(ToString::to_string).unwrap_or_default()
    }

    /// Returns the texts of the log.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.report.log.iter().map(|entry| entry.text.as_str())
    }
}

/// A further condition on the results.
pub type Check = fn(&Ran) -> Result<()>;

/// One guest and its expected result.
#[derive(Clone, Debug)]
pub struct Row {
    /// A description.
    pub name: String,
    /// The guest.
    pub guest: Guest,
    /// Its settings, in addition to the behavior.
    pub settings: Vec<(&'static str, String)>,
    /// Whether the directories of the working directory are granted.
    pub files: bool,
    /// Whether it has storage.
    pub storage: bool,
    /// Its capabilities.
    pub limits: Limits,
    /// The limits of a separate host.
    pub load: Option<LoadLimits>,
    /// How often the run may be retried.
    pub retries: u32,
    /// Whether to request its properties instead of an ordinary run.
    pub properties: bool,
    /// The action on the run, and its delay after the start; without a delay, before the start.
    pub act: Option<(Duration, Act)>,
    /// Concurrent changes to the working directory.
    pub concurrently: Option<fn(&Workdir)>,
    /// The expected result.
    pub expected: Expected,
    /// A further condition.
    pub checks: Vec<Check>,
}

/// The id of the first item of every guest.
pub fn first_item() -> ItemId {
    ItemId::from_uuid(Uuid::from_u64_pair(10, 1))
}

/// Returns every row.
pub fn rows() -> Vec<Row> {
    rows::all()
}

/// Returns limits that keep the suite fast.
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.memory_bytes = 64 << 20;
    limits.table_elements = 10_000;
    limits.instances = 20;
    limits.handles = 500;
    limits.open_files = 50;
    limits.host_call_bytes = 4 << 20;
    limits.storage_bytes = 1 << 20;
    limits.log_entries = 1_000;
    limits.log_bytes = 1 << 20;
    limits.compute_time = Duration::from_millis(300);
    limits.wall_time = Duration::from_secs(4);
    limits.idle_time = Duration::from_secs(2);
    limits.grace = Duration::from_millis(200);
    limits
}

/// Returns the limits for loading one file.
pub fn load_limits() -> LoadLimits {
    let mut limits = LoadLimits::default();
    limits.component_bytes = 2 << 20;
    limits.function_bytes = 256 << 10;
    limits.expansion = 1_000;
    limits.compile_time = Duration::from_secs(60);
    limits
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
            concurrently: None,
            expected: Expected::Ran {
                error: None,
                hresult: Hresult::S_OK,
                ends: vec![Status::Succeeded; 2],
            },
            checks: Vec::new(),
        }
    }

    /// Creates a row for a behavior of the plugin `hostile` that ends without an error.
    fn behavior(name: impl Into<String>, behavior: &'static str) -> Self {
        Self::new(name, Guest::Behavior(behavior))
    }

    /// Creates a row for a core module with one item.
    fn core(name: impl Into<String>, core: core::Core) -> Self {
        Self::new(name, Guest::Core(core)).ends(&[Status::Succeeded])
    }

    /// Creates a row for bytes that fail to load.
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
        Self { retries, ..self }
    }

    fn properties(self) -> Self {
        Self { properties: true, ..self }.ends(&[])
    }

    fn act(self, milliseconds: u64, act: Act) -> Self {
        Self { act: Some((Duration::from_millis(milliseconds), act)), ..self }
    }

    fn concurrently(self, what: fn(&Workdir)) -> Self {
        Self { concurrently: Some(what), ..self }
    }

    /// Expects the run to fail with this code.
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

    /// Expects the termination before there is any item.
    fn terminates_early(self, code: &'static str) -> Self {
        self.fails(code).ends(&[])
    }

    /// Expects the termination with every item unfinished.
    fn terminates(self, code: &'static str) -> Self {
        let items = match self.guest {
            Guest::Core(_) => 1,
            Guest::Behavior(_) | Guest::Made(_) => 2,
        };
        self.fails(code).ends(&vec![Status::Failed; items])
    }

    /// Expects a failure to load.
    fn not_loaded(self, code: &'static str) -> Self {
        Self { expected: Expected::NotLoaded(code), ..self }
    }

    fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }
}

/// Returns the default HRESULT for an error code.
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

//! Runs the plugin that does what its settings say.

use std::sync::OnceLock;

use syncmgr_host::sink::{EventLog, Recorded, Sink};
use syncmgr_host::{
    CancelHandle, ItemId, LogLevel, Plugin, RunReport, RunRequest, SessionOptions, Status,
};
use uuid::Uuid;

use crate::session::DrivenSession;

/// One run of the script plugin, in the making.
#[derive(Debug)]
pub struct Script {
    options: SessionOptions,
    request: RunRequest,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// The report.
    pub report: RunReport,
    /// Every callback.
    pub recorded: Vec<Recorded>,
}

/// The compiled plugin.
pub fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    crate::load(&PLUGIN, crate::SCRIPT)
}

/// The id of the item of this name.
pub fn item(name: &str) -> ItemId {
    // The namespace of the SDK's ids.
    let namespace = Uuid::from_u128(0x5ca1_3f6e_7d0b_4c52_9a46_1f0e_68b3_d27c);
    ItemId::from_uuid(Uuid::new_v5(&namespace, name.as_bytes()))
}

impl Script {
    /// A handler with these items, which do nothing.
    pub fn new(items: &str) -> Self {
        let options = SessionOptions::new().setting("items", items);
        Self { options, request: RunRequest::default() }
    }

    /// What an exported function does, a command on each line, or another setting.
    #[must_use]
    pub fn on(mut self, name: &str, value: &str) -> Self {
        let lines: Vec<_> = value.lines().map(str::trim).collect();
        self.options = self.options.setting(name, lines.join("\n"));
        self
    }

    /// Changes what the run is asked for.
    #[must_use]
    pub fn request(mut self, change: impl FnOnce(&mut RunRequest)) -> Self {
        change(&mut self.request);
        self
    }

    /// Changes what the session is given.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(SessionOptions) -> SessionOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// Starts a session with a sink of one's own.
    ///
    /// # Errors
    /// Those of starting.
    pub fn start(self, sink: impl Sink + 'static) -> anyhow::Result<DrivenSession> {
        Ok(DrivenSession::start(&plugin(), self.options, sink)?)
    }

    /// Runs it with a sink of one's own.
    ///
    /// # Errors
    /// Those of starting.
    pub fn report(self, sink: impl Sink + 'static) -> anyhow::Result<RunReport> {
        Ok(plugin().run(self.options, sink, &self.request)?)
    }

    /// Runs it and records everything.
    ///
    /// # Errors
    /// Those of starting.
    pub fn run(self) -> anyhow::Result<Ran> {
        self.run_with(|_| {})
    }

    /// Runs it; what is done with its cancel handle first may keep that.
    ///
    /// # Errors
    /// Those of starting.
    pub fn run_with(mut self, first: impl FnOnce(&CancelHandle)) -> anyhow::Result<Ran> {
        let recorder = EventLog::new();
        let cancel = CancelHandle::new();
        first(&cancel);
        self.options = self.options.cancel_handle(cancel);
        let report = self.report(recorder.clone())?;
        Ok(Ran { report, recorded: recorder.recorded() })
    }
}

impl Ran {
    /// What the plugin said, line by line.
    pub fn said(&self) -> Vec<&str> {
        let log = self.report.log.iter();
        log.filter(|entry| entry.level == LogLevel::Information)
            .map(|entry| entry.text.as_str())
            .collect()
    }

    /// What the plugin said in `synchronize`.
    pub fn said_in_synchronize(&self) -> Vec<&str> {
        self.said().into_iter().skip_while(|line| *line != "synchronize").skip(1).collect()
    }

    /// How each item ended, by name.
    pub fn ends(&self) -> Vec<(&str, Status)> {
        self.report.items.iter().map(|item| (item.name.as_str(), item.status)).collect()
    }

    /// The code of the error that the run failed with.
    pub fn error_code(&self) -> Option<&'static str> {
        self.report.error().map(syncmgr_host::SessionError::code)
    }
}

//! Runs the plugin `script`, which executes its settings.

use std::sync::OnceLock;

use syncmgr_host::sink::{EventLog, Recorded, Sink};
use syncmgr_host::{
    CancelHandle, ItemId, LogLevel, Plugin, RunReport, RunRequest, SessionOptions, Status,
};
use uuid::Uuid;

use crate::session::DrivenSession;

/// A builder for one run of the script plugin.
#[derive(Debug)]
pub struct Script {
    options: SessionOptions,
    request: RunRequest,
}

/// The result of a run.
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

/// Returns the id of the item of this name.
pub fn item(name: &str) -> ItemId {
    // The namespace of the ids in the SDK.
    let namespace = Uuid::from_u128(0x5ca1_3f6e_7d0b_4c52_9a46_1f0e_68b3_d27c);
    ItemId::from_uuid(Uuid::new_v5(&namespace, name.as_bytes()))
}

impl Script {
    /// Creates a handler with these items, which do nothing.
    pub fn new(items: &str) -> Self {
        let options = SessionOptions::new().setting("items", items);
        Self { options, request: RunRequest::default() }
    }

    /// Sets the commands of an exported function, one per line, or another setting.
    #[must_use]
    pub fn on(mut self, name: &str, value: &str) -> Self {
        let lines: Vec<_> = value.lines().map(str::trim).collect();
        self.options = self.options.setting(name, lines.join("\n"));
        self
    }

    /// Changes the run request.
    #[must_use]
    pub fn request(mut self, change: impl FnOnce(&mut RunRequest)) -> Self {
        change(&mut self.request);
        self
    }

    /// Changes the session options.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(SessionOptions) -> SessionOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// Starts a session with this sink.
    ///
    /// # Errors
    /// Returns the errors of the start.
    pub fn start(self, sink: impl Sink + 'static) -> anyhow::Result<DrivenSession> {
        Ok(DrivenSession::start(&plugin(), self.options, sink)?)
    }

    /// Runs it with this sink.
    ///
    /// # Errors
    /// Returns the errors of the start.
    pub fn report(self, sink: impl Sink + 'static) -> anyhow::Result<RunReport> {
        Ok(plugin().run(self.options, sink, &self.request)?)
    }

    /// Runs it and records everything.
    ///
    /// # Errors
    /// Returns the errors of the start.
    pub fn run(self) -> anyhow::Result<Ran> {
        self.run_with(|_| {})
    }

    /// Runs it after passing the cancel handle, which the function may keep.
    ///
    /// # Errors
    /// Returns the errors of the start.
    pub fn run_with(mut self, first: impl FnOnce(&CancelHandle)) -> anyhow::Result<Ran> {
        let recorder = EventLog::new();
        let cancel = CancelHandle::new();
        first(&cancel);
        self.options = self.options.cancel_with(cancel);
        let report = self.report(recorder.clone())?;
        Ok(Ran { report, recorded: recorder.recorded() })
    }
}

impl Ran {
    /// Returns the lines that the plugin logged.
    pub fn said(&self) -> Vec<&str> {
        let log = self.report.log.iter();
        log.filter(|entry| entry.level == LogLevel::Information)
            .map(|entry| entry.text.as_str())
            .collect()
    }

    /// Returns the text that the plugin logged in `synchronize`.
    pub fn said_in_synchronize(&self) -> Vec<&str> {
        self.said().into_iter().skip_while(|line| *line != "synchronize").skip(1).collect()
    }

    /// Returns the final status of each item, by name.
    pub fn ends(&self) -> Vec<(&str, Status)> {
        self.report.items.iter().map(|item| (item.name.as_str(), item.status)).collect()
    }

    /// Returns the code of the error of the run.
    pub fn error_code(&self) -> Option<&'static str> {
        self.report.error().map(syncmgr_host::SessionError::code)
    }
}

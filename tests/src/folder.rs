//! Runs the `folder` plugin on real directories.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Context;
use syncmgr_host::sink::Recorder;
use syncmgr_host::{
    Access, Capability, Grant, HostCallHook, ItemReport, Plugin, Report, RunRequest, SessionOptions,
};

use crate::trees::{self, Tree};

/// Two directories and the plugin's storage, in a folder that goes with this value.
#[derive(Debug)]
pub struct Pair {
    home: tempfile::TempDir,
    /// Whether the directories are granted the other way round.
    swapped: bool,
    settings: Vec<(String, String)>,
}

/// The compiled plugin.
pub fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    crate::load(&PLUGIN, crate::FOLDER)
}

impl Pair {
    /// Two empty directories.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new() -> anyhow::Result<Self> {
        let pair = Self { home: tempfile::tempdir()?, swapped: false, settings: Vec::new() };
        for name in ["left", "right", "storage"] {
            std::fs::create_dir(pair.home.path().join(name))?;
        }
        // Tests write thousands of small files, and no power will fail.
        Ok(pair.set("durable", "false"))
    }

    /// The same with a setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with the sides exchanged: `left` names the directory that is granted as the
    /// right one.
    #[must_use]
    pub fn swapped(mut self, swapped: bool) -> Self {
        self.swapped = swapped;
        self
    }

    /// Where the left directory is.
    pub fn left(&self) -> PathBuf {
        self.home.path().join("left")
    }

    /// Where the right directory is.
    pub fn right(&self) -> PathBuf {
        self.home.path().join("right")
    }

    /// Where the plugin keeps its own files.
    pub fn storage(&self) -> PathBuf {
        self.home.path().join("storage")
    }

    /// What the session is given.
    ///
    /// # Errors
    /// Those of granting.
    pub fn options(&self) -> anyhow::Result<SessionOptions> {
        let (left, right) = match self.swapped {
            false => (self.left(), self.right()),
            true => (self.right(), self.left()),
        };
        let mut options = SessionOptions::new()
            .allow(Capability::WallClock)
            .storage(self.storage())
            .grant(Grant::new("left", &left, Access::ReadWrite)?)
            .grant(Grant::new("right", &right, Access::ReadWrite)?);
        for (name, value) in &self.settings {
            options = options.setting(name, value);
        }
        Ok(options)
    }

    /// Runs the plugin.
    ///
    /// # Errors
    /// Those of starting.
    pub fn sync(&self) -> anyhow::Result<Report> {
        self.sync_with(self.options()?)
    }

    /// Runs the plugin with options made from [`Pair::options`].
    ///
    /// # Errors
    /// Those of starting.
    pub fn sync_with(&self, options: SessionOptions) -> anyhow::Result<Report> {
        Ok(plugin().run_blocking(options, Recorder::new(), &RunRequest::default())?)
    }

    /// Runs the plugin with a look at each host call.
    ///
    /// # Errors
    /// Those of starting.
    pub fn sync_watched(&self, hook: HostCallHook) -> anyhow::Result<Report> {
        self.sync_with(self.options()?.host_call_hook(hook))
    }

    /// Both trees, without this plugin's own entries.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn trees(&self) -> anyhow::Result<[Tree; 2]> {
        Ok([trees::read(&self.left())?, trees::read(&self.right())?])
    }

    /// Every content that can be found, in the directories and in the trash.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn findable(&self) -> anyhow::Result<BTreeSet<Vec<u8>>> {
        let mut all = trees::read(self.home.path())?;
        // What the plugin remembers is nobody's content.
        all.retain(|path, _| !path.ends_with(".state") && !path.ends_with(".state.new"));
        Ok(trees::contents(&all))
    }
}

/// The only item of a report.
///
/// # Errors
/// Where there is none, with the error of the run.
pub fn only_item(report: &Report) -> anyhow::Result<&ItemReport> {
    report.items.first().with_context(|| format!("the run has no item: {:?}", report.outcome))
}

//! Runs a plugin in `cargo test`, against a sync manager that answers and fails as it is told to.
//!
//! Everything is native code on the test's own thread, with real files in the directories that are
//! granted, so that a debugger and `println!` work as ever:
//!
//! ```
//! use syncmgr_plugin::testing::SyncManager;
//! use syncmgr_plugin::*;
//!
//! #[derive(Default)]
//! struct Count;
//!
//! impl Plugin for Count {
//!     fn handler_info(&self) -> Result<HandlerInfo> {
//!         Ok(HandlerInfo::new("Count"))
//!     }
//!     fn items(&mut self) -> Result<ItemList> {
//!         Ok([Item::new(ItemId::from_name("to-ten"), "To ten")].into())
//!     }
//!     fn synchronize_item(&mut self, run: &mut ItemRun) -> Result<(), Stop> {
//!         (1..=10).try_for_each(|value| run.report().value(value).max(10).send())
//!     }
//! }
//!
//! let item = ItemId::from_name("to-ten");
//! let run = SyncManager::new().cancel_item_at(item, 3).run::<Count>();
//! run.assert_ended(item, Status::Skipped);
//! assert_eq!(run.reports_of(item).count(), 4, "three, and the last one");
//! ```
//!
//! With the environment variable `SYNCMGR_COMPONENT` the same tests run the component in that file,
//! as the program `syncmgr` runs it (`SYNCMGR`, if it is not on the search path). Only faults cannot
//! be had there.

mod component;
mod desk;
pub(crate) mod imports;
mod outcome;

use std::path::PathBuf;
use std::time::Duration;

pub use crate::bindings::syncmgr::plugin::types::ProgressResponse;
pub use outcome::{LogLine, Made, Run};

use crate::bindings::syncmgr::plugin::types as wit;
use crate::directories::Access;
use crate::error::{ErrorCode, Result};
use crate::glue::Instance;
use crate::guid::ItemId;
use crate::item::{SyncEvent, SyncModifiers, Trigger};
use crate::plugin::{
    ErrorDetail, Participation, Plugin, PrepareOutcome, PropertiesOutcome, Property, PropertyChange,
};
use desk::Desk;

/// A call that fails, or takes long.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    call: String,
    nth: usize,
    code: Option<ErrorCode>,
    delay: Duration,
}

/// A directory that is granted.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    name: String,
    path: PathBuf,
    access: Access,
}

/// An answer to a report.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    item: Option<ItemId>,
    nth: usize,
    response: ProgressResponse,
}

/// A sync manager in the making: what it grants, and what it will answer.
#[derive(Clone, Debug)]
pub struct SyncManager {
    grants: Vec<Granted>,
    storage: Option<PathBuf>,
    settings: Vec<(String, String)>,
    answers: Vec<Answer>,
    choices: Vec<u32>,
    faults: Vec<Fault>,
    trigger: Trigger,
    cookie: Option<Vec<u8>>,
    retries: u32,
}

impl Default for SyncManager {
    fn default() -> Self {
        Self::new()
    }
}

impl SyncManager {
    /// One that grants nothing and agrees with everything. The user started it, and may be asked.
    pub fn new() -> Self {
        Self {
            grants: Vec::new(),
            storage: None,
            settings: Vec::new(),
            answers: Vec::new(),
            choices: Vec::new(),
            faults: Vec::new(),
            trigger: Trigger {
                event: SyncEvent::Manual,
                modifiers: SyncModifiers::MAY_BOTHER_USER,
            },
            cookie: None,
            retries: 0,
        }
    }

    /// Grants a directory for reading and writing.
    #[must_use]
    pub fn grant(self, name: &str, path: impl Into<PathBuf>) -> Self {
        self.grant_as(name, path, Access::ReadWrite)
    }

    /// Grants a directory for reading.
    #[must_use]
    pub fn grant_read_only(self, name: &str, path: impl Into<PathBuf>) -> Self {
        self.grant_as(name, path, Access::ReadOnly)
    }

    fn grant_as(mut self, name: &str, path: impl Into<PathBuf>, access: Access) -> Self {
        self.grants.push(Granted { name: name.to_owned(), path: path.into(), access });
        self
    }

    /// Gives the plugin a directory for its own files.
    #[must_use]
    pub fn storage(mut self, path: impl Into<PathBuf>) -> Self {
        self.storage = Some(path.into());
        self
    }

    /// Gives the plugin a setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says why the run is started, and passes a cookie on.
    #[must_use]
    pub fn trigger(mut self, trigger: Trigger, cookie: Option<&[u8]>) -> Self {
        self.trigger = trigger;
        self.cookie = cookie.map(<[u8]>::to_vec);
        self
    }

    /// Answers the n-th report of an item, from 1 on, with *cancel this item*. It stays cancelled.
    #[must_use]
    pub fn cancel_item_at(mut self, item: ItemId, nth: usize) -> Self {
        let response = ProgressResponse::CancelItem;
        self.answers.push(Answer { item: Some(item), nth, response });
        self
    }

    /// Answers the n-th report of the run, from 1 on, with *cancel everything*. It stays cancelled.
    #[must_use]
    pub fn cancel_all_at(mut self, nth: usize) -> Self {
        self.answers.push(Answer { item: None, nth, response: ProgressResponse::CancelAll });
        self
    }

    /// Answers the next question with this choice. Without one, a question gets its default.
    #[must_use]
    pub fn choose(mut self, choice: u32) -> Self {
        self.choices.push(choice);
        self
    }

    /// Asks about each error that was logged with an id, and synchronizes items once more, at most
    /// this often, when [`show_error`](Plugin::show_error) wants that.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Has the n-th call of a function of [`directories`](crate::directories), from 1 on, fail. The
    /// name is that of the contract: `file.write`, `file.copy-from`, `directory.rename`,
    /// `listing.next`; `establish-connection` is one, too. Each file of `copy-files` counts.
    #[must_use]
    pub fn fail(mut self, call: &str, nth: usize, code: ErrorCode) -> Self {
        let delay = Duration::ZERO;
        self.faults.push(Fault { call: call.to_owned(), nth, code: Some(code), delay });
        self
    }

    /// Has every call of a function take so much longer.
    #[must_use]
    pub fn slow(mut self, call: &str, delay: Duration) -> Self {
        self.faults.push(Fault { call: call.to_owned(), nth: 0, code: None, delay });
        self
    }

    /// Runs a plugin from the first call to the last, for all the items that it checks.
    ///
    /// # Panics
    /// Where the component of `SYNCMGR_COMPONENT` cannot be run. What the plugin does wrong is in
    /// the [`Run`].
    pub fn run<P: Plugin>(self) -> Run {
        if let Some(component) = std::env::var_os("SYNCMGR_COMPONENT") {
            return component::run(&self, component.as_ref());
        }
        let (trigger, cookie) = (self.trigger, self.cookie.clone());
        let retries = self.retries;
        let desk = Desk::open(self);
        let mut instance = Instance::<P>::default();
        let outcome = drive(&mut instance, trigger, cookie, retries);
        let mut run = desk.close();
        match outcome {
            Ok((participation, items)) => {
                run.participation = participation;
                run.items = items;
            }
            Err(error) => run.error = Some(error.into()),
        }
        run
    }

    /// The properties of an item, or (`None`) of the handler.
    ///
    /// # Errors
    /// Those of the plugin's `initialize` and `properties`.
    ///
    /// # Panics
    /// Where the component of `SYNCMGR_COMPONENT` cannot be run.
    pub fn properties<P: Plugin>(self, item: Option<ItemId>) -> Result<Vec<Property>> {
        if let Some(component) = std::env::var_os("SYNCMGR_COMPONENT") {
            return component::properties(&self, component.as_ref(), item);
        }
        self.with_instance(|instance: &mut Instance<P>| {
            instance.get_properties(item.map(ItemId::to_wit))
        })
    }

    /// Changes properties of an item, or (`None`) of the handler.
    ///
    /// # Errors
    /// Those of the plugin's `initialize` and `set_properties`.
    ///
    /// # Panics
    /// Where the component of `SYNCMGR_COMPONENT` cannot be run.
    pub fn set_properties<P: Plugin>(
        self,
        item: Option<ItemId>,
        changes: &[PropertyChange],
    ) -> Result<PropertiesOutcome> {
        if let Some(component) = std::env::var_os("SYNCMGR_COMPONENT") {
            return component::set_properties(&self, component.as_ref(), item, changes);
        }
        self.with_instance(|instance: &mut Instance<P>| {
            instance.set_properties(item.map(ItemId::to_wit), changes.to_vec())
        })
    }

    /// Initializes an instance for settings only, and calls it.
    fn with_instance<P: Plugin, T>(
        mut self,
        call: impl FnOnce(&mut Instance<P>) -> Result<T, wit::Error>,
    ) -> Result<T> {
        self.trigger.modifiers = self.trigger.modifiers | SyncModifiers::SETTINGS;
        let (trigger, cookie) = (self.trigger, self.cookie.clone());
        let _desk = Desk::open(self);
        let mut instance = Instance::<P>::default();
        match instance.initialize(trigger, cookie)? {
            Participation::Participates => Ok(call(&mut instance)?),
            Participation::Declines => Err(crate::Error::new(
                ErrorCode::Unexpected,
                "the plugin declines to take part in runs for settings",
            )),
        }
    }
}

type Driven = (Participation, Vec<(ItemId, String)>);

/// What a sync manager does, call by call.
fn drive<P: Plugin>(
    instance: &mut Instance<P>,
    trigger: Trigger,
    cookie: Option<Vec<u8>>,
    mut retries: u32,
) -> Result<Driven, wit::Error> {
    let participation = instance.initialize(trigger, cookie)?;
    if participation == Participation::Declines {
        return Ok((participation, Vec::new()));
    }
    instance.get_handler_info()?;
    let list = instance.enum_items()?;
    let named = |item: &wit::Item| (ItemId::from_wit(item.id), item.name.clone());
    let items: Vec<_> = list.items.iter().map(named).collect();
    let checked = list.items.iter().filter(|item| item.state == crate::ItemState::Checked);
    let mut ids: Vec<_> = checked.map(|item| item.id).collect();
    while !ids.is_empty() {
        desk::start(&ids);
        if instance.prepare_for_sync(ids)? == PrepareOutcome::NeedsUser {
            break;
        }
        instance.synchronize()?;
        if retries == 0 {
            break;
        }
        retries -= 1;
        ids = show_errors(instance);
    }
    Ok((participation, items))
}

/// Asks about each error in the log, and returns the items to synchronize once more.
fn show_errors<P: Plugin>(instance: &mut Instance<P>) -> Vec<wit::ItemId> {
    let mut errors: Vec<_> =
        desk::with(|state| state.run.log.iter().filter_map(|line| line.id).collect());
    errors.sort_unstable();
    errors.dedup();
    let mut retry = Vec::new();
    for error in errors {
        let Ok(detail) = instance.show_error(error.to_wit()) else { continue };
        retry.extend(detail.retry.iter().copied());
        let items = detail.retry.into_iter().map(ItemId::from_wit).collect();
        let detail = ErrorDetail { text: detail.text, retry: items };
        desk::with(|state| state.run.details.push((error, detail)));
    }
    retry
}

//! Runs a plugin in `cargo test`, against a scripted sync manager.
//!
//! The plugin runs natively, on the thread of the test and with real files in the granted
//! directories, so that a debugger and `println!` work:
//!
//! ```
//! use syncmgr_plugin::prelude::*;
//! use syncmgr_plugin::testing::SyncManager;
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
//!     fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
//!         (1..=10).try_for_each(|value| context.report().value(value).max(10).send())
//!     }
//! }
//!
//! let item = ItemId::from_name("to-ten");
//! let run = SyncManager::new().cancel_item_at(item, 3).run::<Count>();
//! run.assert_ended(item, Status::Skipped);
//! assert_eq!(run.reports_of(item).count(), 4, "three reports and the final one");
//! ```
//!
//! With the environment variable `SYNCMGR_COMPONENT` the same tests run the component in that file
//! with the program `syncmgr`, or with the one in `SYNCMGR`. Only natively can calls be made to
//! fail.

mod component;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use crate::bindings::syncmgr::plugin::types::ProgressResponse;
pub use crate::native::http::{Received, Reply};
pub use crate::native::outcome::{LogEntry, Report, Run};

use crate::bindings::syncmgr::plugin::types as wit;
use crate::directories::Access;
use crate::error::{ErrorCode, ErrorDetail, Result};
use crate::glue::Instance;
use crate::guid::ItemId;
use crate::item::{SyncEvent, SyncModifiers, Trigger};
use crate::native::http::Server;
use crate::native::script::{Answer, Fault, Granted, Script};
use crate::native::session::{self, Session};
use crate::plugin::{
    Participation, Plugin, PrepareOutcome, PropertiesOutcome, Property, PropertyChange,
};

/// A sync manager: the directories and settings that it grants, and its answers.
///
/// # Examples
/// See [the module](self).
#[derive(Clone, Debug)]
pub struct SyncManager(pub(crate) Script);

impl Default for SyncManager {
    fn default() -> Self {
        Self::new()
    }
}

impl SyncManager {
    /// Creates a sync manager that grants nothing and continues at every report, for a run that the
    /// user started and that may ask questions.
    pub fn new() -> Self {
        Self(Script {
            grants: Vec::new(),
            storage: None,
            settings: Vec::new(),
            servers: Vec::new(),
            answers: Vec::new(),
            choices: Vec::new(),
            faults: Vec::new(),
            trigger: Trigger {
                event: SyncEvent::Manual,
                modifiers: SyncModifiers::MAY_BOTHER_USER,
            },
            cookie: None,
            retries: 0,
        })
    }

    /// Grants a directory read-write.
    #[must_use]
    pub fn grant(self, name: &str, path: impl Into<PathBuf>) -> Self {
        self.grant_as(name, path, Access::ReadWrite)
    }

    /// Grants a directory read-only.
    #[must_use]
    pub fn grant_read_only(self, name: &str, path: impl Into<PathBuf>) -> Self {
        self.grant_as(name, path, Access::ReadOnly)
    }

    fn grant_as(mut self, name: &str, path: impl Into<PathBuf>, access: Access) -> Self {
        self.0.grants.push(Granted { name: name.to_owned(), path: path.into(), access });
        self
    }

    /// Sets the directory of the plugin's own storage.
    #[must_use]
    pub fn storage(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.storage = Some(path.into());
        self
    }

    /// Grants a server at a URL, which the plugin reads as the setting of that name, and answers
    /// its requests. Every other request is denied.
    ///
    /// # Examples
    /// ```
    /// # use syncmgr_plugin::prelude::*;
    /// # use syncmgr_plugin::testing::{Reply, SyncManager};
    /// let manager = SyncManager::new().server("remote", "https://dav.example/me/", |request| {
    ///     match (request.method.as_str(), request.path()) {
    ///         ("GET", "/me/list") => Reply::new(200).body("a b c"),
    ///         _ => Reply::new(404),
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn server(
        self,
        name: &str,
        url: &str,
        answer: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.server_as(name, url, Access::ReadWrite, Arc::new(answer))
    }

    /// Does the same for reading only: other methods than `GET`, `HEAD`, `OPTIONS`, `PROPFIND`,
    /// `REPORT` and `SEARCH` are denied.
    #[must_use]
    pub fn server_read_only(
        self,
        name: &str,
        url: &str,
        answer: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.server_as(name, url, Access::ReadOnly, Arc::new(answer))
    }

    fn server_as(
        mut self,
        name: &str,
        url: &str,
        access: Access,
        answer: Arc<dyn Fn(&Received) -> Reply + Send + Sync>,
    ) -> Self {
        let (name, url) = (name.to_owned(), url.to_owned());
        self.0.settings.push((name.clone(), url.clone()));
        self.0.servers.push(Server { name, url, access, answer });
        self
    }

    /// Sets a setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.0.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the trigger and the cookie that the plugin is initialized with.
    #[must_use]
    pub fn trigger(mut self, trigger: Trigger, cookie: Option<&[u8]>) -> Self {
        self.0.trigger = trigger;
        self.0.cookie = cookie.map(<[u8]>::to_vec);
        self
    }

    /// Answers the `nth` report of an item, counted from 1, with *cancel this item*. The item stays
    /// cancelled.
    #[must_use]
    pub fn cancel_item_at(mut self, item: ItemId, nth: usize) -> Self {
        let response = ProgressResponse::CancelItem;
        self.0.answers.push(Answer { item: Some(item), nth, response });
        self
    }

    /// Answers the `nth` report of the run, counted from 1, with *cancel everything*. The run stays
    /// cancelled.
    #[must_use]
    pub fn cancel_all_at(mut self, nth: usize) -> Self {
        self.0.answers.push(Answer { item: None, nth, response: ProgressResponse::CancelAll });
        self
    }

    /// Answers the next question with a choice. Without one, a question gets its default.
    #[must_use]
    pub fn choose(mut self, choice: u32) -> Self {
        self.0.choices.push(choice);
        self
    }

    /// Calls [`show_error`](Plugin::show_error) for each error that was logged with an id, and
    /// synchronizes the items to retry, at most this often.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.0.retries = retries;
        self
    }

    /// Makes the `nth` call of a function of [`directories`](crate::directories), counted from 1,
    /// fail. The name is that of the contract, such as `file.write`, `file.copy-from`,
    /// `directory.rename` or `listing.next`; `establish-connection` works, too. Each file of
    /// `copy-files` counts as a call.
    #[must_use]
    pub fn fail(mut self, call: &str, nth: usize, code: ErrorCode) -> Self {
        let delay = Duration::ZERO;
        self.0.faults.push(Fault { call: call.to_owned(), nth, code: Some(code), delay });
        self
    }

    /// Delays every call of a function.
    #[must_use]
    pub fn slow(mut self, call: &str, delay: Duration) -> Self {
        self.0.faults.push(Fault { call: call.to_owned(), nth: 0, code: None, delay });
        self
    }

    /// Runs a plugin from the first call to the last, with all items that take part by default. The
    /// plugin's errors are in the returned [`Run`].
    ///
    /// # Panics
    /// Panics if the component of `SYNCMGR_COMPONENT` cannot be run.
    pub fn run<P: Plugin>(self) -> Run {
        if let Some(component) = std::env::var_os("SYNCMGR_COMPONENT") {
            return component::run(&self.0, component.as_ref());
        }
        let (trigger, cookie) = (self.0.trigger, self.0.cookie.clone());
        let retries = self.0.retries;
        let session = Session::open(self.0);
        let mut instance = Instance::<P>::default();
        let outcome = drive(&mut instance, trigger, cookie, retries);
        let mut run = session.close();
        match outcome {
            Ok((participation, items)) => {
                run.participation = participation;
                run.items = items;
            }
            Err(error) => run.error = Some(error.into()),
        }
        run
    }

    /// Returns the properties of an item; `None` is the handler.
    ///
    /// # Errors
    /// Returns the errors of the plugin's `initialize` and `properties`.
    ///
    /// # Panics
    /// Panics if the component of `SYNCMGR_COMPONENT` cannot be run.
    pub fn properties<P: Plugin>(self, item: Option<ItemId>) -> Result<Vec<Property>> {
        if let Some(component) = std::env::var_os("SYNCMGR_COMPONENT") {
            return component::properties(&self.0, component.as_ref(), item);
        }
        self.with_instance(|instance: &mut Instance<P>| {
            instance.get_properties(item.map(ItemId::to_wit))
        })
    }

    /// Changes properties of an item; `None` is the handler.
    ///
    /// # Errors
    /// Returns the errors of the plugin's `initialize` and `set_properties`.
    ///
    /// # Panics
    /// Panics if the component of `SYNCMGR_COMPONENT` cannot be run.
    pub fn set_properties<P: Plugin>(
        self,
        item: Option<ItemId>,
        changes: &[PropertyChange],
    ) -> Result<PropertiesOutcome> {
        if let Some(component) = std::env::var_os("SYNCMGR_COMPONENT") {
            return component::set_properties(&self.0, component.as_ref(), item, changes);
        }
        self.with_instance(|instance: &mut Instance<P>| {
            instance.set_properties(item.map(ItemId::to_wit), changes.to_vec())
        })
    }

    /// Initializes an instance for settings only, and calls a function with it.
    fn with_instance<P: Plugin, T>(
        mut self,
        call: impl FnOnce(&mut Instance<P>) -> Result<T, wit::Error>,
    ) -> Result<T> {
        self.0.trigger.modifiers |= SyncModifiers::SETTINGS;
        let (trigger, cookie) = (self.0.trigger, self.0.cookie.clone());
        let _session = Session::open(self.0);
        let mut instance = Instance::<P>::default();
        match instance.initialize(trigger, cookie)? {
            Participation::Participates => Ok(call(&mut instance)?),
            Participation::Declines => Err(crate::Error::new(
                ErrorCode::Unexpected,
                "the plugin declines runs for settings",
            )),
        }
    }
}

type Driven = (Participation, Vec<(ItemId, String)>);

/// Makes the calls of a sync manager, in order.
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
        session::start(&ids);
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

/// Shows each error of the log, and returns the items to retry.
fn show_errors<P: Plugin>(instance: &mut Instance<P>) -> Vec<wit::ItemId> {
    let mut errors: Vec<_> =
        session::with(|state| state.run.log.iter().filter_map(|line| line.id).collect());
    errors.sort_unstable();
    errors.dedup();
    let mut retry = Vec::new();
    for error in errors {
        let Ok(detail) = instance.show_error(error.to_wit()) else { continue };
        retry.extend(detail.retry.iter().copied());
        let items = detail.retry.into_iter().map(ItemId::from_wit).collect();
        let detail = ErrorDetail { text: detail.text, retry: items };
        session::with(|state| state.run.details.push((error, detail)));
    }
    retry
}

//! The functions that a plugin imports, implemented natively for tests by a scripted sync manager.

pub(crate) mod answer;
pub(crate) mod directories;
pub(crate) mod http;
pub(crate) mod outcome;
pub(crate) mod script;
pub(crate) mod session;

use std::thread;
use std::time::Duration;

use crate::bindings::syncmgr::plugin::types as wit;
use crate::guid::ItemId;

/// Returns the value of a setting of the run.
pub(crate) fn setting(name: &str) -> Option<String> {
    session::try_with(|state| {
        let settings = &state.script.settings;
        settings.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    })?
}

/// Returns the names of the settings of the run.
pub(crate) fn setting_names() -> Option<Vec<String>> {
    session::try_with(|state| state.script.settings.iter().map(|(name, _)| name.clone()).collect())
}

/// Becomes ready when the sync manager cancels.
#[derive(Debug)]
pub struct Pollable(Option<ItemId>);

impl Pollable {
    /// Returns whether the cancellation has happened.
    pub fn ready(&self) -> bool {
        session::with(|state| state.is_cancelled(self.0))
    }

    /// Blocks until the cancellation happens.
    pub fn block(&self) {
        while !self.ready() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

pub(crate) mod callback {
    use super::answer::{Answer, refuse};
    use super::outcome::LogEntry;
    use super::{Pollable, session, wit};
    use crate::bindings::syncmgr::plugin::synchronize_callback::UserQuestion;
    use crate::guid::{ErrorId, ItemId};

    pub(crate) fn progress(item: wit::Guid, report: &wit::ProgressItem) -> wit::ProgressResponse {
        session::with(|state| state.progress(ItemId::from_wit(item), report))
    }

    pub(crate) fn log_error(
        level: wit::LogLevel,
        text: &str,
        info: wit::LogErrorInfo,
    ) -> Answer<()> {
        let item = info.item_id.map(ItemId::from_wit);
        let id = info.error_id.map(ErrorId::from_wit);
        let line = LogEntry { level, text: text.to_owned(), item, id, code: info.code };
        session::with(|state| state.log(line))
    }

    pub(crate) fn delete_log_error(id: Option<wit::Guid>) {
        let id = id.map(ErrorId::from_wit);
        session::with(|state| state.run.delete_log(id));
    }

    pub(crate) fn establish_connection(connection: Option<&str>) -> Answer<()> {
        session::enter("establish-connection")?;
        let connection = connection.map(str::to_owned);
        session::with(|state| state.run.connections.push(connection));
        Ok(())
    }

    pub(crate) fn question(question: &UserQuestion) -> Answer<u32> {
        let count = question.choices.len();
        let possible = |choice: u32| usize::try_from(choice).is_ok_and(|choice| choice < count);
        if !possible(question.default_choice) {
            let message = "there is no choice with the default index";
            return refuse(wit::ErrorCode::InvalidArgument, message);
        }
        let choice = session::with(|state| match state.script.choices.is_empty() {
            true => question.default_choice,
            false => state.script.choices.remove(0),
        });
        Ok(if possible(choice) { choice } else { question.default_choice })
    }

    pub(crate) fn is_cancelled(item: Option<wit::Guid>) -> bool {
        session::with(|state| state.is_cancelled(item.map(ItemId::from_wit)))
    }

    pub(crate) fn subscribe_cancelled(item: Option<wit::Guid>) -> Pollable {
        Pollable(item.map(ItemId::from_wit))
    }
}

pub(crate) mod statistics {
    use super::{session, wit};
    use crate::bindings::syncmgr::plugin::statistics::Action;
    use crate::guid::ItemId;

    pub(crate) fn set_bytes_per_step(_item: wit::Guid, _bytes: u64) {}

    pub(crate) fn set_count(item: wit::Guid, name: &str, value: u64) {
        let key = (ItemId::from_wit(item), name.to_owned());
        session::with(|state| state.run.counts.insert(key, value));
    }

    /// Does nothing outside of a run: a context may be dropped after it.
    pub(crate) fn report_actions(item: wit::Guid, actions: &[Action]) {
        let item = ItemId::from_wit(item);
        let actions = actions.iter().map(|action| (item, action.clone()));
        session::try_with(|state| state.run.actions.extend(actions));
    }
}

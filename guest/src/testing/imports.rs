//! The functions that a plugin imports, as the made-up sync manager has them.

pub(crate) mod directories;

use std::thread;
use std::time::Duration;

use crate::bindings::syncmgr::plugin::types as wit;
use crate::guid::ItemId;
use crate::testing::desk;

/// The value of a setting of the run.
pub(crate) fn setting(name: &str) -> Option<String> {
    desk::try_with(|state| {
        let settings = &state.manager.settings;
        settings.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    })?
}

/// Something that becomes ready.
#[derive(Debug)]
pub struct Pollable(Option<ItemId>);

impl Pollable {
    /// Whether it is.
    pub fn ready(&self) -> bool {
        desk::with(|state| state.is_cancelled(self.0))
    }

    /// Waits until it is.
    pub fn block(&self) {
        while !self.ready() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

pub(crate) mod callback {
    use super::{Pollable, desk, wit};
    use crate::bindings::syncmgr::plugin::synchronize_callback::UserQuestion;
    use crate::guid::{ErrorId, ItemId};
    use crate::testing::LogLine;

    pub(crate) fn progress(item: wit::Guid, report: &wit::ProgressItem) -> wit::ProgressResponse {
        desk::with(|state| state.progress(ItemId::from_wit(item), report))
    }

    pub(crate) fn log_error(
        level: wit::LogLevel,
        text: &str,
        info: wit::LogErrorInfo,
    ) -> Result<(), wit::Error> {
        let item = info.item_id.map(ItemId::from_wit);
        let id = info.error_id.map(ErrorId::from_wit);
        let line = LogLine { level, text: text.to_owned(), item, id, code: info.code };
        desk::with(|state| state.log(line))
    }

    pub(crate) fn delete_log_error(id: Option<wit::Guid>) {
        let id = id.map(ErrorId::from_wit);
        desk::with(|state| state.run.delete_log(id));
    }

    pub(crate) fn establish_connection(connection: Option<&str>) -> Result<(), wit::Error> {
        desk::enter("establish-connection")?;
        let connection = connection.map(str::to_owned);
        desk::with(|state| state.run.connections.push(connection));
        Ok(())
    }

    pub(crate) fn question(question: &UserQuestion) -> Result<u32, wit::Error> {
        let count = question.choices.len();
        let possible = |choice: u32| usize::try_from(choice).is_ok_and(|choice| choice < count);
        if !possible(question.default_choice) {
            return Err(wit::Error {
                code: wit::ErrorCode::InvalidArgument,
                message: "there is no such default".to_owned(),
            });
        }
        let choice = desk::with(|state| match state.manager.choices.is_empty() {
            true => question.default_choice,
            false => state.manager.choices.remove(0),
        });
        Ok(if possible(choice) { choice } else { question.default_choice })
    }

    pub(crate) fn is_cancelled(item: Option<wit::Guid>) -> bool {
        desk::with(|state| state.is_cancelled(item.map(ItemId::from_wit)))
    }

    pub(crate) fn subscribe_cancelled(item: Option<wit::Guid>) -> Pollable {
        Pollable(item.map(ItemId::from_wit))
    }
}

pub(crate) mod statistics {
    use super::{desk, wit};
    use crate::guid::ItemId;

    pub(crate) fn set_bytes_per_step(_item: wit::Guid, _bytes: u64) {}

    pub(crate) fn set_count(item: wit::Guid, name: &str, value: u64) {
        let key = (ItemId::from_wit(item), name.to_owned());
        desk::with(|state| state.run.counts.insert(key, value));
    }
}

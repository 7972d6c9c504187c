//! The imported interfaces `synchronize-callback` and `statistics`: convert, ask the sink,
//! remember, answer.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::{statistics, synchronize_callback as wit, types};
use crate::cancel::CancelHandle;
use crate::convert;
use crate::event::{ProgressItem, ProgressResponse};
use crate::hresult::ErrorCode;
use crate::id::ItemId;
use crate::sink::Progress;
use crate::state::State;

impl State {
    /// Takes a report up and answers it. `None`: it is refused.
    pub(crate) fn report(
        &mut self,
        item: ItemId,
        reported: &ProgressItem,
        by_host: bool,
    ) -> Option<ProgressResponse> {
        let current = self.ledger.report(item, reported)?;
        let pending = self.cancel.response(Some(item));
        let progress = Progress { item, reported, current, pending, by_host };
        let response = self.sink.progress(&progress).max(pending);
        self.cancel.answer(item, response);
        Some(response)
    }
}

impl types::Host for State {}

impl wit::Host for State {
    fn progress(
        &mut self,
        item_id: types::Guid,
        item: types::ProgressItem,
    ) -> wasmtime::Result<types::ProgressResponse> {
        self.enter("progress")?;
        let response = self.report(convert::item_id(item_id), &convert::progress_item(item), false);
        Ok(convert::wit_response(response.unwrap_or(ProgressResponse::CancelItem)))
    }

    fn log_error(
        &mut self,
        level: types::LogLevel,
        text: String,
        info: types::LogErrorInfo,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.enter("log-error")?;
        let entry = convert::log_entry(level, text, &info);
        if let Some(item) = entry.item
            && !self.ledger.contains(item)
        {
            self.ledger.refused_calls += 1;
            return Ok(Err(convert::wit_error(
                ErrorCode::InvalidArgument,
                format!("{item} is no item of this run"),
            )));
        }
        self.sink.log(&entry);
        self.ledger.log(entry);
        Ok(Ok(()))
    }

    fn delete_log_error(&mut self, error_id: Option<types::Guid>) -> wasmtime::Result<()> {
        self.enter("delete-log-error")?;
        let id = error_id.map(convert::error_id);
        self.sink.log_deleted(id);
        self.ledger.delete_log(id);
        Ok(())
    }

    fn establish_connection(
        &mut self,
        connection: Option<String>,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.enter("establish-connection")?;
        let connection = connection.map(|name| convert::cut(name, convert::TEXT_BYTES));
        Ok(self
            .sink
            .establish_connection(connection.as_deref())
            .map_err(|code| convert::wit_error(code, "there is no such connection")))
    }

    async fn question(
        &mut self,
        question: wit::UserQuestion,
    ) -> wasmtime::Result<Result<u32, types::Error>> {
        self.enter("question")?;
        let default_choice = question.default_choice;
        let question = match convert::question(question) {
            Ok(question) => question,
            Err(refusal) => {
                return Ok(Err(convert::wit_error(ErrorCode::InvalidArgument, refusal)));
            }
        };
        if !self.may_ask {
            return Ok(Ok(default_choice));
        }
        let choice = self
            .sink
            .question(&question)
            .filter(|&choice| choice < question.choices.len())
            .and_then(|choice| u32::try_from(choice).ok());
        Ok(Ok(choice.unwrap_or(default_choice)))
    }

    fn is_cancelled(&mut self, item_id: Option<types::Guid>) -> wasmtime::Result<bool> {
        self.enter("is-cancelled")?;
        let response = self.cancel.response(item_id.map(convert::item_id));
        Ok(response != ProgressResponse::Continue)
    }

    fn subscribe_cancelled(
        &mut self,
        item_id: Option<types::Guid>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.enter("subscribe-cancelled")?;
        let signal =
            CancelSignal { cancel: self.cancel.clone(), item: item_id.map(convert::item_id) };
        let signal = self.table.push(signal)?;
        subscribe(&mut self.table, signal)
    }
}

/// What becomes ready with a cancellation.
struct CancelSignal {
    cancel: CancelHandle,
    item: Option<ItemId>,
}

#[wasmtime_wasi::async_trait]
impl Pollable for CancelSignal {
    async fn ready(&mut self) {
        self.cancel.wait_cancelled(self.item).await;
    }
}

impl statistics::Host for State {
    fn set_bytes_per_step(&mut self, item_id: types::Guid, bytes: u64) -> wasmtime::Result<()> {
        self.enter("set-bytes-per-step")?;
        self.ledger.set_bytes_per_step(convert::item_id(item_id), bytes);
        Ok(())
    }

    fn set_count(
        &mut self,
        item_id: types::Guid,
        name: String,
        value: u64,
    ) -> wasmtime::Result<()> {
        self.enter("set-count")?;
        self.ledger.set_count(convert::item_id(item_id), name, value);
        Ok(())
    }
}

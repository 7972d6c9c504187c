//! The imported interfaces `synchronize-callback` and `statistics`: convert, ask the sink,
//! remember, answer.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::{statistics, synchronize_callback as wit, types};
use crate::cancel::CancelHandle;
use crate::convert;
use crate::event::ProgressResponse;
use crate::hresult::ErrorCode;
use crate::id::ItemId;
use crate::state::State;

impl types::Host for State {}

impl wit::Host for State {
    fn progress(
        &mut self,
        item_id: types::Guid,
        item: types::ProgressItem,
    ) -> wasmtime::Result<types::ProgressResponse> {
        // `progress.rs` links another one, which does the same with less.
        self.enter("progress")?;
        let types::ProgressItem { status_text, status_type, prog_value, max_value } = item;
        let report =
            convert::progress_item(status_text, status_type, prog_value, max_value, &self.secrets);
        self.report(item_id, &report)
    }

    fn log_error(
        &mut self,
        level: types::LogLevel,
        text: String,
        info: types::LogErrorInfo,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.enter("log-error")?;
        let entry = convert::log_entry(level, text, &info, &self.secrets);
        let journal = self.journal()?;
        if let Some(item) = entry.item
            && !journal.ledger.contains(item)
        {
            journal.ledger.refused_calls += 1;
            return Ok(Err(convert::wit_error(
                ErrorCode::InvalidArgument,
                format!("{item} is no item of this run"),
            )));
        }
        journal.log(&entry);
        Ok(Ok(()))
    }

    fn delete_log_error(&mut self, error_id: Option<types::Guid>) -> wasmtime::Result<()> {
        self.enter("delete-log-error")?;
        self.journal()?.delete_log(error_id.map(convert::error_id));
        Ok(())
    }

    fn establish_connection(
        &mut self,
        connection: Option<String>,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.enter("establish-connection")?;
        let connection =
            connection.map(|name| convert::cut(self.secrets.hide(name), convert::TEXT_BYTES));
        let watch = Arc::clone(&self.watch);
        let journal = self.journal()?;
        let answer = watch.asking(|| journal.sink.establish_connection(connection.as_deref()));
        journal.check_record();
        Ok(answer.map_err(|code| convert::wit_error(code, "there is no such connection")))
    }

    async fn question(
        &mut self,
        question: wit::UserQuestion,
    ) -> wasmtime::Result<Result<u32, types::Error>> {
        self.enter("question")?;
        let default_choice = question.default_choice;
        let question = match convert::question(question, &self.secrets) {
            Ok(question) => question,
            Err(refusal) => {
                return Ok(Err(convert::wit_error(ErrorCode::InvalidArgument, refusal)));
            }
        };
        if !self.may_ask {
            return Ok(Ok(default_choice));
        }
        let watch = Arc::clone(&self.watch);
        let journal = self.journal()?;
        journal.flush();
        let choice = watch
            .asking(|| journal.sink.question(&question))
            .filter(|&choice| choice < question.choices.len())
            .and_then(|choice| u32::try_from(choice).ok());
        journal.check_record();
        Ok(Ok(choice.unwrap_or(default_choice)))
    }

    fn is_cancelled(&mut self, item_id: Option<types::Guid>) -> wasmtime::Result<bool> {
        self.enter("is-cancelled")?;
        let response = self.watch.cancel.response(item_id.map(convert::item_id));
        Ok(response != ProgressResponse::Continue)
    }

    fn subscribe_cancelled(
        &mut self,
        item_id: Option<types::Guid>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.enter("subscribe-cancelled")?;
        let signal =
            CancelSignal { cancel: self.watch.cancel.clone(), item: item_id.map(convert::item_id) };
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
        self.journal()?.ledger.set_bytes_per_step(convert::item_id(item_id), bytes);
        Ok(())
    }

    fn set_count(
        &mut self,
        item_id: types::Guid,
        name: String,
        value: u64,
    ) -> wasmtime::Result<()> {
        self.enter("set-count")?;
        let name = self.secrets.hide(name);
        let journal = self.journal()?;
        journal.ledger.set_count(convert::item_id(item_id), name, value);
        journal.check_items();
        Ok(())
    }
}

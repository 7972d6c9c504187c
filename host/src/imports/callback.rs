//! The imported interface `synchronize-callback`: convert, record, call the sink, respond.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Resource, WasmStr};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::{synchronize_callback as wit, types};
use crate::cancel::CancelHandle;
use crate::component::description::CONTRACT_VERSION;
use crate::convert;
use crate::id::ItemId;
use crate::state::{SyncMgrCtx, SyncMgrView};
use crate::types::{ErrorCode, ProgressResponse};

/// `types.progress-item`, with the text borrowed from the plugin's memory.
#[derive(ComponentType, Lift)]
#[component(record)]
struct LentProgressItem {
    #[component(name = "status-text")]
    status_text: Option<WasmStr>,
    #[component(name = "status-type")]
    status_type: Option<types::Status>,
    #[component(name = "prog-value")]
    prog_value: Option<i32>,
    #[component(name = "max-value")]
    max_value: Option<i32>,
}

/// Overrides the generated `progress` binding. `progress` is the most frequent call, so this
/// version copies the text into a reusable buffer, and only if the sink reads it. Reports do not
/// allocate.
pub(super) fn add_to_linker<T: SyncMgrView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let interface = format!("syncmgr:plugin/synchronize-callback@{CONTRACT_VERSION}");
    linker.instance(&interface)?.func_wrap(
        "progress",
        |mut store: StoreContextMut<'_, T>, (item, lent): (types::Guid, LentProgressItem)| {
            let status_text = status_text(&mut store, &lent)?;
            let LentProgressItem { status_type, prog_value, max_value, .. } = lent;
            let reported = types::ProgressItem { status_text, status_type, prog_value, max_value };
            Ok((wit::Host::progress(store.data_mut().syncmgr(), item, reported)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Copies the text of a report, if it is needed.
#[inline]
fn status_text<T: SyncMgrView>(
    store: &mut StoreContextMut<'_, T>,
    lent: &LentProgressItem,
) -> wasmtime::Result<Option<String>> {
    let Some(text) = &lent.status_text else { return Ok(None) };
    let state = store.data_mut().syncmgr();
    if !state.manager()?.reads_text(lent.status_type.map(convert::status)) {
        return Ok(None);
    }
    let mut buffer = std::mem::take(&mut state.text);
    buffer.clear();
    buffer.push_str(&text.to_str(&*store)?);
    Ok(Some(buffer))
}

impl types::Host for SyncMgrCtx {}

impl wit::Host for SyncMgrCtx {
    #[inline]
    fn progress(
        &mut self,
        item_id: types::Guid,
        item: types::ProgressItem,
    ) -> wasmtime::Result<types::ProgressResponse> {
        self.enter("progress")?;
        let mut reported = convert::progress_item(item, &self.secrets);
        let response = self.manager()?.progress(convert::item_id(item_id), &reported);
        // The next report reuses the buffer.
        if let Some(text) = reported.status_text.take() {
            self.text = text;
        }
        Ok(convert::wit_response(response))
    }

    fn log_error(
        &mut self,
        level: types::LogLevel,
        text: String,
        info: types::LogErrorInfo,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.enter("log-error")?;
        let entry = convert::log_entry(level, text, &info, &self.secrets);
        let manager = self.manager()?;
        if let Some(item) = entry.item
            && !manager.items.contains(item)
        {
            manager.items.refused_calls += 1;
            return Ok(Err(convert::wit_error(
                ErrorCode::InvalidArgument,
                format!("{item} is not an item of this run"),
            )));
        }
        manager.log(&entry);
        Ok(Ok(()))
    }

    fn delete_log_error(&mut self, error_id: Option<types::Guid>) -> wasmtime::Result<()> {
        self.enter("delete-log-error")?;
        self.manager()?.delete_log(error_id.map(convert::error_id));
        Ok(())
    }

    fn establish_connection(
        &mut self,
        connection: Option<String>,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.enter("establish-connection")?;
        let connection =
            connection.map(|name| convert::cut(self.secrets.redact(name), convert::TEXT_BYTES));
        let monitor = Arc::clone(&self.monitor);
        let manager = self.manager()?;
        let answer = monitor.asking(|| manager.sink.establish_connection(connection.as_deref()));
        manager.check_record();
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
        let monitor = Arc::clone(&self.monitor);
        let manager = self.manager()?;
        manager.flush();
        let choice = monitor
            .asking(|| manager.sink.question(&question))
            .filter(|&choice| choice < question.choices.len())
            .and_then(|choice| u32::try_from(choice).ok());
        manager.check_record();
        Ok(Ok(choice.unwrap_or(default_choice)))
    }

    fn is_cancelled(&mut self, item_id: Option<types::Guid>) -> wasmtime::Result<bool> {
        self.enter("is-cancelled")?;
        let response = self.monitor.cancel.response(item_id.map(convert::item_id));
        Ok(response != ProgressResponse::Continue)
    }

    fn subscribe_cancelled(
        &mut self,
        item_id: Option<types::Guid>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.enter("subscribe-cancelled")?;
        let signal = CancelSignal {
            cancel: self.monitor.cancel.clone(),
            item: item_id.map(convert::item_id),
        };
        let signal = self.table.push(signal)?;
        subscribe(&mut self.table, signal)
    }
}

/// A pollable that becomes ready on cancellation.
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

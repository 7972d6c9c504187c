//! The imported function `progress`, which is called most: without an allocation of its own, and
//! without looking at a text that nobody reads.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, WasmStr};

use crate::bindings::types;
use crate::contract::CONTRACT_VERSION;
use crate::convert;
use crate::event::{ProgressItem, ProgressResponse};
use crate::state::State;

/// `types.progress-item`, with the text where it lies in the plugin's memory.
#[derive(ComponentType, Lift)]
#[component(record)]
struct Reported {
    #[component(name = "status-text")]
    status_text: Option<WasmStr>,
    #[component(name = "status-type")]
    status_type: Option<types::Status>,
    #[component(name = "prog-value")]
    prog_value: Option<i32>,
    #[component(name = "max-value")]
    max_value: Option<i32>,
}

/// Takes the place of what the bindings have linked.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let interface = format!("syncmgr:plugin/synchronize-callback@{CONTRACT_VERSION}");
    linker.instance(&interface)?.func_wrap(
        "progress",
        |store: StoreContextMut<'_, State>, (item, reported): (types::Guid, Reported)| {
            Ok((progress(store, item, &reported)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

#[inline]
fn progress(
    mut store: StoreContextMut<'_, State>,
    item: types::Guid,
    reported: &Reported,
) -> wasmtime::Result<types::ProgressResponse> {
    store.data_mut().enter("progress")?;
    let mut text = None;
    if let Some(lent) = &reported.status_text
        && store.data_mut().journal()?.reads_text(reported.status_type.map(convert::status))
    {
        let mut buffer = std::mem::take(&mut store.data_mut().text);
        buffer.clear();
        buffer.push_str(&lent.to_str(&store)?);
        text = Some(buffer);
    }
    let state = store.data_mut();
    let mut report = convert::progress_item(
        text,
        reported.status_type,
        reported.prog_value,
        reported.max_value,
        &state.secrets,
    );
    let response = state.report(item, &report)?;
    // For the next one.
    if let Some(buffer) = report.status_text.take() {
        state.text = buffer;
    }
    Ok(response)
}

impl State {
    /// Takes a report, and answers it.
    #[inline]
    pub(crate) fn report(
        &mut self,
        item: types::Guid,
        report: &ProgressItem,
    ) -> wasmtime::Result<types::ProgressResponse> {
        let response = self.journal()?.report(convert::item_id(item), report, false);
        Ok(convert::wit_response(response.unwrap_or(ProgressResponse::CancelItem)))
    }
}

//! The sink of a session that forwards to the manager's callback.

use std::sync::Arc;

use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    ErrorCode, ErrorId, Item, ItemId, LogEntry, ProgressResponse, Question, hresult,
};

use crate::convert;
use crate::interfaces::{
    SYNCMGRPROGRESSITEM_MAXVALUE, SYNCMGRPROGRESSITEM_PROGVALUE, SYNCMGRPROGRESSITEM_STATUSTEXT,
    SYNCMGRPROGRESSITEM_STATUSTYPE,
};
use crate::run_state::RunState;

/// The valid fields. Every report sets all of them, because only some managers remember earlier
/// values.
const MASK: u32 = SYNCMGRPROGRESSITEM_STATUSTEXT
    | SYNCMGRPROGRESSITEM_STATUSTYPE
    | SYNCMGRPROGRESSITEM_PROGVALUE
    | SYNCMGRPROGRESSITEM_MAXVALUE;

/// Forwards everything to the manager's callback.
pub(crate) struct CallbackSink {
    shared: Arc<RunState>,
    /// The last status text as UTF-16, and its item. Most consecutive reports concern the same item
    /// and do not change its text.
    text: Vec<u16>,
    text_of: Option<ItemId>,
}

impl CallbackSink {
    pub(crate) fn new(shared: Arc<RunState>) -> Self {
        Self { shared, text: vec![0], text_of: None }
    }
}

impl Sink for CallbackSink {
    fn started(&mut self, _items: &[Item]) {
        // Each item starts without a text.
        self.text_of = None;
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let _outside = self.shared.in_sink();
        // Without a callback, the manager cannot cancel, so everything is cancelled.
        let Some(callback) = self.shared.callback.get() else {
            return ProgressResponse::CancelAll;
        };
        let current = progress.current;
        if progress.reported.status_text.is_some() || self.text_of != Some(progress.item) {
            convert::encode(&current.status_text, &mut self.text);
            self.text_of = Some(progress.item);
        }
        let mut report = convert::empty_progress_item();
        report.mask = MASK;
        report.lpcStatusText = self.text.as_ptr();
        // An item without a reported status counts as updating.
        report.dwStatusType = current.status_type.unwrap_or(syncmgr_host::Status::Updating) as u32;
        report.iProgValue = current.prog_value;
        report.iMaxValue = current.max_value;
        hresult::to_progress_response(callback.progress(progress.item, &report))
    }

    fn log(&mut self, entry: &LogEntry) {
        let _outside = self.shared.in_sink();
        self.shared.callback.log(entry);
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        let _outside = self.shared.in_sink();
        self.shared.callback.delete_log(id);
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        let shared = &self.shared;
        let _outside = shared.in_sink();
        let show = || shared.interface.ask(shared.parent(), &shared.title(), question);
        shared.callback.get()?.with_modal(show)?
    }

    fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        let _outside = self.shared.in_sink();
        let callback = self.shared.callback.get().ok_or(ErrorCode::NotConnected)?;
        let answer = callback.establish_connection(connection);
        match answer.is_success() {
            true => Ok(()),
            false => Err(hresult::to_error_code(answer).unwrap_or(ErrorCode::NotConnected)),
        }
    }
}

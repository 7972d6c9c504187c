use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::error::StopReason;
use crate::event::{ProgressResponse, Status};
use crate::id::ItemId;

/// Cancels what one session does, from any thread and at any time. Clones are the same handle.
///
/// A cancellation is never taken back: from the next report on, the plugin is told again and
/// again.
#[derive(Clone, Debug)]
pub struct CancelHandle {
    state: Arc<CancelState>,
}

#[derive(Debug)]
struct CancelState {
    /// Whether `items` or `all` hold anything, so that the common case costs one load.
    any: AtomicBool,
    all: AtomicBool,
    items: Mutex<HashSet<ItemId>>,
    ended: AtomicU8,
    pushes: Mutex<Vec<(Option<ItemId>, Status)>>,
    news: watch::Sender<u64>,
}

const NOT_ENDED: u8 = 0;
const KILLED: u8 = 1;
const MEMORY: u8 = 2;
const HANDLES: u8 = 3;

impl CancelHandle {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::new(CancelState {
                any: AtomicBool::new(false),
                all: AtomicBool::new(false),
                items: Mutex::default(),
                ended: AtomicU8::new(NOT_ENDED),
                pushes: Mutex::default(),
                news: watch::Sender::new(0),
            }),
        }
    }

    /// Cancels one item: the plugin is told to stop it and to go on with the next one.
    pub fn cancel_item(&self, item: ItemId) {
        self.set_item_status(Some(item), Status::Skipped);
    }

    /// Cancels everything: the plugin is told to stop all items and to return.
    pub fn cancel_all(&self) {
        self.set_item_status(None, Status::Stopped);
    }

    /// Ends the plugin at once, wherever it is. Items that have not ended fail.
    pub fn kill(&self) {
        self.end(StopReason::Killed);
    }

    /// `ISyncMgrSynchronize::SetItemStatus`, as the sync manager calls it between the start and
    /// the completion of preparing and synchronizing: `skipped` (or `deleted`) for an item,
    /// `stopped` for all (`None`). Any other combination has no meaning and is ignored; the
    /// answer tells which it was.
    pub fn set_item_status(&self, item: Option<ItemId>, status: Status) -> bool {
        match (item, status) {
            (Some(item), Status::Skipped | Status::Deleted) => {
                self.lock_items().insert(item);
            }
            (None, Status::Stopped) => self.state.all.store(true, Ordering::Release),
            (Some(_), _) | (None, _) => return false,
        }
        self.state.any.store(true, Ordering::Release);
        self.state.pushes.lock().unwrap_or_else(PoisonError::into_inner).push((item, status));
        self.tell();
        true
    }

    /// What is told about an item, or (`None`) about everything.
    pub fn response(&self, item: Option<ItemId>) -> ProgressResponse {
        if !self.state.any.load(Ordering::Acquire) {
            return ProgressResponse::Continue;
        }
        if self.state.all.load(Ordering::Acquire) {
            return ProgressResponse::CancelAll;
        }
        match item {
            Some(item) if self.lock_items().contains(&item) => ProgressResponse::CancelItem,
            Some(_) | None => ProgressResponse::Continue,
        }
    }

    /// Remembers what a sink answered.
    pub(crate) fn answer(&self, item: ItemId, response: ProgressResponse) {
        match response {
            ProgressResponse::Continue => {}
            ProgressResponse::CancelItem => {
                self.lock_items().insert(item);
                self.state.any.store(true, Ordering::Release);
                self.tell();
            }
            ProgressResponse::CancelAll => {
                self.state.all.store(true, Ordering::Release);
                self.state.any.store(true, Ordering::Release);
                self.tell();
            }
        }
    }

    /// Ends the plugin for a reason; the first one stays.
    pub(crate) fn end(&self, reason: StopReason) {
        let code = match reason {
            StopReason::Killed => KILLED,
            StopReason::Memory => MEMORY,
            StopReason::Handles => HANDLES,
        };
        let _ =
            self.state.ended.compare_exchange(NOT_ENDED, code, Ordering::AcqRel, Ordering::Acquire);
        self.tell();
    }

    pub(crate) fn ended(&self) -> Option<StopReason> {
        match self.state.ended.load(Ordering::Acquire) {
            KILLED => Some(StopReason::Killed),
            MEMORY => Some(StopReason::Memory),
            HANDLES => Some(StopReason::Handles),
            _not_ended => None,
        }
    }

    /// What was pushed since the last time this was asked.
    pub(crate) fn take_pushes(&self) -> Vec<(Option<ItemId>, Status)> {
        std::mem::take(&mut *self.state.pushes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the plugin is to end.
    pub(crate) async fn wait_ended(&self) -> StopReason {
        let mut news = self.state.news.subscribe();
        loop {
            if let Some(reason) = self.ended() {
                return reason;
            }
            // The sender lives in `self`, so this cannot fail.
            let _ = news.changed().await;
        }
    }

    /// Waits until there is a cancellation of the item, or (`None`) of everything.
    pub(crate) async fn wait_cancelled(&self, item: Option<ItemId>) {
        let mut news = self.state.news.subscribe();
        while self.response(item) == ProgressResponse::Continue {
            let _ = news.changed().await;
        }
    }

    fn tell(&self) {
        self.state.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock_items(&self) -> std::sync::MutexGuard<'_, HashSet<ItemId>> {
        self.state.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::id::ItemId;
use crate::limits::clock;
use crate::types::{ProgressResponse, Status};

/// Cancels a run or its items, from any thread and at any time, even before the run starts. Clones
/// share one handle. Each run needs a separate handle.
///
/// A cancellation is sticky: every later report of the run receives it. A plugin that ignores it is
/// terminated after the grace period, [`Limits::grace`](crate::Limits::grace).
#[derive(Clone, Debug)]
pub struct CancelHandle {
    state: Arc<CancelState>,
}

#[derive(Debug)]
struct CancelState {
    /// Whether `items` or `all` contain a cancellation, so that the common case costs one load.
    any: AtomicBool,
    all: AtomicBool,
    /// The time at which everything was cancelled; 0 if it was not.
    all_since: AtomicU64,
    killed: AtomicBool,
    /// The time since which a cancelled item should have been finished; 0 if there is none.
    overdue_since: AtomicU64,
    items: Mutex<Items>,
    pushes: Mutex<Vec<(Option<ItemId>, Status)>>,
    news: watch::Sender<u64>,
}

/// The cancelled items, and the plugin's progress with the items of the run.
#[derive(Debug, Default)]
struct Items {
    /// The time at which each item was cancelled.
    cancelled: HashMap<ItemId, u64>,
    /// The items that the plugin works on, with the start time of each.
    active: HashMap<ItemId, u64>,
    /// The items without a terminal status.
    unfinished: HashSet<ItemId>,
    /// The number of these that were cancelled.
    unfinished_cancelled: usize,
}

impl Items {
    fn cancel(&mut self, item: ItemId) {
        if let Entry::Vacant(new) = self.cancelled.entry(item) {
            new.insert(clock::now());
            self.unfinished_cancelled += usize::from(self.unfinished.contains(&item));
        }
    }

    /// A plugin cannot finish an item that it has not started. The time therefore runs from when it
    /// works on a cancelled item, or from when only cancelled items are left.
    fn overdue_since(&self) -> u64 {
        let active = self
            .active
            .iter()
            .filter_map(|(item, &active)| Some(active.max(*self.cancelled.get(item)?)))
            .min();
        let nothing_else =
            !self.unfinished.is_empty() && self.unfinished.len() == self.unfinished_cancelled;
        let last = match nothing_else {
            true => self.unfinished.iter().filter_map(|item| self.cancelled.get(item)).max(),
            false => None,
        };
        active.into_iter().chain(last.copied()).min().unwrap_or(0)
    }
}

impl Default for CancelHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl CancelHandle {
    /// Creates a handle without cancellations; see
    /// [`SessionOptions::cancel_with`](crate::SessionOptions::cancel_with).
    pub fn new() -> Self {
        Self {
            state: Arc::new(CancelState {
                any: AtomicBool::new(false),
                all: AtomicBool::new(false),
                all_since: AtomicU64::new(0),
                killed: AtomicBool::new(false),
                overdue_since: AtomicU64::new(0),
                items: Mutex::default(),
                pushes: Mutex::default(),
                news: watch::Sender::new(0),
            }),
        }
    }

    /// Cancels one item. The plugin should stop it and continue with the next one.
    pub fn cancel_item(&self, item: ItemId) {
        self.set_item_status(Some(item), Status::Skipped);
    }

    /// Cancels everything. The plugin should stop all items and return.
    pub fn cancel_all(&self) {
        self.set_item_status(None, Status::Stopped);
    }

    /// Terminates the plugin immediately, whether it computes or waits. Unfinished items fail. Only
    /// [`Plugin::run`](crate::Plugin::run) and [`SessionThread`](crate::SessionThread) abandon a
    /// blocked system call; a sink that asks the user is waited for.
    pub fn kill(&self) {
        self.state.killed.store(true, Ordering::Release);
        self.notify();
    }

    /// Applies `ISyncMgrSynchronize::SetItemStatus`, which the sync manager may call between the
    /// start and the completion of preparing and synchronizing: `skipped` (or `deleted`) for an
    /// item, `stopped` for all (`None`). Any other combination is ignored. Returns whether the
    /// combination was valid.
    pub fn set_item_status(&self, item: Option<ItemId>, status: Status) -> bool {
        match (item, status) {
            (Some(item), Status::Skipped | Status::Deleted) => self.cancel(item),
            (None, Status::Stopped) => self.cancel_everything(),
            (Some(_), _) | (None, _) => return false,
        }
        self.state.pushes.lock().unwrap_or_else(PoisonError::into_inner).push((item, status));
        self.notify();
        true
    }

    /// Resets the cancellations, for another attempt that the user started after the run ended.
    pub fn renew(&self) {
        self.state.any.store(false, Ordering::Release);
        self.state.all.store(false, Ordering::Release);
        self.state.all_since.store(0, Ordering::Release);
        let mut items = self.lock_items();
        *items = Items::default();
        self.state.overdue_since.store(0, Ordering::Release);
        drop(items);
        self.take_pushes();
    }

    /// Returns the pending cancellation of an item, or (`None`) of everything.
    #[inline]
    pub fn response(&self, item: Option<ItemId>) -> ProgressResponse {
        if !self.state.any.load(Ordering::Acquire) {
            return ProgressResponse::Continue;
        }
        if self.state.all.load(Ordering::Acquire) {
            return ProgressResponse::CancelAll;
        }
        match item {
            Some(item) if self.lock_items().cancelled.contains_key(&item) => {
                ProgressResponse::CancelItem
            }
            Some(_) | None => ProgressResponse::Continue,
        }
    }

    /// Records the response of a sink.
    #[inline]
    pub(crate) fn answer(&self, item: ItemId, response: ProgressResponse) {
        match response {
            ProgressResponse::Continue => {}
            ProgressResponse::CancelItem => {
                if self.response(Some(item)) == ProgressResponse::Continue {
                    self.cancel(item);
                    self.notify();
                }
            }
            ProgressResponse::CancelAll => {
                if !self.state.all.load(Ordering::Acquire) {
                    self.cancel_everything();
                    self.notify();
                }
            }
        }
    }

    fn cancel(&self, item: ItemId) {
        let mut items = self.lock_items();
        items.cancel(item);
        self.state.overdue_since.store(items.overdue_since(), Ordering::Release);
        self.state.any.store(true, Ordering::Release);
    }

    fn cancel_everything(&self) {
        let first = Ordering::AcqRel;
        let _ = self.state.all_since.compare_exchange(0, clock::now(), first, Ordering::Acquire);
        self.state.all.store(true, Ordering::Release);
        self.state.any.store(true, Ordering::Release);
    }

    /// Records the items that the plugin received to work on.
    pub(crate) fn started(&self, started: impl Iterator<Item = ItemId>) {
        let mut items = self.lock_items();
        items.active.clear();
        items.unfinished = started.collect();
        items.unfinished_cancelled =
            items.unfinished.iter().filter(|item| items.cancelled.contains_key(item)).count();
        self.state.overdue_since.store(items.overdue_since(), Ordering::Release);
    }

    /// Records that the plugin reported another status of an item.
    pub(crate) fn moved(&self, item: ItemId, status: Status) {
        let mut items = self.lock_items();
        let items = &mut *items;
        match status {
            Status::Updating
            | Status::UpdatingIndeterminate
            | Status::Paused
            | Status::Resuming => {
                items.active.entry(item).or_insert_with(clock::now);
            }
            // Postponing a cancelled item does not stop its grace period.
            Status::Pending if items.cancelled.contains_key(&item) => {}
            Status::Pending => {
                items.active.remove(&item);
            }
            Status::Stopped
            | Status::Skipped
            | Status::Succeeded
            | Status::Failed
            | Status::Deleted => {
                items.active.remove(&item);
                if items.unfinished.remove(&item) && items.cancelled.contains_key(&item) {
                    items.unfinished_cancelled -= 1;
                }
            }
        }
        if !items.cancelled.is_empty() {
            self.state.overdue_since.store(items.overdue_since(), Ordering::Release);
        }
    }

    /// Returns the time at which everything was cancelled; 0 if it was not.
    pub(crate) fn all_since(&self) -> u64 {
        self.state.all_since.load(Ordering::Acquire)
    }

    /// Returns the time since which a cancelled item should have been finished; 0 if there is none.
    pub(crate) fn overdue_since(&self) -> u64 {
        self.state.overdue_since.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_killed(&self) -> bool {
        self.state.killed.load(Ordering::Acquire)
    }

    /// Returns the `SetItemStatus` calls since the last call.
    pub(crate) fn take_pushes(&self) -> Vec<(Option<ItemId>, Status)> {
        std::mem::take(&mut *self.state.pushes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a cancellation of the item, or (`None`) of everything.
    pub(crate) async fn wait_cancelled(&self, item: Option<ItemId>) {
        self.wait(|| (self.response(item) != ProgressResponse::Continue).then_some(())).await;
    }

    /// Waits for an answer; checks after every change.
    pub(crate) async fn wait<T>(&self, mut answer: impl FnMut() -> Option<T>) -> T {
        let mut news = self.state.news.subscribe();
        loop {
            if let Some(answer) = answer() {
                return answer;
            }
            // The sender is a field of `self`, so this cannot fail.
            let _ = news.changed().await;
        }
    }

    pub(crate) fn notify(&self) {
        self.state.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock_items(&self) -> MutexGuard<'_, Items> {
        self.state.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const A: ItemId = ItemId::from_uuid(Uuid::from_u128(1));
    const B: ItemId = ItemId::from_uuid(Uuid::from_u128(2));

    fn run() -> CancelHandle {
        let cancel = CancelHandle::new();
        cancel.started([A, B].into_iter());
        cancel
    }

    #[test]
    fn a_cancelled_item_is_due_only_while_the_plugin_works_on_it() {
        let cancel = run();
        cancel.moved(A, Status::Updating);
        cancel.cancel_item(B);
        assert_eq!(cancel.overdue_since(), 0, "the plugin is not at B");
        cancel.moved(B, Status::Updating);
        assert_ne!(cancel.overdue_since(), 0);
        cancel.moved(B, Status::Skipped);
        assert_eq!(cancel.overdue_since(), 0);
    }

    #[test]
    fn items_that_were_all_cancelled_are_due() {
        let cancel = run();
        cancel.cancel_item(A);
        assert_eq!(cancel.overdue_since(), 0);
        cancel.cancel_item(B);
        assert_ne!(cancel.overdue_since(), 0);
        let cancel = run();
        cancel.cancel_item(A);
        cancel.moved(B, Status::Succeeded);
        assert_ne!(cancel.overdue_since(), 0);
        cancel.moved(A, Status::Skipped);
        assert_eq!(cancel.overdue_since(), 0);
    }
}

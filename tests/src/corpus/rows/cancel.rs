//! Guests that ignore a cancellation.

use anyhow::ensure;
use syncmgr_host::Status::{Failed, Skipped, Stopped, Succeeded};

use crate::corpus::Act::{CancelAll, CancelItem, Kill};
use crate::corpus::Row;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::behavior("reports without end, and everything is cancelled", "storm")
            .limit(|limits| limits.compute_time = std::time::Duration::MAX)
            .act(50, CancelAll)
            .fails("ended-cancelled-all")
            .ends(&[Stopped, Stopped]),
        Row::behavior("sleeps, and everything is cancelled", "sleep")
            .much(20_000)
            .act(50, CancelAll)
            .fails("ended-cancelled-all")
            .ends(&[Stopped, Stopped]),
        Row::behavior("loops, and everything is cancelled", "spin")
            .limit(|limits| limits.compute_time = std::time::Duration::MAX)
            .act(50, CancelAll)
            .fails("ended-cancelled-all")
            .ends(&[Stopped, Stopped]),
        Row::behavior("loops in the notification of a cancellation", "spin")
            .at("set-item-status")
            .act(0, CancelAll)
            .fails("ended-cancelled-all")
            .ends(&[Stopped, Stopped]),
        Row::behavior("sleeps, and is killed", "sleep")
            .much(20_000)
            .act(50, Kill)
            .fails("ended-killed")
            .ends(&[Failed, Failed]),
        Row::behavior("loops, and is killed", "spin")
            .limit(|limits| limits.compute_time = std::time::Duration::MAX)
            .act(50, Kill)
            .fails("ended-killed")
            .ends(&[Failed, Failed]),
        Row::behavior("is killed before it starts", "spin")
            .at("initialize")
            .act(0, Kill)
            .fails("ended-killed")
            .ends(&[]),
        Row::behavior("answers a cancellation later than it may", "late")
            .much(10_000)
            .act(50, CancelAll)
            .fails("ended-cancelled-all")
            .ends(&[Stopped, Stopped]),
        Row::behavior("answers a cancellation late, and still in time", "late")
            .much(20)
            .limit(|limits| limits.grace = std::time::Duration::from_secs(5))
            .act(50, CancelAll)
            .ends(&[Stopped, Stopped]),
        Row::behavior("returns after a cancellation as if there had been none", "as-if-nothing")
            .act(50, CancelAll)
            .ends(&[Stopped, Stopped])
            .check(|ran| {
                ensure!(ran.report.progress_calls > 100, "it did not go on");
                Ok(())
            }),
        Row::behavior("goes on with a cancelled item", "go-on")
            .act(50, CancelItem)
            .fails("ended-cancelled-item")
            .ends(&[Skipped, Failed]),
        Row::behavior("says that a cancelled item is in sync", "")
            .act(0, CancelItem)
            .ends(&[Succeeded, Succeeded]),
    ]
}

//! Guests that disclose a secret. Every row checks that it appears nowhere.

use anyhow::ensure;

use super::crashes_in;
use crate::corpus::{Ran, Row};

fn masked(ran: &Ran) -> anyhow::Result<()> {
    let seen = format!("{:?} {:?}", ran.report, ran.recorded);
    ensure!(seen.contains("[secret]"), "{seen}");
    Ok(())
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::behavior("tells its secret wherever there are words", "tell")
            .terminates("plugin-error")
            .check(masked),
        Row::behavior("tells its secret in a panic", "tell-and-panic")
            .terminates("plugin-trap")
            .check(masked),
        crashes_in(
            Row::behavior("tells its secret in a panic while it is started", "tell-and-panic"),
            "initialize",
            "plugin-trap",
        )
        .check(masked),
        Row::behavior("has its secret for an item's name", "").set("items", "secret").check(masked),
        Row::behavior("has its secret for a name", "").set("handler", "secret"),
        Row::behavior("has its secret for a property", "").properties(),
    ]
}

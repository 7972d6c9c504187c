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
        Row::behavior("discloses its secret in every text", "disclose")
            .terminates("plugin-error")
            .check(masked),
        Row::behavior("discloses its secret in a panic", "disclose-and-panic")
            .terminates("plugin-trap")
            .check(masked),
        crashes_in(
            Row::behavior("discloses its secret in a panic at its start", "disclose-and-panic"),
            "initialize",
            "plugin-trap",
        )
        .check(masked),
        Row::behavior("has its secret for an item's name", "").set("items", "secret").check(masked),
        Row::behavior("has its secret for a name", "").set("handler", "secret"),
        Row::behavior("has its secret for a property", "").properties(),
    ]
}

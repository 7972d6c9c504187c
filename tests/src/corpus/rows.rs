//! The table, one file for each kind of nonconformance.

mod abi;
mod cancel;
mod components;
#[cfg(unix)]
mod files;
mod memory;
mod reports;
mod secrets;
mod time;
mod traps;

use super::Row;

/// The exports of a plugin.
const EXPORTS: [&str; 9] = [
    "initialize",
    "get-handler-info",
    "enum-items",
    "prepare-for-sync",
    "synchronize",
    "set-item-status",
    "show-error",
    "get-properties",
    "set-properties",
];
/// The exports that an ordinary run calls before there are items.
const BEFORE_ITEMS: [&str; 3] = ["initialize", "get-handler-info", "enum-items"];

/// Expects a row to crash in an export that an ordinary run calls.
fn crashes_in(row: Row, export: &'static str, code: &'static str) -> Row {
    use super::Act::CancelItem;
    let row = row.at(export);
    match export {
        export if BEFORE_ITEMS.contains(&export) => row.terminates_early(code),
        // A status is set only for a cancellation before `synchronize`.
        "set-item-status" => row.act(0, CancelItem).terminates(code),
        // At this point, all items are in sync.
        "show-error" => row.retries(1).set("jump", "yes").fails(code),
        "get-properties" | "set-properties" => row.properties().fails(code),
        _ => row.terminates(code),
    }
}

pub(super) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(time::rows());
    rows.extend(cancel::rows());
    rows.extend(memory::rows());
    rows.extend(reports::rows());
    rows.extend(traps::rows());
    rows.extend(abi::rows());
    #[cfg(unix)]
    rows.extend(files::rows());
    rows.extend(secrets::rows());
    rows.extend(components::rows());
    rows
}

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

/// What an ordinary run calls before there are items.
const BEFORE_ITEMS: [&str; 3] = ["initialize", "get-handler-info", "enum-items"];

/// Makes a row die in an export, wherever an ordinary run comes to it.
fn die_in(row: Row, export: &'static str, code: &'static str) -> Row {
    use super::Act::CancelItem;
    let row = row.at(export);
    match export {
        export if BEFORE_ITEMS.contains(&export) => row.dies_early(code),
        // A status is set only if something was cancelled before the items were synchronized.
        "set-item-status" => row.act(0, CancelItem).dies(code),
        // By then, everything is in sync.
        "show-error" => row.retries(1).fails(code),
        "get-properties" | "set-properties" => row.properties().fails(code),
        _ => row.dies(code),
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

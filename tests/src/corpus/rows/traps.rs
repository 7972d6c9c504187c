//! Guests that crash in every function.

use anyhow::ensure;

use super::{EXPORTS, crashes_in};
use crate::corpus::Row;
use crate::corpus::core::Core;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for export in EXPORTS {
        let panic = Row::behavior(format!("panics in {export}"), "panic").set("words", "no lemons");
        rows.push(crashes_in(panic, export, "plugin-trap").check(|ran| {
            ensure!(ran.message().contains("no lemons"), "{}", ran.message());
            Ok(())
        }));
    }
    for export in ["initialize", "enum-items", "synchronize", "show-error"] {
        let exit = Row::behavior(format!("exits in {export}"), "exit").much(3);
        rows.push(crashes_in(exit, export, "plugin-exit"));
    }
    let success = Row::behavior("exits as if it had succeeded", "exit").much(0);
    rows.push(success.terminates("plugin-exit"));
    rows.push(
        Row::behavior("panics with words that move the cursor", "panic-badly")
            .terminates("plugin-trap"),
    );
    for export in ["initialize", "get-handler-info", "enum-items"] {
        let core = Core::new().body(export, "unreachable");
        rows.push(Row::core(format!("traps in {export}"), core).terminates_early("plugin-trap"));
    }
    for export in ["prepare-for-sync", "synchronize"] {
        let core = Core::new().body(export, "unreachable");
        rows.push(Row::core(format!("traps in {export}"), core).terminates("plugin-trap"));
    }
    let set = Core::new().body("set-item-status", "unreachable");
    let set = Row::core("traps in set-item-status", set);
    rows.push(set.act(0, crate::corpus::Act::CancelItem).terminates("plugin-trap"));
    for export in ["get-properties", "set-properties"] {
        let core = Row::core(format!("traps in {export}"), Core::new().body(export, "unreachable"));
        rows.push(core.properties().fails("plugin-trap"));
    }
    let show = Core::new().body("show-error", "unreachable").import(
        "syncmgr:plugin/synchronize-callback@0.1.0",
        "log-error",
        "$log (param i32 i32 i32 i32 i32 i32 i64 i64 i32 i64 i64 i32 i32 i32)",
    );
    let show = show.body(
        "synchronize",
        "(call $log (i32.const 2) (i32.const 2048) (i32.const 1) (i32.const 1) (i32.const 1)
            (i32.const 1) (i64.const 5) (i64.const 5) (i32.const 0) (i64.const 0) (i64.const 0)
            (i32.const 0) (i32.const 0) (i32.const 3072))
         call $succeed i32.const 1024",
    );
    rows.push(Row::core("traps in show-error", show).retries(1).fails("plugin-trap"));
    rows.push(
        Row::core(
            "traps in a start function",
            Core::new().also("(func $s unreachable) (start $s)"),
        )
        .terminates_early("plugin-trap"),
    );
    for (name, body) in [
        ("divides by zero", "(i32.div_u (i32.const 1) (i32.const 0))"),
        ("reads beyond its memory", "(i32.load (i32.const -1))"),
        ("writes beyond its memory", "(i64.store (i32.const -1) (i64.const 0)) i32.const 0"),
        ("makes an integer of a number that is none", "(i32.trunc_f32_u (f32.const nan))"),
        ("calls a function that is not there", "(call_indirect (result i32) (i32.const 5))"),
    ] {
        let core = Core::new().also("(table 1 funcref)").body("synchronize", body);
        rows.push(Row::core(name, core).terminates("plugin-trap"));
    }
    rows
}

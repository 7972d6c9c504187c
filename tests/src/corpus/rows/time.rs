//! Guests that exhaust their time.

use std::time::Duration;

use anyhow::ensure;

use super::{EXPORTS, crashes_in};
use crate::corpus::core::Core;
use crate::corpus::{Guest, Row};

const FOREVER: &str = "(loop $l (br $l)) unreachable";

pub(super) fn rows() -> Vec<Row> {
    let mut rows: Vec<_> = EXPORTS
        .into_iter()
        .map(|export| {
            let row = Row::behavior(format!("loops without end in {export}"), "spin");
            crashes_in(row, export, "ended-compute-time")
        })
        .collect();
    let core = |name, core: Core| Row::core(name, core).terminates_early("ended-compute-time");
    rows.extend([
        core(
            "loops without end in a start function",
            Core::new().also(format!("(func $start {FOREVER}) (start $start)")),
        ),
        core(
            "loops without end when something has been returned",
            Core::new().post("get-handler-info", FOREVER),
        ),
        core("loops without end when the host asks for memory", Core::new().realloc(FOREVER))
            .terminates("ended-compute-time"),
        core(
            "fills memory again and again with one instruction",
            Core::new().memory("(memory (export \"memory\") 900)").body(
                "initialize",
                "(loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x3840000)) (br $l))
                 unreachable",
            ),
        ),
        Row::behavior("loops without end behind a storm of reports", "spin-in-storm")
            .terminates("ended-compute-time"),
        Row::behavior("reports without end, computing", "storm").terminates("ended-compute-time"),
        Row::behavior("reports without end, sleeping", "sleep-and-report")
            .terminates("ended-wall-time"),
        Row::behavior("sleeps past the time in which it has to give a sign of life", "sleep")
            .much(20_000)
            .terminates("ended-idle-time"),
        Row::behavior("sleeps past the time for a call", "sleep")
            .much(20_000)
            .limit(|limits| limits.wall_time = Duration::from_millis(300))
            .terminates("ended-wall-time"),
        Row::behavior("sleeps while it is started", "sleep")
            .much(20_000)
            .at("initialize")
            .terminates_early("ended-idle-time"),
        Row::behavior("sleeps for weeks", "sleep")
            .much(u32::MAX.into())
            .terminates("ended-idle-time"),
        Row::behavior("asks to be tried again without end", "")
            .retries(3)
            .set("jump", "yes")
            .set("retry", "always")
            .check(|ran| {
                ensure!(ran.report.items.len() == 2, "{:?}", ran.report.items);
                Ok(())
            }),
        Row::new("calls out without end, with nothing to say", Guest::Core(nothing_to_say()))
            .terminates("ended-compute-time"),
    ]);
    rows
}

fn nothing_to_say() -> Core {
    Core::new()
        .import(
            "syncmgr:plugin/synchronize-callback@0.1.0",
            "is-cancelled",
            "$asks (param i32 i64 i64) (result i32)",
        )
        .body(
            "synchronize",
            "(loop $l (drop (call $asks (i32.const 0) (i64.const 0) (i64.const 0))) (br $l))
             unreachable",
        )
}

//! Guests that violate the canonical ABI, which compilers never do.

use crate::corpus::Row;
use crate::corpus::core::Core;

const CALLBACK: &str = "syncmgr:plugin/synchronize-callback@0.1.0";
const DIRECTORIES: &str = "syncmgr:plugin/directories@0.1.0";

/// Returns an area at 3072 with this content.
fn area(stores: &str) -> String {
    format!("{stores} i32.const 3072")
}

fn store(offset: u32, value: &str) -> String {
    format!("(i32.store offset={offset} (i32.const 3072) (i32.const {value}))\n")
}

fn store_byte(offset: u32, value: &str) -> String {
    format!("(i32.store8 offset={offset} (i32.const 3072) (i32.const {value}))\n")
}

/// The info of a handler with this name.
fn named(pointer: &str, length: &str) -> Core {
    let stores = store(4, pointer) + &store(8, length);
    Core::new().body("get-handler-info", area(&stores))
}

/// A list of items at this address.
fn listed(pointer: &str, length: &str) -> Core {
    let stores = store(4, pointer) + &store(8, length);
    Core::new().body("enum-items", area(&stores))
}

/// A report with a text and a status.
fn reported(text: &str, status: &str) -> Core {
    Core::new().body(
        "synchronize",
        format!(
            "(drop (call $progress (i64.const 10) (i64.const 1) {text} {status}
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))) i32.const 1024"
        ),
    )
}

const NO_TEXT: &str = "(i32.const 0) (i32.const 0) (i32.const 0)";
const NO_STATUS: &str = "(i32.const 0) (i32.const 0)";

/// Imports functions for handles: `$open`, `$stat` and `$drop` of directories, `$subscribe` and
/// `$forget` of pollables.
fn handles(body: &str) -> Core {
    Core::new()
        .import(DIRECTORIES, "[method]directory.metadata", "$stat (param i32 i32)")
        .import(DIRECTORIES, "[resource-drop]directory", "$drop (param i32)")
        .import(DIRECTORIES, "[resource-drop]file", "$drop-file (param i32)")
        .import(CALLBACK, "subscribe-cancelled", "$subscribe (param i32 i64 i64) (result i32)")
        .import("wasi:io/poll@0.2.12", "[resource-drop]pollable", "$forget (param i32)")
        .import("wasi:io/poll@0.2.12", "[method]pollable.block", "$block (param i32)")
        .import("wasi:io/poll@0.2.12", "poll", "$poll (param i32 i32 i32)")
        .also(
            "(func $one (result i32) (call $subscribe (i32.const 0) (i64.const 0) (i64.const 0)))",
        )
        .body("synchronize", format!("(local $h i32) {body} i32.const 1024"))
}

pub(super) fn rows() -> Vec<Row> {
    let early = |name, core| Row::core(name, core).terminates_early("plugin-trap");
    let late = |name, core| Row::core(name, core).terminates("plugin-trap");
    let text = |pointer: &str, length: &str| {
        format!("(i32.const 1) (i32.const {pointer}) (i32.const {length})")
    };
    vec![
        early("returns an area beyond its memory", Core::new().body("initialize", "i32.const -16")),
        early(
            "returns an area that is not aligned",
            Core::new().body("initialize", "i32.const 1025"),
        ),
        early("returns a text beyond its memory", named("0x7fffffff", "10")),
        early("returns a text that is longer than its memory", named("2048", "0x7fffffff")),
        early("returns a text whose end overflows", named("-1", "-1")),
        early("returns a text that is no Unicode", named("2049", "2")),
        early("returns a list beyond its memory", listed("0x7ffffff0", "1")),
        Row::core("returns a list that is longer than its memory", listed("1152", "1000000"))
            .terminates_early("plugin-trap"),
        early("returns a list whose length overflows", listed("1152", "0x0aaaaaab")),
        early("returns a list of the greatest length", listed("1152", "-1")),
        early("returns a list that is not aligned", listed("1153", "1")),
        Row::core(
            "returns the same item many times",
            Core::new()
                .body("enum-items", area(&(store(4, "8192") + &store(8, "50"))))
                .also("(data (i32.const 8208) \"\\00\\08\\00\\00\\01\")"),
        )
        .terminates_early("plugin-bad-data"),
        early(
            "returns a case that a result does not have",
            Core::new().body("initialize", area(&store_byte(0, "7"))),
        ),
        early(
            "returns a case that an enumeration does not have",
            Core::new().body("initialize", area(&store_byte(4, "9"))),
        ),
        early(
            "returns an error code that there is not",
            Core::new().body("initialize", area(&(store_byte(0, "1") + &store_byte(4, "99")))),
        ),
        early(
            "returns a message beyond its memory",
            Core::new().body(
                "initialize",
                area(&(store_byte(0, "1") + &store(8, "-100") + &store(12, "1000"))),
            ),
        ),
        early(
            "returns an item with a state that there is not",
            Core::new().also("(data (i32.const 1177) \"\\77\")"),
        ),
        early(
            "returns an item with an option that is neither",
            Core::new().also("(data (i32.const 1184) \"\\05\")"),
        ),
        Row::core(
            "returns an item with flags that there are not",
            Core::new().also("(data (i32.const 1176) \"\\ff\")"),
        ),
        late("reports a text beyond its memory", reported(&text("0x7fffffff", "9"), NO_STATUS)),
        late("reports a text that is no Unicode", reported(&text("2049", "2"), NO_STATUS)),
        late("reports a text whose end overflows", reported(&text("-8", "16"), NO_STATUS)),
        late(
            "reports a status that there is not",
            reported(NO_TEXT, "(i32.const 1) (i32.const 77)"),
        ),
        late("reports an option that is neither", reported(NO_TEXT, "(i32.const 5) (i32.const 0)")),
        late("gives a negative case", reported(NO_TEXT, "(i32.const 1) (i32.const -1)")),
        late("gives memory that is not there", Core::new().realloc("i32.const -16")),
        late("gives memory that is not aligned", Core::new().realloc("i32.const 65537")),
        late("traps when the host asks for memory", Core::new().realloc("unreachable")),
        late(
            "calls out when the host asks for memory",
            Core::new().realloc("call $succeed i32.const 65536"),
        ),
        early(
            "calls out when something has been returned",
            Core::new().post("get-handler-info", "call $succeed"),
        ),
        early(
            "traps when something has been returned",
            Core::new().post("enum-items", "unreachable"),
        ),
        early(
            "calls out while it is started, before there are items",
            Core::new().also("(func $start call $succeed unreachable) (start $start)"),
        ),
        late(
            "uses a handle that it made up",
            handles("(call $stat (i32.const 99) (i32.const 3072))"),
        ),
        late("uses the handle 0", handles("(call $stat (i32.const 0) (i32.const 3072))")),
        late("uses the greatest handle", handles("(call $stat (i32.const -1) (i32.const 3072))")),
        late("drops a handle that it made up", handles("(call $drop (i32.const 99))")),
        late(
            "drops a handle twice",
            handles(
                "(local.set $h (call $one)) (call $forget (local.get $h)) (call $forget (local.get $h))",
            ),
        ),
        late(
            "uses a handle that it dropped",
            handles(
                "(local.set $h (call $one)) (call $forget (local.get $h)) (call $block (local.get $h))",
            ),
        ),
        late(
            "uses a handle as one of another kind",
            handles("(call $stat (call $one) (i32.const 3072))"),
        ),
        late("drops a handle as one of another kind", handles("(call $drop-file (call $one))")),
        late(
            "polls handles beyond its memory",
            handles("(call $poll (i32.const -4) (i32.const 1000) (i32.const 3072))"),
        ),
        late("polls nothing", handles("(call $poll (i32.const 0) (i32.const 0) (i32.const 3072))")),
        late(
            "has the host answer beyond its memory",
            handles("(call $poll (i32.const 0) (i32.const 0) (i32.const -4))"),
        ),
        Row::core("takes handles without end", handles("(loop $l (drop (call $one)) (br $l))"))
            .terminates("ended-handles"),
        Row::core(
            "polls the same handle very often at once",
            handles(
                "(local.set $h (call $one))
                 (memory.fill (i32.const 65536) (i32.const 0) (i32.const 131072))
                 (loop $l
                    (i32.store (i32.add (i32.const 65536) (global.get $n)) (local.get $h))
                    (global.set $n (i32.add (global.get $n) (i32.const 4)))
                    (br_if $l (i32.lt_u (global.get $n) (i32.const 131072))))
                 (call $poll (i32.const 65536) (i32.const 32768) (i32.const 3072))",
            )
            .also("(global $n (mut i32) (i32.const 0))"),
        )
        // The host must not lend more handles than its limit.
        .terminates("ended-handles"),
    ]
}

//! Guests that exhaust memory and storage.

use anyhow::{Context as _, ensure};
use syncmgr_host::Status::{Failed, Succeeded};
use syncmgr_host::{ErrorCode, Hresult};

use crate::corpus::Row;
use crate::corpus::core::Core;

fn core(name: &str, core: Core) -> Row {
    Row::core(name, core)
}

fn repeated(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect()
}

pub(super) fn rows() -> Vec<Row> {
    let grow = |pages: &str| {
        format!("(loop $l (drop (memory.grow (i32.const {pages}))) (br $l)) unreachable")
    };
    let mut rows = vec![
        Row::behavior("allocates piece by piece", "allocate").terminates("ended-memory"),
        Row::behavior("allocates all at once", "allocate-once")
            .much(1 << 30)
            .terminates("ended-memory"),
        core("grows its memory page by page", Core::new().body("synchronize", grow("1")))
            .terminates("ended-memory"),
        core("grows its memory at once", Core::new().body("synchronize", grow("60000")))
            .terminates("ended-memory"),
        core(
            "starts with too large a memory",
            Core::new().memory("(memory (export \"memory\") 2000)"),
        )
        .terminates_early("ended-memory"),
        core("has many memories", Core::new().also(repeated(30, |_| "(memory 1)\n".to_owned())))
            .terminates_early("ended-instances"),
        core(
            "has many memories that are too large together",
            Core::new().also(repeated(15, |_| "(memory 100)\n".to_owned())),
        )
        .terminates_early("ended-memory"),
        core(
            "has many tables",
            Core::new().also(repeated(30, |_| "(table 1 funcref)\n".to_owned())),
        )
        .terminates_early("ended-instances"),
        core("starts with too large a table", Core::new().also("(table 9000000 funcref)"))
            .terminates_early("ended-tables"),
        core(
            "grows its table at once",
            Core::new().also("(table $t 1 funcref)").body(
                "synchronize",
                "(drop (table.grow $t (ref.null func) (i32.const 0x7fffffff))) i32.const 1024",
            ),
        )
        .terminates("ended-tables"),
        core(
            "grows its tables bit by bit",
            Core::new().also("(table $t 1 funcref) (table $u 1 funcref)").body(
                "synchronize",
                "(loop $l
                    (drop (table.grow $t (ref.null func) (i32.const 10)))
                    (drop (table.grow $u (ref.null func) (i32.const 10)))
                    (br $l)) unreachable",
            ),
        )
        .terminates("ended-tables"),
        core(
            "calls itself without end",
            Core::new()
                .also("(func $deep call $deep)")
                .body("synchronize", "call $deep unreachable"),
        )
        .terminates("ended-stack"),
        core(
            "calls itself without end, with large frames",
            Core::new()
                .also(format!(
                    "(func $deep (param i64) (result i64) {} (call $deep (i64.const 1)) {})",
                    repeated(500, |n| format!("(i64.add (local.get 0) (i64.const {n}))\n")),
                    "i64.add\n".repeat(500),
                ))
                .body("synchronize", "(drop (call $deep (i64.const 0))) unreachable"),
        )
        .terminates("ended-stack"),
        core(
            "calls itself without end while it is started",
            Core::new().also("(func $deep call $deep) (start $deep)"),
        )
        .terminates_early("ended-stack"),
        Row::behavior("reports a text of megabytes", "text").much(3 << 20).check(|ran| {
            let longest = ran.report.items.iter().map(|item| item.text.len()).max();
            ensure!(longest == Some(4096), "{longest:?}");
            Ok(())
        }),
        Row::behavior("reports a text that is too long to hand over", "text")
            .much(8 << 20)
            .terminates("ended-host-call-bytes"),
        Row::behavior("logs a text of megabytes", "log-text").much(3 << 20).check(|ran| {
            ensure!(ran.texts().all(|text| text.len() <= 4096), "it was not cut");
            Ok(())
        }),
        Row::behavior("logs a text that is too long to hand over", "log-text")
            .much(8 << 20)
            .terminates("ended-host-call-bytes"),
        Row::behavior("asks a question with very many choices", "choices").much(50_000),
        Row::behavior("asks a question with more choices than it can hand over", "choices")
            .much(400_000)
            .terminates("ended-host-call-bytes"),
        Row::behavior("fails with a message of megabytes", "error")
            .much(3 << 20)
            .terminates("plugin-error")
            .check(|ran| {
                ensure!(ran.message().len() < 5_000, "the message was not cut");
                Ok(())
            }),
        Row::behavior("has a name of megabytes", "").set("handler", "long").much(3 << 20),
        Row::behavior("has an item with a name of megabytes", "")
            .set("items", "long")
            .much(1 << 20)
            .check(|ran| {
                let item = ran.report.items.first().context("no item")?;
                ensure!(item.name.len() == 127, "{}", item.name.len());
                Ok(())
            }),
        Row::behavior("wants the same item tried again a hundred thousand times", "")
            .retries(1)
            .set("jump", "yes")
            .set("retry", "many")
            .much(100_000),
        Row::behavior("wants more tried again than it can hand over", "")
            .retries(1)
            .set("jump", "yes")
            .set("retry", "many")
            .much(400_000)
            .fails("ended-host-call-bytes"),
        Row::behavior("returns megabytes of error details", "")
            .retries(1)
            .set("jump", "yes")
            .set("retry", "text")
            .much(3 << 20),
        Row::behavior("logs more than is kept", "log-flood")
            .much(20_000)
            .limit(|limits| limits.log_bytes = 50 << 10)
            .check(|ran| {
                let kept: usize = ran.texts().map(str::len).sum();
                ensure!(kept <= 50 << 10, "{kept} bytes were kept");
                ensure!(ran.report.dropped_log_entries > 19_000, "{}", ran.report.log.len());
                Ok(())
            }),
        Row::behavior("logs more often than is kept", "log-flood").much(20_000).check(|ran| {
            ensure!(ran.report.log.len() <= 1_000, "{}", ran.report.log.len());
            ensure!(ran.report.dropped_log_entries >= 19_000, "{}", ran.report.dropped_log_entries);
            Ok(())
        }),
        Row::behavior("logs and takes back without end", "log-and-delete")
            .terminates("ended-compute-time")
            .check(|ran| {
                // One report per entry and per deletion, and two reports by the host.
                ensure!(ran.recorded.len() < 2_100, "{} callbacks", ran.recorded.len());
                Ok(())
            }),
        Row::behavior("prints megabytes", "stdout").much(20_000),
        Row::behavior("complains for megabytes", "stderr").much(20_000),
        Row::behavior("counts many things", "counts").much(5_000).check(|ran| {
            let counts = ran.report.items.first().map(|item| item.counts.len());
            ensure!(counts == Some(64), "{counts:?}");
            Ok(())
        }),
        Row::behavior("counts things with impossible names", "count-names").much(1 << 20).check(
            |ran| {
                let counts = ran.report.items.first().map(|item| item.counts.len());
                ensure!(counts == Some(0), "{counts:?}");
                Ok(())
            },
        ),
        Row::behavior("has 10,000 items", "")
            .set("items", "many")
            .much(10_000)
            .ends(&[Succeeded; 10_000])
            .limit(|limits| limits.compute_time = std::time::Duration::from_secs(5)),
        Row::behavior("fills the texts and counts of its items", "fill-items")
            .set("items", "many")
            .much(1_000)
            .limit(|limits| {
                limits.item_bytes = 1 << 20;
                limits.compute_time = std::time::Duration::from_secs(5);
            })
            .fails("ended-item-bytes")
            .ends(&[Failed; 1_000]),
        Row::behavior("reports more than may be recorded", "long-texts")
            .limit(|limits| {
                limits.record_bytes = 1 << 20;
                limits.progress_per_second = u64::MAX;
                limits.compute_time = std::time::Duration::from_secs(5);
            })
            .terminates("ended-record-bytes")
            .check(|ran| {
                ensure!(ran.recorded.len() < 300, "{} calls were recorded", ran.recorded.len());
                Ok(())
            }),
        Row::behavior("has 10,001 items", "")
            .set("items", "many")
            .much(10_001)
            .terminates_early("plugin-bad-data"),
        Row::behavior("subscribes without end", "leak-subscriptions")
            .much(1_000)
            .terminates("ended-handles"),
        Row::behavior("makes timers without end", "leak-pollables")
            .much(1_000)
            .terminates("ended-handles"),
    ];
    for (name, behavior) in [
        ("opens a directory again and again", "leak-directories"),
        ("opens an open directory again and again", "leak-reopened"),
        ("lists a directory again and again", "leak-listings"),
        ("opens a file again and again", "leak-files"),
    ] {
        rows.push(
            Row::behavior(name, behavior)
                .files()
                .much(1_000)
                .terminates("plugin-error")
                .check(|ran| {
                    ensure!(
                        ran.texts().any(|text| text.starts_with("taken ")),
                        "{:?}",
                        ran.report.log
                    );
                    ensure!(
                        ran.message().contains(ErrorCode::Failed.name())
                            || ran.message().contains("Failed")
                    );
                    Ok(())
                })
                .hresult(Hresult::E_FAIL),
        );
    }
    rows.push(
        Row::behavior("opens a file again and again through WASI", "leak-descriptors")
            .files()
            .much(1_000)
            .terminates("plugin-error"),
    );
    rows.push(
        Row::behavior("makes streams without end", "leak-streams")
            .files()
            .much(1_000)
            .terminates("plugin-error")
            .check(|ran| {
                ensure!(ran.message().contains("quota"), "{}", ran.message());
                Ok(())
            }),
    );
    rows
}

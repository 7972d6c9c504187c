//! Guests that access files without a grant.

use std::time::Duration;

use crate::corpus::Act::Kill;
use crate::corpus::Row;
use crate::corpus::workdir::Workdir;

pub(super) fn rows() -> Vec<Row> {
    let endless = |row: Row| row.files().limit(|limits| limits.compute_time = Duration::MAX);
    let long = |row: Row| row.limit(|limits| limits.compute_time = Duration::from_secs(5));
    let mut rows = vec![
        long(Row::behavior("looks for every way out through WASI", "escape-wasi").files()),
        long(
            Row::behavior("looks for every way out through directories", "escape-directories")
                .files(),
        ),
        Row::behavior("races against a directory that becomes a link", "race")
            .files()
            .much(2_000)
            .limit(|limits| {
                limits.compute_time = Duration::from_secs(30);
                limits.wall_time = Duration::from_secs(30);
            })
            .concurrently(Workdir::swap),
        Row::behavior("opens a FIFO through WASI", "fifo-wasi").files(),
        Row::behavior("opens a FIFO through directories", "fifo-directories").files(),
        endless(Row::behavior("has the host read without end, and is killed", "hash-forever"))
            .act(300, Kill)
            .terminates("ended-killed"),
        endless(Row::behavior("has the host copy without end, and is killed", "copy-forever"))
            .act(50, Kill)
            .terminates("ended-killed"),
        Row::behavior("has the host read without end", "hash-forever")
            .files()
            .terminates("ended-compute-time"),
        endless(Row::behavior("has the host read without a sign of life", "hash-forever"))
            .terminates("ended-idle-time"),
        Row::behavior("has the host hash the same bytes without end", "hash-again")
            .files()
            .terminates("ended-compute-time"),
        Row::behavior("has the host hash nothing without end", "hash-sparse")
            .files()
            .terminates("ended-compute-time"),
        Row::behavior("has the host copy nothing without end", "copy-again")
            .files()
            .terminates("ended-compute-time"),
        Row::behavior("has the host look at a file without end", "look-again")
            .files()
            .terminates("ended-compute-time"),
        Row::behavior("moves links to where they lead out", "move-links").files(),
    ];
    for (name, how) in [
        ("below what a path can name", "deep"),
        ("in a directory that no one can list", "unreadable"),
        ("with directories", "directories"),
        ("with directories of WASI", "wasi-directories"),
        ("with files of WASI", "wasi-files"),
        ("with links of WASI", "wasi-links"),
        ("with names of WASI", "wasi-names"),
        ("with names", "names"),
        ("with a file that has a name there", "shared"),
        ("with a file that has a name there, through WASI", "shared-by-wasi"),
        ("with a file that was moved there", "moved"),
        ("with a directory that was moved there", "moved-directory"),
        ("with files that keep a name", "removed-name"),
        ("with files that are open", "open"),
    ] {
        let row = Row::behavior(format!("overfills its storage {name}"), "overfill");
        rows.push(row.files().storage().much(1 << 20).set("how", how));
    }
    for (name, behavior) in [
        ("changes what it may only read, through WASI", "change-wasi"),
        ("changes what it was given to read only, through WASI", "change-wasi-locked"),
        ("changes what it may only read, through directories", "change-directories"),
        (
            "changes what it was given to read only, through directories",
            "change-directories-locked",
        ),
    ] {
        rows.push(Row::behavior(name, behavior).files());
    }
    rows
}

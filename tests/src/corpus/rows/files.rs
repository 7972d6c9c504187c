//! Guests that reach for files.

use std::time::Duration;

use crate::corpus::Act::Kill;
use crate::corpus::Row;
use crate::corpus::place::Place;

pub(super) fn rows() -> Vec<Row> {
    let long = |row: Row| row.limit(|limits| limits.compute_time = Duration::from_secs(5));
    let mut rows = vec![
        long(Row::deed("looks for every way out through WASI", "escape-wasi").files()),
        long(
            Row::deed("looks for every way out through directories", "escape-directories").files(),
        ),
        Row::deed("races against a directory that becomes a link", "race")
            .files()
            .much(2_000)
            .limit(|limits| {
                limits.compute_time = Duration::from_secs(30);
                limits.wall_time = Duration::from_secs(30);
            })
            .meanwhile(Place::swap),
        Row::deed("opens a FIFO through WASI", "fifo-wasi").files(),
        Row::deed("opens a FIFO through directories", "fifo-directories").files(),
        Row::deed("has the host read without end, and is killed", "hash-forever")
            .files()
            .act(300, Kill)
            .dies("ended-killed"),
        Row::deed("has the host copy without end, and is killed", "copy-forever")
            .files()
            .act(50, Kill)
            .dies("ended-killed"),
        Row::deed("has the host read without end", "hash-forever").files().dies("ended-idle-time"),
    ];
    for (name, deed) in [
        ("changes what it may only read, through WASI", "change-wasi"),
        ("changes what it was given to read only, through WASI", "change-wasi-locked"),
        ("changes what it may only read, through directories", "change-directories"),
        (
            "changes what it was given to read only, through directories",
            "change-directories-locked",
        ),
    ] {
        rows.push(Row::deed(name, deed).files());
    }
    rows
}

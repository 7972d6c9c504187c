//! The page about limits, a Markdown page that is generated from the code.

use std::fmt::Write as _;

use syncmgr_host::{LimitRow, Limits, LoadLimits, StopReason, hresult};

const HEAD: &str = "\
<!-- Made from the code. Renew it with `BLESS=1 cargo test --test host limits`. -->

# Limits

Every limit holds unless it is changed: with `--limit NAME=VALUE` on the command line, in the part
`[limits]` of a job file, or in `Limits` and `LoadLimits` of the library. `none` lifts one. A report tells
what a run used: `peak-memory-bytes`, `compute-microseconds`, `host-calls` and `progress-calls`.

Sizes are in bytes, `KiB`, `MiB` or `GiB`; times in `ms`, `s`, `min` or `h`. Times are looked at every
10 ms.
";

const CONTRACT: &str = "
## Fixed by the contract

These cannot be changed, because Windows' structures or the contract have no room for more.

| what | at most | beyond it |
|---|---|---|
| handler's name | 31 UTF-16 code units | cut at a character |
| item's name | 127 UTF-16 code units | cut at a character |
| text of a report, a log entry, a question | 4,096 bytes | cut at a character |
| detail of an error | 65,536 bytes | cut at a character |
| label, option or choice | 256 bytes | cut at a character |
| choices of a question | 16 | refused |
| properties of an item, options of a property | 256 each | refused |
| counts of an item | 64, with names of 64 bytes | ignored |
| name of a file | 255 bytes | refused |
| entries of one page of a listing | 1,024 | on the next page |
| bytes of one read | 1 MiB | with the next read |
| entries of all directories that are listed through WASI at once | 100,000 | refused; `directories` lists any number |
| listings through WASI that are open at once | 8 | refused |
| a line of output that `-v`, `dev` and `test` show | 64 KiB, and 1 MiB in all | in parts; not shown |
| name and file of a frame of a crash | 500 bytes each | cut at a character |
";

fn table(page: &mut String, title: &str, rows: &[LimitRow]) -> std::fmt::Result {
    write!(
        page,
        "\n## {title}\n\n| name | unit | default | what it bounds, and why that much |\n|---|---|---|---|\n"
    )?;
    for row in rows {
        let LimitRow { name, unit, value, reason } = row;
        writeln!(page, "| `{name}` | {} | {value} | {reason} |", unit.name())?;
    }
    Ok(())
}

/// Returns the page. It is deterministic.
///
/// # Errors
/// Writing to memory does not fail.
pub fn page() -> Result<String, std::fmt::Error> {
    let mut page = HEAD.to_owned();
    table(&mut page, "While a plugin is loaded", &LoadLimits::default().rows())?;
    table(&mut page, "While it runs", &Limits::default().rows())?;
    page.push_str(CONTRACT);
    page.push_str(
        "\n## Why a plugin was ended\n\n\
         The code is in the report's error, and the HRESULT is what `SynchronizeCompleted` carries. Items \
         that were not finished fail with it; those that were keep their result.\n\n\
         | code | HRESULT | what the message says |\n|---|---|---|\n",
    );
    for &reason in StopReason::ALL {
        let hresult = hresult::from_stop_reason(reason);
        let limit = reason.limit().map(|name| format!(" (`{name}`)")).unwrap_or_default();
        writeln!(page, "| `{}` | `{hresult}` | {reason}{limit} |", reason.code())?;
    }
    Ok(page)
}

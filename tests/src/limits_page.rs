//! The page about limits, a Markdown page that is generated from the code.

use std::fmt::Write as _;

use syncmgr_host::{LimitRow, Limits, LoadLimits, TerminationReason, hresult};

const HEAD: &str = "\
<!-- Generated from the code. Update it with `BLESS=1 cargo test --test host limits`. -->

# Limits

Limits can be changed with `--limit NAME=VALUE` on the command line, in the table `[limits]` of a job
file, or in `Limits` and `LoadLimits` of the library. `none` removes a limit. The report of a run
contains its usage: `peak-memory-bytes`, `compute-microseconds`, `host-calls` and `progress-calls`.

Sizes are in bytes, `KiB`, `MiB` or `GiB`; times are in `ms`, `s`, `min` or `h`. Times are checked
every 10 ms.
";

const CONTRACT: &str = "
## Fixed by the contract

These limits are part of the contract or of the structures of Windows, and cannot be changed.

| item | limit | excess |
|---|---|---|
| handler's name | 31 UTF-16 code units | truncated at a character |
| item's name | 127 UTF-16 code units | truncated at a character |
| text of a report, a log entry, a question | 4,096 bytes | truncated at a character |
| detail of an error | 65,536 bytes | truncated at a character |
| label, option or choice | 256 bytes | truncated at a character |
| choices of a question | 16 | rejected |
| properties of an item, options of a property | 256 each | rejected |
| counters of an item | 64, with names of 64 bytes | ignored |
| name of a file | 255 bytes | rejected |
| entries of one page of a listing | 1,024 | on the next page |
| bytes of one read | 1 MiB | with the next read |
| entries of all concurrent directory listings through WASI | 100,000 | rejected; `directories` has no such limit |
| concurrent directory listings through WASI | 8 | rejected |
| a line of output that `-v`, `dev` and `test` show | 64 KiB, and 1 MiB in all | split; omitted |
| name and file of a frame of a crash | 500 bytes each | truncated at a character |
";

fn table(page: &mut String, title: &str, rows: &[LimitRow]) -> std::fmt::Result {
    write!(
        page,
        "\n## {title}\n\n| name | unit | default | meaning and reason |\n|---|---|---|---|\n"
    )?;
    for row in rows {
        let LimitRow { name, unit, value, reason, .. } = row;
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
        "\n## Termination reasons\n\n\
         The error of the report has the code, and `SynchronizeCompleted` has the HRESULT. Unfinished \
         items fail with it; finished items keep their result.\n\n\
         | code | HRESULT | message |\n|---|---|---|\n",
    );
    for &reason in TerminationReason::ALL {
        let hresult = hresult::from_termination_reason(reason);
        let limit = reason.limit().map(|name| format!(" (`{name}`)")).unwrap_or_default();
        writeln!(page, "| `{}` | `{hresult}` | {reason}{limit} |", reason.code())?;
    }
    Ok(page)
}

//! Parts of several pages.

use indicatif::HumanBytes;
use maud::{Markup, html};
use syncmgr_install::HistoryRun;

use crate::exit::Exit;
use crate::output::{ago, duration, local_time, now, rfc3339};
use crate::past::{result, short};

const DAY: i64 = 24 * 3600 * 1000;

/// Returns the class of a state.
pub(super) fn class(exit: Exit) -> &'static str {
    match exit {
        Exit::InSync => "good",
        Exit::Remaining | Exit::Cancelled | Exit::Held => "warn",
        Exit::Usage | Exit::Failed | Exit::SafetyStop | Exit::Crashed | Exit::ClosedPipe => "bad",
    }
}

/// Returns the class of a run by its exit status.
pub(super) fn result_class(exit_code: Option<u8>) -> &'static str {
    match exit_code {
        None => "idle",
        Some(0) => "good",
        Some(1 | 5 | 6) => "warn",
        Some(_) => "bad",
    }
}

/// Returns the result of a run, in words and with a color.
pub(super) fn outcome(exit_code: Option<u8>) -> Markup {
    html! { span class={ "state " (result_class(exit_code)) } { (result(exit_code)) } }
}

/// Returns a time in the past.
pub(super) fn time(milliseconds: i64) -> Markup {
    html! {
        time datetime=(rfc3339(milliseconds)) title=(local_time(milliseconds)) {
            (ago(milliseconds))
        }
    }
}

/// Returns the class of the age of a success.
pub(super) fn age_class(milliseconds: i64) -> &'static str {
    match now().saturating_sub(milliseconds) {
        ..DAY => "good",
        age if age < 7 * DAY => "warn",
        _ => "bad",
    }
}

/// Returns a size, such as `1.2 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// Returns a link to a run.
pub(super) fn run_link(id: &str) -> Markup {
    html! { a href=(format!("/run/{id}")) { code { (short(id)) } } }
}

/// Returns the duration of a run; `None`: it has not ended.
pub(super) fn took(run: &HistoryRun) -> Option<String> {
    run.ended.map(|ended| duration(ended - run.started))
}

/// Returns the sizes of the files that a run created or replaced.
pub(super) fn changed_bytes(run: &HistoryRun) -> u64 {
    run.items.iter().fold(0, |sum, item| sum.saturating_add(item.bytes))
}

/// Returns a note that there are more rows; nothing if there are none.
pub(super) fn more(number: usize, what: &str) -> Markup {
    html! {
        @if number > 0 { p.note { "and " (number) " more " (what) } }
    }
}

/// Returns a table that scrolls if it does not fit. `rows` are `tr` elements.
pub(super) fn table(label: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { (rows) }
            }
        }
    }
}

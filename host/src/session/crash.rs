//! The error of a call that did not return.

use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::convert;
use crate::error::{Call, SessionError, TerminationReason};
use crate::limits::monitor::Monitor;
use crate::output::{BACKTRACE_HINT, OutputTail};

/// Returns the error of a call that did not return.
pub(super) fn crash(
    plugin: &str,
    call: Call,
    monitor: &Monitor,
    stderr: &OutputTail,
    error: wasmtime::Error,
) -> SessionError {
    let plugin = plugin.to_owned();
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return SessionError::Exit { plugin, call, status: *status };
    }
    if let Some(reason) = limit_of(&error) {
        monitor.terminate(reason);
    }
    if let Some(reason) = monitor.terminated() {
        return match monitor.denial() {
            Some(denial) if reason == TerminationReason::Denied => {
                SessionError::Denied { plugin, call, denial }
            }
            Some(_) | None => monitor.error(plugin, call, reason),
        };
    }
    let stderr = without_hint(&stderr.text());
    SessionError::Trap {
        plugin,
        call,
        message: last_words(&stderr).unwrap_or_else(|| error.root_cause().to_string()),
        backtrace: error.downcast_ref::<WasmBacktrace>().map(backtrace).unwrap_or_default(),
        stderr,
    }
}

/// Returns the engine limit that an error is about.
fn limit_of(error: &wasmtime::Error) -> Option<TerminationReason> {
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Some(TerminationReason::Handles);
    }
    if error.downcast_ref() == Some(&Trap::StackOverflow) {
        return Some(TerminationReason::Stack);
    }
    // These errors have no public type.
    let cause = error.root_cause().to_string();
    let about = |words: &str| cause.contains(words);
    if about("fuel allocated for hostcalls has been exhausted") {
        Some(TerminationReason::HostCallBytes)
    } else if about("store handle limit exceeded") {
        Some(TerminationReason::Handles)
    } else if about("instance count too high")
        || about("memory count too high")
        || about("table count too high")
    {
        Some(TerminationReason::Instances)
    } else {
        None
    }
}

/// Returns the plugin's message about its crash on standard error, in the format of its language:
/// Rust prints the location and the message of a panic, Python ends a traceback with the exception,
/// and JavaScript begins with the error.
fn last_words(stderr: &str) -> Option<String> {
    python_exception(stderr).or_else(|| rust_panic(stderr)).or_else(|| javascript_error(stderr))
}

fn rust_panic(stderr: &str) -> Option<String> {
    let at = stderr.rfind("panicked at ")?;
    let mut lines = stderr[at..].lines();
    let place = lines.next()?.trim_end_matches(':');
    let message: Vec<_> = lines.take_while(|line| !line.starts_with("note: ")).collect();
    Some(format!("{place}: {}", message.join(" ").trim()))
}

fn python_exception(stderr: &str) -> Option<String> {
    let at = stderr.rfind("Traceback (most recent call last):")?;
    // Frames are indented, the exception is not.
    let mut lines = stderr[at..].lines().skip(1);
    let exception = lines.find(|line| !line.is_empty() && !line.starts_with(' '))?;
    Some(exception.to_owned())
}

fn javascript_error(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines();
    let error = lines.rfind(|line| {
        let name = line.split(':').next().unwrap_or_default();
        name.ends_with("Error") && name.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ')
    })?;
    Some(error.trim().to_owned())
}

/// Returns standard error without the hint that Rust adds to panic messages.
fn without_hint(stderr: &str) -> String {
    let lines = stderr.split_inclusive('\n');
    lines.filter(|line| line.trim_end() != BACKTRACE_HINT).collect()
}

/// Returns the frames, innermost first, each with the functions that were inlined into it. A
/// function is followed by its file and line if the component has debug information.
fn backtrace(backtrace: &WasmBacktrace) -> String {
    let mut text = String::new();
    for (number, frame) in backtrace.frames().iter().enumerate() {
        let inlined = frame.symbols();
        if inlined.is_empty() {
            push_frame(&mut text, number, frame.func_name(), None);
        }
        for symbol in inlined {
            let place = symbol.file().map(|file| (file, symbol.line(), symbol.column()));
            push_frame(&mut text, number, symbol.name().or(frame.func_name()), place);
        }
    }
    text
}

fn push_frame(
    text: &mut String,
    number: usize,
    name: Option<&str>,
    place: Option<(&str, Option<u32>, Option<u32>)>,
) {
    // Both come from the plugin's file.
    const MAX_BYTES: usize = 500;
    let name = name.map(rustc_demangle::demangle);
    let name = name.map_or_else(|| "?".to_owned(), |name| format!("{name:#}"));
    text.push_str(&format!("{number:>3}: {}", convert::cut(name, MAX_BYTES)));
    if let Some((file, line, column)) = place {
        text.push_str(&format!(" at {}", convert::cut(file.to_owned(), MAX_BYTES)));
        for number in [line, column].into_iter().flatten() {
            text.push_str(&format!(":{number}"));
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_messages_are_found_on_stderr() {
        for (stderr, expected) in [
            ("", None),
            ("only a line", None),
            (
                "\nthread 'main' (1) panicked at src/lib.rs:5:9:\nno more\nlemons\nnote: run with\n",
                Some("panicked at src/lib.rs:5:9: no more lemons"),
            ),
            (
                "Traceback (most recent call last):\n  File \"app.py\", line 5, in synchronize\n    \
                 1 / 0\nZeroDivisionError: division by zero\n\nthread '<unnamed>' panicked at \
                 runtime/src/lib.rs:1:2:\nPython function threw an unexpected exception\n",
                Some("ZeroDivisionError: division by zero"),
            ),
            (
                "started\nReferenceError: nothing is not defined\n    at synchronize (app:1:2)\n",
                Some("ReferenceError: nothing is not defined"),
            ),
        ] {
            assert_eq!(last_words(stderr).as_deref(), expected);
        }
    }
}

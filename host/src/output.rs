use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::redact::Secrets;

/// A standard stream of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl OutputStream {
    /// Returns the name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Receives each line that a plugin writes to a standard stream, without its line feed, as soon as
/// it is complete. A line longer than 64 KiB arrives in parts. Secrets are redacted; the rest is
/// the plugin's text and must be escaped before a terminal shows it.
#[derive(Clone)]
pub struct OutputHook(Arc<LineFn>);

type LineFn = dyn Fn(OutputStream, &str) + Send + Sync;

impl OutputHook {
    /// Creates a hook that calls a function on the session's thread.
    pub fn new(hook: impl Fn(OutputStream, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }
}

impl std::fmt::Debug for OutputHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OutputHook")
    }
}

/// The hint that Rust adds to panic messages. The plugin's environment is not the user's, and the
/// host has the frames.
pub(crate) const BACKTRACE_HINT: &str =
    "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";

/// Splits output into lines and passes them to the hook.
pub(crate) struct Lines {
    stream: OutputStream,
    hook: OutputHook,
    secrets: Secrets,
    pending: Vec<u8>,
}

impl Lines {
    const MAX_BYTES: usize = 64 << 10;

    pub(crate) fn new(stream: OutputStream, hook: OutputHook, secrets: Secrets) -> Self {
        Self { stream, hook, secrets, pending: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let is_full = self.pending.len() > Self::MAX_BYTES;
        if !is_full && !bytes.contains(&b'\n') {
            return;
        }
        let cut = match self.secrets.last_cut(&self.pending, false) {
            0 if is_full => self.secrets.last_cut(&self.pending, true),
            cut => cut,
        };
        self.pass_on(cut);
        // Output that is still pending repeats the beginning of a secret.
        if self.pending.len() > 2 * Self::MAX_BYTES + self.secrets.longest() {
            self.pass_on(self.pending.len());
        }
    }

    fn pass_on(&mut self, end: usize) {
        let text = self.secrets.shown(&self.pending[..end], 0);
        self.pending.drain(..end);
        text.lines().filter(|line| *line != BACKTRACE_HINT).for_each(|line| {
            (self.hook.0)(self.stream, line);
        });
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.pass_on(self.pending.len());
    }
}

/// A writer that keeps the end of its input.
#[derive(Clone)]
pub(crate) struct OutputTail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    lines: Option<Arc<Mutex<Lines>>>,
    limit: usize,
    secrets: Secrets,
}

impl OutputTail {
    pub(crate) fn new(limit: usize, secrets: Secrets, lines: Option<Lines>) -> Self {
        let lines = lines.map(|lines| Arc::new(Mutex::new(lines)));
        Self { kept: Arc::default(), lines, limit, secrets }
    }

    /// Returns the end of the output, with invalid UTF-8 replaced.
    pub(crate) fn text(&self) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // The remainder of a secret at the beginning would not be recognized, so it is omitted.
        let from = kept.len().saturating_sub(self.limit);
        self.secrets.shown(kept.make_contiguous(), from)
    }

    /// Returns the number of kept bytes: those that are shown, plus the length of the longest
    /// secret before them.
    fn room(&self) -> usize {
        self.limit.saturating_add(self.secrets.longest())
    }

    pub(crate) fn push(&self, bytes: &[u8]) {
        if let Some(lines) = &self.lines {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = &bytes[bytes.len().saturating_sub(self.room())..];
        let surplus = (kept.len() + bytes.len()).saturating_sub(self.room());
        kept.drain(..surplus);
        kept.extend(bytes);
    }
}

impl IsTerminal for OutputTail {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for OutputTail {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn wasmtime_wasi::p2::OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for OutputTail {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl wasmtime_wasi::p2::Pollable for OutputTail {
    async fn ready(&mut self) {}
}

impl wasmtime_wasi::p2::OutputStream for OutputTail {
    fn write(&mut self, bytes: bytes::Bytes) -> wasmtime_wasi::p2::StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> wasmtime_wasi::p2::StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> wasmtime_wasi::p2::StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes the texts in sequence, and returns the lines passed to the hook, with a mark at the
    /// end of the output.
    fn lines(secrets: &Secrets, texts: &[&str]) -> Vec<String> {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&heard);
        let hook = move |_, line: &str| log.lock().unwrap().push(line.to_owned());
        let mut lines = Lines::new(OutputStream::Stdout, OutputHook::new(hook), secrets.clone());
        texts.iter().for_each(|text| lines.push(text.as_bytes()));
        heard.lock().unwrap().push("<end>".to_owned());
        drop(lines);
        Arc::try_unwrap(heard).unwrap().into_inner().unwrap()
    }

    #[test]
    fn complete_lines_are_passed_on_immediately() {
        let hint = format!("{BACKTRACE_HINT}\n");
        for (texts, expected) in [
            (&["one\n"][..], &["one", "<end>"][..]),
            (&["o", "ne\ntwo", "\r\n\nthree"], &["one", "two", "", "<end>", "three"]),
            (&["one\n", &hint, "two\n"], &["one", "two", "<end>"]),
            (&["\u{e4}", "\n"], &["\u{e4}", "<end>"]),
        ] {
            assert_eq!(lines(&Secrets::default(), texts), expected);
        }
        let long = "x".repeat(Lines::MAX_BYTES);
        let parts = lines(&Secrets::default(), &[&long, &long, "y"]);
        assert_eq!(parts, [&format!("{long}{long}"), "<end>", "y"]);
    }

    #[test]
    fn no_part_of_a_secret_is_passed_on() {
        let secrets = Secrets::new(["hunter2".to_owned(), "a\nbc\nd".to_owned()].into_iter());
        for (text, expected) in [
            ("say hunter2 now\n", &["say [secret] now", "<end>"][..]),
            ("one\nhunter2\ntwo\n", &["one", "[secret]", "two", "<end>"]),
            ("one\na\nbc\nd\ntwo\n", &["one", "[secret]", "two", "<end>"]),
            ("a\nbc\ne\n", &["a", "bc", "e", "<end>"]),
            ("one\na\n", &["one", "<end>", "a"]),
        ] {
            let bytes: Vec<_> = text.split_inclusive(|_: char| true).collect();
            for texts in [&[text][..], &bytes] {
                assert_eq!(lines(&secrets, texts), expected, "{text:?}");
            }
        }
        // The result is independent of the chunks and the length of the line.
        for cut in 0..7 {
            let long = format!("{}hunter2", "x".repeat(Lines::MAX_BYTES - cut));
            let shown =
                lines(&secrets, &[&long[..Lines::MAX_BYTES + 1], &long[Lines::MAX_BYTES + 1..]]);
            let shown = shown.concat();
            assert!(!["hunter2", "hunt", "nter2"].iter().any(|part| shown.contains(part)), "{cut}");
        }
    }

    #[test]
    fn only_the_end_is_kept() {
        let tail = OutputTail::new(5, Secrets::default(), None);
        for text in ["one", "two", "a longer one"] {
            tail.push(text.as_bytes());
        }
        assert_eq!(tail.text(), "r one");
        tail.push(b"!");
        assert_eq!(tail.text(), " one!");
    }

    #[test]
    fn no_part_of_a_secret_is_shown() {
        let secrets = Secrets::new(std::iter::once("hunter2".to_owned()));
        for cut in 0..30 {
            let tail = OutputTail::new(20, secrets.clone(), None);
            tail.push(b"say hunter2 and hunter2 ");
            tail.push("x".repeat(cut).as_bytes());
            let text = tail.text();
            for part in ["hunter2", "unter2", "ter2", "er2"] {
                assert!(!text.contains(part), "{text:?} after {cut} more bytes");
            }
        }
    }

    #[test]
    fn no_part_of_a_secret_cut_within_a_character_is_shown() {
        let secrets = Secrets::new(std::iter::once("\u{1f980}key".to_owned()));
        for cut in 0..30 {
            let tail = OutputTail::new(20, secrets.clone(), None);
            tail.push("say \u{1f980}key, say \u{1f980}key, ".as_bytes());
            tail.push("x".repeat(cut).as_bytes());
            let text = tail.text();
            assert!(!text.replace("[secret]", "").contains(['k', 'e']), "{text:?} after {cut}");
        }
    }
}

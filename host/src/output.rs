use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::secrets::Secrets;

/// Takes everything that is written to it and keeps the end.
#[derive(Clone, Debug)]
pub(crate) struct OutputTail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    limit: usize,
    secrets: Secrets,
}

impl OutputTail {
    pub(crate) fn new(limit: usize, secrets: Secrets) -> Self {
        Self { kept: Arc::default(), limit, secrets }
    }

    /// The end of what was written, with anything that is no text replaced.
    pub(crate) fn text(&self) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // What is left of a secret at the beginning is not recognised as one, and not shown.
        let from = kept.len().saturating_sub(self.limit);
        self.secrets.shown(kept.make_contiguous(), from)
    }

    /// What is kept: what is shown, and as much as a secret in front of it.
    fn room(&self) -> usize {
        self.limit.saturating_add(self.secrets.longest())
    }

    pub(crate) fn push(&self, bytes: &[u8]) {
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

    #[test]
    fn only_the_end_is_kept() {
        let tail = OutputTail::new(5, Secrets::default());
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
            let tail = OutputTail::new(20, secrets.clone());
            tail.push(b"say hunter2 and hunter2 ");
            tail.push("x".repeat(cut).as_bytes());
            let text = tail.text();
            for part in ["hunter2", "unter2", "ter2", "er2"] {
                assert!(!text.contains(part), "{text:?} after {cut} more bytes");
            }
        }
    }

    #[test]
    fn no_part_of_a_secret_is_shown_that_is_cut_within_a_character() {
        let secrets = Secrets::new(std::iter::once("\u{1f980}key".to_owned()));
        for cut in 0..30 {
            let tail = OutputTail::new(20, secrets.clone());
            tail.push("say \u{1f980}key, say \u{1f980}key, ".as_bytes());
            tail.push("x".repeat(cut).as_bytes());
            let text = tail.text();
            assert!(!text.replace("[secret]", "").contains(['k', 'e']), "{text:?} after {cut}");
        }
    }
}

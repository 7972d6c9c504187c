//! The bodies of requests and responses: counted, limited, and monitored.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, WasiBody};

use super::usage::{InFlight, Meter};

/// A transfer that is slower than this in `http-idle-time` counts as stalled.
const MIN_BYTES: u64 = 1 << 10;

/// The progress of sending a request.
#[derive(Debug, Default)]
pub(super) struct Upload {
    /// The number of frames that the connection took.
    frames: AtomicU64,
    /// Whether the connection waits for the plugin.
    waits_for_plugin: AtomicBool,
}

impl Upload {
    /// Returns when neither the request nor its response has made progress for this time.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let before = self.frames.load(Ordering::Acquire);
            tokio::time::sleep(limit).await;
            let waits = self.waits_for_plugin.load(Ordering::Acquire);
            if !waits && self.frames.load(Ordering::Acquire) == before {
                return;
            }
        }
    }
}

/// The body of a request.
pub(super) struct RequestBody {
    pub(super) inner: WasiBody,
    pub(super) meter: Arc<Meter>,
    pub(super) origin: Arc<str>,
    pub(super) upload: Arc<Upload>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.upload.waits_for_plugin.store(polled.is_pending(), Ordering::Release);
        let frame = ready!(polled);
        self.upload.frames.fetch_add(1, Ordering::AcqRel);
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            if let Err(limit) = self.meter.count_up(&self.origin, bytes) {
                return Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(limit)))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The number of frames of a response that are received before the plugin reads them: enough that
/// the connection does not wait for the session's thread.
const FRAMES: usize = 2;

/// The frames of a response.
pub(super) type Frames = mpsc::Receiver<hyper::Result<Frame<Bytes>>>;

/// Receives the body of a response on the network's thread. Frames that arrived together with the
/// head are available immediately, so that a small response wakes the session's thread once.
pub(super) fn receive(mut body: Incoming) -> Frames {
    let (sender, frames) = mpsc::channel(FRAMES);
    let mut context = Context::from_waker(Waker::noop());
    while let Ok(permit) = sender.try_reserve() {
        match Pin::new(&mut body).poll_frame(&mut context) {
            Poll::Ready(Some(frame)) => permit.send(frame),
            Poll::Ready(None) => return frames,
            Poll::Pending => break,
        }
        if body.is_end_stream() {
            return frames;
        }
    }
    tokio::spawn(async move {
        while let Ok(permit) = sender.reserve().await {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = sender.closed() => return,
            };
            let Some(frame) = frame else { return };
            permit.send(frame);
        }
    });
    frames
}

/// The body of a response. Its time limit applies while the plugin waits for it.
pub(super) struct ResponseBody {
    pub(super) frames: Frames,
    /// The bytes to come, if the server has announced the length.
    pub(super) left: Option<u64>,
    pub(super) meter: Arc<Meter>,
    pub(super) origin: Arc<str>,
    pub(super) limit: Duration,
    pub(super) cancelled: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The wait in progress: its start, and the timer.
    pub(super) wait: Option<(Instant, Pin<Box<Sleep>>)>,
    /// The time and bytes since the transfer was last fast enough.
    pub(super) waited: Duration,
    pub(super) received: u64,
    pub(super) _in_flight: InFlight,
}

impl ResponseBody {
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.limit.saturating_sub(self.waited);
        let (_, timer) =
            self.wait.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        timer.as_mut().poll(cx)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Poll::Ready(frame) = self.frames.poll_recv(cx) else {
            self.meter.wait_for_network(self.limit);
            if self.cancelled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
            }
            return match self.poll_stalled(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Error::ConnectionReadTimeout))),
                Poll::Pending => Poll::Pending,
            };
        };
        if let Some((since, _)) = self.wait.take() {
            self.waited += since.elapsed();
        }
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(|error| match error.is_timeout() {
            true => Error::ConnectionReadTimeout,
            false => Error::HttpResponseIncomplete,
        })?;
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.received += bytes;
        self.left = self.left.map(|left| left.saturating_sub(bytes));
        if self.received >= MIN_BYTES {
            self.received = 0;
            self.waited = Duration::ZERO;
        }
        if let Err(limit) = self.meter.count_down(&self.origin, bytes) {
            return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(limit)))));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

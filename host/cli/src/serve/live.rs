//! The progress of runs as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Body, Frame};
use syncmgr_host::text::to_json;
use tokio::sync::watch;

use super::server::Server;
use super::view::live_values;

/// The minimum interval between two events.
const INTERVAL: Duration = Duration::from_millis(250);

/// The maximum interval, so that the connection is not taken for a dead one.
const PING: Duration = Duration::from_secs(15);

type Step = Pin<Box<dyn Future<Output = (watch::Receiver<u64>, Bytes)> + Send>>;

/// An endless body: an event at once, and one after each change.
pub(super) struct Live {
    server: Arc<Server>,
    step: Step,
}

impl Live {
    pub(super) fn new(server: Arc<Server>) -> Self {
        let first = event(&server);
        let changes = server.children.changes();
        Self { server, step: Box::pin(std::future::ready((changes, first))) }
    }
}

/// Returns the event for the current values.
fn event(server: &Server) -> Bytes {
    // The line has no line breaks. Without it, the browser keeps its values.
    let values = to_json(&live_values(server), false).unwrap_or_default();
    format!("retry: 2000\ndata: {values}\n\n").into()
}

async fn next(
    server: Arc<Server>,
    mut changes: watch::Receiver<u64>,
) -> (watch::Receiver<u64>, Bytes) {
    tokio::time::sleep(INTERVAL).await;
    let bytes = match tokio::time::timeout(PING, changes.changed()).await {
        Ok(_) => event(&server),
        Err(_) => Bytes::from_static(b": nothing new\n\n"),
    };
    (changes, bytes)
}

impl Body for Live {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Poll::Ready((changes, bytes)) = self.step.as_mut().poll(context) else {
            return Poll::Pending;
        };
        self.step = Box::pin(next(Arc::clone(&self.server), changes));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

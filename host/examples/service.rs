//! Runs many sessions at the same time in a service, and cancels the rest if one of them fails.

use std::io::Write;
use std::path::Path;

use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    CancelHandle, Host, HostOptions, ItemId, ProgressResponse, RunReport, RunRequest,
    SessionOptions, Status,
};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The number of a session, an item and its status.
type Change = (u32, ItemId, Status);

/// Sends each change of a status to the task that shows them.
struct Changes {
    session: u32,
    changes: mpsc::Sender<Change>,
}

impl Sink for Changes {
    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        if let Some(status) = progress.reported.status_type {
            // A plugin may change its status faster than the changes are shown.
            let _ = self.changes.try_send((self.session, progress.item, status));
        }
        ProgressResponse::Continue
    }

    fn reads_text(&self) -> bool {
        false
    }
}

/// Runs a plugin in this number of sessions, and returns their reports and all changes.
pub async fn run(
    plugin: &Path,
    sessions: u32,
) -> Result<(Vec<RunReport>, Vec<Change>), Box<dyn std::error::Error>> {
    let host = Host::with_options(HostOptions::new().pooled(sessions))?;
    let plugin = host.load_file(plugin)?;
    let cancel = CancelHandle::new();
    let (changes, mut received) = mpsc::channel(1_024);
    let mut running = JoinSet::new();
    for session in 0..sessions {
        let options = SessionOptions::new().cancel_with(cancel.clone());
        let sink = Changes { session, changes: changes.clone() };
        let plugin = plugin.clone();
        // A plugin's file access blocks its thread.
        running.spawn_blocking(move || {
            Handle::current().block_on(async move {
                let mut session = plugin.start(options, sink).await?;
                Ok::<_, syncmgr_host::StartError>(session.run(&RunRequest::default()).await)
            })
        });
    }
    drop(changes);
    let mut reports = Vec::new();
    while let Some(report) = running.join_next().await {
        let report = report??;
        if report.error().is_some() {
            cancel.cancel_all();
        }
        reports.push(report);
    }
    let mut all = Vec::new();
    while let Some(change) = received.recv().await {
        all.push(change);
    }
    Ok((reports, all))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugin = std::env::args().nth(1).ok_or("usage: service PLUGIN.wasm")?;
    let (reports, changes) = run(Path::new(&plugin), 8).await?;
    for (session, item, status) in changes {
        writeln!(std::io::stdout(), "session {session}: {item} {}", status.name())?;
    }
    writeln!(std::io::stdout(), "{} sessions", reports.len())?;
    Ok(())
}

//! Runs a plugin, and cancels one of its items from another thread.

use std::io::Write;
use std::path::Path;
use std::sync::mpsc;

use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    CancelHandle, Host, ItemId, ProgressResponse, RunReport, RunRequest, SessionOptions,
};

/// Announces to another thread which item is in progress.
struct Announce(mpsc::SyncSender<ItemId>);

impl Sink for Announce {
    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        // The receiver is gone once the item is cancelled.
        let _ = self.0.send(progress.item);
        ProgressResponse::Continue
    }
}

/// Runs the plugin in a file, and cancels the first item that it reports on.
pub fn run(plugin: &Path) -> Result<RunReport, Box<dyn std::error::Error>> {
    let plugin = Host::new()?.load_file(plugin)?;
    let (announce, announced) = mpsc::sync_channel(0);
    let cancel = CancelHandle::new();
    let options = SessionOptions::new().cancel_with(cancel.clone());
    std::thread::spawn(move || announced.recv().map(|item| cancel.cancel_item(item)));
    Ok(plugin.run(options, Announce(announce), &RunRequest::default())?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugin = std::env::args().nth(1).ok_or("usage: embed PLUGIN.wasm")?;
    for item in run(Path::new(&plugin))?.items {
        writeln!(std::io::stdout(), "{:?}: {}", item.name, item.hresult())?;
    }
    Ok(())
}

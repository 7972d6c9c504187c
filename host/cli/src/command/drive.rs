use std::io::Write;

use syncmgr_kit::Drive;

use crate::exit::{Exit, UsageError};
use crate::project;

pub(crate) fn run() -> anyhow::Result<Exit> {
    let drive: Drive = serde_json::from_reader(std::io::stdin())
        .map_err(|error| UsageError(format!("that is no request for a run: {error}")))?;
    let plugin = project::load(&drive.component)?;
    let driven = syncmgr_kit::drive(&plugin, &drive)?;
    let mut to = std::io::stdout().lock();
    serde_json::to_writer(&mut to, &driven)?;
    writeln!(to)?;
    Ok(Exit::InSync)
}

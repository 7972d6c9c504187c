use std::io::Write;

use syncmgr_host::text::to_json;

use crate::args::Drive;
use crate::exit::{Exit, UsageError};
use crate::output;
use crate::project;

pub(crate) fn run(args: &Drive) -> anyhow::Result<Exit> {
    let drive: syncmgr_kit::Drive = serde_json::from_reader(std::io::stdin())
        .map_err(|error| UsageError(format!("that is no request for a run: {error}")))?;
    let plugin = project::load(&drive.component, args.state_dir.as_deref())?;
    let driven = syncmgr_kit::drive(&plugin, &drive)?;
    let mut to = output::stdout();
    writeln!(to, "{}", to_json(&driven, false)?)?;
    Ok(Exit::InSync)
}

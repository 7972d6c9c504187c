use std::io::Write;

use syncmgr_host::LoadLimits;
use syncmgr_host::text::to_json;

use crate::args;
use crate::check::{self, Drive};
use crate::exit::{Exit, UsageError};
use crate::output;
use crate::plugin_source::{PluginSource, host, registrations};

pub(crate) fn run(args: &args::Drive) -> anyhow::Result<Exit> {
    let drive: Drive = serde_json::from_reader(std::io::stdin())
        .map_err(|error| UsageError(format!("invalid request: {error}")))?;
    let plugin = PluginSource::File(drive.component.clone())
        .load(&host(LoadLimits::default())?, &registrations(args.state_dir.path.as_deref())?)?;
    let driven = check::drive(&plugin, &drive)?;
    let mut to = output::stdout();
    writeln!(to, "{}", to_json(&driven, false)?)?;
    Ok(Exit::InSync)
}

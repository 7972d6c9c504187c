use std::io::Write;

use serde::Serialize;
use syncmgr_host::LoadLimits;
use syncmgr_host::text::to_json;
use syncmgr_install::InstallError;

use crate::args::Validate;
use crate::escape::escape;
use crate::exit::Exit;
use crate::output;
use crate::plugin_source::{PluginSource, host, registrations};

#[derive(Serialize)]
struct Verdict {
    file: String,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

pub(crate) fn run(args: &Validate) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let plugin = PluginSource::find_or_build(args.file.as_deref(), &registrations)?;
    let file = match &plugin {
        PluginSource::File(path) => path.display().to_string(),
        PluginSource::BuiltIn(..) | PluginSource::Installed(_) => plugin.name(),
    };
    let loaded = plugin.load(&host(LoadLimits::default())?, &registrations);
    let mut to = output::stdout();
    if args.json {
        let error = loaded.as_ref().err();
        let verdict = Verdict {
            file,
            valid: error.is_none(),
            code: error.map(InstallError::code),
            message: error.map(ToString::to_string),
        };
        writeln!(to, "{}", to_json(&verdict, false)?)?;
        return Ok(if verdict.valid { Exit::InSync } else { Exit::Usage });
    }
    let plugin = loaded?;
    writeln!(
        to,
        "{} is a plugin of syncmgr:plugin@{}",
        escape(&file),
        escape(&plugin.description().contract_version)
    )?;
    Ok(Exit::InSync)
}

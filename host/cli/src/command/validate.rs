use std::io::Write;

use serde::Serialize;
use syncmgr_host::text::to_json;
use syncmgr_host::{Host, HostOptions, Plugin};
use syncmgr_store::{CodeCache, StoreError};

use crate::args::Validate;
use crate::builtin::Named;
use crate::compiler::in_own_process;
use crate::escape::escape;
use crate::exit::Exit;
use crate::job::registrations;
use crate::output;

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
    let registrations = registrations(args.state_dir.as_deref())?;
    let plugin = Named::find_or_build(args.file.as_deref(), &registrations)?;
    let file = match &plugin {
        Named::File(path) => path.display().to_string(),
        Named::BuiltIn(..) | Named::Installed(_) => plugin.name(),
    };
    let host = Host::with_options(in_own_process(HostOptions::new()))?;
    let loaded = load(&host, &plugin, &CodeCache::new(registrations.state_dir()));
    let mut to = output::stdout();
    if args.json {
        let error = loaded.as_ref().err();
        let verdict = Verdict {
            file,
            valid: error.is_none(),
            code: error.map(StoreError::code),
            message: error.map(ToString::to_string),
        };
        writeln!(to, "{}", to_json(&verdict, false)?)?;
        return Ok(if verdict.valid { Exit::InSync } else { Exit::Usage });
    }
    let plugin = loaded.map_err(|error| {
        // The source of this one has the code.
        if let StoreError::Load(error) = error {
            return anyhow::Error::from(error);
        }
        error.into()
    })?;
    writeln!(
        to,
        "{} is a plugin of syncmgr:plugin@{}",
        escape(&file),
        escape(&plugin.description().contract_version)
    )?;
    Ok(Exit::InSync)
}

/// Loads the plugin for the defaults, or from what was compiled for them before.
fn load(host: &Host, plugin: &Named, cache: &CodeCache) -> Result<Plugin, StoreError> {
    let component = plugin.bytes(host.limits())?;
    cache.load(host, &plugin.name(), &component)
}

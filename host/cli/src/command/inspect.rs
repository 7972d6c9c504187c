use std::io::Write;

use serde::Serialize;
use syncmgr_host::{Ask, CONTRACT_VERSION, Description, LoadError};

use crate::args::Inspect;
use crate::builtin::Named;
use crate::escape::escape;
use crate::exit::Exit;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct InspectLine {
    name: String,
    size_bytes: usize,
    contract_version: String,
    host_contract_version: &'static str,
    imports: Vec<String>,
    exports: Vec<String>,
    asks: Vec<&'static str>,
    producers: Vec<(String, String)>,
}

pub(crate) fn run(args: &Inspect) -> anyhow::Result<Exit> {
    let plugin = Named::find(&args.plugin)?;
    let name = plugin.name();
    let description = Description::of(&plugin.bytes()?)
        .map_err(|reason| LoadError::Contract { name: name.clone(), reason })?;
    let asks = description.asks();
    let mut to = std::io::stdout().lock();
    if args.json {
        let line = InspectLine {
            name,
            size_bytes: description.size_bytes,
            contract_version: description.contract_version,
            host_contract_version: CONTRACT_VERSION,
            imports: description.imports,
            exports: description.exports,
            asks: asks.into_iter().map(Ask::name).collect(),
            producers: description.producers,
        };
        serde_json::to_writer_pretty(&mut to, &line)?;
        writeln!(to)?;
        return Ok(Exit::InSync);
    }
    writeln!(to, "name      {}", escape(&name))?;
    writeln!(to, "size      {}", indicatif::BinaryBytes(description.size_bytes as u64))?;
    writeln!(
        to,
        "contract  syncmgr:plugin@{} (this host runs {CONTRACT_VERSION})",
        escape(&description.contract_version)
    )?;
    for ask in asks {
        writeln!(to, "asks for  {}", explain(ask))?;
    }
    for (tool, version) in &description.producers {
        writeln!(to, "made with {} {}", escape(tool), escape(version))?;
    }
    for export in &description.exports {
        writeln!(to, "exports   {}", escape(export))?;
    }
    for import in &description.imports {
        writeln!(to, "imports   {}", escape(import))?;
    }
    Ok(Exit::InSync)
}

const fn explain(ask: Ask) -> &'static str {
    match ask {
        Ask::Directories => "directories: those granted with --dir, and its own storage",
        Ask::Settings => "settings: those given with --set",
        Ask::WallClock => "wall-clock: the time of day",
        Ask::Randomness => "randomness: random numbers",
        Ask::Network => "network: never granted by this host",
    }
}

use std::io::Write;

use syncmgr_authoring::Project;
use syncmgr_host::{LoadError, LoadLimits, Requests};

use crate::args::{Build, Embed, Pack};
use crate::builtin::Named;
use crate::escape::escape;
use crate::exit::{Exit, UsageError};
use crate::output;
use crate::project;

pub(crate) fn build(args: &Build) -> anyhow::Result<Exit> {
    let project = Project::find(&args.project)?;
    let (built, _plugin) = project::build(&project, args.force, args.state_dir.as_deref())?;
    writeln!(output::stdout(), "{}", escape(&project::built(&built)))?;
    Ok(Exit::InSync)
}

pub(crate) fn pack(args: &Pack) -> anyhow::Result<Exit> {
    let project = Project::find(&args.project)?;
    project.build()?;
    let packed = project.pack()?;
    let size = indicatif::BinaryBytes(packed.bytes);
    let path = packed.file.display().to_string();
    let mut to = output::stdout();
    writeln!(
        to,
        "packed {}, {size}, for syncmgr:plugin@{}",
        escape(&path),
        escape(&packed.description.contract_version)
    )?;
    for (what, value) in [
        ("license", &project.manifest().plugin.license),
        ("homepage", &project.manifest().plugin.homepage),
        ("description", &project.manifest().plugin.description),
    ] {
        if value.is_none() {
            writeln!(to, "note: syncmgr.toml gives no `{what}`; it is good to have one")?;
        }
    }
    Ok(Exit::InSync)
}

pub(crate) fn embed(args: &Embed) -> anyhow::Result<Exit> {
    let file = args.requests.display();
    let requests = std::fs::read_to_string(&args.requests)
        .map_err(|error| UsageError(format!("cannot read the requests {file}: {error}")))?;
    Requests::parse(requests.as_bytes())
        .map_err(|error| UsageError(format!("the requests {file}: {error}")))?;
    let component = Named::File(args.component.clone());
    let bytes = component.bytes(&LoadLimits::default())?;
    let bytes = syncmgr_authoring::embed_requests(&bytes, &requests)
        .map_err(|reason| LoadError::Contract { name: component.name(), reason })?;
    let to = args.output.as_ref().unwrap_or(&args.component);
    syncmgr_authoring::write(to, &bytes)?;
    let size = indicatif::BinaryBytes(bytes.len() as u64);
    writeln!(output::stdout(), "wrote {}, {size}", escape(&to.display().to_string()))?;
    Ok(Exit::InSync)
}

use std::io::Write;

use std::path::Path;

use syncmgr_host::{LoadError, LoadLimits, Plugin, Requests};
use syncmgr_install::CodeCache;

use crate::args::{Build, Embed, Pack};
use crate::escape::escape;
use crate::exit::{Exit, UsageError};
use crate::output;
use crate::plugin_source::{PluginSource, host, registrations};
use crate::project::{self, Built, Project};

pub(crate) fn build(args: &Build) -> anyhow::Result<Exit> {
    let project = Project::find(&args.project)?;
    let (built, _plugin) = build_and_load(&project, args.force, args.state_dir.path.as_deref())?;
    writeln!(output::stdout(), "{}", escape(&describe(&built)))?;
    Ok(Exit::InSync)
}

/// Builds a project's plugin and compiles it for this machine. Removes what the previous build was
/// compiled to from the cache.
pub(crate) fn build_and_load(
    project: &Project,
    force: bool,
    state_dir: Option<&Path>,
) -> anyhow::Result<(Built, Plugin)> {
    let registrations = registrations(state_dir)?;
    let before = std::fs::read(project.component()).ok();
    let built = if force { project.rebuild()? } else { project.build()? };
    if !built.unchanged
        && let Some(before) = before
    {
        let digest = blake3::hash(&before);
        CodeCache::new(registrations.state_dir()).forget(digest.to_hex().as_str());
    }
    // The author learns now what this host refuses, and the first run need not compile it.
    let source = PluginSource::File(built.component.clone());
    let plugin = source.load(&host(LoadLimits::default())?, &registrations)?;
    Ok((built, plugin))
}

/// Describes the outcome of a build.
pub(crate) fn describe(built: &Built) -> String {
    let (path, size) = (built.component.display(), indicatif::BinaryBytes(built.bytes));
    match built.unchanged {
        true => format!("{path} is up to date, {size}"),
        false => format!("built {path}, {size}"),
    }
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
            writeln!(to, "note: `{what}` is missing in syncmgr.toml")?;
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
    let component = PluginSource::File(args.component.clone());
    let bytes = component.bytes(&LoadLimits::default())?;
    let bytes = project::embed_requests(&bytes, &requests)
        .map_err(|reason| LoadError::Contract { name: component.name(), reason })?;
    let to = args.output.as_ref().unwrap_or(&args.component);
    project::write(to, &bytes)?;
    let size = indicatif::BinaryBytes(bytes.len() as u64);
    writeln!(output::stdout(), "wrote {}, {size}", escape(&to.display().to_string()))?;
    Ok(Exit::InSync)
}

//! `syncmgr push`.

use std::io::Write as _;

use jiff::Timestamp;
use syncmgr_host::{Description, LoadError, LoadLimits, read_component};
use syncmgr_install::InstallError;
use syncmgr_install::registry::{Package, Reference, push};

use super::install::arrived::{read_signature, registry_options};
use crate::args::Push;
use crate::escape::escape;
use crate::exit::Exit;
use crate::output;
use crate::project::Metadata;

pub(crate) fn run(args: &Push) -> anyhow::Result<Exit> {
    let reference: Reference = args.reference.parse().map_err(InstallError::from)?;
    let component = read_component(&args.file, &LoadLimits::default())?;
    let description = Description::of(&component)
        .map_err(|reason| LoadError::Contract { name: args.file.display().to_string(), reason })?;
    let metadata = Metadata::of(&component);
    let annotations: Vec<_> = [
        ("org.opencontainers.image.title", metadata.name),
        ("org.opencontainers.image.version", metadata.version),
        ("org.opencontainers.image.description", metadata.description),
        ("org.opencontainers.image.licenses", metadata.license),
        ("org.opencontainers.image.url", metadata.homepage),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let signature = read_signature(&args.file)?;
    // Pushing a file again gives the same digest.
    let modified = std::fs::metadata(&args.file).and_then(|metadata| metadata.modified());
    let created = modified.ok().and_then(|time| Timestamp::try_from(time).ok());
    let created = created.unwrap_or(Timestamp::UNIX_EPOCH).to_string();
    let package = Package {
        component: &component,
        description: &description,
        created: &created,
        annotations: &annotations,
        signature: signature.as_deref(),
    };
    let options = registry_options(&args.registry)?;
    let digest = push(&options, &reference, &package).map_err(InstallError::from)?;
    let signed = if signature.is_some() { "with its signature" } else { "without a signature" };
    writeln!(
        output::stdout(),
        "pushed {} {signed}\ndigest {digest}",
        escape(&reference.to_string())
    )?;
    Ok(Exit::InSync)
}

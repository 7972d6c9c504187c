//! `syncmgr install` and `syncmgr uninstall`.

pub(super) mod arrived;
pub(super) mod shown;

use std::io::Write as _;

use syncmgr_host::{Description, Host};
use syncmgr_install::{Registration, Registrations, Scope, host_options};

use self::arrived::{Keys, Source, registry_options};
use self::shown::{Replaced, is_confirmed, show};
use super::register::{check_name, commit, given_grants, unregister_one, without_version};
use crate::args::{Install, Uninstall};
use crate::compiler::in_own_process;
use crate::exit::Exit;
use crate::output;
use crate::plugin_source::registrations;
use crate::project::Metadata;

pub(crate) fn install(args: &Install) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let source = Source::parse(&args.source, args.digest.as_deref())?;
    let mut granted =
        given_grants(args.grants.as_deref(), &args.source, &args.grant_args, &args.limits)?;
    if let Source::File { path, .. } = &source {
        granted.protect("the plugin's file", path);
    }
    let host = Host::with_options(in_own_process(host_options(granted.limits().load)))?;
    let keys = Keys::read(&registrations, args.consent.key.as_deref())?;
    let options = registry_options(&args.registry)?;
    let arrived = source.receive(&options, host.load_limits(), &keys)?;
    let name = args.name.clone().unwrap_or_else(|| without_version(&arrived.name).to_owned());
    check_name(&name, false)?;
    let before = registrations.find(&name).ok();
    let replaced = before.as_ref().map(|before| replaced(&registrations, before));
    let component = arrived.component.clone();
    let installation = registrations.prepare(&host, Scope::User, &name, component, granted)?;
    show(&mut output::stdout(), &name, &arrived, replaced.as_ref())?;
    let question = match &replaced {
        Some(_) => format!("Replace the installed plugin {name}?"),
        None => format!("Install {name}?"),
    };
    if !is_confirmed(&question, args.consent.yes)? {
        return Ok(Exit::Cancelled);
    }
    let registration = commit(&registrations, installation.with_origin(arrived.origin()))?;
    writeln!(output::stdout(), "installed {}", registration.name)?;
    Ok(Exit::InSync)
}

/// Describes the installed plugin that a new one replaces.
pub(super) fn replaced<'a>(
    registrations: &Registrations,
    registration: &'a Registration,
) -> Replaced<'a> {
    let component = registrations.component(registration).ok();
    let description = component.as_ref().and_then(|bytes| Description::of(bytes).ok());
    let metadata = component.as_ref().map(|bytes| Metadata::of(bytes)).unwrap_or_default();
    let (version, calls_itself) = (metadata.version, metadata.name);
    Replaced { registration, description, version, calls_itself }
}

pub(crate) fn uninstall(args: &Uninstall) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    unregister_one(&registrations, &registrations.find_to_remove(&args.name)?)?;
    Ok(Exit::InSync)
}

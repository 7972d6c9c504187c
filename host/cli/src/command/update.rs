//! `syncmgr update` and `syncmgr outdated`.

use std::io::Write as _;

use serde::Serialize;
use syncmgr_host::Host;
use syncmgr_host::text::to_json;
use syncmgr_install::registry::{
    Candidate, Digest, OciError, Reference, RegistryOptions, additional_requests, followed,
    has_version_tag, resolve, tags,
};
use syncmgr_install::{Grants, InstallError, Origin, Registration, Registrations, host_options};

use super::install::arrived::{Keys, Source, registry_options};
use super::install::replaced;
use super::install::shown::{is_confirmed, on_terminal, show};
use super::register::commit;
use crate::args::{Outdated, Update};
use crate::compiler::in_own_process;
use crate::escape::escape;
use crate::exit::{self, Exit, UsageError};
use crate::options::grants;
use crate::output;
use crate::plugin_source::registrations;

/// A plugin for which its registry has another content.
struct Newer {
    reference: Reference,
    digest: Digest,
}

pub(crate) fn update(args: &Update) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let options = registry_options(&args.registry)?;
    let keys = Keys::read(&registrations, args.consent.key.as_deref())?;
    let given = grants(&args.grant_args)?;
    if !given.is_empty() && args.names.len() != 1 {
        let message = "grants are for one plugin; name it";
        return Err(UsageError(message.to_owned()).into());
    }
    let installed: Vec<_> = match args.names.is_empty() {
        true => registrations.list(),
        false => args.names.iter().map(|name| registrations.find(name)).collect(),
    };
    let mut exits = Vec::new();
    for registration in installed {
        let updated = registration.map_err(anyhow::Error::from).and_then(|registration| {
            let Some((origin, reference)) = registered_reference(&registration)? else {
                return no_source(&registration, !args.names.is_empty());
            };
            let Some(newer) = newer(&options, origin, &reference)? else {
                let name = &registration.name;
                writeln!(output::stdout(), "{name} is up to date")?;
                return Ok(Exit::InSync);
            };
            let with = With { registrations: &registrations, options: &options, keys: &keys };
            with.update(&registration, origin, &newer, &given, args.consent.yes)
        });
        exits.push(Exit::settle(updated));
    }
    Ok(Exit::of_all(&exits))
}

/// Returns the reference from which a plugin was installed, if it is from a registry.
fn registered_reference(
    registration: &Registration,
) -> anyhow::Result<Option<(&Origin, Reference)>> {
    match &registration.origin {
        Some(origin) if Reference::is_meant(&origin.reference) => {
            Ok(Some((origin, origin.reference.parse().map_err(InstallError::from)?)))
        }
        Some(_) | None => Ok(None),
    }
}

/// Reports a plugin that is not from a registry, if it was named.
fn no_source(registration: &Registration, is_named: bool) -> anyhow::Result<Exit> {
    let from = registration
        .origin
        .as_ref()
        .map_or("a file", |origin| origin.reference.as_str())
        .to_owned();
    let name = registration.name.clone();
    match is_named {
        true => Err(InstallError::from(OciError::NoSource { name, from }).into()),
        false => Ok(Exit::InSync),
    }
}

/// Asks the registry what the reference of a plugin leads to now.
fn newer(
    options: &RegistryOptions,
    origin: &Origin,
    installed: &Reference,
) -> Result<Option<Newer>, InstallError> {
    let tags = match has_version_tag(installed) {
        true => tags(options, installed)?,
        false => Vec::new(),
    };
    let Some(reference) = followed(installed, &tags)? else { return Ok(None) };
    let digest = resolve(options, &reference)?;
    let is_new = digest.as_str() != origin.digest;
    Ok(is_new.then_some(Newer { reference, digest }))
}

struct With<'a> {
    registrations: &'a Registrations,
    options: &'a RegistryOptions,
    keys: &'a Keys,
}

impl With<'_> {
    fn update(
        &self,
        registration: &Registration,
        origin: &Origin,
        newer: &Newer,
        given: &Grants,
        yes: bool,
    ) -> anyhow::Result<Exit> {
        let name = registration.name.as_str();
        let limits = registration.grants.limits().load;
        let host = Host::with_options(in_own_process(host_options(limits)))?;
        let source = Source::Registry(newer.reference.clone());
        let arrived = source.receive(self.options, host.load_limits(), self.keys)?;
        let candidate = Candidate {
            name,
            reference: &newer.reference,
            digest: &arrived.digest,
            version: arrived.metadata.version.as_deref(),
            signer: arrived.signer.as_ref(),
        };
        candidate.check(origin).map_err(InstallError::from)?;
        let replaced = replaced(self.registrations, registration);
        if let (Some(before), Some(now)) = (&replaced.calls_itself, &arrived.metadata.name)
            && before != now
        {
            let message = format!(
                "update of `{name}` refused: the plugin calls itself `{now}` instead of `{before}`, so \
                 it may be another one"
            );
            return Err(UsageError(message).into());
        }
        let before = replaced.description.as_ref();
        let before = before.map(|description| description.requests.clone()).unwrap_or_default();
        let now = &arrived.description.requests;
        let kept = &registration.grants;
        let requests = additional_requests(&before, now, kept, given);
        let mut granted = registration.grants.clone().merged(given.clone());
        let removed = granted.retain_requested(now);
        let component = arrived.component.clone();
        let installation =
            self.registrations.prepare(&host, registration.scope, name, component, granted)?;
        let mut to = output::stdout();
        show(&mut to, name, &arrived, Some(&replaced))?;
        for grant in removed {
            writeln!(to, "changes   no longer granted: {}", escape(&grant))?;
        }
        // An answer that was given before the requests were known does not cover them.
        if !requests.is_empty() && !on_terminal() {
            let name = name.to_owned();
            return Err(InstallError::from(OciError::Requests { name, requests }).into());
        }
        let question = match requests.is_empty() {
            true => format!("Update {name}?"),
            false => format!("Update {name}, which also requests {}?", requests.join(", ")),
        };
        if !is_confirmed(&question, yes && requests.is_empty())? {
            return Ok(Exit::Cancelled);
        }
        let origin = arrived.origin();
        let registration = commit(self.registrations, installation.with_origin(origin))?;
        writeln!(to, "updated {}", registration.name)?;
        Ok(Exit::InSync)
    }
}

#[derive(Serialize)]
struct OutdatedLine {
    name: String,
    version: Option<String>,
    digest: String,
    available: String,
    available_digest: String,
}

pub(crate) fn outdated(args: &Outdated) -> anyhow::Result<Exit> {
    let options = registry_options(&args.registry)?;
    let (mut lines, mut exits) = (Vec::new(), Vec::new());
    for registration in registrations(args.state_dir.path.as_deref())?.list() {
        let line = registration.map_err(anyhow::Error::from).and_then(|registration| {
            let Some((origin, reference)) = registered_reference(&registration)? else {
                return Ok(None);
            };
            let newer = newer(&options, origin, &reference)?;
            Ok(newer.map(|newer| OutdatedLine {
                name: registration.name.clone(),
                version: origin.version.clone(),
                digest: origin.digest.clone(),
                available: newer.reference.to_string(),
                available_digest: newer.digest.to_string(),
            }))
        });
        match line {
            Ok(line) => lines.extend(line),
            Err(error) => {
                exit::print_error(&error);
                exits.push(Exit::of_error(&error));
            }
        }
    }
    let mut to = output::stdout();
    if args.json {
        writeln!(to, "{}", to_json(&lines, false)?)?;
        return Ok(Exit::of_all(&exits));
    }
    for line in lines {
        let version = line.version.as_deref().unwrap_or("no version");
        writeln!(to, "{}  {}  ->  {}", line.name, escape(version), escape(&line.available))?;
    }
    Ok(Exit::of_all(&exits))
}

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use syncmgr_host::text::to_json;
use syncmgr_host::{Access, Description, Host, LoadError, full_message};
use syncmgr_install::{
    Grants, Installation, JobFile, Origin, Registration, Registrations, Scope, host_options,
};

use crate::args::{GrantArgs, List, Register, Unregister};
use crate::compiler::in_own_process;
use crate::escape::escape;
use crate::exit::{self, Exit, UsageError};
use crate::job::read_text;
use crate::options::{grants, set_limits};
use crate::output;
use crate::plugin_source::{PluginSource, registrations};

#[derive(Serialize)]
struct ListLine {
    name: String,
    clsid: String,
    scope: &'static str,
    component: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    dirs: Vec<DirLine>,
    settings: Vec<String>,
    secrets: Vec<String>,
    allow: Vec<&'static str>,
}

#[derive(Serialize)]
struct DirLine {
    name: String,
    path: String,
    access: &'static str,
}

pub(crate) fn register(args: &Register) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let plugin = match PluginSource::built_in(&args.plugin) {
        Some(built_in) => built_in,
        None => PluginSource::File(args.plugin.clone().into()),
    };
    let name = args.name.clone().unwrap_or_else(|| without_version(&plugin.name()).to_owned());
    let own = matches!(plugin, PluginSource::BuiltIn(built_in) if built_in.name == name);
    check_name(&name, own)?;
    let mut granted =
        given_grants(args.grants.as_deref(), &args.plugin, &args.grant_args, &args.limits)?;
    if let PluginSource::File(file) = &plugin {
        granted.protect("the plugin's file", file);
    }
    let host = Host::with_options(in_own_process(host_options(granted.limits().load)))?;
    let bytes = plugin.bytes(host.load_limits())?;
    if let PluginSource::BuiltIn(..) = plugin {
        let description = Description::of(&bytes)
            .map_err(|reason| LoadError::Contract { name: name.clone(), reason })?;
        for (capability, _) in description.requests.capabilities {
            if !granted.allow.contains(&capability) {
                granted.allow.push(capability);
            }
        }
    }
    let scope = if args.machine { Scope::Machine } else { Scope::User };
    let installation = registrations.prepare(&host, scope, &name, bytes.into(), granted)?;
    let registration = commit(&registrations, installation)?;
    writeln!(
        output::stdout(),
        "registered {} as {{{}}}",
        registration.name,
        registration.clsid.to_string().to_uppercase()
    )?;
    Ok(Exit::InSync)
}

/// Rejects the name of a built-in plugin for another one, which would share its storage.
pub(crate) fn check_name(name: &str, is_built_in: bool) -> Result<(), UsageError> {
    match PluginSource::built_in(name).is_some() && !is_built_in {
        true => Err(UsageError(format!(
            "`{name}` is a built-in plugin; choose another name with `--name`"
        ))),
        false => Ok(()),
    }
}

/// Returns the grants of the command line or of a job file, and protects that.
pub(crate) fn given_grants(
    job: Option<&Path>,
    plugin: &str,
    args: &GrantArgs,
    limits: &[String],
) -> anyhow::Result<Grants> {
    let mut granted = match job {
        Some(file) => read_grants(file, plugin)?,
        None => grants(args)?,
    };
    set_limits(&mut granted, limits)?;
    // The plugin could change its grants for the next registration.
    if let Some(file) = job {
        granted.protect("the job file", file);
    }
    Ok(granted)
}

/// Installs a prepared plugin, and registers it with Windows.
pub(crate) fn commit(
    registrations: &Registrations,
    installation: Installation,
) -> anyhow::Result<Registration> {
    native::check(installation.registration())?;
    let before = registrations.find(&installation.registration().name).ok();
    let registration = installation.commit()?;
    if let Some(before) = before.filter(|before| before.clsid != registration.clsid) {
        // The replaced plugin's class does not exist anymore.
        native::unregister(&before)?;
    }
    native::register(&registration, registrations.state_dir())?;
    Ok(registration)
}

/// Returns a file name such as `mail-1.2.0` without its version.
pub(crate) fn without_version(name: &str) -> &str {
    let version = |text: &str| {
        let parts: Vec<_> = text.splitn(3, '.').collect();
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let [major, minor, rest] = parts.as_slice() else { return false };
        let (patch, rest) = rest.split_at(rest.find(['-', '+']).unwrap_or(rest.len()));
        [*major, *minor, patch].iter().all(|part| !part.is_empty() && is_number(part))
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c))
    };
    let mut dashes = name.match_indices('-').map(|(at, _)| name.split_at(at));
    let found = dashes.find(|(_, rest)| version(rest.trim_start_matches('-')));
    found.map_or(name, |(name, _)| name)
}

/// Reads a job file, which may name the plugin or none.
fn read_grants(file: &Path, plugin: &str) -> anyhow::Result<Grants> {
    let (text, base) = read_text(file)?;
    let fail = |message: String| UsageError(format!("job file {}: {message}", file.display()));
    let job = JobFile::parse(&text).map_err(|error| fail(full_message(&error)))?;
    if let Some(other) = job.plugin().filter(|named| *named != plugin) {
        return Err(fail(format!("the file is for the plugin `{other}`")).into());
    }
    Ok(job.grants(base).map_err(|error| fail(full_message(&error)))?)
}

pub(crate) fn unregister(args: &Unregister) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    if let Some(name) = &args.name {
        unregister_one(&registrations, &registrations.find_to_remove(name)?)?;
        return Ok(Exit::InSync);
    }
    // If one of them cannot be removed, the others still are.
    let removed = registrations.list().into_iter().map(|registration| {
        Exit::settle(registration.map_err(anyhow::Error::from).and_then(|registration| {
            unregister_one(&registrations, &registration)?;
            Ok(Exit::InSync)
        }))
    });
    Ok(Exit::of_all(&removed.collect::<Vec<_>>()))
}

pub(crate) fn unregister_one(
    registrations: &Registrations,
    registration: &Registration,
) -> anyhow::Result<()> {
    // Removes the class first, so that the sync manager never finds a missing plugin.
    native::unregister(registration)?;
    registrations.uninstall(registration)?;
    writeln!(
        output::stdout(),
        "unregistered {}; its storage remains in {}",
        registration.name,
        escape(&registrations.home(&registration.name).display().to_string())
    )?;
    Ok(())
}

pub(crate) fn list(args: &List) -> anyhow::Result<Exit> {
    let mut exit = Exit::InSync;
    let mut lines = Vec::new();
    for registration in registrations(args.state_dir.path.as_deref())?.list() {
        match registration {
            Ok(registration) => lines.push(list_line(&registration)),
            Err(error) => {
                exit::print_error(&error.into());
                exit = Exit::Crashed;
            }
        }
    }
    let mut to = output::stdout();
    if args.json {
        writeln!(to, "{}", to_json(&lines, false)?)?;
        return Ok(exit);
    }
    for line in lines {
        writeln!(to, "{}  {{{}}}  {}", line.name, line.clsid.to_uppercase(), line.scope)?;
        if let Some(origin) = line.origin {
            let (reference, digest) = (escape(&origin.reference), escape(&origin.digest));
            writeln!(to, "  from: {reference} ({digest})")?;
        }
        for dir in line.dirs {
            writeln!(to, "  {}: {} ({})", escape(&dir.name), escape(&dir.path), dir.access)?;
        }
        for (what, names) in [("settings", &line.settings), ("secrets", &line.secrets)] {
            if !names.is_empty() {
                writeln!(to, "  {what}: {}", escape(&names.join(", ")))?;
            }
        }
        if !line.allow.is_empty() {
            writeln!(to, "  allowed: {}", line.allow.join(", "))?;
        }
    }
    Ok(exit)
}

fn list_line(registration: &Registration) -> ListLine {
    let grants = &registration.grants;
    let dirs = grants.directories.iter().map(|grant| DirLine {
        name: grant.name().to_owned(),
        path: grant.path().display().to_string(),
        access: match grant.access() {
            Access::ReadOnly => "read-only",
            Access::ReadWrite => "read-write",
        },
    });
    ListLine {
        name: registration.name.clone(),
        clsid: registration.clsid.to_string(),
        scope: registration.scope.name(),
        component: registration.component.clone(),
        origin: registration.origin.clone(),
        dirs: dirs.collect(),
        settings: grants.settings.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        secrets: grants.secrets.iter().map(|(name, _)| name.clone()).collect(),
        allow: grants.allow.iter().map(|capability| capability.name()).collect(),
    }
}

/// Registration as a native handler.
#[cfg(windows)]
mod native {
    use std::io::Write;
    use std::path::Path;

    use anyhow::Context;
    use syncmgr_com::registry;
    use syncmgr_install::{Registration, Scope, default_state_dir};

    pub(super) fn check(registration: &Registration) -> anyhow::Result<()> {
        let library = registry::library_beside_program()?;
        registry::check_class(registration)
            .and_then(|()| registry::check_library(registration, &library))
            .with_context(|| cannot_register(registration))
    }

    fn cannot_register(registration: &Registration) -> String {
        format!("cannot register {} with Windows", registration.name)
    }

    pub(super) fn register(registration: &Registration, state_dir: &Path) -> anyhow::Result<()> {
        if registration.scope == Scope::User && state_dir != default_state_dir()? {
            writeln!(
                std::io::stderr(),
                "note: the sync manager does not find this plugin, because it looks only in the \
                 user's default state directory"
            )?;
        }
        let library = registry::library_beside_program()?;
        let registered = registry::register(registration, &library)
            .with_context(|| cannot_register(registration))?;
        if let Some(note) = registered.note() {
            writeln!(std::io::stderr(), "note: {note}")?;
        }
        Ok(())
    }

    pub(super) fn unregister(registration: &Registration) -> anyhow::Result<()> {
        registry::unregister(registration)
            .with_context(|| format!("cannot unregister {} with Windows", registration.name))
    }
}

/// Other systems have no native handlers.
#[cfg(not(windows))]
mod native {
    use std::path::Path;

    use syncmgr_install::Registration;

    #[expect(clippy::unnecessary_wraps, reason = "on Windows it may fail")]
    pub(super) fn check(_: &Registration) -> anyhow::Result<()> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "on Windows it may fail")]
    pub(super) fn register(_: &Registration, _: &Path) -> anyhow::Result<()> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "on Windows it may fail")]
    pub(super) fn unregister(_: &Registration) -> anyhow::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_excludes_the_version_of_the_file() {
        for (file, name) in [
            ("mail", "mail"),
            ("mail-1.2.0", "mail"),
            ("mail-to-disk-1.2.0-beta.1+7", "mail-to-disk"),
            ("mail-2", "mail-2"),
            ("mail-3d", "mail-3d"),
            ("mail-1.x/y", "mail-1.x/y"),
            ("backup-2.0-photos", "backup-2.0-photos"),
            ("x-3.5inch", "x-3.5inch"),
        ] {
            assert_eq!(without_version(file), name);
        }
    }
}

//! What commands for authors share: a component in a file, and what it is tried on.

use std::path::Path;

use syncmgr_authoring::{Built, Project};
use syncmgr_host::{Access, Grant, Host, HostOptions, Plugin, SessionOptions};
use syncmgr_kit::Fixture;
use syncmgr_store::{CodeCache, StoreError};

use crate::builtin::Named;
use crate::compiler::in_own_process;
use crate::exit::UsageError;
use crate::job::registrations;

/// Builds a project's plugin and compiles it for this machine. What the previous build was compiled to
/// goes from the cache.
pub(crate) fn build(
    project: &Project,
    force: bool,
    state_dir: Option<&Path>,
) -> anyhow::Result<(Built, Plugin)> {
    let before = std::fs::read(project.component()).ok();
    let built = if force { project.rebuild()? } else { project.build()? };
    if !built.unchanged
        && let Some(before) = before
    {
        let digest = blake3::hash(&before);
        CodeCache::new(registrations(state_dir)?.state_dir()).forget(digest.to_hex().as_str());
    }
    // What this host would refuse, its author learns now; and the first run need not compile it.
    let plugin = load(&built.component, state_dir)?;
    Ok((built, plugin))
}

/// Describes the outcome of a build.
pub(crate) fn built(built: &Built) -> String {
    let (path, size) = (built.component.display(), indicatif::BinaryBytes(built.bytes));
    match built.unchanged {
        true => format!("{path} is up to date, {size}"),
        false => format!("built {path}, {size}"),
    }
}

/// Loads a component, compiled or from what was compiled before.
pub(crate) fn load(path: &Path, state_dir: Option<&Path>) -> anyhow::Result<Plugin> {
    load_named(&Named::File(path.to_owned()), state_dir)
}

/// The same of a plugin that may be registered or built in.
pub(crate) fn load_named(named: &Named, state_dir: Option<&Path>) -> anyhow::Result<Plugin> {
    let host = Host::with_options(in_own_process(HostOptions::new()))?;
    let component = named.bytes(host.limits())?;
    let cache = CodeCache::new(registrations(state_dir)?.state_dir());
    Ok(cache.load(&host, &named.name(), &component)?)
}

/// Checks that the plugin requests all that a fixture has, as for a run.
pub(crate) fn check_fixture(plugin: &Plugin, fixture: &Fixture) -> anyhow::Result<()> {
    let mut options = SessionOptions::new();
    for (name, folder) in &fixture.directories {
        options = options.grant(Grant::new(name, folder, Access::ReadOnly)?);
    }
    for (name, value) in &fixture.settings {
        options = options.setting(name, value);
    }
    let unrequested = plugin.excess_grants(&options);
    match unrequested.is_empty() {
        true => Ok(()),
        false => Err(StoreError::Unrequested {
            plugin: plugin.name().to_owned(),
            options: unrequested.iter().map(ToString::to_string).collect(),
        }
        .into()),
    }
}

/// What a project's manifest says.
pub(crate) fn fixture(project: &Project) -> anyhow::Result<Fixture> {
    let given = &project.manifest().fixture;
    let mut fixture = Fixture { settings: given.settings.clone(), ..Fixture::default() };
    for (name, folder) in &given.directories {
        let folder = project.root().join(folder);
        if !folder.is_dir() {
            return Err(UsageError(format!(
                "the fixture's directory `{name}`, {}, is not there",
                folder.display()
            ))
            .into());
        }
        fixture.directories.insert(name.clone(), folder);
    }
    Ok(fixture)
}

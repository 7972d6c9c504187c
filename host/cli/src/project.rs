//! What commands for authors share: a component in a file, and what it is tried on.

use std::path::Path;

use syncmgr_authoring::Project;
use syncmgr_host::{Host, Plugin};
use syncmgr_kit::Fixture;
use syncmgr_store::CodeCache;

use crate::builtin::Named;
use crate::exit::UsageError;
use crate::job::registrations;

/// Loads a component, compiled or from what was compiled before.
pub(crate) fn load(path: &Path, state_dir: Option<&Path>) -> anyhow::Result<Plugin> {
    let named = Named::File(path.to_owned());
    let host = Host::new()?;
    let component = named.bytes(host.limits())?;
    let cache = CodeCache::new(registrations(state_dir)?.state_dir());
    Ok(cache.load(&host, &named.name(), &component)?)
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

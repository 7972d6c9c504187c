//! Directories and URLs that are given without the names of their grants.

use syncmgr_host::{LoadError, LoadLimits, Requests};

use crate::args::GrantArgs;
use crate::exit::UsageError;
use crate::plugin_source::PluginSource;

/// The names that a plugin requests, without those for several items.
#[derive(Debug, Default)]
struct Requested {
    directories: Vec<String>,
    servers: Vec<String>,
}

/// Grants directories and URLs in the order in which `syncmgr inspect` lists the requests. Each
/// request gets exactly one.
pub(crate) fn grant_places(
    plugin: &PluginSource,
    places: &[String],
    grants: &mut GrantArgs,
) -> anyhow::Result<()> {
    let bytes = plugin.bytes(&LoadLimits::default())?;
    let requests = Requests::of(&bytes)
        .map_err(|reason| LoadError::Contract { name: plugin.name(), reason })?;
    let is_single = |name: &&str| !name.contains(['*', '.']);
    let directories = requests.directories.iter().map(|request| request.name.as_str());
    let servers = requests.http.iter().filter(|request| request.url.is_none());
    let servers = servers.map(|request| request.name.as_str());
    let requested = Requested {
        directories: directories.filter(is_single).map(str::to_owned).collect(),
        servers: servers.filter(is_single).map(str::to_owned).collect(),
    };
    requested.assign(places, grants)
}

impl Requested {
    fn assign(self, places: &[String], grants: &mut GrantArgs) -> anyhow::Result<()> {
        let wanted: Vec<_> = self
            .directories
            .iter()
            .map(|name| format!("--dir {name}=DIRECTORY"))
            .chain(self.servers.iter().map(|name| format!("--http {name}=URL")))
            .collect();
        let (urls, paths): (Vec<_>, Vec<_>) =
            places.iter().partition(|place| place.contains("://"));
        if (paths.len(), urls.len()) != (self.directories.len(), self.servers.len()) {
            return Err(UsageError(format!(
                "the plugin requests {} directories and {} servers, not {} and {}; name them: `{}`",
                self.directories.len(),
                self.servers.len(),
                paths.len(),
                urls.len(),
                wanted.join(" ")
            ))
            .into());
        }
        let named = |names: Vec<String>, places: Vec<&String>| -> Vec<String> {
            names.iter().zip(places).map(|(name, place)| format!("{name}={place}")).collect()
        };
        grants.dirs.extend(named(self.directories, paths));
        grants.http.extend(named(self.servers, urls));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_gets_one_place() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        for (directories, servers, places, expected) in [
            (
                &["left", "right"][..],
                &[][..],
                &["a", "b:ro"][..],
                Some((&["left=a", "right=b:ro"][..], &[][..])),
            ),
            (
                &["local"],
                &["remote"],
                &["https://dav.example/", "a=b"],
                Some((&["local=a=b"], &["remote=https://dav.example/"])),
            ),
            (&["left", "right"], &[], &["a"], None),
            (&["left", "right"], &[], &["a", "b", "c"], None),
            (&["local"], &["remote"], &["a", "b"], None),
            (&[], &[], &["a"], None),
        ] {
            let requested = Requested { directories: texts(directories), servers: texts(servers) };
            let mut grants = GrantArgs::default();
            let assigned = requested.assign(&texts(places), &mut grants);
            let granted = assigned.is_ok().then_some((grants.dirs, grants.http));
            let expected = expected.map(|(dirs, http)| (texts(dirs), texts(http)));
            assert_eq!(granted, expected, "{places:?}");
        }
    }
}

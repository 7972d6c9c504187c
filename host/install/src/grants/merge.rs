//! The grants of a new version of a plugin.

use syncmgr_host::Requests;

use super::Grants;

impl Grants {
    /// Adds grants and settings. One of the same name is replaced.
    #[must_use]
    pub fn merged(mut self, given: Self) -> Self {
        let is_given = |name: &str| given.directories.iter().any(|grant| grant.name() == name);
        self.directories.retain(|grant| !is_given(grant.name()));
        self.registered.retain(|directory| !is_given(directory.name()));
        self.directories.extend(given.directories);
        replace(&mut self.settings, given.settings, |(name, _)| name);
        replace(&mut self.secrets, given.secrets, |(name, _)| name);
        replace(&mut self.http, given.http, |server| &server.name);
        replace(&mut self.http_auth, given.http_auth, |auth| &auth.server);
        self.http_ca = given.http_ca.or(self.http_ca);
        self.http_proxy = given.http_proxy.or(self.http_proxy);
        for capability in given.allow {
            if !self.allow.contains(&capability) {
                self.allow.push(capability);
            }
        }
        self.protected.extend(given.protected);
        self
    }

    /// Removes the grants and settings that a plugin does not request. Returns them in words.
    pub fn retain_requested(&mut self, requests: &Requests) -> Vec<String> {
        let mut removed = Vec::new();
        let mut keep = |kind: &str, name: &str, is_requested: bool| {
            if !is_requested {
                removed.push(format!("the {kind} `{name}`"));
            }
            is_requested
        };
        self.directories.retain(|grant| {
            let name = grant.name();
            keep("directory", name, requests.directory(name).is_some())
        });
        self.registered.retain(|directory| requests.directory(directory.name()).is_some());
        self.settings.retain(|(name, _)| keep("setting", name, requests.setting(name).is_some()));
        self.secrets.retain(|(name, _)| keep("secret", name, requests.secret(name)));
        self.http
            .retain(|server| keep("server", &server.name, requests.server(&server.name).is_some()));
        self.http_auth.retain(|auth| requests.server(&auth.server).is_some());
        self.allow.retain(|&one| keep("capability", one.name(), requests.capability(one)));
        removed
    }
}

/// Adds entries. Those of the same name are replaced.
fn replace<T>(entries: &mut Vec<T>, given: Vec<T>, name: impl Fn(&T) -> &String) {
    entries.retain(|old| !given.iter().any(|new| name(new) == name(old)));
    entries.extend(given);
}

#[cfg(test)]
mod tests {
    use syncmgr_host::{Access, Capability, Grant};

    use super::*;
    use crate::grants::{Secret, Server};

    #[test]
    fn given_grants_replace_those_of_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let grants = |access| {
            let mut grants = Grants::default();
            grants.directories.push(Grant::new("left", folder.path(), access).unwrap());
            grants.settings.push(("mode".to_owned(), format!("{access:?}")));
            grants.secrets.push(("token".to_owned(), Secret::Env("TOKEN".to_owned())));
            grants.http.push(Server::requested("api"));
            grants.allow.push(Capability::WallClock);
            grants
        };
        let mut before = grants(Access::ReadOnly);
        before.settings.push(("other".to_owned(), "kept".to_owned()));
        let mut merged = before.merged(grants(Access::ReadWrite));
        assert_eq!(merged.directories.len(), 1);
        assert_eq!(merged.directories[0].access(), Access::ReadWrite);
        let settings: Vec<_> = merged.settings.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(settings, ["other", "mode"]);
        assert_eq!((merged.secrets.len(), merged.http.len(), merged.allow.len()), (1, 1, 1));
        let removed = merged.retain_requested(&Requests::default());
        assert_eq!(removed.len(), 6, "{removed:?}");
        assert!(merged.is_empty());
    }
}

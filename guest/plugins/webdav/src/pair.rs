//! A directory and a collection that are kept in sync: an item.

use syncmgr_engine as engine;
use syncmgr_engine::SideGrant;
use syncmgr_plugin::directories::{self, Access, Grant};
use syncmgr_plugin::{Error, ErrorCode, ItemId, Result, settings};
use uuid::Uuid;

use crate::url;

/// A granted directory and a granted server.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The key of the item in the grants and settings; `None` is the only pair.
    pub key: Option<String>,
    /// The directory.
    pub local: Grant,
    /// The granted URL, which ends with `/`.
    pub server: String,
    /// The URL of the collection, which is that of the server or below it, and ends with `/`.
    pub remote: String,
}

/// The setting for the path of the collection below the granted URL.
pub const COLLECTION: &str = "collection";

/// The namespace of item ids.
const ITEMS: Uuid = Uuid::from_u128(0x5b8e_91c7_0d34_4f6a_8a21_77c0_e3b5_42d9);
/// The namespace of the ids of collections.
const COLLECTIONS: Uuid = Uuid::from_u128(0x1f42_d0a6_9c5b_4be3_b7de_0a64_58f1_c92e);

impl Pair {
    /// Returns all pairs: the directory `local` with the server `remote`, and each `KEY.local` with
    /// its `KEY.remote`.
    ///
    /// # Errors
    /// Fails if a directory has another name, if a server is missing, and if the setting
    /// `collection` is invalid.
    pub fn all() -> Result<Vec<Self>> {
        Self::find(directories::grants(), settings::get)
    }

    fn find(
        grants: Vec<Grant>,
        setting: impl Fn(Option<&str>, &str) -> Option<String>,
    ) -> Result<Vec<Self>> {
        if grants.is_empty() {
            return Err(invalid(
                "no directory to sync; grant one with `--dir local=PATH`, and a server with \
                 `--http remote=URL`"
                    .to_owned(),
            ));
        }
        let pair = |grant: Grant| {
            let (key, name) = match grant.name.rsplit_once('.') {
                Some((key, name)) => (Some(key.to_owned()), name),
                None => (None, grant.name.as_str()),
            };
            if name != "local" {
                return Err(invalid(format!(
                    "the directory `{}` is not `local`; name directories `local`, or `KEY.local`",
                    grant.name
                )));
            }
            let name = match &key {
                Some(key) => format!("{key}.remote"),
                None => "remote".to_owned(),
            };
            let url = setting(None, &name).filter(|url| !url.is_empty()).ok_or_else(|| {
                invalid(format!(
                    "the server `{name}` is missing; grant it with `--http {name}=URL`"
                ))
            })?;
            let server = format!("{}/", url.trim_end_matches('/'));
            let path = setting(key.as_deref(), COLLECTION).unwrap_or_default();
            let remote = match path.trim_matches('/') {
                "" => server.clone(),
                path if path.split('/').any(|name| ["", ".", ".."].contains(&name)) => {
                    return Err(invalid(format!(
                        "setting `{COLLECTION}` is `{path}`; use the path of a collection below \
                         the URL of the server, such as `files/me/docs`"
                    )));
                }
                path => format!("{server}{}/", url::encode(path)),
            };
            Ok(Self { key, local: grant, server, remote })
        };
        grants.into_iter().map(pair).collect()
    }

    /// Returns the id of the item. It is derived from the directory and the collection.
    pub fn id(&self) -> ItemId {
        let [local, remote] = self.sides().roots();
        ItemId::from_uuid(Uuid::new_v5(&ITEMS, &[local, remote].concat()))
    }

    /// Returns the display name.
    pub fn name(&self) -> String {
        let fallback = || self.key.clone().unwrap_or_else(|| "webdav".to_owned());
        settings::get(self.key.as_deref(), "name")
            .filter(|name| !name.is_empty())
            .unwrap_or_else(fallback)
    }

    /// Returns the two sides.
    pub fn sides(&self) -> engine::Pair {
        let local = SideGrant {
            label: "local",
            description: format!("the directory `{}`", self.local.name),
            is_writable: self.local.access == Access::ReadWrite,
            id: self.local.id,
        };
        let name = self.key.as_ref().map_or("remote".to_owned(), |key| format!("{key}.remote"));
        let remote = SideGrant {
            label: "remote",
            description: format!("the server `{name}`"),
            // A plugin does not learn whether a server is granted read-only: the host denies the
            // requests.
            is_writable: true,
            id: Uuid::new_v5(&COLLECTIONS, self.remote.as_bytes()),
        };
        engine::Pair { sides: [local, remote] }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(names: &[&str], servers: &[&str]) -> Result<Vec<Pair>> {
        let grant = |(at, name): (usize, &&str)| Grant {
            name: (*name).to_owned(),
            access: Access::ReadWrite,
            id: Uuid::from_u128(at as u128),
        };
        let setting = |_: Option<&str>, name: &str| match name {
            COLLECTION => None,
            name => servers.contains(&name).then(|| format!("https://dav.example.org/{name}")),
        };
        Pair::find(names.iter().enumerate().map(grant).collect(), setting)
    }

    #[test]
    fn pairs_are_found_by_name() {
        let pairs = find(&["a.local", "local"], &["remote", "a.remote"]).unwrap();
        let found: Vec<_> = pairs.iter().map(|pair| (pair.key.as_deref(), &*pair.remote)).collect();
        assert_eq!(
            found,
            [
                (Some("a"), "https://dav.example.org/a.remote/"),
                (None, "https://dav.example.org/remote/"),
            ]
        );
    }

    #[test]
    fn an_invalid_pair_is_explained() {
        for (names, words) in [
            (&[][..], "no directory to sync"),
            (&["left"], "`left` is not `local`"),
            (&["a.local"], "`a.remote` is missing"),
        ] {
            let error = find(names, &["remote"]).unwrap_err();
            assert!(error.message.contains(words), "{error}");
        }
    }

    #[test]
    fn a_collection_is_below_the_server() {
        let grant =
            Grant { name: "local".to_owned(), access: Access::ReadWrite, id: Uuid::from_u128(1) };
        for (collection, expected) in [
            (None, Some("https://c.example/dav/")),
            (Some(""), Some("https://c.example/dav/")),
            (Some("files/a b"), Some("https://c.example/dav/files/a%20b/")),
            (Some("/files/me/"), Some("https://c.example/dav/files/me/")),
            (Some("files//me"), None),
            (Some("../me"), None),
        ] {
            let setting = |_: Option<&str>, name: &str| match name {
                COLLECTION => collection.map(str::to_owned),
                _ => Some("https://c.example/dav".to_owned()),
            };
            let pairs = Pair::find(vec![grant.clone()], setting);
            let found = pairs.ok().map(|pairs| pairs[0].remote.clone());
            assert_eq!(found.as_deref(), expected, "{collection:?}");
        }
    }
}

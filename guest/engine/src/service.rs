//! Pairs of a granted directory and a granted server.

use std::marker::PhantomData;

use syncmgr_plugin::directories::{self, Access, Directory, Grant};
use syncmgr_plugin::{Error, ErrorCode, ItemId, Result, SyncContext, settings};
use uuid::Uuid;

use crate::apply::Endpoints;
use crate::endpoint::Endpoint;
use crate::item::PairItem;
use crate::local::Local;
use crate::pair::{Pair, SideGrant};
use crate::tree::Side;

/// A service that a plugin syncs directories with.
pub trait Service {
    /// The display name of an item without a key and without the setting `name`.
    const NAME: &'static str;

    /// The names of the settings that only this service has.
    const SETTINGS: &'static [&'static str] = &[];

    /// Returns the URL to sync with, which is the granted one or below it, and ends with `/`.
    /// `setting` returns settings of the item.
    ///
    /// # Errors
    /// Fails if a setting is invalid.
    fn url(granted: &str, _setting: &dyn Fn(&str) -> Option<String>) -> Result<String> {
        Ok(granted.to_owned())
    }

    /// Opens the side on a server. `storage` is that of the plugin.
    ///
    /// # Errors
    /// Fails if the URL is invalid, or if the server cannot be used.
    fn open(server: &Server, storage: &Directory) -> Result<Box<dyn Endpoint>>;
}

/// A granted server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The name of the grant.
    pub name: String,
    /// The granted URL, which ends with `/`.
    pub granted: String,
    /// The URL to sync with, see [`Service::url`].
    pub url: String,
    /// The same in every run for the same URL.
    pub id: Uuid,
    /// The number of requests in flight, from the setting `transfers`.
    pub transfers: usize,
}

/// A granted directory `local`, and a granted server `remote`; or `KEY.local` and `KEY.remote`. With
/// the setting `from=remote`, the server is the left side, from which one-way modes copy.
#[derive(Clone, Debug)]
pub struct ServerPair<S> {
    key: Option<String>,
    local: Grant,
    server: Server,
    is_from_remote: bool,
    service: PhantomData<S>,
}

/// The default of the setting `transfers`, and its maximum.
const TRANSFERS: usize = 8;
const MAX_TRANSFERS: usize = 32;

/// The namespace of the ids of items and servers.
const IDS: Uuid = Uuid::from_u128(0x5b8e_91c7_0d34_4f6a_8a21_77c0_e3b5_42d9);

impl<S: Service> ServerPair<S> {
    /// Returns the pairs among the grants.
    ///
    /// # Errors
    /// Fails if a directory has another name, if a server is missing, and if the setting `from` or
    /// `transfers` is invalid.
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
            let is_from_remote = match setting(key.as_deref(), "from").as_deref() {
                None | Some("local") => false,
                Some("remote") => true,
                Some(text) => {
                    let message = format!("setting `from` is `{text}`; use local or remote");
                    return Err(invalid(message));
                }
            };
            let name = match &key {
                Some(key) => format!("{key}.remote"),
                None => "remote".to_owned(),
            };
            let url = setting(None, &name).filter(|url| !url.is_empty()).ok_or_else(|| {
                invalid(format!(
                    "the server `{name}` is missing; grant it with `--http {name}=URL`"
                ))
            })?;
            let granted = format!("{}/", url.trim_end_matches('/'));
            let url = S::url(&granted, &|name| setting(key.as_deref(), name))?;
            let id = Uuid::new_v5(&IDS, url.as_bytes());
            let transfers = transfers(setting(key.as_deref(), "transfers").as_deref())?;
            let server = Server { name, granted, url, id, transfers };
            Ok(Self { key, local: grant, server, is_from_remote, service: PhantomData })
        };
        grants.into_iter().map(pair).collect()
    }

    /// Swaps the directory and the server if the server is the left side.
    fn ordered<T>(&self, [local, remote]: [T; 2]) -> [T; 2] {
        if self.is_from_remote { [remote, local] } else { [local, remote] }
    }
}

impl<S: Service> PairItem for ServerPair<S> {
    const NAME: &'static str = S::NAME;

    fn settings() -> Vec<&'static str> {
        [&["remote", "from", "transfers"], S::SETTINGS].concat()
    }

    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// It is derived from the service, the directory and the server.
    fn id(&self) -> ItemId {
        let sides = [self.local.id, self.server.id].map(Uuid::into_bytes).concat();
        ItemId::from_uuid(Uuid::new_v5(&IDS, &[S::NAME.as_bytes(), &sides].concat()))
    }

    fn pair(&self) -> Pair {
        let local = SideGrant {
            label: "local",
            description: format!("the directory `{}`", self.local.name),
            is_writable: self.local.access == Access::ReadWrite,
            id: self.local.id,
        };
        let remote = SideGrant {
            label: "remote",
            description: format!("the server `{}`", self.server.name),
            // A plugin does not learn whether a server is granted read-only: the host denies the
            // requests.
            is_writable: true,
            id: self.server.id,
        };
        Pair { sides: self.ordered([local, remote]) }
    }

    fn open(&self, storage: &Directory, context: &SyncContext) -> Result<Endpoints> {
        let side = if self.is_from_remote { Side::Right } else { Side::Left };
        let local = Local::open_grant(&self.local, storage, side, context)?;
        Ok(self.ordered([Box::new(local), S::open(&self.server, storage)?]))
    }
}

fn transfers(text: Option<&str>) -> Result<usize> {
    let Some(text) = text else { return Ok(TRANSFERS) };
    let number = text.parse().ok().filter(|number| (1..=MAX_TRANSFERS).contains(number));
    number.ok_or_else(|| {
        let message =
            format!("setting `transfers` is `{text}`; use a number from 1 to {MAX_TRANSFERS}");
        invalid(message)
    })
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Files;

    impl Service for Files {
        const NAME: &'static str = "files";

        fn open(_server: &Server, _storage: &Directory) -> Result<Box<dyn Endpoint>> {
            Err(Error::failed("it is not opened"))
        }
    }

    fn find(names: &[&str], servers: &[&str]) -> Result<Vec<ServerPair<Files>>> {
        let grant = |(at, name): (usize, &&str)| Grant {
            name: (*name).to_owned(),
            access: Access::ReadWrite,
            id: Uuid::from_u128(at as u128),
        };
        let setting = |_: Option<&str>, name: &str| {
            servers.contains(&name).then(|| format!("https://dav.example.org/{name}"))
        };
        ServerPair::find(names.iter().enumerate().map(grant).collect(), setting)
    }

    #[test]
    fn pairs_are_found_by_name() {
        let pairs = find(&["a.local", "local"], &["remote", "a.remote"]).unwrap();
        let found: Vec<_> =
            pairs.iter().map(|pair| (pair.key.as_deref(), &*pair.server.url)).collect();
        assert_eq!(
            found,
            [
                (Some("a"), "https://dav.example.org/a.remote/"),
                (None, "https://dav.example.org/remote/"),
            ]
        );
    }

    #[test]
    fn the_number_of_transfers_is_limited() {
        for (text, expected) in [
            (None, Some(8)),
            (Some("1"), Some(1)),
            (Some("32"), Some(32)),
            (Some("0"), None),
            (Some("33"), None),
            (Some("-1"), None),
            (Some(""), None),
            (Some("8 "), None),
            (Some("99999999999999999999"), None),
        ] {
            assert_eq!(transfers(text).ok(), expected, "{text:?}");
        }
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
}

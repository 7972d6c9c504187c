//! Two directories that are kept in sync: an item.

use syncmgr_engine as engine;
use syncmgr_engine::tree::Side;
use syncmgr_engine::{Endpoint, Endpoints, Local, PairItem, SideGrant};
use syncmgr_plugin::directories::{self, Access, Directory, Grant};
use syncmgr_plugin::{Error, ErrorCode, ItemId, Result, SyncContext};
use uuid::Uuid;

/// Two granted directories.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The key of the item in the grants and settings; `None` is the only pair.
    pub key: Option<String>,
    /// The left and the right directory.
    pub grants: [Grant; 2],
}

/// The namespace of item ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x8d0c_6b4e_21f7_4a95_9e3b_c2d8_5f6a_0b17);

impl Pair {
    /// Returns all pairs among the granted directories: `left` and `right`, and each `KEY.left`
    /// with its `KEY.right`.
    pub fn all() -> Result<Vec<Self>> {
        Self::find(directories::grants())
    }

    fn find(grants: Vec<Grant>) -> Result<Vec<Self>> {
        let mut keys: Vec<Option<String>> = Vec::new();
        for grant in &grants {
            let (key, side) = match grant.name.rsplit_once('.') {
                Some((key, side)) => (Some(key.to_owned()), side),
                None => (None, grant.name.as_str()),
            };
            if !Side::BOTH.iter().any(|known| known.name() == side) {
                return Err(invalid(format!(
                    "the directory `{}` is neither `left` nor `right`; name directories `left` and \
                     `right`, or `KEY.left` and `KEY.right`",
                    grant.name
                )));
            }
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return Err(invalid(
                "no directories to sync; grant two with `--dir left=PATH --dir right=PATH`"
                    .to_owned(),
            ));
        }
        keys.into_iter()
            .map(|key| {
                let grant = |side: Side| {
                    let name = match &key {
                        Some(key) => format!("{key}.{}", side.name()),
                        None => side.name().to_owned(),
                    };
                    grants.iter().find(|grant| grant.name == name).cloned().ok_or_else(|| {
                        invalid(format!(
                            "the directory `{name}` is missing; grant it with `--dir {name}=PATH`"
                        ))
                    })
                };
                let grants = [grant(Side::Left)?, grant(Side::Right)?];
                Ok(Self { key, grants })
            })
            .collect()
    }
}

impl PairItem for Pair {
    const NAME: &'static str = "folder";

    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// It is derived from the two directories, so that other directories with the same names are
    /// another item.
    fn id(&self) -> ItemId {
        let [left, right] = self.pair().roots();
        ItemId::from_uuid(Uuid::new_v5(&NAMESPACE, &[left, right].concat()))
    }

    fn pair(&self) -> engine::Pair {
        let side = |side: Side| {
            let grant = &self.grants[side.index()];
            SideGrant {
                label: side.name(),
                description: format!("the directory `{}`", grant.name),
                is_writable: grant.access == Access::ReadWrite,
                id: grant.id,
            }
        };
        engine::Pair { sides: Side::BOTH.map(side) }
    }

    fn open(&self, storage: &Directory, context: &SyncContext) -> Result<Endpoints> {
        let open = |side: Side| -> Result<Box<dyn Endpoint>> {
            let grant = &self.grants[side.index()];
            Ok(Box::new(Local::open_grant(grant, storage, side, context)?))
        };
        Ok([open(Side::Left)?, open(Side::Right)?])
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(names: &[&str]) -> Result<Vec<Pair>> {
        let grant = |(at, name): (usize, &&str)| Grant {
            name: (*name).to_owned(),
            access: Access::ReadWrite,
            id: Uuid::from_u128(at as u128),
        };
        Pair::find(names.iter().enumerate().map(grant).collect())
    }

    #[test]
    fn pairs_are_found_by_name() {
        let pairs = find(&["a.left", "left", "b.left", "a.right", "right", "b.right"]).unwrap();
        let keys: Vec<_> = pairs.iter().map(|pair| pair.key.as_deref()).collect();
        assert_eq!(keys, [Some("a"), None, Some("b")]);
    }

    #[test]
    fn an_invalid_pair_is_explained() {
        for (names, words) in [
            (&[][..], "no directories to sync"),
            (&["left"], "`right` is missing"),
            (&["a.right"], "`a.left` is missing"),
            (&["left", "up"], "neither `left` nor `right`"),
        ] {
            let error = find(names).unwrap_err();
            assert!(error.message.contains(words), "{error}");
        }
    }

    #[test]
    fn swapped_sides_are_another_item() {
        let one = &find(&["left", "right"]).unwrap()[0];
        let other = &find(&["right", "left"]).unwrap()[0];
        assert_ne!(one.id(), other.id());
    }
}

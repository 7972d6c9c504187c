//! Grants of directories and capabilities.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::GrantError;
use crate::fs::held::is_held;

/// Something outside the sandbox that has no name, unlike directories and settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Capability {
    /// The time of day: `wasi:clocks/wall-clock`.
    WallClock,
    /// Secret random numbers: `wasi:random/random`. Insecure random numbers need no grant.
    Randomness,
}

impl Capability {
    /// All capabilities.
    pub const ALL: &[Self] = &[Self::WallClock, Self::Randomness];

    /// Returns the name on command lines and in job files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WallClock => "wall-clock",
            Self::Randomness => "randomness",
        }
    }

    /// Returns the meaning for display.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::WallClock => "the time of day",
            Self::Randomness => "secret random numbers",
        }
    }
}

impl std::str::FromStr for Capability {
    type Err = GrantError;

    fn from_str(name: &str) -> Result<Self, GrantError> {
        let found = Self::ALL.iter().find(|capability| capability.name() == name);
        found.copied().ok_or_else(|| GrantError::Capability { name: name.to_owned() })
    }
}

/// The access of a plugin to a directory, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Read access.
    ReadOnly,
    /// Read and write access.
    ReadWrite,
}

/// A named directory that a plugin may access.
///
/// The directory need not exist when a session starts; opening it fails if it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    name: String,
    path: PathBuf,
    access: Access,
    id: Uuid,
}

/// The namespace of grant ids.
const NAMESPACE: Uuid = Uuid::from_u128(0x3c1e_8f05_92ab_4d7e_b0d4_7a61_5ec8_9f13);

impl Grant {
    /// Grants a directory under a name: parts of letters, digits, `_` and `-`, joined by `.`.
    ///
    /// # Errors
    /// Returns [`GrantError::Name`] for any other name, and for `storage`, which every plugin has.
    pub fn new(name: &str, path: impl AsRef<Path>, access: Access) -> Result<Self, GrantError> {
        let path = path.as_ref();
        if name == "storage" || !is_name(name) {
            return Err(GrantError::Name { name: name.to_owned() });
        }
        let path = canonical(path).map_err(|source| GrantError::Open {
            name: name.to_owned(),
            path: path.to_owned(),
            source,
        })?;
        let id = Uuid::new_v5(&NAMESPACE, path.as_os_str().as_encoded_bytes());
        Ok(Self { name: name.to_owned(), path, access, id })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path of the directory: absolute, and with links resolved as far as it exists.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the access.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Returns whether another session has locked the directory, so that a session with this grant
    /// cannot lock it. If no session has, this locks it for an instant.
    pub fn is_held(&self) -> bool {
        is_held(&self.path, self.access == Access::ReadWrite)
    }

    /// Returns the grant with another id, for running a plugin on a copy that should pass for the
    /// original.
    #[must_use]
    pub fn with_id(&self, id: Uuid) -> Self {
        Self { id, ..self.clone() }
    }

    /// Returns the grant with read access only.
    #[must_use]
    pub fn read_only(&self) -> Self {
        self.with_access(Access::ReadOnly)
    }

    pub(crate) fn with_access(&self, access: Access) -> Self {
        Self { access, ..self.clone() }
    }

    /// Returns the id, which is the same for the same directory of this machine.
    pub fn id(&self) -> Uuid {
        self.id
    }
}

/// Returns whether a name consists of letters, digits, `_` and `-`, in parts joined by `.`.
pub(crate) fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    name.len() <= 100 && name.split('.').all(part)
}

/// Resolves a path as far as it exists.
fn canonical(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut there = absolute.as_path();
    loop {
        if let Ok(canonical) = there.canonicalize() {
            let rest = absolute.strip_prefix(there).unwrap_or(Path::new(""));
            // Joining an empty path would add a separator.
            return Ok(if rest.as_os_str().is_empty() { canonical } else { canonical.join(rest) });
        }
        // A missing name followed by `..` could resolve to anything.
        there = match (there.parent(), there.file_name()) {
            (Some(parent), Some(_)) => parent,
            (None, _) | (_, None) => return Ok(absolute),
        };
    }
}

/// Checks that names are unique and that no directory is the same as, or inside, another one: a
/// plugin that compares two of them must not see one file under two names.
pub(crate) fn check(grants: &[Grant]) -> Result<(), GrantError> {
    for (at, outer) in grants.iter().enumerate() {
        for (other_at, inner) in grants.iter().enumerate() {
            if at == other_at {
                continue;
            }
            if outer.name == inner.name {
                return Err(GrantError::Twice { name: outer.name.clone() });
            }
            if inner.path.starts_with(&outer.path) && writes(outer, inner) {
                return Err(GrantError::Overlap {
                    outer: outer.name.clone(),
                    inner: inner.name.clone(),
                    path: inner.path.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Returns whether two overlapping grants conflict. The same directory may be granted to several
/// items of a job, each of which compares it with another one, but one item must not see a file
/// twice. The part of the name before the last `.` identifies the item.
fn writes(outer: &Grant, inner: &Grant) -> bool {
    let item = |grant: &Grant| grant.name.rsplit_once('.').map(|(item, _)| item.to_owned());
    item(outer) == item(inner) || outer.path != inner.path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(name: &str, path: &str) -> Grant {
        Grant::new(name, path, Access::ReadWrite).unwrap()
    }

    #[test]
    fn invalid_grant_names_are_refused() {
        for (name, good) in [
            ("left", true),
            ("docs.left", true),
            ("My_docs-2.a.b", true),
            ("", false),
            (".", false),
            ("a..b", false),
            ("a/b", false),
            ("a b", false),
            ("storage", false),
            ("ä", false),
        ] {
            let made = Grant::new(name, "/nowhere", Access::ReadOnly);
            assert_eq!(made.is_ok(), good, "{name:?}");
        }
    }

    #[test]
    fn overlapping_directories_of_one_item_are_refused() {
        for (grants, good) in [
            (vec![grant("a", "/nowhere/x"), grant("b", "/nowhere/y")], true),
            (vec![grant("a", "/nowhere/x"), grant("b", "/nowhere/xy")], true),
            (vec![grant("a", "/nowhere/x"), grant("b", "/nowhere/x")], false),
            (vec![grant("a", "/nowhere/x/y"), grant("b", "/nowhere/x")], false),
            (vec![grant("a", "/nowhere/x"), grant("a", "/nowhere/y")], false),
            (vec![grant("p.a", "/nowhere/x"), grant("q.a", "/nowhere/x")], true),
            (vec![grant("p.a", "/nowhere/x"), grant("q.a", "/nowhere/x/y")], false),
        ] {
            assert_eq!(check(&grants).is_ok(), good, "{grants:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_is_resolved_as_far_as_it_exists() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        std::fs::create_dir(home.join("real")).unwrap();
        std::os::unix::fs::symlink("real", home.join("link")).unwrap();
        for (path, expected) in [
            ("real", "real"),
            ("link", "real"),
            ("link/gone/deeper", "real/gone/deeper"),
            ("real/../link/", "real"),
            ("gone/../link", "gone/../link"),
        ] {
            let path = home.join(path);
            let made = Grant::new("a", &path, Access::ReadOnly).unwrap();
            assert_eq!(made.path().as_os_str(), home.join(expected).as_os_str(), "{path:?}");
        }
    }

    #[test]
    fn a_grant_id_depends_on_the_directory() {
        assert_eq!(grant("a", "/nowhere/x").id(), grant("b", "/nowhere/./x").id());
        assert_ne!(grant("a", "/nowhere/x").id(), grant("a", "/nowhere/y").id());
    }
}

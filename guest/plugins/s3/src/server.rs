//! The capabilities of a server. A probe determines them once; the storage keeps them until the
//! server's name changes.

use serde::{Deserialize, Serialize};
use syncmgr_engine::seal;
use syncmgr_plugin::Result;
use syncmgr_plugin::directories::Directory;
use uuid::Uuid;

/// The first bytes of the file: its type and version.
const MAGIC: &[u8; 16] = b"syncmgr-s3-cap\0\x02";
const MAX_FILE_BYTES: usize = 4 << 10;
/// The maximum length of the header that names a server.
const MAX_NAME: usize = 100;

/// The capabilities of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The header `Server`; empty: none.
    pub name: String,
    /// Whether PUT with `If-None-Match: *` refuses to replace an object.
    pub creates_new: bool,
    /// Whether PUT with `If-Match` replaces only the expected object.
    pub replaces_expected: bool,
    /// Whether an upload in parts is completed under the same conditions.
    pub completes_expected: bool,
    /// Whether a copy with `If-None-Match: *` refuses to replace an object. Otherwise, a rename
    /// might replace one of another client.
    pub copies_new: bool,
    /// Whether DELETE with `If-Match` deletes only the expected object.
    pub deletes_expected: bool,
    /// Whether it keeps an object whose key ends with `/`.
    pub has_markers: bool,
    /// Whether the bucket keeps old versions.
    pub has_versions: bool,
}

impl Server {
    /// Returns whether it refuses all overwrites that are not expected.
    pub fn refuses_overwrites(&self) -> bool {
        self.creates_new && self.replaces_expected && self.completes_expected
    }

    /// Describes it in one line.
    pub fn describe(&self) -> String {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let name = if self.name.is_empty() { "a server without a name" } else { &self.name };
        format!(
            "{name}; refuses overwrites: {}; refuses deletions: {}; renames: {}; keeps versions: {}; \
             keeps empty directories: {}",
            yes(self.refuses_overwrites()),
            yes(self.deletes_expected),
            yes(self.copies_new),
            yes(self.has_versions),
            yes(self.has_markers)
        )
    }

    /// Loads the capabilities of a server.
    pub fn load(storage: &Directory, id: Uuid) -> Option<Self> {
        seal::load(storage, &file_name(id), MAGIC, MAX_FILE_BYTES)
    }

    /// Saves the capabilities of a server.
    ///
    /// # Errors
    /// Fails if the storage cannot be written.
    pub fn save(&self, storage: &Directory, id: Uuid) -> Result<()> {
        seal::store(storage, &file_name(id), MAGIC, self)
    }
}

/// Returns the name of a server in its header.
pub fn name(header: Option<&str>) -> String {
    let header = header.unwrap_or_default().chars();
    header.filter(|one| !one.is_control()).take(MAX_NAME).collect()
}

fn file_name(id: Uuid) -> String {
    format!("{}.server", id.simple())
}

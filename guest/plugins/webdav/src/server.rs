//! The capabilities of a server. A probe determines them once; the storage keeps them until the
//! server's headers change.

use serde::{Deserialize, Serialize};
use syncmgr_engine::seal;
use syncmgr_plugin::Result;
use syncmgr_plugin::directories::Directory;
use uuid::Uuid;

/// The first bytes of the file: its type and version.
const MAGIC: &[u8; 16] = b"syncmgr-webdav\0\x02";
const MAX_FILE_BYTES: usize = 4 << 10;
/// The maximum length of a header that identifies a server.
const MAX_HEADER: usize = 100;

/// How a server describes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The header `Server`; empty: none.
    pub server: String,
    /// The header `DAV`; empty: none.
    pub dav: String,
}

impl Identity {
    /// Uses the start of these headers.
    pub fn new(server: Option<&str>, dav: Option<&str>) -> Self {
        let [server, dav] = [server, dav].map(|header| {
            let header = header.unwrap_or_default().chars();
            header.filter(|one| !one.is_control()).take(MAX_HEADER).collect()
        });
        Self { server, dav }
    }
}

/// The capabilities of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// How it described itself.
    pub identity: Identity,
    /// How it names the target of MOVE; `None`: it cannot move files.
    pub destination: Option<Destination>,
    /// Whether MOVE with `Overwrite: F` refuses to replace a file.
    pub refuses_overwrites: bool,
    /// Whether it stores the time of `X-OC-Mtime`.
    pub keeps_times: bool,
    /// How reliable its version tags are.
    pub tags: Tags,
    /// Whether a moved file keeps its tag.
    pub moves_tags: bool,
    /// Whether a moved file keeps its time.
    pub moves_times: bool,
    /// Whether it states ids of files.
    pub ids: Ids,
    /// Whether it lists entries whose names begin with a dot. nginx does not.
    pub lists_hidden: bool,
}

/// What a server says of the ids of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ids {
    /// Nothing.
    None,
    /// A moved file gets another one.
    Changed,
    /// A moved file keeps its id.
    Kept,
}

/// How the target of MOVE is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// As the URL.
    Url,
    /// As the URL with `http` instead of `https`, or the other way round: behind a proxy, a server
    /// does not know its scheme.
    OtherScheme,
    /// As the path of the URL.
    Path,
}

impl Destination {
    /// All ways, the most usual one first.
    pub const ALL: [Self; 3] = [Self::Url, Self::OtherScheme, Self::Path];

    /// Writes a URL in this way.
    pub fn write(self, url: &str) -> String {
        let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
        match self {
            Self::Url => url.to_owned(),
            Self::OtherScheme if scheme == "https" => format!("http://{rest}"),
            Self::OtherScheme => format!("https://{rest}"),
            Self::Path => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
        }
    }
}

/// How reliable the version tags of a server are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tags {
    /// Every version has another one.
    Exact,
    /// There are none, or two versions of one second may have the same one.
    Coarse,
    /// A version does not keep its tag.
    Unstable,
}

impl Server {
    /// Returns the capabilities that are assumed of an unknown server.
    pub fn unknown() -> Self {
        Self {
            identity: Identity::default(),
            destination: Some(Destination::Url),
            refuses_overwrites: false,
            keeps_times: false,
            tags: Tags::Exact,
            moves_tags: true,
            moves_times: true,
            ids: Ids::None,
            lists_hidden: false,
        }
    }

    /// Returns whether it can rename an entry: a renamed file keeps its fingerprint. Otherwise, each
    /// file in a moved directory would seem to be changed.
    pub fn renames(&self) -> bool {
        // Unstable tags are not in fingerprints.
        let keeps_tags = self.moves_tags || self.tags == Tags::Unstable;
        self.destination.is_some() && keeps_tags && self.moves_times && self.ids != Ids::Changed
    }

    /// Returns whether the fingerprint of a file shows where it was moved.
    pub fn has_ids(&self) -> bool {
        self.ids == Ids::Kept && self.tags == Tags::Exact && self.moves_tags && self.moves_times
    }

    /// Describes it in one line.
    pub fn describe(&self) -> String {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let tags = match self.tags {
            Tags::Exact => "exact",
            Tags::Coarse => "none, or of whole seconds",
            Tags::Unstable => "not stable",
        };
        let name = match self.identity.server.as_str() {
            "" => "a server without a name",
            name => name,
        };
        let moves = match self.has_ids() {
            true => "; recognizes files that were moved there",
            false => "",
        };
        let hidden = match self.lists_hidden {
            true => "",
            false => "; skips names that begin with a dot, since it does not list them",
        };
        format!(
            "{name}; refuses overwrites: {}; renames: {}; keeps times: {}; tags: {tags}{moves}{hidden}",
            yes(self.refuses_overwrites),
            yes(self.renames()),
            yes(self.keeps_times)
        )
    }

    /// Loads the capabilities of a server. A file that cannot be used is ignored.
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

fn file_name(id: Uuid) -> String {
    format!("{}.server", id.simple())
}

#[cfg(test)]
mod tests {
    use syncmgr_engine::seal::{seal, unseal};

    use super::*;

    #[test]
    fn a_damaged_file_is_not_used() {
        let server = Server {
            identity: Identity::new(Some("Apache/2.4.71"), Some("1,2")),
            keeps_times: true,
            ..Server::unknown()
        };
        let bytes = seal(MAGIC, &server).unwrap();
        assert_eq!(unseal(MAGIC, &bytes), Some(server));
        for length in 0..bytes.len() {
            assert_eq!(unseal::<Server>(MAGIC, &bytes[..length]), None, "{length}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(unseal::<Server>(MAGIC, &flipped), None, "{at}");
        }
    }

    #[test]
    fn a_server_is_described_in_one_line() {
        let named = |server: &str| Server {
            identity: Identity::new(Some(server), None),
            lists_hidden: true,
            ..Server::unknown()
        };
        for (server, line) in [
            (
                named("Apache/2.4.71"),
                "Apache/2.4.71; refuses overwrites: no; renames: yes; keeps times: no; tags: exact",
            ),
            (
                Server { destination: None, tags: Tags::Coarse, ..named("") },
                "a server without a name; refuses overwrites: no; renames: no; keeps times: no; \
                 tags: none, or of whole seconds",
            ),
            (
                Server { lists_hidden: false, ..named("nginx") },
                "nginx; refuses overwrites: no; renames: yes; keeps times: no; tags: exact; skips \
                 names that begin with a dot, since it does not list them",
            ),
        ] {
            assert_eq!(server.describe(), line);
        }
        assert_eq!(named(&"x\n".repeat(200)).identity.server, "x".repeat(MAX_HEADER));
    }

    #[test]
    fn a_target_is_written_in_three_ways() {
        for (url, ways) in [
            (
                "https://dav.example.org/a/b",
                ["https://dav.example.org/a/b", "http://dav.example.org/a/b", "/a/b"],
            ),
            ("http://127.0.0.1:80/", ["http://127.0.0.1:80/", "https://127.0.0.1:80/", "/"]),
        ] {
            assert_eq!(Destination::ALL.map(|way| way.write(url)), ways);
        }
    }
}

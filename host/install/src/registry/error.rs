use std::path::PathBuf;

use super::digest::{Digest, InvalidDigest};

/// An error about a plugin in a registry or on a server, its signature, or its update.
///
/// Texts of a registry are hostile: escape the messages before showing them.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// A reference is invalid.
    #[error(
        "invalid reference `{reference}`: {why}; use `oci://HOST[:PORT]/REPOSITORY[:TAG|@sha256:…]`"
    )]
    Reference {
        /// The reference.
        reference: String,
        /// The problem.
        why: &'static str,
    },
    /// A server cannot be reached, or does not answer as HTTP requires.
    #[error("cannot reach {server}: {why}; check the name, the network, `--ca` and `--proxy`")]
    Connection {
        /// The origin of the server.
        server: String,
        /// The problem.
        why: String,
    },
    /// The credentials of docker cannot be read.
    #[error("cannot read the credentials for {registry}: {why}; log in again with `docker login`")]
    Credentials {
        /// The registry.
        registry: String,
        /// The problem.
        why: String,
    },
    /// The registry refuses the access.
    #[error(
        "{registry} denies access to `{repository}` (status {status}){}",
        login_remedy(*.has_credentials, .registry)
    )]
    Denied {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// The status of the answer.
        status: u16,
        /// Whether there were credentials.
        has_credentials: bool,
    },
    /// The registry does not have a content.
    #[error("{registry} has no {what} `{name}`; check the name and the tag")]
    NotFound {
        /// The registry.
        registry: String,
        /// The kind of content.
        what: &'static str,
        /// The reference or the digest.
        name: String,
    },
    /// A redirect or another URL of a registry leads where the program does not go.
    #[error("{registry} leads to {target}, which is refused: {why}; use another registry")]
    Redirect {
        /// The registry.
        registry: String,
        /// The origin of the URL.
        target: String,
        /// The problem.
        why: &'static str,
    },
    /// The registry does not answer as the specification requires.
    #[error(
        "unexpected answer of {server} about {what}: {why}; try again, or use another registry"
    )]
    Answer {
        /// The registry, or the origin of the server.
        server: String,
        /// The subject of the request.
        what: String,
        /// The problem.
        why: String,
    },
    /// A content is not a plugin.
    #[error("`{reference}` is not a plugin: {why}; push plugins with `syncmgr push`")]
    NotAPlugin {
        /// The reference.
        reference: String,
        /// The problem.
        why: String,
    },
    /// A content is larger than allowed, or than announced.
    #[error("{what} is larger than {limit} bytes, {why}; nothing was installed")]
    Size {
        /// The content.
        what: String,
        /// The most bytes.
        limit: u64,
        /// The origin of the limit.
        why: &'static str,
    },
    /// A content has another size than announced, or the connection ended early.
    #[error(
        "{what} is incomplete: {received} of {expected} bytes ({why}); try again, or use another \
         registry"
    )]
    Incomplete {
        /// The content.
        what: String,
        /// The received bytes.
        received: u64,
        /// The announced bytes.
        expected: u64,
        /// The problem.
        why: String,
    },
    /// A content does not have the expected digest.
    #[error(
        "{what} was changed: its digest is {found} instead of {expected}; do not use it, and report \
         it to its publisher"
    )]
    Digest {
        /// The content.
        what: String,
        /// The expected digest.
        expected: Digest,
        /// The digest of what was received.
        found: Digest,
    },
    /// A required signature is missing.
    #[error(
        "{what} has no signature of a trusted key, which {required} requires{}; trust the key of \
         its publisher with `--key FILE` or in `{}`",
        unknown_keys(.others), trusted_keys.display()
    )]
    Unsigned {
        /// The plugin.
        what: String,
        /// The origin of the requirement.
        required: String,
        /// The ids of the unknown keys that have signed it.
        others: Vec<String>,
        /// The file of trusted keys.
        trusted_keys: PathBuf,
    },
    /// A signature of a trusted key does not match.
    #[error(
        "the signature of {what} by key {key} is invalid: {why}; do not use the plugin, and report \
         it to its publisher"
    )]
    Signature {
        /// The plugin.
        what: String,
        /// The id of the key.
        key: String,
        /// The problem.
        why: String,
    },
    /// A key, a signature file or the file of trusted keys is invalid.
    #[error("{} is invalid: {why}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The problem and the remedy.
        why: String,
    },
    /// An installed plugin does not come from a registry.
    #[error(
        "plugin `{name}` cannot be updated: it was installed from {from}; install the new version \
         with `syncmgr install`"
    )]
    NoSource {
        /// The plugin.
        name: String,
        /// The origin of the plugin.
        from: String,
    },
    /// A version has another content than when it was installed.
    #[error(
        "update of `{name}` refused: `{reference}` was moved to another content ({found} instead of \
         {installed}) without a new version; ask its publisher, or accept it with `syncmgr install \
         {pinned} --name {name}` and its grants"
    )]
    Moved {
        /// The plugin.
        name: String,
        /// The reference.
        reference: String,
        /// The digest that is installed.
        installed: Digest,
        /// The digest that the registry has.
        found: Digest,
        /// The reference to the new content.
        pinned: String,
    },
    /// The registry has an older version than the installed one.
    #[error(
        "update of `{name}` refused: `{reference}` has version {found}, and {installed} is \
         installed; install an older version with `syncmgr install {pinned} --name {name}` and its \
         grants"
    )]
    Older {
        /// The plugin.
        name: String,
        /// The reference.
        reference: String,
        /// The installed version.
        installed: String,
        /// The version in the registry.
        found: String,
        /// The reference to the new content.
        pinned: String,
    },
    /// The new version is not signed with the key of the installed one.
    #[error(
        "update of `{name}` refused: the installed version is signed with key {installed}, and the \
         new one {}; ask its publisher, or accept it with `syncmgr install {pinned} --name {name}` and its \
         grants",
        signature_of(.found.as_deref())
    )]
    Signer {
        /// The plugin.
        name: String,
        /// The id of the key of the installed version.
        installed: String,
        /// The id of the key of the new version.
        found: Option<String>,
        /// The reference to the new content.
        pinned: String,
    },
    /// The new version requests more than the installed one.
    #[error(
        "update of `{name}` refused: the new version also requests {}; grant it with `--dir`, \
         `--set`, `--secret`, `--http` or `--allow`, or confirm the update on a terminal",
        requests.join(", ")
    )]
    Requests {
        /// The plugin.
        name: String,
        /// The additional requests.
        requests: Vec<String>,
    },
}

impl From<InvalidDigest> for OciError {
    fn from(InvalidDigest(reference): InvalidDigest) -> Self {
        let why = "the digest is not `sha256:` with 64 lower-case hexadecimal digits";
        Self::Reference { reference, why }
    }
}

impl OciError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Reference { .. } => "oci-reference",
            Self::Connection { .. } => "oci-connection",
            Self::Credentials { .. } => "oci-credentials",
            Self::Denied { .. } => "oci-denied",
            Self::NotFound { .. } => "oci-not-found",
            Self::Redirect { .. } => "oci-redirect",
            Self::Answer { .. } => "oci-answer",
            Self::NotAPlugin { .. } => "oci-not-a-plugin",
            Self::Size { .. } => "oci-size",
            Self::Incomplete { .. } => "oci-incomplete",
            Self::Digest { .. } => "oci-digest",
            Self::Unsigned { .. } => "signature-missing",
            Self::Signature { .. } => "signature-invalid",
            Self::Key { .. } => "signature-key",
            Self::NoSource { .. } => "update-no-source",
            Self::Moved { .. } => "update-moved",
            Self::Older { .. } => "update-older",
            Self::Signer { .. } => "update-signer",
            Self::Requests { .. } => "update-requests",
        }
    }

    /// Returns whether the command line or a file of the user causes the error, or the program
    /// refuses what a registry has.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Reference { .. }
            | Self::Credentials { .. }
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::Redirect { .. }
            | Self::NotAPlugin { .. }
            | Self::Size { .. }
            | Self::Digest { .. }
            | Self::Unsigned { .. }
            | Self::Signature { .. }
            | Self::Key { .. }
            | Self::NoSource { .. }
            | Self::Moved { .. }
            | Self::Older { .. }
            | Self::Signer { .. }
            | Self::Requests { .. } => true,
            Self::Connection { .. } | Self::Answer { .. } | Self::Incomplete { .. } => false,
        }
    }
}

fn login_remedy(has_credentials: bool, registry: &str) -> String {
    match has_credentials {
        true => "; check the rights of the account, or log in again".to_owned(),
        false => format!("; log in with `docker login {registry}`"),
    }
}

fn unknown_keys(keys: &[String]) -> String {
    match keys {
        [] => String::new(),
        keys => format!(" (it is signed with unknown keys: {})", keys.join(", ")),
    }
}

fn signature_of(key: Option<&str>) -> String {
    match key {
        Some(key) => format!("with key {key}"),
        None => "with no trusted key".to_owned(),
    }
}

use std::path::PathBuf;

/// An error of credentials. It never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpAuthError {
    /// The kind is unknown.
    #[error(
        "unknown kind of credentials `{kind}`; use `basic`, `bearer`, `header:NAME`, `query:NAME`, \
         `aws-sigv4:REGION` or `oauth2`"
    )]
    Kind {
        /// The kind given.
        kind: String,
    },
    /// The header's name is invalid, or one that the host sets.
    #[error("cannot send credentials in the header `{name}`; name another one")]
    Header {
        /// The name given.
        name: String,
    },
    /// The region or the keys of `aws-sigv4` are invalid.
    #[error(
        "`aws-sigv4` needs a region, as in `aws-sigv4:eu-central-1`, and a secret of the form \
         ACCESS_KEY:SECRET_KEY"
    )]
    Keys,
    /// The secret is empty.
    #[error("the secret is empty; check its source")]
    Empty,
    /// The secret has characters that a header cannot have.
    #[error("the secret contains a line break or a control character; check its source")]
    Characters,
    /// The secret of `basic` has no user.
    #[error("the secret of `basic` must have the form USER:PASSWORD")]
    Basic,
    /// The token file of `oauth2` cannot be read.
    #[error("cannot read the token file {}: {why}; check its path and its owner", path.display())]
    FileRead {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        why: String,
    },
    /// Other users can access the token file.
    #[error(
        "the token file {} has the mode {mode:04o}, which lets other users access it; run `chmod \
         600` on it",
        path.display()
    )]
    FileMode {
        /// The path.
        path: PathBuf,
        /// The permissions.
        mode: u32,
    },
    /// The content of the token file is invalid.
    #[error("the token file {} is invalid: {why}; correct it", path.display())]
    FileContent {
        /// The path.
        path: PathBuf,
        /// The problem.
        why: String,
    },
    /// The token file cannot be locked or replaced.
    #[error(
        "cannot replace the token file {}: {why}; the host must be able to create files in its \
         directory",
        path.display()
    )]
    FileWrite {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        why: String,
    },
    /// The token endpoint refuses to issue a new access token.
    #[error(
        "the token endpoint refused to renew the access token ({code}); log in again and renew {}",
        path.display()
    )]
    Refused {
        /// The path of the token file.
        path: PathBuf,
        /// The error code of the server.
        code: String,
    },
    /// There is no valid answer of the token endpoint.
    #[error("cannot renew the access token: {why}")]
    Renewal {
        /// The reason.
        why: String,
    },
}

impl HttpAuthError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Kind { .. } => "http-auth-kind",
            Self::Header { .. } => "http-auth-header",
            Self::Keys => "http-auth-keys",
            Self::Empty => "http-auth-empty",
            Self::Characters => "http-auth-characters",
            Self::Basic => "http-auth-basic",
            Self::FileRead { .. } => "http-auth-file-read",
            Self::FileMode { .. } => "http-auth-file-mode",
            Self::FileContent { .. } => "http-auth-file-content",
            Self::FileWrite { .. } => "http-auth-file-write",
            Self::Refused { .. } => "http-auth-refused",
            Self::Renewal { .. } => "http-auth-renewal",
        }
    }
}

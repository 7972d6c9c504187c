/// An error of [`HttpAuth::new`](super::HttpAuth::new). It never contains the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpAuthError {
    /// The kind is unknown.
    #[error(
        "unknown kind of credentials `{kind}`; use `basic`, `bearer`, `header:NAME`, `query:NAME` or \
         `aws-sigv4:REGION`"
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
        }
    }
}

use syncmgr_host::Hresult;

use super::SecretName;

/// An error of the keyring. It never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The name of a secret is invalid. The message does not repeat it, because it may be the
    /// secret.
    #[error(
        "invalid name of a secret in the keyring ({bytes} bytes); use 1 to {max} bytes without \
         control characters",
        max = SecretName::MAX_BYTES
    )]
    Name {
        /// The length of the name.
        bytes: usize,
    },
    /// The keyring has no secret of this name.
    #[error(
        "the keyring has no secret `{name}`; list its secrets with `syncmgr secret list`, or store \
         it with `syncmgr secret set`"
    )]
    Missing {
        /// The name.
        name: String,
    },
    /// The secret is not a text, or too large.
    #[error("cannot use the secret `{name}`: {problem}; store it with `syncmgr secret set`")]
    Content {
        /// The name.
        name: String,
        /// The problem.
        problem: String,
    },
    /// The program was built without the keyring.
    #[error(
        "this build of syncmgr has no keyring; build it with the feature `keyring`, or pass the \
         secret in a file with mode 0600 (`file:PATH`) or in a variable (`env:VARIABLE`)"
    )]
    Unsupported,
    /// The system has no keyring.
    #[error(
        "this system has no keyring: {problem}; log in to a desktop with a keyring, or pass the \
         secret in a file with mode 0600 (`file:PATH`) or in a variable (`env:VARIABLE`)"
    )]
    Unavailable {
        /// The problem.
        problem: String,
    },
    /// The keyring is locked, and was not unlocked.
    #[error(
        "the keyring is locked: {problem}; unlock it, or pass the secret in a file with mode 0600 \
         (`file:PATH`) or in a variable (`env:VARIABLE`)"
    )]
    Locked {
        /// The problem.
        problem: String,
    },
    /// The keyring refused an operation.
    #[error("the keyring failed: {problem}; check it with the keyring program of the system")]
    Failed {
        /// The problem.
        problem: String,
    },
}

impl KeyringError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "keyring-name",
            Self::Missing { .. } => "keyring-missing",
            Self::Content { .. } => "keyring-content",
            Self::Unsupported => "keyring-unsupported",
            Self::Unavailable { .. } => "keyring-unavailable",
            Self::Locked { .. } => "keyring-locked",
            Self::Failed { .. } => "keyring-failed",
        }
    }

    /// Returns the HRESULT for native callers.
    pub(crate) const fn hresult(&self) -> Hresult {
        match self {
            Self::Name { .. } | Self::Content { .. } => Hresult::E_INVALIDARG,
            Self::Missing { .. } => Hresult::HRESULT_ERROR_NOT_FOUND,
            Self::Unsupported => Hresult::E_NOTIMPL,
            Self::Unavailable { .. } | Self::Failed { .. } => Hresult::E_FAIL,
            Self::Locked { .. } => Hresult::E_ACCESSDENIED,
        }
    }

    /// Returns whether another source or name of the secret is the remedy.
    pub(crate) const fn is_usage(&self) -> bool {
        match self {
            Self::Name { .. }
            | Self::Missing { .. }
            | Self::Content { .. }
            | Self::Unsupported
            | Self::Unavailable { .. } => true,
            Self::Locked { .. } | Self::Failed { .. } => false,
        }
    }
}

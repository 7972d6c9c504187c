use std::path::PathBuf;

use syncmgr_host::ContractError;

/// The native name of a handler is no longer, and the templates use the same.
pub(crate) const NAME_LENGTH: usize = 31;

/// Why a project could not be made, built or packed.
#[derive(Debug, thiserror::Error)]
pub enum AuthoringError {
    /// The name is not one that a plugin can have.
    #[error(
        "`{name}` cannot be the name of a plugin: use up to {most} of a-z, 0-9 and -, beginning \
         with a letter",
        most = NAME_LENGTH
    )]
    Name {
        /// The name given.
        name: String,
    },
    /// There is something where the project would go.
    #[error("{} is there already, and nothing of it is changed; choose another name", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// There is no project.
    #[error(
        "there is no `syncmgr.toml` in {} or above it; make a project with `syncmgr new NAME \
         --lang LANGUAGE`, or name the folder of one", path.display()
    )]
    NoProject {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The manifest cannot be understood.
    #[error("{}: {message}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A program that building needs is not there.
    #[error("{program} is missing; install it with `{install}`")]
    ToolMissing {
        /// The program or package.
        program: String,
        /// The commands that install it.
        install: String,
    },
    /// A program failed, and has said why itself.
    #[error("`{program}` failed ({status}); its own messages are above")]
    ToolFailed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
    },
    /// Bindings cannot be generated, or a component cannot be made of the module.
    #[error("cannot {what}: {message}")]
    Component {
        /// What was tried.
        what: &'static str,
        /// What is wrong.
        message: String,
    },
    /// What was built is no plugin.
    #[error("what was built is not a plugin: {0}")]
    Contract(#[from] ContractError),
    /// A file cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl AuthoringError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "project-name",
            Self::Exists { .. } => "project-exists",
            Self::NoProject { .. } => "project-missing",
            Self::Manifest { .. } => "project-manifest",
            Self::ToolMissing { .. } => "tool-missing",
            Self::ToolFailed { .. } => "tool-failed",
            Self::Component { .. } => "build-component",
            Self::Contract(reason) => reason.code(),
            Self::File { .. } => "project-file",
        }
    }

    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}

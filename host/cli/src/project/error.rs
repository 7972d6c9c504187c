use std::path::PathBuf;

use syncmgr_host::ContractError;

/// An error of creating, building or packing a project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The plugin name is invalid.
    #[error(
        "invalid plugin name `{name}`; use up to {most} of a-z, 0-9 and `-`, starting with a \
         letter",
        most = crate::project::name::MAX_LENGTH
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The path of the new project exists.
    #[error("{} already exists; choose another name", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// No project contains the folder.
    #[error(
        "no `syncmgr.toml` in {} or its parent folders; create a project with `syncmgr new NAME \
         --lang LANGUAGE`, or pass the folder of a project", path.display()
    )]
    NoProject {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest is invalid.
    #[error("{}: {message}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The problem and its location.
        message: String,
    },
    /// A tool of the build is not installed.
    #[error("`{program}` is not installed; install it with `{install}`")]
    ToolMissing {
        /// The program or package.
        program: String,
        /// The commands that install it.
        install: String,
    },
    /// A tool failed. Its own messages have the reason.
    #[error("`{program}` failed ({status}); see its messages above")]
    ToolFailed {
        /// The program.
        program: String,
        /// The exit status.
        status: String,
    },
    /// Bindings or a component cannot be generated.
    #[error("cannot {what}: {message}")]
    Component {
        /// The operation.
        what: &'static str,
        /// The problem.
        message: String,
    },
    /// The built component is not a plugin.
    #[error("the built component is not a valid plugin")]
    Contract(#[from] ContractError),
    /// A file cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// The operation.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

impl ProjectError {
    /// Returns a stable code for programs.
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

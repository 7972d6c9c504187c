/// For whom a plugin is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For the user.
    User,
    /// For all users of the machine; on Windows only.
    Machine,
}

impl Scope {
    /// A stable name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Machine => "machine",
        }
    }
}

/// The users that a plugin is installed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The current user.
    User,
    /// All users of the machine (Windows only).
    Machine,
}

impl Scope {
    /// Returns a stable name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Machine => "machine",
        }
    }
}

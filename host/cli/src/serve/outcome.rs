//! The outcome of a form that changes files.

/// The outcome of a form that changes files.
pub(super) enum Outcome {
    /// Everything that it selects is done. Continue with this page.
    Done(String),
    /// It selects nothing that there is.
    NothingChosen,
    Refused(Refusals),
}

/// What is not done, and why.
pub(super) struct Refusals {
    /// What has happened.
    pub(super) title: &'static str,
    /// The page in the navigation.
    pub(super) page: &'static str,
    /// The page to go back to.
    pub(super) back: String,
    /// Paths, and the reasons.
    pub(super) reasons: Vec<(String, String)>,
}

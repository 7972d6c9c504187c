//! What a plugin did with the entries of an item.

/// What a plugin did with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActionKind {
    /// It created the entry.
    Created,
    /// It replaced the content of the entry.
    Replaced,
    /// It changed attributes of the entry only.
    AttributesSet,
    /// It moved or renamed the entry.
    Moved,
    /// It deleted the entry, or moved it to a trash.
    Deleted,
    /// It kept a second version of the entry.
    ConflictKept,
    /// It found a second version of the entry that an earlier run kept.
    ConflictStanding,
    /// It left the entry alone.
    Skipped,
}

impl ActionKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::Replaced,
        Self::AttributesSet,
        Self::Moved,
        Self::Deleted,
        Self::ConflictKept,
        Self::ConflictStanding,
        Self::Skipped,
    ];

    /// Returns the name in the WIT, such as `conflict-kept`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced => "replaced",
            Self::AttributesSet => "attributes-set",
            Self::Moved => "moved",
            Self::Deleted => "deleted",
            Self::ConflictKept => "conflict-kept",
            Self::ConflictStanding => "conflict-standing",
            Self::Skipped => "skipped",
        }
    }
}

/// One action of a plugin, as the plugin reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What the plugin did.
    pub kind: ActionKind,
    /// The place, such as the name of a grant, at most 64 bytes; `None` if there is only one, or if
    /// the action concerns all of them.
    pub side: Option<String>,
    /// The path of the entry before the action, at most 4,096 bytes.
    pub path: String,
    /// The size of the entry in bytes; `None` if it is unknown.
    pub size: Option<u64>,
    /// The new path, the path of the second version, or the reason, at most 4,096 bytes.
    pub detail: Option<String>,
}

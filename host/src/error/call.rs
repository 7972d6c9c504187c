//! The calls of a plugin's exports.

/// A call of the exported interface, or a call that only native handlers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `initialize`
    Initialize,
    /// `get-handler-info`
    GetHandlerInfo,
    /// `enum-items`
    EnumItems,
    /// `prepare-for-sync`
    PrepareForSync,
    /// `synchronize`
    Synchronize,
    /// `set-item-status`
    SetItemStatus,
    /// `show-error`
    ShowError,
    /// `get-properties`
    GetProperties,
    /// `set-properties`
    SetProperties,
    /// Creation of a native handler's object.
    Create,
    /// `SetProgressCallback` of a native handler.
    SetProgressCallback,
    /// `Release` of a native handler.
    Release,
}

impl Call {
    /// All calls.
    pub const ALL: [Self; 12] = [
        Self::Initialize,
        Self::GetHandlerInfo,
        Self::EnumItems,
        Self::PrepareForSync,
        Self::Synchronize,
        Self::SetItemStatus,
        Self::ShowError,
        Self::GetProperties,
        Self::SetProperties,
        Self::Create,
        Self::SetProgressCallback,
        Self::Release,
    ];

    /// Returns the name in the WIT, or a name in the same style.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::GetHandlerInfo => "get-handler-info",
            Self::EnumItems => "enum-items",
            Self::PrepareForSync => "prepare-for-sync",
            Self::Synchronize => "synchronize",
            Self::SetItemStatus => "set-item-status",
            Self::ShowError => "show-error",
            Self::GetProperties => "get-properties",
            Self::SetProperties => "set-properties",
            Self::Create => "create",
            Self::SetProgressCallback => "set-progress-callback",
            Self::Release => "release",
        }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

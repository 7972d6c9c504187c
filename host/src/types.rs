//! The data that a plugin and its sync manager exchange. It depends on neither WIT nor COM.

mod action;

use crate::id::{ErrorId, ItemId};

pub use action::{Action, ActionKind};

/// The reason for a run: the event part of `SYNCMGRFLAG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncEvent {
    /// `SYNCMGRFLAG_CONNECT` (1).
    Connect,
    /// `SYNCMGRFLAG_PENDINGDISCONNECT` (2).
    PendingDisconnect,
    /// `SYNCMGRFLAG_MANUAL` (3).
    Manual,
    /// `SYNCMGRFLAG_IDLE` (4).
    Idle,
    /// `SYNCMGRFLAG_INVOKE` (5).
    Invoke,
    /// `SYNCMGRFLAG_SCHEDULED` (6).
    Scheduled,
}

impl SyncEvent {
    /// Returns the name in the WIT, such as `pending-disconnect`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::PendingDisconnect => "pending-disconnect",
            Self::Manual => "manual",
            Self::Idle => "idle",
            Self::Invoke => "invoke",
            Self::Scheduled => "scheduled",
        }
    }
}

/// `dwSyncMgrFlags` of `Initialize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The reason for the run.
    pub event: SyncEvent,
    /// `SYNCMGRFLAG_SETTINGS` (0x100): nothing will be synchronized.
    pub settings: bool,
    /// `SYNCMGRFLAG_MAYBOTHERUSER` (0x200): questions may reach the user.
    pub may_bother_user: bool,
}

impl Trigger {
    /// A run that the user started and can answer questions about.
    pub const MANUAL: Self =
        Self { event: SyncEvent::Manual, settings: false, may_bother_user: true };
}

/// Whether a handler participates in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Participation {
    /// `S_OK`.
    Participates,
    /// `S_FALSE`.
    Declines,
}

/// The name and the flags of a handler: `SYNCMGRHANDLERINFO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerInfo {
    /// 1 to 31 UTF-16 code units.
    pub name: String,
    /// `SYNCMGRHANDLERFLAGS`.
    pub flags: u32,
}

/// One item: `SYNCMGRITEM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The stable id, never `GUID_NULL`.
    pub id: ItemId,
    /// 1 to 127 UTF-16 code units.
    pub name: String,
    /// `SYNCMGRITEMFLAGS`, with `SYNCMGRITEM_LASTUPDATETIME` (8) if the time is known.
    pub flags: u32,
    /// Whether the item is selected by default.
    pub checked: bool,
    /// The time of the last successful synchronization, in 100 ns since 1601 (`FILETIME`), if
    /// known.
    pub last_update_time: Option<u64>,
}

/// The items of a handler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemList {
    /// The items in the plugin's order; ids are unique.
    pub items: Vec<Item>,
    /// `S_SYNCMGR_MISSINGITEMS`: further items cannot be listed now.
    pub missing_items: bool,
}

/// Whether items can be synchronized now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrepareOutcome {
    /// `S_OK`.
    Prepared,
    /// `S_FALSE`: user interaction is required.
    NeedsUser,
}

/// The status of an item: `SYNCMGRSTATUS`. The discriminants are the native values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Status {
    /// Terminated because everything was cancelled. Terminal.
    Stopped = 0,
    /// Terminated because the item was cancelled. Terminal.
    Skipped = 1,
    /// Waiting to be processed.
    Pending = 2,
    /// Being synchronized.
    Updating = 3,
    /// In sync. Terminal.
    Succeeded = 4,
    /// Not in sync. Terminal.
    Failed = 5,
    /// Paused.
    Paused = 6,
    /// Resuming after a pause.
    Resuming = 7,
    /// Being synchronized, with an unknown amount of work.
    UpdatingIndeterminate = 8,
    /// Deleted. Terminal.
    Deleted = 0x100,
}

impl Status {
    /// Returns whether the status is final: only [`Status::Failed`] may follow.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Stopped | Self::Skipped | Self::Succeeded | Self::Failed | Self::Deleted => true,
            Self::Pending
            | Self::Updating
            | Self::Paused
            | Self::Resuming
            | Self::UpdatingIndeterminate => false,
        }
    }

    /// Returns the name in the WIT, such as `updating-indeterminate`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Skipped => "skipped",
            Self::Pending => "pending",
            Self::Updating => "updating",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Resuming => "resuming",
            Self::UpdatingIndeterminate => "updating-indeterminate",
            Self::Deleted => "deleted",
        }
    }
}

/// One report about an item: `SYNCMGRPROGRESSITEM`. A field that is `None` has its mask bit clear:
/// the last value remains valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgressItem {
    /// The current activity, as the plugin wrote it: escape it before showing it.
    pub status_text: Option<String>,
    /// The status of the item.
    pub status_type: Option<Status>,
    /// The amount of completed work, 0 to `i32::MAX`.
    pub prog_value: Option<i32>,
    /// The total amount of work, 0 to `i32::MAX`; 0 if it is unknown.
    pub max_value: Option<i32>,
}

/// The sync manager's response to a report, from weakest to strongest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProgressResponse {
    /// `S_OK`.
    #[default]
    Continue,
    /// `S_SYNCMGR_CANCELITEM`.
    CancelItem,
    /// `S_SYNCMGR_CANCELALL`.
    CancelAll,
}

impl ProgressResponse {
    /// Returns the name in the WIT.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::CancelItem => "cancel-item",
            Self::CancelAll => "cancel-all",
        }
    }
}

/// The severity of a log entry: `SYNCMGRLOGLEVEL`. The discriminants are the native values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// Information.
    Information = 1,
    /// The operation succeeded, but needs attention.
    Warning = 2,
    /// An operation failed.
    Error = 3,
}

impl LogLevel {
    /// Returns the name in the WIT.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One log entry: the arguments of `LogError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The severity.
    pub level: LogLevel,
    /// The text as the plugin wrote it: escape it before showing it.
    pub text: String,
    /// The item that it is about; `None` for the handler.
    pub item: Option<ItemId>,
    /// The id by which `show_error` returns details, if the plugin has some.
    pub jump: Option<ErrorId>,
    /// The id by which the entry can be deleted.
    pub id: Option<ErrorId>,
    /// The error code, if the plugin gave one.
    pub code: Option<ErrorCode>,
}

/// A question for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The item that it is about; `None` for the handler.
    pub item: Option<ItemId>,
    /// The question as the plugin wrote it: escape it before showing it.
    pub text: String,
    /// 1 to 16 answers.
    pub choices: Vec<String>,
    /// The answer if the user gives none: an index into `choices`.
    pub default_choice: usize,
}

/// The details of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorDetail {
    /// The full text.
    pub text: String,
    /// The items to retry (`S_SYNCMGR_RETRYSYNC`); may be empty.
    pub retry: Vec<ItemId>,
}

/// The type of a property and its current value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyField {
    /// On or off.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A line of text.
    Text(String),
    /// One of several options.
    Choice {
        /// The options; never empty.
        options: Vec<String>,
        /// An index into `options`.
        selected: usize,
    },
}

/// One property, as data for a user interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The stable name.
    pub name: String,
    /// The label for users.
    pub label: String,
    /// The meaning.
    pub description: Option<String>,
    /// The type and the current value.
    pub field: PropertyField,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// A new value for a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyValue {
    /// For [`PropertyField::Boolean`].
    Boolean(bool),
    /// For [`PropertyField::Integer`].
    Integer(i64),
    /// For [`PropertyField::Text`].
    Text(String),
    /// For [`PropertyField::Choice`]: an index into its options.
    Choice(u32),
}

/// The effect on the items of changing properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertiesOutcome {
    /// `S_OK`: no effect.
    Applied,
    /// `S_SYNCMGR_ITEMDELETED`: the item was deleted.
    ItemDeleted,
    /// `S_SYNCMGR_ENUMITEMS`: the items must be listed again.
    EnumItems,
}

/// The error codes of the contract: `types.error-code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Any failure without a more specific code.
    Failed,
    /// An argument is invalid.
    InvalidArgument,
    /// The call is not allowed at this point.
    Unexpected,
    /// The operation is not supported.
    NotImplemented,
    /// Out of memory.
    OutOfMemory,
    /// The access is not granted, or the system denied it.
    AccessDenied,
    /// The user cancelled.
    Cancelled,
    /// Not found.
    NotFound,
    /// Already exists.
    AlreadyExists,
    /// In use by another run.
    Busy,
    /// Changed during the operation.
    Changed,
    /// Stopped before the first change, for safety.
    SafetyStop,
    /// No space left.
    NoSpace,
    /// A read or write failed.
    InputOutput,
    /// Currently unreachable.
    NotConnected,
    /// The operation timed out.
    Timeout,
}

impl ErrorCode {
    /// All codes, in the contract's order.
    pub const ALL: [Self; 16] = [
        Self::Failed,
        Self::InvalidArgument,
        Self::Unexpected,
        Self::NotImplemented,
        Self::OutOfMemory,
        Self::AccessDenied,
        Self::Cancelled,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Busy,
        Self::Changed,
        Self::SafetyStop,
        Self::NoSpace,
        Self::InputOutput,
        Self::NotConnected,
        Self::Timeout,
    ];

    /// Returns the name in the WIT, such as `safety-stop`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::InvalidArgument => "invalid-argument",
            Self::Unexpected => "unexpected",
            Self::NotImplemented => "not-implemented",
            Self::OutOfMemory => "out-of-memory",
            Self::AccessDenied => "access-denied",
            Self::Cancelled => "cancelled",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::Busy => "busy",
            Self::Changed => "changed",
            Self::SafetyStop => "safety-stop",
            Self::NoSpace => "no-space",
            Self::InputOutput => "input-output",
            Self::NotConnected => "not-connected",
            Self::Timeout => "timeout",
        }
    }
}

//! What a plugin and its sync manager exchange, as plain data that knows neither WIT nor COM.

use crate::id::{ErrorId, ItemId};

/// Why the run was started: the event part of `SYNCMGRFLAG`.
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

/// `dwSyncMgrFlags` of `Initialize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Why the run was started.
    pub event: SyncEvent,
    /// `SYNCMGRFLAG_SETTINGS` (0x100): nothing will be synchronized.
    pub settings: bool,
    /// `SYNCMGRFLAG_MAYBOTHERUSER` (0x200): questions may reach the user.
    pub may_bother_user: bool,
}

impl Trigger {
    /// The user asked, and is there to answer questions.
    pub const MANUAL: Self =
        Self { event: SyncEvent::Manual, settings: false, may_bother_user: true };
}

/// Whether a handler takes part in a run.
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
    /// `SYNCMGRITEMFLAGS`, with `SYNCMGRITEM_LASTUPDATETIME` (8) where there is such a time.
    pub flags: u32,
    /// Whether it takes part by default.
    pub checked: bool,
    /// When it was last in sync, in 100 ns since 1601 (`FILETIME`); `None`: not known.
    pub last_update_time: Option<u64>,
}

/// The items of a handler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemList {
    /// In the plugin's order, each id once.
    pub items: Vec<Item>,
    /// `S_SYNCMGR_MISSINGITEMS`: there are more that cannot be listed now.
    pub missing_items: bool,
}

/// Whether items can be synchronized now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrepareOutcome {
    /// `S_OK`.
    Prepared,
    /// `S_FALSE`: not without the user.
    NeedsUser,
}

/// The status of an item: `SYNCMGRSTATUS`. The discriminants are the native values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Status {
    /// Ended because everything was cancelled. Terminal.
    Stopped = 0,
    /// Ended because the item was cancelled. Terminal.
    Skipped = 1,
    /// Waiting for its turn.
    Pending = 2,
    /// At work.
    Updating = 3,
    /// In sync. Terminal.
    Succeeded = 4,
    /// Not in sync. Terminal.
    Failed = 5,
    /// Held.
    Paused = 6,
    /// Going on again.
    Resuming = 7,
    /// At work, the amount not known.
    UpdatingIndeterminate = 8,
    /// Gone. Terminal.
    Deleted = 0x100,
}

impl Status {
    /// Whether only [`Status::Failed`] may follow.
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

    /// The name in WIT's spelling, such as `updating-indeterminate`.
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

/// One report about an item: `SYNCMGRPROGRESSITEM`. A field that is `None` has its mask bit
/// clear: the last value still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgressItem {
    /// The current work, as the plugin wrote it: escape it before showing it.
    pub status_text: Option<String>,
    /// The status of the item.
    pub status_type: Option<Status>,
    /// How much is done, 0 to the greatest `i32`.
    pub prog_value: Option<i32>,
    /// How much there is to do, 0 to the greatest `i32`; 0: not known.
    pub max_value: Option<i32>,
}

/// The sync manager's answer to a report. From weak to strong.
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
    /// The name in WIT's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::CancelItem => "cancel-item",
            Self::CancelAll => "cancel-all",
        }
    }
}

/// How much a log entry matters: `SYNCMGRLOGLEVEL`. The discriminants are the native values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// Good to know.
    Information = 1,
    /// Done, but something needs a look.
    Warning = 2,
    /// Something was not done.
    Error = 3,
}

impl LogLevel {
    /// The name in WIT's spelling.
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
    /// How much it matters.
    pub level: LogLevel,
    /// The text as the plugin wrote it: escape it before showing it.
    pub text: String,
    /// The item it is about; `None`: the handler.
    pub item: Option<ItemId>,
    /// The id by which `show_error` returns details, if the plugin has some.
    pub jump: Option<ErrorId>,
    /// The id by which the entry can be deleted.
    pub id: Option<ErrorId>,
    /// Which failure it is; `None`: not said.
    pub code: Option<ErrorCode>,
}

/// A question for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The item it is about; `None`: the handler.
    pub item: Option<ItemId>,
    /// The question as the plugin wrote it: escape it before showing it.
    pub text: String,
    /// 1 to 16 answers.
    pub choices: Vec<String>,
    /// The one that is taken when there is no answer: an index into `choices`.
    pub default_choice: usize,
}

/// The details of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorDetail {
    /// The whole story.
    pub text: String,
    /// The items to synchronize once more (`S_SYNCMGR_RETRYSYNC`); empty: none.
    pub retry: Vec<ItemId>,
}

/// The type of a property and its current value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyField {
    /// On or off.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A line of text.
    Text(String),
    /// One of a few.
    Choice {
        /// The options; never empty.
        options: Vec<String>,
        /// An index into `options`.
        selected: usize,
    },
}

/// One property, as data to render.
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

/// The effect of a change of properties on the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertiesOutcome {
    /// `S_OK`: nothing.
    Applied,
    /// `S_SYNCMGR_ITEMDELETED`: the item is gone.
    ItemDeleted,
    /// `S_SYNCMGR_ENUMITEMS`: list the items again.
    EnumItems,
}

/// Every way in which a call of the contract may fail: `types.error-code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No other case says it better.
    Failed,
    /// An argument is not acceptable.
    InvalidArgument,
    /// The call does not belong here.
    Unexpected,
    /// Not offered.
    NotImplemented,
    /// Memory ran out.
    OutOfMemory,
    /// Not granted, or the system denies it.
    AccessDenied,
    /// The user cancelled.
    Cancelled,
    /// Not there.
    NotFound,
    /// There already.
    AlreadyExists,
    /// Another run holds it.
    Busy,
    /// It changed while it was worked on.
    Changed,
    /// Stopped before the first change, for safety.
    SafetyStop,
    /// No room is left.
    NoSpace,
    /// Reading or writing failed.
    InputOutput,
    /// Not reachable now.
    NotConnected,
    /// It took too long.
    Timeout,
}

impl ErrorCode {
    /// All of them, in the contract's order.
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

    /// The name in WIT's spelling, such as `safety-stop`.
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

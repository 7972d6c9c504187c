//! The reasons for which the host terminates a plugin.

macro_rules! stop_reasons {
    ($($name:ident = $number:literal, $code:literal, $limit:expr, $doc:literal, $words:literal;)*) => {
        /// The reason for which the host terminated a plugin.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StopReason {
            $(#[doc = $doc] $name,)*
        }

        impl StopReason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns a stable code for programs.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// Returns the name of the exceeded limit, if there is one.
            pub const fn limit(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => $limit,)*
                }
            }

            pub(crate) const fn number(self) -> u8 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            pub(crate) const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _none => None,
                }
            }
        }

        impl std::fmt::Display for StopReason {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $words,)*
                })
            }
        }
    };
}

stop_reasons! {
    Killed = 1, "ended-killed", None,
        "The embedder asked, with [`CancelHandle::kill`](crate::CancelHandle::kill).",
        "it was told to end at once";
    CancelledAll = 2, "ended-cancelled-all", Some("grace"),
        "It went on after everything was cancelled, longer than the grace period.",
        "it went on after everything was cancelled, longer than its limit";
    CancelledItem = 3, "ended-cancelled-item", Some("grace"),
        "It went on with an item that was cancelled, longer than the grace period.",
        "it went on with an item that was cancelled, longer than its limit";
    ComputeTime = 4, "ended-compute-time", Some("compute-time"),
        "One call computed longer than its limit.",
        "it computed longer than its limit";
    WallTime = 5, "ended-wall-time", Some("wall-time"),
        "One call took longer than its limit.",
        "it took longer than its limit";
    IdleTime = 6, "ended-idle-time", Some("idle-time"),
        "It gave no sign of life for longer than its limit.",
        "it gave no sign of life for longer than its limit";
    Memory = 7, "ended-memory", Some("memory-bytes"),
        "It wanted more memory than its limit.",
        "it wanted more memory than its limit";
    Tables = 8, "ended-tables", Some("table-elements"),
        "Its tables wanted more elements than their limit.",
        "it wanted larger tables than its limit";
    Stack = 9, "ended-stack", Some("stack-bytes"),
        "It called itself too deeply.",
        "it wanted more stack than its limit";
    Handles = 10, "ended-handles", Some("handles"),
        "It held more handles than its limit.",
        "it held more handles than its limit";
    HostCallBytes = 11, "ended-host-call-bytes", Some("host-call-bytes"),
        "It handed more to the host in one call than its limit.",
        "it handed over more in one call than its limit";
    Instances = 12, "ended-instances", Some("instances"),
        "It is made of more instances, memories or tables than its limit.",
        "it is made of more instances than its limit";
    Denied = 13, "ended-denied", None,
        "It used what it was not granted.",
        "it used what it was not granted";
    ItemBytes = 14, "ended-item-bytes", Some("item-bytes"),
        "The names, texts and counts of its items took more room than their limit.",
        "the names, texts and counts of its items take more room than its limit";
    RecordBytes = 15, "ended-record-bytes", Some("record-bytes"),
        "The record of its calls took more room than its limit.",
        "the record of its calls takes more room than its limit";
}

/// Describes the reason with the limit's value, if it is known, and the remedy.
pub(super) fn why(reason: StopReason, limit: Option<&str>) -> String {
    let Some(name) = reason.limit() else { return reason.to_string() };
    let of = limit.map(|value| format!(" of {value}")).unwrap_or_default();
    format!("{reason}{of}; raise `{name}` if that is right")
}

impl StopReason {
    /// Returns whether the user, or the embedder on the user's behalf, terminated the plugin.
    pub const fn is_cancellation(self) -> bool {
        match self {
            Self::Killed | Self::CancelledAll | Self::CancelledItem => true,
            Self::ComputeTime
            | Self::WallTime
            | Self::IdleTime
            | Self::Memory
            | Self::Tables
            | Self::Stack
            | Self::Handles
            | Self::HostCallBytes
            | Self::Instances
            | Self::ItemBytes
            | Self::RecordBytes
            | Self::Denied => false,
        }
    }
}

/// The use of something that was not granted, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The denied capability, such as ``the time of day (`wall-clock`)``.
    pub asked: String,
    /// The remedy, with the exact command-line option.
    pub remedy: String,
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.asked, self.remedy)
    }
}

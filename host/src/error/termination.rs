//! The reasons for which the host terminates a plugin.

use super::Call;
use crate::grants::Capability;

macro_rules! termination_reasons {
    ($($name:ident = $number:literal, $code:literal, $limit:expr, $doc:literal, $words:literal;)*) => {
        /// The reason for which the host terminated a plugin.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum TerminationReason {
            $(#[doc = $doc] $name,)*
        }

        impl TerminationReason {
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

        impl std::fmt::Display for TerminationReason {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $words,)*
                })
            }
        }
    };
}

termination_reasons! {
    Killed = 1, "ended-killed", None,
        "The embedder called [`CancelHandle::kill`](crate::CancelHandle::kill).",
        "terminated on request";
    CancelledAll = 2, "ended-cancelled-all", Some("grace"),
        "It continued after everything was cancelled for longer than the grace period.",
        "continued after everything was cancelled for longer than its grace period";
    CancelledItem = 3, "ended-cancelled-item", Some("grace"),
        "It continued with a cancelled item for longer than the grace period.",
        "continued with a cancelled item for longer than its grace period";
    ComputeTime = 4, "ended-compute-time", Some("compute-time"),
        "One call exceeded the compute time limit.",
        "exceeded its compute time limit";
    WallTime = 5, "ended-wall-time", Some("wall-time"),
        "One call exceeded the wall time limit.",
        "exceeded its wall time limit";
    IdleTime = 6, "ended-idle-time", Some("idle-time"),
        "It made no call to the host for longer than the idle time limit.",
        "exceeded its idle time limit";
    Memory = 7, "ended-memory", Some("memory-bytes"),
        "It exceeded the memory limit.",
        "exceeded its memory limit";
    Tables = 8, "ended-tables", Some("table-elements"),
        "Its tables exceeded the limit on elements.",
        "exceeded its table limit";
    Stack = 9, "ended-stack", Some("stack-bytes"),
        "It exceeded the stack limit, for example by deep recursion.",
        "exceeded its stack limit";
    Handles = 10, "ended-handles", Some("handles"),
        "It exceeded the limit on open handles.",
        "exceeded its handle limit";
    HostCallBytes = 11, "ended-host-call-bytes", Some("host-call-bytes"),
        "It passed more data to the host in one call than the limit.",
        "exceeded its data limit of one host call";
    Instances = 12, "ended-instances", Some("instances"),
        "It has more instances, memories or tables than the limit.",
        "exceeded its instance limit";
    Denied = 13, "ended-denied", None,
        "It used something that was not granted.",
        "used something that was not granted";
    ItemBytes = 14, "ended-item-bytes", Some("item-bytes"),
        "The names, texts and counts of its items exceeded their limit.",
        "exceeded its limit on names, texts and counts of items";
    RecordBytes = 15, "ended-record-bytes", Some("record-bytes"),
        "The recording of its calls exceeded the limit.",
        "exceeded its limit on recorded calls";
}

/// Describes the reason with the limit's value, if it is known, and the remedy.
pub(super) fn why(reason: TerminationReason, call: Call, limit: Option<&str>) -> String {
    let value = limit.map(|value| format!(" ({value})")).unwrap_or_default();
    let remedy = reason.limit().map(|name| format!("; raise `{name}` to allow it"));
    format!("{reason}{value} in `{call}`{}", remedy.unwrap_or_default())
}

impl TerminationReason {
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

/// The use of something that was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// The denied capability; `None` for the network, which cannot be granted.
    pub capability: Option<Capability>,
    /// The interface that the plugin used, such as `wasi:clocks/wall-clock`.
    pub interface: String,
    /// Whether the plugin requests the capability, so that it can be granted.
    pub requested: bool,
}

/// Formats as ``the time of day (`wall-clock`); grant it``. If there is a capability, the text ends
/// with its grant, so that a program can append how to grant it.
impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(capability) = self.capability else {
            return write!(f, "the network (`{}`); it cannot be granted", self.interface);
        };
        let remedy = match self.requested {
            true => "grant it",
            false => "its author must request it before it can be granted",
        };
        write!(f, "{} (`{}`); {remedy}", capability.meaning(), capability.name())
    }
}

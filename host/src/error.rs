use std::path::PathBuf;

use crate::hresult::{self, ErrorCode, Hresult};

/// Why a plugin could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the plugin {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are no plugin of this contract.
    #[error("{name} is not a plugin: {reason}")]
    Contract {
        /// The plugin's name.
        name: String,
        /// Which rule it breaks, and how to mend that.
        #[source]
        reason: ContractError,
    },
    /// The file is too large, or would become too large.
    #[error(
        "the plugin {name} is too large: {what} is {found}, and the limit is {limit}; raise \
         `{option}` if that is right"
    )]
    TooLarge {
        /// The plugin's name.
        name: String,
        /// What of it.
        what: &'static str,
        /// How large it is.
        found: u64,
        /// How large it may be.
        limit: u64,
        /// The name of the limit.
        option: &'static str,
    },
    /// Compiling it did not come to an end.
    #[error(
        "the plugin {name} takes longer than {}s to compile; raise `compile-time` if that is right",
        limit.as_secs()
    )]
    CompileTime {
        /// The plugin's name.
        name: String,
        /// How long it may take.
        limit: std::time::Duration,
    },
    /// The component is as the contract wants it, but this host cannot compile or link it.
    #[error("cannot load the plugin {name}: {source}")]
    Compile {
        /// The plugin's name.
        name: String,
        /// What wasmtime said.
        source: wasmtime::Error,
    },
    /// What was compiled earlier cannot be used.
    #[error("cannot use the compiled form of the plugin {name}: {reason}; compile it again")]
    Precompiled {
        /// The plugin's name.
        name: String,
        /// What is the matter with it.
        #[source]
        reason: PrecompiledError,
    },
}

/// What is the matter with something that was compiled earlier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrecompiledError {
    /// It is something else.
    #[error("it is no such thing")]
    Foreign,
    /// It is not as it was made.
    #[error("it is damaged")]
    Damaged,
    /// It was made by another version of the host, or by one with other options.
    #[error("it was made for another host: {message}")]
    OtherHost {
        /// Where they differ.
        message: String,
    },
}

impl PrecompiledError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Foreign => "precompiled-foreign",
            Self::Damaged => "precompiled-damaged",
            Self::OtherHost { .. } => "precompiled-other-host",
        }
    }
}

impl LoadError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "load-read",
            Self::Contract { reason, .. } => reason.code(),
            Self::TooLarge { .. } => "load-too-large",
            Self::CompileTime { .. } => "load-compile-time",
            Self::Compile { .. } => "load-compile",
            Self::Precompiled { reason, .. } => reason.code(),
        }
    }
}

/// Which rule of the contract some bytes break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// There is nothing.
    #[error("the file is empty; build the plugin again")]
    Empty,
    /// Something, but not WebAssembly.
    #[error(
        "it is not WebAssembly: it does not start with the bytes `\\0asm`{}",
        if *.text { "; the text format must be turned into a component first, with `wasm-tools parse`" } else { "" }
    )]
    NotWasm {
        /// Whether it is text.
        text: bool,
    },
    /// A core module.
    #[error(
        "it is a core WebAssembly module, and a plugin is a component; build it for the target \
         wasm32-wasip2, or turn it into a component with `wasm-tools component new`"
    )]
    CoreModule,
    /// Broken off.
    #[error("the component breaks off after {bytes} bytes; copy or build it again")]
    Truncated {
        /// The length of what is there.
        bytes: usize,
    },
    /// WebAssembly that breaks the rules of WebAssembly.
    #[error("the component is not valid WebAssembly: {message} (at byte {offset}); build it again")]
    Malformed {
        /// What is wrong.
        message: String,
        /// Where.
        offset: usize,
    },
    /// A component of some other world.
    #[error(
        "it does not export `{expected}`, so it is a component of another world (it exports \
         {}); implement the world `syncmgr:plugin/plugin`", list(.exports)
    )]
    OtherWorld {
        /// The export that a plugin has.
        expected: String,
        /// What it exports.
        exports: Vec<String>,
    },
    /// A plugin of another version of the contract.
    #[error(
        "it was built for version {found} of the contract, and this host runs {supported}; \
         {}", if newer(.found, .supported) { "update this host" } else { "build the plugin again with the current contract" }
    )]
    OtherVersion {
        /// The version it was built for.
        found: String,
        /// The version this host runs.
        supported: String,
    },
    /// It imports what this host does not have.
    #[error(
        "it imports {}, which no host of this contract offers; remove what needs it, or build \
         against the contract's own WIT", list(.imports)
    )]
    UnknownImports {
        /// The names of the imports.
        imports: Vec<String>,
    },
    /// What it says that it wants cannot be read.
    #[error("its requests cannot be read: {message}; its author has to mend them")]
    Requests {
        /// What is wrong.
        message: String,
    },
    /// Names fit, types do not.
    #[error(
        "its types do not fit the contract: {message}; {}",
        if newer(.found, .supported) {
            format!("it was built for version {found}, and this host runs {supported}: update this host")
        } else {
            "build it against the contract's own WIT".to_owned()
        }
    )]
    Types {
        /// Where they differ.
        message: String,
        /// The version it was built for.
        found: String,
        /// The version this host runs.
        supported: String,
    },
}

impl ContractError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "contract-empty",
            Self::NotWasm { .. } => "contract-not-wasm",
            Self::CoreModule => "contract-core-module",
            Self::Truncated { .. } => "contract-truncated",
            Self::Malformed { .. } => "contract-malformed",
            Self::OtherWorld { .. } => "contract-other-world",
            Self::OtherVersion { .. } => "contract-other-version",
            Self::UnknownImports { .. } => "contract-unknown-imports",
            Self::Requests { .. } => "contract-requests",
            Self::Types { .. } => "contract-types",
        }
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let mut text: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        text.push(format!("{} more", names.len() - SHOWN));
    }
    text.join(", ")
}

pub(crate) fn newer(found: &str, supported: &str) -> bool {
    let parts = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
    };
    parts(found) > parts(supported)
}

/// Why a granted directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The name is not one that a grant can have.
    #[error(
        "`{name}` cannot be the name of a directory: use letters, digits, `_` and `-`, in parts \
         joined by `.`"
    )]
    Name {
        /// The name given.
        name: String,
    },
    /// The name is taken.
    #[error("two directories are named `{name}`; give each a name of its own")]
    Twice {
        /// The name given.
        name: String,
    },
    /// There is no such capability.
    #[error("`{name}` cannot be allowed; `wall-clock` and `randomness` can")]
    Capability {
        /// The name given.
        name: String,
    },
    /// A setting or a secret is there twice, or cannot be handed over.
    #[error("the setting or secret `{name}` {why}")]
    Setting {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The directory cannot be opened.
    #[error("cannot open the directory `{name}` ({}): {source}", path.display())]
    Open {
        /// The name of the grant.
        name: String,
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// One directory is, or is inside, another one.
    #[error(
        "the directories `{outer}` and `{inner}` overlap ({}); grant directories that are apart",
        path.display()
    )]
    Overlap {
        /// The name of the one that holds the other.
        outer: String,
        /// The name of the other.
        inner: String,
        /// Where the inner one is.
        path: PathBuf,
    },
}

/// A call of the exported interface.
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
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Initialize,
        Self::GetHandlerInfo,
        Self::EnumItems,
        Self::PrepareForSync,
        Self::Synchronize,
        Self::SetItemStatus,
        Self::ShowError,
        Self::GetProperties,
        Self::SetProperties,
    ];

    /// The name in the WIT.
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
        }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! stop_reasons {
    ($($name:ident = $number:literal, $code:literal, $doc:literal, $words:literal;)*) => {
        /// Why the host ended a plugin.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StopReason {
            $(#[doc = $doc] $name,)*
        }

        impl StopReason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// A stable code for programs.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
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
    Killed = 1, "ended-killed",
        "The embedder asked, with [`CancelHandle::kill`](crate::CancelHandle::kill).",
        "it was told to end at once";
    CancelledAll = 2, "ended-cancelled-all",
        "It went on after everything was cancelled, longer than the grace period.",
        "it went on after everything was cancelled";
    CancelledItem = 3, "ended-cancelled-item",
        "It went on with an item that was cancelled, longer than the grace period.",
        "it went on with an item that was cancelled";
    ComputeTime = 4, "ended-compute-time",
        "One call computed longer than its limit.",
        "it computed longer than its limit; raise `compute-time` if that is right";
    WallTime = 5, "ended-wall-time",
        "One call took longer than its limit.",
        "it took longer than its limit; raise `wall-time` if that is right";
    IdleTime = 6, "ended-idle-time",
        "It gave no sign of life for longer than its limit.",
        "it gave no sign of life; raise `idle-time` if it may be silent that long";
    Memory = 7, "ended-memory",
        "It wanted more memory than its limit.",
        "it wanted more memory than its limit; raise `memory-bytes` if that is right";
    Tables = 8, "ended-tables",
        "Its tables wanted more elements than their limit.",
        "it wanted larger tables than its limit; raise `table-elements` if that is right";
    Stack = 9, "ended-stack",
        "It called itself too deeply.",
        "it ran out of stack; raise `stack-bytes` if that is right";
    Handles = 10, "ended-handles",
        "It held more handles than its limit.",
        "it held more handles than its limit; raise `handles` if that is right";
    HostCallBytes = 11, "ended-host-call-bytes",
        "It handed more to the host in one call than its limit.",
        "it handed over more in one call than its limit; raise `host-call-bytes` if that is right";
    Instances = 12, "ended-instances",
        "It is made of more instances, memories or tables than its limit.",
        "it is made of more instances than its limit; raise `instances` if that is right";
    Denied = 13, "ended-denied",
        "It used what it was not granted.",
        "it used what it was not granted";
}

impl StopReason {
    /// Whether it is the user, or the embedder for the user, who had the plugin ended.
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
            | Self::Denied => false,
        }
    }
}

/// What a plugin was not granted, and how to grant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What it asked for, such as ``the time of day (`wall-clock`)``.
    pub asked: String,
    /// What to do, with the exact option of the command line.
    pub remedy: String,
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.asked, self.remedy)
    }
}

/// Why a session failed. After [`SessionError::Trap`], [`SessionError::Exit`],
/// [`SessionError::Ended`] and [`SessionError::Denied`] the session is dead: it answers [`SessionError::Dead`] to everything.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The plugin answered with an error.
    #[error("{plugin}: {call} failed: {message}")]
    Plugin {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// Which failure.
        code: ErrorCode,
        /// The plugin's words.
        message: String,
    },
    /// The plugin answered with something that the contract rules out.
    #[error("{plugin}: {call} gave an answer that the contract rules out: {what}")]
    BadData {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// Which rule.
        what: String,
    },
    /// The plugin trapped.
    #[error("{plugin}: died in {call}: {message}")]
    Trap {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// Its last words if there are any (a panic message), else what wasmtime said.
        message: String,
        /// The stack, innermost frame first, a line each; empty if there is none.
        backtrace: String,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// The plugin called `wasi:cli/exit`.
    #[error("{plugin}: left in {call} with status {status}; a plugin must return")]
    Exit {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The status it gave.
        status: i32,
    },
    /// The host ended it.
    #[error("{plugin}: was ended in {call}: {reason}")]
    Ended {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// Why.
        reason: StopReason,
    },
    /// It used what it was not granted, and was ended.
    #[error("{plugin}: was denied, in {call}, {denial}")]
    Denied {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// What it was denied.
        denial: Denial,
    },
    /// A handler that is no plugin answered with a failure.
    #[error("{plugin}: {call} failed: {hresult}")]
    Native {
        /// The handler's name.
        plugin: String,
        /// The call.
        call: Call,
        /// What it answered.
        hresult: Hresult,
    },
    /// The embedder called out of order.
    #[error("{plugin}: {call} cannot be called {when}")]
    OutOfOrder {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// What is the matter.
        when: &'static str,
    },
    /// The session died earlier.
    #[error("{plugin}: {call} cannot be called: the plugin died earlier; start a new session")]
    Dead {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
    },
    /// The embedder named an item that is none.
    #[error("{plugin}: there is no item {item:?}; it has {}", list(.items))]
    UnknownItem {
        /// The plugin's name.
        plugin: String,
        /// The name or id given.
        item: String,
        /// The names of the items that there are.
        items: Vec<String>,
    },
    /// The host itself failed.
    #[error("{plugin}: the host failed to {what}: {source}")]
    Host {
        /// The plugin's name.
        plugin: String,
        /// What it tried.
        what: &'static str,
        /// What happened.
        source: wasmtime::Error,
    },
}

impl SessionError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Plugin { .. } => "plugin-error",
            Self::BadData { .. } => "plugin-bad-data",
            Self::Trap { .. } => "plugin-trap",
            Self::Exit { .. } => "plugin-exit",
            Self::Ended { reason, .. } => reason.code(),
            Self::Denied { .. } => StopReason::Denied.code(),
            Self::Native { .. } => "native-error",
            Self::OutOfOrder { .. } => "session-out-of-order",
            Self::Dead { .. } => "session-dead",
            Self::UnknownItem { .. } => "session-unknown-item",
            Self::Host { .. } => "host-failed",
        }
    }

    /// The stack of a plugin that trapped, a frame on each line, and the end of what it wrote to
    /// stderr: escape it before showing it. Empty, where there is nothing.
    pub fn last_signs(&self) -> (&str, &str) {
        match self {
            Self::Trap { backtrace, stderr, .. } => (backtrace, stderr),
            Self::Plugin { .. }
            | Self::BadData { .. }
            | Self::Exit { .. }
            | Self::Ended { .. }
            | Self::Denied { .. }
            | Self::Native { .. }
            | Self::OutOfOrder { .. }
            | Self::Dead { .. }
            | Self::UnknownItem { .. }
            | Self::Host { .. } => ("", ""),
        }
    }

    /// Whether the plugin is gone.
    pub const fn is_death(&self) -> bool {
        match self {
            Self::Trap { .. } | Self::Exit { .. } | Self::Ended { .. } | Self::Denied { .. } => {
                true
            }
            Self::Plugin { .. }
            | Self::BadData { .. }
            | Self::Native { .. }
            | Self::OutOfOrder { .. }
            | Self::Dead { .. }
            | Self::UnknownItem { .. }
            | Self::Host { .. } => false,
        }
    }

    /// Whether the plugin died, and not by the will of whoever runs it: another session could do
    /// better. A plugin that went on with a cancelled item may, with the other items.
    pub const fn may_be_retried(&self) -> bool {
        match self {
            Self::Ended { reason, .. } => match reason {
                StopReason::Killed
                | StopReason::CancelledAll
                | StopReason::Denied
                | StopReason::Instances => false,
                StopReason::CancelledItem
                | StopReason::ComputeTime
                | StopReason::WallTime
                | StopReason::IdleTime
                | StopReason::Memory
                | StopReason::Tables
                | StopReason::Stack
                | StopReason::Handles
                | StopReason::HostCallBytes => true,
            },
            Self::Trap { .. } | Self::Exit { .. } => true,
            Self::Denied { .. }
            | Self::Plugin { .. }
            | Self::BadData { .. }
            | Self::Native { .. }
            | Self::OutOfOrder { .. }
            | Self::Dead { .. }
            | Self::UnknownItem { .. }
            | Self::Host { .. } => false,
        }
    }

    /// What the native completion of the call carries.
    pub const fn hresult(&self) -> Hresult {
        hresult::from_session_error(self)
    }
}

/// Why a session could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A granted directory cannot be used.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The plugin failed while it was being instantiated.
    #[error(transparent)]
    Session(SessionError),
    /// It died in an earlier run, and is not to be started again.
    #[error(
        "the plugin {plugin} is in quarantine since it died: {death}; once it is mended, let it run \
         again with `syncmgr run --release` or `Plugin::release`"
    )]
    Quarantined {
        /// The plugin's name.
        plugin: String,
        /// What it died of.
        death: String,
    },
}

impl StartError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant-refused",
            Self::Session(error) => error.code(),
            Self::Quarantined { .. } => "plugin-quarantined",
        }
    }

    /// What a native caller gets.
    pub const fn hresult(&self) -> Hresult {
        hresult::from_start_error(self)
    }
}

/// Why there can be no host.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the WebAssembly engine: {source}")]
pub struct HostError {
    /// What wasmtime said.
    source: wasmtime::Error,
}

impl From<wasmtime::Error> for HostError {
    fn from(source: wasmtime::Error) -> Self {
        Self { source }
    }
}

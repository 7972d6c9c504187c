//! The grants and answers of the sync manager in a test.

use std::path::PathBuf;
use std::time::Duration;

use crate::bindings::syncmgr::plugin::directories::Access;
use crate::bindings::syncmgr::plugin::types::{ErrorCode, ProgressResponse, Trigger};
use crate::guid::ItemId;
use crate::native::http::Server;

/// The grants of a run, its trigger, and the answers to a plugin's calls.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) grants: Vec<Granted>,
    pub(crate) storage: Option<PathBuf>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) servers: Vec<Server>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) choices: Vec<u32>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) trigger: Trigger,
    pub(crate) cookie: Option<Vec<u8>>,
    pub(crate) retries: u32,
}

/// A call that fails or takes longer.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) call: String,
    pub(crate) nth: usize,
    pub(crate) code: Option<ErrorCode>,
    pub(crate) delay: Duration,
}

/// A granted directory.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
}

/// The answer to a report.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) item: Option<ItemId>,
    pub(crate) nth: usize,
    pub(crate) response: ProgressResponse,
}

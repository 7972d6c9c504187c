//! Native handlers. They run in a separate process, since they can terminate it at any time.

#![allow(unsafe_code, reason = "COM")]

use std::io::Write as _;
use std::os::windows::io::AsRawHandle as _;
use std::process::{Child, Command};

use anyhow::{Context as _, bail};
use syncmgr_com::interfaces::ISyncMgrSynchronize;
use syncmgr_com::native::{self, NativeOptions};
use syncmgr_host::sink::Sink;
use syncmgr_host::{Hresult, Limits, RunReport, RunRequest};
use uuid::Uuid;
use windows_core::Interface;
use windows_sys::Win32::Foundation::{CloseHandle, E_NOINTERFACE, HANDLE, REGDB_E_CLASSNOTREG};
use windows_sys::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, COINIT_APARTMENTTHREADED, CoCreateInstance, CoInitializeEx,
    CoUninitialize,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};
use windows_sys::core::GUID;

use crate::exit::{Exit, UsageError};
use crate::options::key_value;

/// The exit status of a supervised process that finished, with the program's exit status in the
/// lowest byte. Handlers that terminate the process do not use it.
const FINISHED: u32 = 0x5C0D_E000;

/// The limits that apply to native handlers.
const LIMITS: [&str; 8] = [
    "grace",
    "idle-time",
    "items",
    "json-bytes",
    "log-bytes",
    "log-entries",
    "progress-per-second",
    "wall-time",
];

/// How a supervised process ended.
pub(crate) enum Ended {
    /// The program finished.
    Finished(Exit),
    /// The handler, or the system after a crash, terminated the process with this status.
    ByHandler(u32),
}

/// Formats a class id for users.
pub(crate) fn class_name(clsid: Uuid) -> String {
    format!("{{{}}}", clsid.to_string().to_uppercase())
}

/// Parses the values of `--limit`.
pub(crate) fn limits(texts: &[String]) -> anyhow::Result<Limits> {
    let mut limits = Limits::default();
    for text in texts {
        let (name, value) = key_value(text, "--limit NAME=VALUE")?;
        if Limits::NAMES.contains(&name) && !LIMITS.contains(&name) {
            let message = format!(
                "limit `{name}` does not apply to native handlers; use one of {}",
                LIMITS.join(", ")
            );
            return Err(UsageError(message).into());
        }
        limits.set(name, value).map_err(|error| UsageError(error.to_string()))?;
    }
    Ok(limits)
}

/// Runs this command in a child process, which terminates with this process, and waits for it.
pub(crate) fn supervise() -> anyhow::Result<Ended> {
    let mut arguments = std::env::args_os().skip(1);
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.args(arguments.next()).arg("--supervised").args(arguments);
    let mut child = command.spawn().context("cannot start a process for the handler")?;
    let _job = Job::around(&child);
    let status = child.wait().context("cannot wait for the handler's process")?;
    // On Windows, there is always a code.
    let status = status.code().unwrap_or(-1).cast_unsigned();
    let own = (status & !0xFF == FINISHED).then(|| Exit::of_number(status & 0xFF)).flatten();
    Ok(own.map_or(Ended::ByHandler(status), Ended::Finished))
}

/// Terminates a supervised process without any call of the handler, whose thread may be abandoned.
pub(crate) fn leave(exit: Exit) -> ! {
    // A closed output was detected before.
    let _ = std::io::stdout().flush();
    // SAFETY: the function takes nothing, and its handle needs no closing.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: everything was written, and no code of this process runs afterwards.
    unsafe { TerminateProcess(process, FINISHED | exit as u32) };
    std::process::abort()
}

/// A job that terminates its process when it is closed, at the latest when this process terminates.
struct Job(HANDLE);

impl Job {
    /// Returns `None` if the system refuses; then the child survives a kill of this process.
    fn around(child: &Child) -> Option<Self> {
        // SAFETY: no name and no security descriptor; both may be NULL.
        let handle = unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) };
        let job = (!handle.is_null()).then_some(Self(handle))?;
        let mut information = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        // Processes that the handler starts may survive.
        information.BasicLimitInformation.LimitFlags =
            JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
        let size = u32::try_from(size_of_val(&information)).ok()?;
        // SAFETY: the handle is open, and the structure has the stated type and size.
        let set = unsafe {
            SetInformationJobObject(
                job.0,
                JobObjectExtendedLimitInformation,
                (&raw const information).cast(),
                size,
            )
        };
        // SAFETY: both handles are open.
        let assigned =
            set != 0 && unsafe { AssignProcessToJobObject(job.0, child.as_raw_handle()) } != 0;
        assigned.then_some(job)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // SAFETY: it is open, and not used after this.
        unsafe { CloseHandle(self.0) };
    }
}

/// The apartment of this thread.
struct Apartment;

impl Drop for Apartment {
    fn drop(&mut self) {
        // SAFETY: on the thread that has entered it, and once for that.
        unsafe { CoUninitialize() };
    }
}

/// Creates a native handler in a single-threaded apartment, as the sync manager does.
fn create(clsid: Uuid) -> anyhow::Result<(ISyncMgrSynchronize, Apartment)> {
    let flags = COINIT_APARTMENTTHREADED.cast_unsigned();
    // SAFETY: the reserved parameter is NULL.
    let entered = unsafe { CoInitializeEx(std::ptr::null(), flags) };
    if entered < 0 {
        bail!("cannot start COM: {}", Hresult(entered.cast_unsigned()));
    }
    let apartment = Apartment;
    let class = GUID::from_u128(clsid.as_u128());
    let interface = GUID::from_u128(ISyncMgrSynchronize::IID.to_u128());
    let clsid = class_name(clsid);
    let mut pointer = std::ptr::null_mut();
    // SAFETY: the ids live until the call returns, and the out pointer is valid.
    let created = unsafe {
        CoCreateInstance(
            &raw const class,
            std::ptr::null_mut(),
            CLSCTX_INPROC_SERVER,
            &raw const interface,
            &raw mut pointer,
        )
    };
    if created >= 0 && !pointer.is_null() {
        // SAFETY: the call gave a reference to this interface.
        return Ok((unsafe { ISyncMgrSynchronize::from_raw(pointer) }, apartment));
    }
    let message = match created {
        REGDB_E_CLASSNOTREG => format!("class {clsid} is not registered"),
        E_NOINTERFACE => format!("class {clsid} is not a sync handler"),
        0.. => bail!("class {clsid} returned S_OK without a handler"),
        _failure => {
            bail!("cannot create a handler of class {clsid}: {}", Hresult(created.cast_unsigned()))
        }
    };
    Err(UsageError(message).into())
}

/// Runs a handler in this process.
pub(crate) fn run(
    clsid: Uuid,
    options: NativeOptions,
    sink: impl Sink + 'static,
    request: &RunRequest,
) -> anyhow::Result<RunReport> {
    Ok(native::run(move || create(clsid), &class_name(clsid), options, sink, request)?.report)
}

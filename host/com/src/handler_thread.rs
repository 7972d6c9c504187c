//! The thread that drives a handler's session. It runs tasks one after another; long tasks complete
//! through the callback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use syncmgr_host::{Hresult, Session, SessionError, SessionThread, StartError};

use crate::apartment::Multithreaded;
use crate::object::Counted;
use crate::oneshot;

type Task = Box<dyn FnOnce(&mut SessionThread) + Send>;

/// A call to the manager that reports the outcome of an operation.
pub(crate) type Completion = Box<dyn FnOnce() + Send>;

/// A handler's thread. It and its session end when this is dropped and all tasks are done.
#[derive(Debug)]
pub(crate) struct HandlerThread {
    tasks: mpsc::Sender<Task>,
    /// Completions run on another thread: the manager may call the handler before they return.
    completions: mpsc::Sender<Completion>,
}

impl HandlerThread {
    /// Starts the thread, and the session on it.
    pub(crate) fn start(
        open: impl FnOnce() -> Result<SessionThread, StartError> + Send + 'static,
    ) -> Result<Self, Hresult> {
        let (tasks, to_do) = mpsc::channel::<Task>();
        let (sender, started) = oneshot::channel().ok_or(Hresult::E_OUTOFMEMORY)?;
        // This also puts the session's thread into the multithreaded apartment.
        spawn("syncmgr-handler", move || match open() {
            Ok(mut session) => {
                sender.send(Ok(()));
                while let Ok(task) = to_do.recv() {
                    task(&mut session);
                }
                session.close();
            }
            Err(error) => sender.send(Err(error.hresult())),
        })?;
        started.wait().ok_or(Hresult::E_UNEXPECTED)??;
        let (completions, to_do) = mpsc::channel::<Completion>();
        spawn("syncmgr-completions", move || {
            while let Ok(completion) = to_do.recv() {
                // This runs the manager's code, or the proxy that leads to it.
                let _ = catch_unwind(AssertUnwindSafe(completion));
            }
        })?;
        Ok(Self { tasks, completions })
    }

    /// Queues a task and its completion; `failed` completes a task that panics. Returns `false` if
    /// the thread is gone, which is a bug in this library.
    pub(crate) fn post(
        &self,
        task: impl FnOnce(&mut SessionThread) -> Completion + Send + 'static,
        failed: impl FnOnce() + Send + 'static,
    ) -> bool {
        let completions = self.completions.clone();
        let task = move |session: &mut SessionThread| {
            let done = catch_unwind(AssertUnwindSafe(|| task(session)));
            // Both ends exist as long as the handler or one of its tasks.
            let _ = completions.send(done.unwrap_or_else(|_| Box::new(failed)));
        };
        self.tasks.send(Box::new(task)).is_ok()
    }

    /// Makes calls on the thread and waits for the answer.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        calls: impl AsyncFnOnce(&mut Session) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, Hresult> {
        let (sender, answer) = oneshot::channel().ok_or(Hresult::E_OUTOFMEMORY)?;
        let task: Task = Box::new(move |session| sender.send(call(session, calls)));
        // If the thread is gone, the task is dropped with the sender.
        let _ = self.tasks.send(task);
        answer.wait().ok_or(Hresult::E_UNEXPECTED)?
    }
}

/// Starts a thread in the multithreaded apartment. The library stays loaded until it ends.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Hresult> {
    let counted = Counted::new();
    let body = move || {
        let _counted = counted;
        let _apartment = Multithreaded::enter();
        run();
    };
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.map(drop).map_err(|_| Hresult::E_OUTOFMEMORY)
}

/// Makes calls, on the thread.
pub(crate) fn call<T: Send + 'static>(
    session: &mut SessionThread,
    calls: impl AsyncFnOnce(&mut Session) -> Result<T, SessionError> + Send + 'static,
) -> Result<T, Hresult> {
    match session.call(calls) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) | Err(error) => Err(error.hresult()),
    }
}

//! The thread that drives a handler's session. It runs tasks one after another; long tasks complete
//! through the callback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use syncmgr_host::{Hresult, Session, SessionError, SessionThread, StartError};

use crate::apartment::Multithreaded;
use crate::event::Event;
use crate::object::Counted;

/// The interval at which a waiting caller checks that the worker still runs.
const LOOK: Duration = Duration::from_millis(500);

type Task = Box<dyn FnOnce(&mut SessionThread) + Send>;

/// A call to the manager that reports the outcome of an operation.
pub(crate) type Completion = Box<dyn FnOnce() + Send>;

/// A worker thread. It and its session end when this is dropped and all tasks are done.
#[derive(Debug)]
pub(crate) struct Worker {
    tasks: mpsc::Sender<Task>,
    /// Completions run on another thread: the manager may call the worker before they return.
    completions: mpsc::Sender<Completion>,
}

impl Worker {
    /// Starts the thread, and the session on it.
    pub(crate) fn start(
        open: impl FnOnce() -> Result<SessionThread, StartError> + Send + 'static,
    ) -> Result<Self, Hresult> {
        let (tasks, to_do) = mpsc::channel::<Task>();
        let started = Promise::new()?;
        let promise = started.clone();
        let counted = Counted::new();
        thread::Builder::new()
            .name("syncmgr-worker".to_owned())
            .spawn(move || {
                let _counted = counted;
                // This also puts the session's thread into the multithreaded apartment.
                let _apartment = Multithreaded::enter();
                match open() {
                    Ok(mut session) => {
                        promise.keep(Ok(()));
                        while let Ok(task) = to_do.recv() {
                            task(&mut session);
                        }
                        session.close();
                    }
                    Err(error) => promise.keep(Err(error.hresult())),
                }
            })
            .map_err(|_| Hresult::E_OUTOFMEMORY)?;
        started.wait()??;
        Ok(Self { tasks, completions: complete()? })
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

    /// Makes calls on the worker thread and waits for the answer.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        calls: impl AsyncFnOnce(&mut Session) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, Hresult> {
        let answer = Promise::new()?;
        let promise = answer.clone();
        let task: Task = Box::new(move |session| promise.keep(call(session, calls)));
        if self.tasks.send(task).is_err() {
            return Err(Hresult::E_UNEXPECTED);
        }
        answer.wait()?
    }
}

/// Starts the thread that reports completions to the manager.
fn complete() -> Result<mpsc::Sender<Completion>, Hresult> {
    let (completions, to_do) = mpsc::channel::<Completion>();
    let counted = Counted::new();
    thread::Builder::new()
        .name("syncmgr-completions".to_owned())
        .spawn(move || {
            let _counted = counted;
            let _apartment = Multithreaded::enter();
            while let Ok(completion) = to_do.recv() {
                // This runs the manager's code, or the proxy that leads to it.
                let _ = catch_unwind(AssertUnwindSafe(completion));
            }
        })
        .map_err(|_| Hresult::E_OUTOFMEMORY)?;
    Ok(completions)
}

/// Makes calls, on the worker thread.
pub(crate) fn call<T: Send + 'static>(
    session: &mut SessionThread,
    calls: impl AsyncFnOnce(&mut Session) -> Result<T, SessionError> + Send + 'static,
) -> Result<T, Hresult> {
    match session.call(calls) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) | Err(error) => Err(error.hresult()),
    }
}

/// A value that one thread will receive from another.
struct Promise<T> {
    kept: Event,
    answer: Arc<Mutex<Option<T>>>,
}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self { kept: self.kept.clone(), answer: Arc::clone(&self.answer) }
    }
}

impl<T> Promise<T> {
    fn new() -> Result<Self, Hresult> {
        let kept = Event::new().ok_or(Hresult::E_OUTOFMEMORY)?;
        Ok(Self { kept, answer: Arc::default() })
    }

    fn keep(&self, answer: T) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.kept.set();
    }

    /// Waits for the value. Fails if the other thread ended without sending it.
    fn wait(&self) -> Result<T, Hresult> {
        while !self.kept.wait(LOOK) {
            if Arc::strong_count(&self.answer) == 1 {
                break;
            }
        }
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer.ok_or(Hresult::E_UNEXPECTED)
    }
}

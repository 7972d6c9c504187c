//! The thread on which a handler's session is driven: what was asked for is done one after the
//! other, and what takes long completes through the callback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use syncmgr_host::{Hresult, Session, SessionError, SessionThread, StartError};

use crate::apartment::Multithreaded;
use crate::event::Event;
use crate::object::Counted;

/// How often somebody who waits looks whether the worker is still there.
const LOOK: Duration = Duration::from_millis(500);

type Task = Box<dyn FnOnce(&mut SessionThread) + Send>;

/// A call of the manager's that tells how something ended.
pub(crate) type Completion = Box<dyn FnOnce() + Send>;

/// Ends, and the session with it, when it is dropped and all tasks are done.
#[derive(Debug)]
pub(crate) struct Worker {
    tasks: mpsc::Sender<Task>,
    /// Done on another thread: the manager may ask the worker something before it returns.
    completions: mpsc::Sender<Completion>,
}

impl Worker {
    /// Starts the thread, and on it the session.
    pub(crate) fn start(
        open: impl FnOnce() -> Result<SessionThread, StartError> + Send + 'static,
    ) -> Result<Self, Hresult> {
        let (tasks, to_do) = mpsc::channel::<Task>();
        let started = Promise::new()?;
        let tell = started.clone();
        let counted = Counted::new();
        thread::Builder::new()
            .name("syncmgr-worker".to_owned())
            .spawn(move || {
                let _counted = counted;
                // The session's own thread is in the same apartment by that.
                let _apartment = Multithreaded::enter();
                match open() {
                    Ok(mut session) => {
                        tell.keep(Ok(()));
                        while let Ok(task) = to_do.recv() {
                            task(&mut session);
                        }
                        session.close();
                    }
                    Err(error) => tell.keep(Err(error.hresult())),
                }
            })
            .map_err(|_| Hresult::E_OUTOFMEMORY)?;
        started.wait()??;
        Ok(Self { tasks, completions: complete()? })
    }

    /// Has something done later, and then its completion; `failed` is that of a task that panics.
    /// `false`: the thread is gone, which only a defect of this program brings about.
    pub(crate) fn post(
        &self,
        task: impl FnOnce(&mut SessionThread) -> Completion + Send + 'static,
        failed: impl FnOnce() + Send + 'static,
    ) -> bool {
        let completions = self.completions.clone();
        let task = move |session: &mut SessionThread| {
            let done = catch_unwind(AssertUnwindSafe(|| task(session)));
            // Both ends are there as long as the handler, or one of its tasks, is.
            let _ = completions.send(done.unwrap_or_else(|_| Box::new(failed)));
        };
        self.tasks.send(Box::new(task)).is_ok()
    }

    /// Makes calls and waits for their answer.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        calls: impl AsyncFnOnce(&mut Session) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, Hresult> {
        let answer = Promise::new()?;
        let tell = answer.clone();
        let task: Task = Box::new(move |session| tell.keep(call(session, calls)));
        if self.tasks.send(task).is_err() {
            return Err(Hresult::E_UNEXPECTED);
        }
        answer.wait()?
    }
}

/// Starts the thread on which the manager is told how things ended.
fn complete() -> Result<mpsc::Sender<Completion>, Hresult> {
    let (completions, to_do) = mpsc::channel::<Completion>();
    let counted = Counted::new();
    thread::Builder::new()
        .name("syncmgr-completions".to_owned())
        .spawn(move || {
            let _counted = counted;
            let _apartment = Multithreaded::enter();
            while let Ok(completion) = to_do.recv() {
                // The manager's own code, or ours on the way to it.
                let _ = catch_unwind(AssertUnwindSafe(completion));
            }
        })
        .map_err(|_| Hresult::E_OUTOFMEMORY)?;
    Ok(completions)
}

/// Makes calls, on the worker's thread.
pub(crate) fn call<T: Send + 'static>(
    session: &mut SessionThread,
    calls: impl AsyncFnOnce(&mut Session) -> Result<T, SessionError> + Send + 'static,
) -> Result<T, Hresult> {
    match session.call(calls) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) | Err(error) => Err(error.hresult()),
    }
}

/// An answer that one thread owes to another one.
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

    /// Waits. It is broken where the other thread is gone without having kept it.
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

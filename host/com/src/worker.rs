//! The thread on which a handler's session is driven: what was asked for is done one after the
//! other, and what takes long completes through the callback.

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

/// Ends, and the session with it, when it is dropped and all tasks are done.
#[derive(Debug)]
pub(crate) struct Worker {
    tasks: mpsc::Sender<Task>,
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
        Ok(Self { tasks })
    }

    /// Has something done later. The task is lost if the thread is gone, which only a defect of
    /// this program brings about.
    pub(crate) fn post(&self, task: impl FnOnce(&mut SessionThread) + Send + 'static) -> bool {
        self.tasks.send(Box::new(task)).is_ok()
    }

    /// Makes calls and waits for their answer.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        calls: impl AsyncFnOnce(&mut Session) -> Result<T, SessionError> + Send + 'static,
    ) -> Result<T, Hresult> {
        let answer = Promise::new()?;
        let tell = answer.clone();
        if !self.post(move |session| tell.keep(call(session, calls))) {
            return Err(Hresult::E_UNEXPECTED);
        }
        answer.wait()?
    }
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

//! A channel for one value. In a single-threaded apartment, the receiver dispatches incoming calls
//! while it waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::event::Event;

/// The longest single wait. The system may fail to dispatch calls during one.
const WAIT: Duration = Duration::from_millis(500);

/// Creates a channel, or returns `None` if the system is out of resources.
pub(crate) fn channel<T>() -> Option<(Sender<T>, Receiver<T>)> {
    let (value, ended) = (Arc::default(), Event::new()?);
    let receiver = Receiver { value: Arc::clone(&value), ended: ended.clone() };
    Some((Sender { value, ended }, receiver))
}

pub(crate) struct Sender<T> {
    value: Arc<Mutex<Option<T>>>,
    /// Set when the sender is dropped, with or without a value.
    ended: Event,
}

impl<T> Sender<T> {
    pub(crate) fn send(self, value: T) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.ended.set();
    }
}

pub(crate) struct Receiver<T> {
    value: Arc<Mutex<Option<T>>>,
    ended: Event,
}

impl<T> Receiver<T> {
    /// Waits for the value. Returns `None` if the sender is dropped without sending one.
    pub(crate) fn wait(self) -> Option<T> {
        while !self.ended.wait(WAIT) {}
        self.value.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_arrives_from_another_thread() {
        let (sender, receiver) = channel().unwrap();
        std::thread::spawn(move || sender.send(7));
        assert_eq!(receiver.wait(), Some(7));
    }

    #[test]
    fn a_dropped_sender_ends_the_wait() {
        let (sender, receiver) = channel::<u8>().unwrap();
        std::thread::spawn(move || drop(sender));
        assert_eq!(receiver.wait(), None);
    }
}

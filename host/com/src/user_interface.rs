//! Dialogs that a handler shows to the user.

use syncmgr_host::{Property, PropertyValue, Question};

use crate::interfaces::HWND;

#[cfg(windows)]
mod dialog;

#[cfg(windows)]
pub use dialog::Dialogs;

/// The manager's window that owns the dialogs, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parent(usize);

impl Parent {
    pub(crate) fn new(window: HWND) -> Self {
        Self(window.expose_provenance())
    }

    /// Returns the native window handle.
    pub fn window(self) -> HWND {
        std::ptr::with_exposed_provenance_mut(self.0)
    }
}

/// Shows dialogs. Each method returns when the user has closed the dialog.
pub trait UserInterface: Send + Sync {
    /// Asks a question. Returns the index of the chosen answer, or `None` if the user gave none.
    fn ask(&self, parent: Parent, title: &str, question: &Question) -> Option<usize>;

    /// Shows a text.
    fn show(&self, parent: Parent, title: &str, text: &str);

    /// Lets the user change properties. Returns the changes by property name, or `None` if the user
    /// changed nothing.
    fn edit(
        &self,
        parent: Parent,
        title: &str,
        properties: &[Property],
    ) -> Option<Vec<(String, PropertyValue)>>;
}

/// A user interface without dialogs: every question gets its default answer.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl UserInterface for Silent {
    fn ask(&self, _: Parent, _: &str, _: &Question) -> Option<usize> {
        None
    }

    fn show(&self, _: Parent, _: &str, _: &str) {}

    fn edit(&self, _: Parent, _: &str, _: &[Property]) -> Option<Vec<(String, PropertyValue)>> {
        None
    }
}

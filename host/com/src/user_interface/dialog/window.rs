//! A dialog that is shown, and its procedure.

#![allow(unsafe_code, reason = "window procedures and messages")]

use std::ptr::null;

use syncmgr_host::{PropertyField, PropertyValue};
use windows_sys::Win32::Foundation::{HWND, LPARAM, WPARAM};
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;
use windows_sys::Win32::UI::Controls::{
    BST_CHECKED, BST_UNCHECKED, CheckDlgButton, IsDlgButtonChecked,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CB_ADDSTRING, CB_GETCURSEL, CB_SETCURSEL, DialogBoxIndirectParamW, EndDialog, GWLP_USERDATA,
    GetDlgItemTextW, GetWindowLongPtrW, IDCANCEL, IDOK, SendDlgItemMessageW, SetDlgItemTextW,
    SetWindowLongPtrW, WM_COMMAND, WM_INITDIALOG,
};

use super::text::{one_line, plain};
use crate::convert;
use crate::user_interface::Parent;

/// The maximum length of a text in a field. Longer texts are truncated; the contract's limit is
/// lower.
const FIELD_UNITS: usize = 8 << 10;

/// Shows a dialog until it is closed. Returns `None` if the user cancelled or it could not be
/// shown.
///
/// # Safety
/// The template is complete.
pub(super) unsafe fn show<T>(
    parent: Parent,
    template: &[u32],
    fill: impl Fn(Dialog),
    read: impl Fn(Dialog) -> T,
) -> Option<T> {
    let mut answer = None;
    let mut keep = |dialog| answer = Some(read(dialog));
    let mut callbacks = Callbacks { fill: &fill, read: &mut keep };
    // SAFETY: NULL names the running program.
    let instance = unsafe { GetModuleHandleW(null()) };
    let callbacks = (&raw mut callbacks).cast::<Callbacks<'static>>();
    // SAFETY: the template is complete and aligned, and the callbacks live until the call returns,
    // after which nothing calls the procedure.
    unsafe {
        DialogBoxIndirectParamW(
            instance,
            template.as_ptr().cast(),
            parent.window(),
            Some(procedure),
            callbacks.expose_provenance().cast_signed(),
        );
    }
    answer
}

struct Callbacks<'a> {
    fill: &'a dyn Fn(Dialog),
    read: &'a mut dyn FnMut(Dialog),
}

/// A dialog that is shown.
#[derive(Clone, Copy)]
pub(super) struct Dialog(HWND);

impl Dialog {
    pub(super) fn check(self, id: u16, checked: bool) {
        let state = if checked { BST_CHECKED } else { BST_UNCHECKED };
        // SAFETY: the window exists.
        unsafe { CheckDlgButton(self.0, i32::from(id), state) };
    }

    pub(super) fn is_checked(self, id: u16) -> bool {
        // SAFETY: the window exists.
        unsafe { IsDlgButtonChecked(self.0, i32::from(id)) == BST_CHECKED }
    }

    fn set_text(self, id: u16, text: &str) {
        let units = convert::utf16(text);
        // SAFETY: the window exists, and the text is NUL-terminated.
        unsafe { SetDlgItemTextW(self.0, i32::from(id), units.as_ptr()) };
    }

    fn text(self, id: u16) -> String {
        let mut units = vec![0; FIELD_UNITS];
        let room = i32::try_from(units.len()).unwrap_or(0);
        // SAFETY: the window exists, and the buffer has `room` units.
        let length = unsafe { GetDlgItemTextW(self.0, i32::from(id), units.as_mut_ptr(), room) };
        String::from_utf16_lossy(&units[..usize::try_from(length).unwrap_or(0)])
    }

    fn send(self, id: u16, message: u32, wparam: WPARAM, lparam: LPARAM) -> isize {
        // SAFETY: the window exists, and pointers in the message are valid until the call returns.
        unsafe { SendDlgItemMessageW(self.0, i32::from(id), message, wparam, lparam) }
    }

    pub(super) fn fill(self, id: u16, field: &PropertyField) {
        match field {
            PropertyField::Boolean(value) => self.check(id, *value),
            PropertyField::Integer(value) => self.set_text(id, &value.to_string()),
            PropertyField::Text(value) => self.set_text(id, &one_line(value)),
            PropertyField::Choice { options, selected } => {
                for option in options {
                    let units = convert::utf16(&plain(option));
                    let text = units.as_ptr().expose_provenance().cast_signed();
                    self.send(id, CB_ADDSTRING, 0, text);
                }
                self.send(id, CB_SETCURSEL, *selected, 0);
            }
        }
    }

    /// Returns the new value if it differs. Text that is not a number does not change a number.
    pub(super) fn changed(self, id: u16, field: &PropertyField) -> Option<PropertyValue> {
        match field {
            PropertyField::Boolean(before) => {
                let now = self.is_checked(id);
                (now != *before).then_some(PropertyValue::Boolean(now))
            }
            PropertyField::Integer(before) => {
                let now = self.text(id).trim().parse().ok()?;
                (now != *before).then_some(PropertyValue::Integer(now))
            }
            PropertyField::Text(before) => {
                let now = self.text(id);
                // A field does not return every text unchanged.
                (now != one_line(before)).then_some(PropertyValue::Text(now))
            }
            PropertyField::Choice { selected, .. } => {
                let now = u32::try_from(self.send(id, CB_GETCURSEL, 0, 0)).ok()?;
                (usize::try_from(now) != Ok(*selected)).then_some(PropertyValue::Choice(now))
            }
        }
    }
}

/// The dialog procedure. A panic must not unwind into the caller; it closes the dialog instead.
unsafe extern "system" fn procedure(
    window: HWND,
    message: u32,
    wparam: WPARAM,
    lparam: LPARAM,
) -> isize {
    let handled = std::panic::catch_unwind(|| match message {
        WM_INITDIALOG => {
            // SAFETY: the window exists.
            unsafe { SetWindowLongPtrW(window, GWLP_USERDATA, lparam) };
            callbacks(lparam, |callbacks| (callbacks.fill)(Dialog(window)));
            1
        }
        WM_COMMAND => {
            // SAFETY: the window exists.
            let data = unsafe { GetWindowLongPtrW(window, GWLP_USERDATA) };
            let command = i32::try_from(wparam & 0xFFFF).unwrap_or(0);
            if command == IDOK {
                callbacks(data, |callbacks| (callbacks.read)(Dialog(window)));
            }
            if command == IDOK || command == IDCANCEL {
                // SAFETY: the dialog exists.
                unsafe { EndDialog(window, 1) };
                return 1;
            }
            0
        }
        _other => 0,
    });
    handled.unwrap_or_else(|_| {
        // SAFETY: the dialog exists.
        unsafe { EndDialog(window, 0) };
        0
    })
}

/// Calls a function with the callbacks at the address in the window's user data.
fn callbacks(data: isize, work: impl FnOnce(&mut Callbacks<'static>)) {
    let pointer = std::ptr::with_exposed_provenance_mut::<Callbacks<'static>>(data.cast_unsigned());
    // SAFETY: the pointer is NULL before the dialog is set up. Afterwards it points to the stack of
    // `show`, which waits for the dialog.
    if let Some(callbacks) = unsafe { pointer.as_mut() } {
        work(callbacks);
    }
}

//! Windows dialogs, created from templates in memory.

#![allow(unsafe_code, reason = "window procedures and messages")]

use std::ptr::null;

use syncmgr_host::{Property, PropertyField, PropertyValue, Question};
use windows_sys::Win32::Foundation::{HWND, LPARAM, WPARAM};
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;
use windows_sys::Win32::UI::Controls::{
    BST_CHECKED, BST_UNCHECKED, CheckDlgButton, IsDlgButtonChecked,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    BS_AUTOCHECKBOX, BS_AUTORADIOBUTTON, BS_DEFPUSHBUTTON, CB_ADDSTRING, CB_GETCURSEL,
    CB_SETCURSEL, CBS_DROPDOWNLIST, DS_CENTER, DS_MODALFRAME, DS_SETFONT, DialogBoxIndirectParamW,
    ES_AUTOHSCROLL, ES_MULTILINE, ES_READONLY, EndDialog, GWLP_USERDATA, GetDlgItemTextW,
    GetWindowLongPtrW, IDCANCEL, IDOK, SendDlgItemMessageW, SetDlgItemTextW, SetWindowLongPtrW,
    WM_COMMAND, WM_INITDIALOG, WS_BORDER, WS_CAPTION, WS_CHILD, WS_DISABLED, WS_GROUP, WS_POPUP,
    WS_SYSMENU, WS_TABSTOP, WS_VISIBLE, WS_VSCROLL,
};

use super::{Parent, UserInterface};
use crate::convert;

/// Shows Windows dialogs.
#[derive(Clone, Copy, Debug)]
pub struct Dialogs;

/// Dialog units: a quarter of a character wide, an eighth of one high.
const WIDTH: i16 = 260;
const MARGIN: i16 = 7;
const LINE: i16 = 12;
const BUTTON_WIDTH: i16 = 50;
const BUTTON_HEIGHT: i16 = 14;
const TEXT_HEIGHT: i16 = 60;
const LABEL_WIDTH: i16 = 100;

/// The number of properties on one page. Further properties follow on the next page.
const PER_PAGE: usize = 12;

/// The first id of the controls that the user can change.
const FIRST: u16 = 100;

/// The maximum length of a text in a field. Longer texts are truncated; the contract's limit is
/// lower.
const FIELD_UNITS: usize = 8 << 10;

impl UserInterface for Dialogs {
    fn ask(&self, parent: Parent, title: &str, question: &Question) -> Option<usize> {
        let mut template = Template::new(&heading(title));
        template.text(&question.text);
        for (at, choice) in question.choices.iter().enumerate() {
            template.choice(id(at), choice, at == 0);
        }
        template.buttons(&[(IDOK, "OK"), (IDCANCEL, "Cancel")]);
        let (count, default) = (question.choices.len(), question.default_choice);
        let chosen = template.show(
            parent,
            |dialog| dialog.check(id(default), true),
            |dialog| (0..count).find(|&at| dialog.is_checked(id(at))),
        );
        chosen.flatten()
    }

    fn show(&self, parent: Parent, title: &str, text: &str) {
        let mut template = Template::new(&heading(title));
        template.text(text);
        template.buttons(&[(IDOK, "OK")]);
        template.show(parent, |_| {}, |_| ());
    }

    fn edit(
        &self,
        parent: Parent,
        title: &str,
        properties: &[Property],
    ) -> Option<Vec<(String, PropertyValue)>> {
        let mut changes = Vec::new();
        let pages = properties.len().div_ceil(PER_PAGE);
        for (page, properties) in properties.chunks(PER_PAGE).enumerate() {
            let title = match pages {
                1 => heading(title),
                _ => format!("{} ({}/{pages})", heading(title), page + 1),
            };
            changes.extend(edit_page(parent, &title, properties)?);
        }
        (!changes.is_empty()).then_some(changes)
    }
}

/// Shows one page. Returns `None` if the user cancelled.
fn edit_page(
    parent: Parent,
    title: &str,
    properties: &[Property],
) -> Option<Vec<(String, PropertyValue)>> {
    let mut template = Template::new(title);
    for (at, property) in properties.iter().enumerate() {
        template.field(id(at), property);
    }
    template.buttons(&[(IDOK, "OK"), (IDCANCEL, "Cancel")]);
    template.show(
        parent,
        |dialog| {
            for (at, property) in properties.iter().enumerate() {
                dialog.fill(id(at), &property.field);
            }
        },
        |dialog| {
            let changeable = properties.iter().enumerate().filter(|(_, p)| !p.read_only);
            changeable
                .filter_map(|(at, property)| {
                    Some((property.name.clone(), dialog.changed(id(at), &property.field)?))
                })
                .collect()
        },
    )
}

/// Returns the heading. Plugins choose their names, so the heading says that this is a plugin.
fn heading(title: &str) -> String {
    format!("Sync plugin: {}", plain(title))
}

fn id(at: usize) -> u16 {
    FIRST.saturating_add(u16::try_from(at).unwrap_or(u16::MAX))
}

/// Sanitizes a text from a plugin: converts line endings to those of Windows, and replaces other
/// control characters and marks of writing direction.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => plain.push_str("\r\n"),
            '\r' => {}
            '\t' => plain.push(' '),
            '\u{061C}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}' => {
                plain.push('\u{FFFD}');
            }
            other if other.is_control() => plain.push('\u{FFFD}'),
            other => plain.push(other),
        }
    }
    plain
}

/// A `DLGTEMPLATE` under construction.
struct Template {
    words: Vec<u16>,
    items: u16,
    height: i16,
}

const BUTTON: u16 = 0x80;
const EDIT: u16 = 0x81;
const STATIC: u16 = 0x82;
const COMBO_BOX: u16 = 0x85;

/// The indices of the number of items and of the height in the template.
const ITEMS_AT: usize = 4;
const HEIGHT_AT: usize = 8;

impl Template {
    fn new(title: &str) -> Self {
        let style = WS_POPUP
            | WS_CAPTION
            | WS_SYSMENU
            | DS_MODALFRAME.cast_unsigned()
            | DS_CENTER.cast_unsigned()
            | DS_SETFONT.cast_unsigned();
        let mut template = Self { words: Vec::new(), items: 0, height: MARGIN };
        template.long(style);
        template.long(0);
        // The number of items, the position, the size, no menu, and the default class.
        template.words.extend([0, 0, 0, WIDTH.cast_unsigned(), 0, 0, 0]);
        template.string(title);
        const POINTS: u16 = 8;
        template.words.push(POINTS);
        template.string("MS Shell Dlg");
        template
    }

    fn long(&mut self, value: u32) {
        let [a, b, c, d] = value.to_le_bytes();
        self.words.extend([u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]);
    }

    fn string(&mut self, text: &str) {
        let mut units = Vec::new();
        convert::encode(text, &mut units);
        self.words.extend(units);
    }

    fn item(&mut self, class: u16, style: u32, place: [i16; 4], id: u16, text: &str) {
        if !self.words.len().is_multiple_of(2) {
            self.words.push(0);
        }
        self.long(style | WS_CHILD | WS_VISIBLE);
        self.long(0);
        self.words.extend(place.map(i16::cast_unsigned));
        self.words.extend([id, 0xFFFF, class]);
        self.string(text);
        self.words.push(0);
        self.items += 1;
    }

    /// Adds a read-only text that can be scrolled.
    fn text(&mut self, text: &str) {
        let style = (ES_MULTILINE | ES_READONLY).cast_unsigned() | WS_VSCROLL | WS_TABSTOP;
        let place = [MARGIN, self.height, WIDTH - 2 * MARGIN, TEXT_HEIGHT];
        self.item(EDIT, style, place, 0xFFFF, &plain(text));
        self.height += TEXT_HEIGHT + MARGIN;
    }

    fn choice(&mut self, id: u16, text: &str, first: bool) {
        let group = if first { WS_GROUP | WS_TABSTOP } else { 0 };
        let place = [MARGIN, self.height, WIDTH - 2 * MARGIN, LINE];
        let style = BS_AUTORADIOBUTTON.cast_unsigned() | group;
        self.item(BUTTON, style, place, id, &label(text));
        self.height += LINE;
    }

    /// Adds a property: its label and the control that changes it.
    fn field(&mut self, id: u16, property: &Property) {
        let disabled = if property.read_only { WS_DISABLED } else { 0 };
        let text = label(&property.label);
        let (left, wide) = (MARGIN + LABEL_WIDTH, WIDTH - 2 * MARGIN - LABEL_WIDTH);
        if !matches!(property.field, PropertyField::Boolean(_)) {
            let place = [MARGIN, self.height + 2, LABEL_WIDTH - 4, LINE];
            self.item(STATIC, 0, place, 0xFFFF, &text);
        }
        let (class, style, place, text) = match property.field {
            PropertyField::Boolean(_) => {
                let place = [MARGIN, self.height, WIDTH - 2 * MARGIN, LINE];
                (BUTTON, BS_AUTOCHECKBOX.cast_unsigned(), place, text)
            }
            PropertyField::Integer(_) | PropertyField::Text(_) => {
                let style = ES_AUTOHSCROLL.cast_unsigned() | WS_BORDER;
                (EDIT, style, [left, self.height, wide, LINE], String::new())
            }
            PropertyField::Choice { .. } => {
                let style = CBS_DROPDOWNLIST.cast_unsigned() | WS_VSCROLL;
                // The height is that of the list when it is open.
                (COMBO_BOX, style, [left, self.height, wide, 10 * LINE], String::new())
            }
        };
        self.item(class, style | disabled | WS_TABSTOP, place, id, &text);
        self.height += LINE + 4;
    }

    fn buttons(&mut self, buttons: &[(i32, &str)]) {
        self.height += MARGIN;
        for (at, (id, text)) in buttons.iter().rev().enumerate() {
            let at = i16::try_from(at).unwrap_or(0);
            let left = WIDTH - MARGIN - BUTTON_WIDTH - at * (BUTTON_WIDTH + MARGIN);
            let style = WS_TABSTOP | if *id == IDOK { BS_DEFPUSHBUTTON.cast_unsigned() } else { 0 };
            let place = [left, self.height, BUTTON_WIDTH, BUTTON_HEIGHT];
            self.item(BUTTON, style | WS_GROUP, place, u16::try_from(*id).unwrap_or(0), text);
        }
        self.height += BUTTON_HEIGHT + MARGIN;
    }

    /// Shows the dialog until it is closed. Returns `None` if the user cancelled or it could not be
    /// shown.
    fn show<T>(
        mut self,
        parent: Parent,
        fill: impl Fn(Dialog),
        read: impl Fn(Dialog) -> T,
    ) -> Option<T> {
        self.words[ITEMS_AT] = self.items;
        self.words[HEIGHT_AT] = self.height.cast_unsigned();
        // Templates are aligned to four bytes.
        let mut aligned = vec![0_u32; self.words.len().div_ceil(2)];
        for (at, pair) in self.words.chunks(2).enumerate() {
            let high = pair.get(1).copied().unwrap_or(0);
            aligned[at] = u32::from(pair[0]) | u32::from(high) << 16;
        }
        let mut answer = None;
        let mut keep = |dialog| answer = Some(read(dialog));
        let mut callbacks = Callbacks { fill: &fill, read: &mut keep };
        // SAFETY: NULL names the running program.
        let instance = unsafe { GetModuleHandleW(null()) };
        let callbacks = (&raw mut callbacks).cast::<Callbacks<'static>>();
        // SAFETY: the template is complete and aligned, and the callbacks live until the call
        // returns, after which nothing calls the procedure.
        unsafe {
            DialogBoxIndirectParamW(
                instance,
                aligned.as_ptr().cast(),
                parent.window(),
                Some(procedure),
                callbacks.expose_provenance().cast_signed(),
            );
        }
        answer
    }
}

/// Converts a text to that of a one-line field.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Escapes ampersands, which would underline the next character.
fn label(text: &str) -> String {
    plain(text).replace("\r\n", " ").replace('&', "&&")
}

struct Callbacks<'a> {
    fill: &'a dyn Fn(Dialog),
    read: &'a mut dyn FnMut(Dialog),
}

/// A dialog that is shown.
#[derive(Clone, Copy)]
struct Dialog(HWND);

impl Dialog {
    fn check(self, id: u16, checked: bool) {
        let state = if checked { BST_CHECKED } else { BST_UNCHECKED };
        // SAFETY: the window exists.
        unsafe { CheckDlgButton(self.0, i32::from(id), state) };
    }

    fn is_checked(self, id: u16) -> bool {
        // SAFETY: the window exists.
        unsafe { IsDlgButtonChecked(self.0, i32::from(id)) == BST_CHECKED }
    }

    fn set_text(self, id: u16, text: &str) {
        let mut units = Vec::new();
        convert::encode(text, &mut units);
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

    fn fill(self, id: u16, field: &PropertyField) {
        match field {
            PropertyField::Boolean(value) => self.check(id, *value),
            PropertyField::Integer(value) => self.set_text(id, &value.to_string()),
            PropertyField::Text(value) => self.set_text(id, &shown(value)),
            PropertyField::Choice { options, selected } => {
                for option in options {
                    let mut units = Vec::new();
                    convert::encode(&plain(option), &mut units);
                    let text = units.as_ptr().expose_provenance().cast_signed();
                    self.send(id, CB_ADDSTRING, 0, text);
                }
                self.send(id, CB_SETCURSEL, *selected, 0);
            }
        }
    }

    /// Returns the new value if it differs. Text that is not a number does not change a number.
    fn changed(self, id: u16, field: &PropertyField) -> Option<PropertyValue> {
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
                (now != shown(before)).then_some(PropertyValue::Text(now))
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
            let place = unsafe { GetWindowLongPtrW(window, GWLP_USERDATA) };
            let command = i32::try_from(wparam & 0xFFFF).unwrap_or(0);
            if command == IDOK {
                callbacks(place, |callbacks| (callbacks.read)(Dialog(window)));
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

fn callbacks(place: isize, work: impl FnOnce(&mut Callbacks<'static>)) {
    let place = std::ptr::with_exposed_provenance_mut::<Callbacks<'static>>(place.cast_unsigned());
    // SAFETY: the pointer is NULL before the dialog is set up. Afterwards it points to the stack of
    // `Template::show`, which waits for the dialog.
    if let Some(callbacks) = unsafe { place.as_mut() } {
        work(callbacks);
    }
}

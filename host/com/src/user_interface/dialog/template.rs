//! Dialog templates in memory.

#![allow(unsafe_code, reason = "the template is passed to the system")]

use syncmgr_host::{Property, PropertyField};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    BS_AUTOCHECKBOX, BS_AUTORADIOBUTTON, BS_DEFPUSHBUTTON, CBS_DROPDOWNLIST, DS_CENTER,
    DS_MODALFRAME, DS_SETFONT, ES_AUTOHSCROLL, ES_MULTILINE, ES_READONLY, IDOK, WS_BORDER,
    WS_CAPTION, WS_CHILD, WS_DISABLED, WS_GROUP, WS_POPUP, WS_SYSMENU, WS_TABSTOP, WS_VISIBLE,
    WS_VSCROLL,
};

use super::text::{label, plain};
use super::window::{self, Dialog};
use crate::convert;
use crate::user_interface::Parent;

/// Dialog units: a quarter of a character wide, an eighth of one high.
const WIDTH: i16 = 260;
const MARGIN: i16 = 7;
const LINE: i16 = 12;
const BUTTON_WIDTH: i16 = 50;
const BUTTON_HEIGHT: i16 = 14;
const TEXT_HEIGHT: i16 = 60;
const LABEL_WIDTH: i16 = 100;

/// The window classes of the controls.
const BUTTON: u16 = 0x80;
const EDIT: u16 = 0x81;
const STATIC: u16 = 0x82;
const COMBO_BOX: u16 = 0x85;

/// The indices of the number of items and of the height in the template.
const ITEMS_AT: usize = 4;
const HEIGHT_AT: usize = 8;

/// A `DLGTEMPLATE` under construction.
pub(super) struct Template {
    words: Vec<u16>,
    items: u16,
    height: i16,
}

impl Template {
    pub(super) fn new(title: &str) -> Self {
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
        self.words.extend(convert::utf16(text));
    }

    fn item(&mut self, class: u16, style: u32, bounds: [i16; 4], id: u16, text: &str) {
        if !self.words.len().is_multiple_of(2) {
            self.words.push(0);
        }
        self.long(style | WS_CHILD | WS_VISIBLE);
        self.long(0);
        self.words.extend(bounds.map(i16::cast_unsigned));
        self.words.extend([id, 0xFFFF, class]);
        self.string(text);
        self.words.push(0);
        self.items += 1;
    }

    /// Adds a read-only text that can be scrolled.
    pub(super) fn text(&mut self, text: &str) {
        let style = (ES_MULTILINE | ES_READONLY).cast_unsigned() | WS_VSCROLL | WS_TABSTOP;
        let bounds = [MARGIN, self.height, WIDTH - 2 * MARGIN, TEXT_HEIGHT];
        self.item(EDIT, style, bounds, 0xFFFF, &plain(text));
        self.height += TEXT_HEIGHT + MARGIN;
    }

    pub(super) fn choice(&mut self, id: u16, text: &str, first: bool) {
        let group = if first { WS_GROUP | WS_TABSTOP } else { 0 };
        let bounds = [MARGIN, self.height, WIDTH - 2 * MARGIN, LINE];
        let style = BS_AUTORADIOBUTTON.cast_unsigned() | group;
        self.item(BUTTON, style, bounds, id, &label(text));
        self.height += LINE;
    }

    /// Adds a property: its label and the control that changes it.
    pub(super) fn field(&mut self, id: u16, property: &Property) {
        let disabled = if property.read_only { WS_DISABLED } else { 0 };
        let text = label(&property.label);
        let (left, wide) = (MARGIN + LABEL_WIDTH, WIDTH - 2 * MARGIN - LABEL_WIDTH);
        if !matches!(property.field, PropertyField::Boolean(_)) {
            let bounds = [MARGIN, self.height + 2, LABEL_WIDTH - 4, LINE];
            self.item(STATIC, 0, bounds, 0xFFFF, &text);
        }
        let (class, style, bounds, text) = match property.field {
            PropertyField::Boolean(_) => {
                let bounds = [MARGIN, self.height, WIDTH - 2 * MARGIN, LINE];
                (BUTTON, BS_AUTOCHECKBOX.cast_unsigned(), bounds, text)
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
        self.item(class, style | disabled | WS_TABSTOP, bounds, id, &text);
        self.height += LINE + 4;
    }

    pub(super) fn buttons(&mut self, buttons: &[(i32, &str)]) {
        self.height += MARGIN;
        for (at, (id, text)) in buttons.iter().rev().enumerate() {
            let at = i16::try_from(at).unwrap_or(0);
            let left = WIDTH - MARGIN - BUTTON_WIDTH - at * (BUTTON_WIDTH + MARGIN);
            let style = WS_TABSTOP | if *id == IDOK { BS_DEFPUSHBUTTON.cast_unsigned() } else { 0 };
            let bounds = [left, self.height, BUTTON_WIDTH, BUTTON_HEIGHT];
            self.item(BUTTON, style | WS_GROUP, bounds, u16::try_from(*id).unwrap_or(0), text);
        }
        self.height += BUTTON_HEIGHT + MARGIN;
    }

    /// Shows the dialog until it is closed. Returns `None` if the user cancelled or it could not be
    /// shown.
    pub(super) fn show<T>(
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
        // SAFETY: the template is complete.
        unsafe { window::show(parent, &aligned, fill, read) }
    }
}

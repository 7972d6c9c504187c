//! Windows dialogs, created from templates in memory.

mod template;
mod text;
mod window;

use syncmgr_host::{Property, PropertyValue, Question};
use windows_sys::Win32::UI::WindowsAndMessaging::{IDCANCEL, IDOK};

use self::template::Template;
use self::text::plain;
use super::{Parent, UserInterface};

/// Shows Windows dialogs.
#[derive(Clone, Copy, Debug)]
pub struct Dialogs;

/// The number of properties on one page. Further properties follow on the next page.
const PER_PAGE: usize = 12;

/// The first id of the controls that the user can change.
const FIRST: u16 = 100;

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

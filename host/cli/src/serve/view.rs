//! The pages. Each function returns a complete page.

mod conflicts;
mod history;
mod items;
mod one_run;
mod parts;
mod plot;
mod plugins;
mod running;
mod skipped;
mod trash;
mod treemap;

use maud::{DOCTYPE, Markup, html};

use super::outcome::Refusals;
use crate::escape::escape;
pub(super) use conflicts::{conflict, conflicts};
pub(super) use history::history;
pub(super) use items::{items, once};
pub(super) use one_run::one_run;
pub(super) use plugins::plugins;
pub(super) use running::{live_values, running};
pub(super) use skipped::skipped;
pub(super) use trash::{trash, trash_run};

pub(super) const STYLE: &str = include_str!("style.css");

/// The pages in the navigation: paths and names.
const PAGES: [(&str, &str); 7] = [
    ("/", "Items"),
    ("/running", "Running"),
    ("/history", "History"),
    ("/conflicts", "Conflicts"),
    ("/skipped", "Skipped"),
    ("/trash", "Trash"),
    ("/plugins", "Plugins"),
];

/// Returns a page. `path`: its place in the navigation.
fn page(path: &str, title: &str, body: &Markup) -> String {
    let head = html! {
        link rel="stylesheet" href="/style.css";
        script src="/script.js" defer {}
    };
    let body = html! {
        a.skip href="#main" { "Skip to content" }
        header {
            nav aria-label="Pages" {
                ul {
                    @for (target, name) in PAGES {
                        li {
                            a href=(target) aria-current=[(path == target).then_some("page")] {
                                (name)
                            }
                        }
                    }
                }
            }
        }
        main id="main" tabindex="-1" {
            h1 { (title) }
            (body)
        }
    };
    document(title, &head.into_string(), &body)
}

/// Returns a page that needs no server.
fn standalone(title: &str, body: &Markup) -> String {
    let body = html! { main { h1 { (title) } (body) } };
    document(title, &format!("<style>\n{STYLE}</style>"), &body)
}

/// Returns a document. The template escapes HTML in every text; this function escapes characters
/// that hide or reorder text, wherever they are.
fn document(title: &str, head: &str, body: &Markup) -> String {
    let start = html! {
        (DOCTYPE)
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { (escape(title)) " – syncmgr" }
    };
    let start = start.into_string().replacen("<meta", "<html lang=\"en\"><head><meta", 1);
    let body = escape(&body.0);
    format!("{start}{head}</head><body>{body}</body></html>\n")
}

/// Returns the page about what a form selects and is not done.
pub(super) fn refused(refusals: &Refusals) -> String {
    let Refusals { title, page: of, back, reasons } = refusals;
    let body = html! {
        ul role="alert" {
            @for (path, reason) in reasons { li { code { (path) } ": " span.bad { (reason) } } }
        }
        p { a href=(back) { "Back" } }
    };
    page(of, title, &body)
}

/// Returns a page about an error.
pub(super) fn failed(error: &str) -> String {
    page(
        "",
        "Something failed",
        &html! { p.bad role="alert" { (error) } p { a href="/" { "Back" } } },
    )
}

//! What the user sees before anything is stored.

use std::io::{self, BufRead as _, IsTerminal as _, Write};

use syncmgr_host::{Access, Description};
use syncmgr_install::{Origin, Registration};

use super::arrived::Arrived;
use crate::command::inspect::requests;
use crate::escape::escape;
use crate::exit::UsageError;

/// What is shown instead of a key for a plugin that is not signed.
const NO_KEY: &str = "no key";

/// The installed plugin that the new one replaces.
#[derive(Debug)]
pub(crate) struct Replaced<'a> {
    pub(crate) registration: &'a Registration,
    /// `None` if the installed file is damaged.
    pub(crate) description: Option<Description>,
    pub(crate) version: Option<String>,
    /// The name in the component.
    pub(crate) calls_itself: Option<String>,
}

/// Prints what a plugin is, who has signed it, what it requests, and what it changes.
pub(crate) fn show(
    to: &mut impl Write,
    name: &str,
    arrived: &Arrived,
    replaced: Option<&Replaced<'_>>,
) -> io::Result<()> {
    let version = arrived.metadata.version.as_deref();
    let named = version.map(|version| format!(" {version}")).unwrap_or_default();
    writeln!(to, "plugin    {}{}", escape(name), escape(&named))?;
    let own_name = arrived.metadata.name.clone().filter(|own| own != name);
    for (what, value) in [
        ("its name", &own_name),
        ("about", &arrived.metadata.description),
        ("license", &arrived.metadata.license),
    ] {
        if let Some(value) = value {
            writeln!(to, "{what:<9} {}", escape(value))?;
        }
    }
    writeln!(to, "from      {}", escape(&arrived.from))?;
    writeln!(to, "digest    {}", arrived.digest)?;
    writeln!(to, "size      {}", indicatif::BinaryBytes(arrived.component.len() as u64))?;
    writeln!(to, "signed by {}", escape(&signed_by(arrived)))?;
    let wanted = wanted(&arrived.description);
    if wanted.is_empty() {
        writeln!(to, "requests  nothing except its own storage")?;
    }
    for (request, why) in &wanted {
        writeln!(to, "requests  {}: {}", escape(request), escape(why))?;
    }
    match replaced {
        Some(replaced) => show_changes(to, arrived, &wanted, replaced),
        None => Ok(()),
    }
}

fn signed_by(arrived: &Arrived) -> String {
    match (&arrived.signer, arrived.unknown_keys.as_slice()) {
        (Some(key), _) => format!("{} (key {})", key.name, key.id),
        (None, []) => NO_KEY.to_owned(),
        (None, unknown) => format!("unknown keys, not verified: {}", unknown.join(", ")),
    }
}

/// Returns each request of a plugin in words, and its purpose.
fn wanted(description: &Description) -> Vec<(String, String)> {
    let lines = requests(description).into_iter().map(|line| {
        let mut words = format!("{} {}", line.kind, line.name);
        if let Some(access) = line.access {
            words += &format!(" ({access})");
        }
        let is_server = line.kind == "server";
        let server = description.requests.http.iter().find(|http| http.name == line.name);
        if let Some(server) = server.filter(|_| is_server) {
            let access = match server.access {
                Access::ReadOnly => "read-only",
                Access::ReadWrite => "read-write",
            };
            let url = server.url.as_deref().map(|url| format!("{url}, ")).unwrap_or_default();
            words += &format!(" ({url}{access})");
        }
        (words, line.why)
    });
    lines.collect()
}

fn show_changes(
    to: &mut impl Write,
    arrived: &Arrived,
    now: &[(String, String)],
    replaced: &Replaced<'_>,
) -> io::Result<()> {
    let known = |version: Option<&str>| version.unwrap_or("no version").to_owned();
    let mut lines = vec![format!(
        "version {} -> {}",
        known(replaced.version.as_deref()),
        known(arrived.metadata.version.as_deref())
    )];
    let key = |origin: &Option<Origin>| origin.as_ref().and_then(|origin| origin.signed_by.clone());
    let keys = (key(&replaced.registration.origin), key(&arrived.origin()));
    if keys.0 != keys.1 {
        let named = |key: Option<String>| key.unwrap_or_else(|| NO_KEY.to_owned());
        lines.push(format!("signed by {} -> {}", named(keys.0), named(keys.1)));
    }
    match &replaced.description {
        None => lines.push("the installed file is damaged and cannot be compared".to_owned()),
        Some(description) => {
            let words = |(words, _): &(String, String)| words.clone();
            let before = wanted(description).iter().map(words).collect::<Vec<_>>();
            let now = now.iter().map(words).collect::<Vec<_>>();
            lines.extend(difference("also requests", &now, &before));
            lines.extend(difference("no longer requests", &before, &now));
            let imports = &arrived.description.imports;
            lines.extend(difference("also imports", imports, &description.imports));
            lines.extend(difference("no longer imports", &description.imports, imports));
        }
    }
    lines.iter().try_for_each(|line| writeln!(to, "changes   {}", escape(line)))
}

/// Returns a line for each entry of `these` that is not among `those`.
fn difference<'a>(
    what: &'a str,
    these: &'a [String],
    those: &'a [String],
) -> impl Iterator<Item = String> + 'a {
    let missing = these.iter().filter(|one| !those.contains(one));
    missing.map(move |one| format!("{what} {one}"))
}

/// Returns whether a question can be asked.
pub(crate) fn on_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on a terminal, unless the answer was given before.
pub(crate) fn is_confirmed(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !on_terminal() {
        let message = "nothing was installed, because there is no terminal to ask on; confirm with \
                       `--yes`";
        return Err(UsageError(message.to_owned()).into());
    }
    let mut error = io::stderr();
    write!(error, "{} [y/N] ", escape(question))?;
    error.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

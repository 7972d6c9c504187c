//! The trash on the page: which entries a form selects, and restoring them.

use super::form::Form;
use super::key::key;
use super::outcome::{Outcome, Refusals};
use super::server::Server;
use crate::trash::{Destination, Part, Restore, Restored, Trash, lock, walk};

/// Identifies a run in a path.
pub(super) fn run_key(plugin: &str, run: &str) -> String {
    key([plugin, run].map(str::as_bytes))
}

/// Identifies the part of a run in a form.
pub(super) fn part_key(plugin: &str, part: &Part) -> String {
    let place = if part.is_in_root() { "directory" } else { "storage" };
    key([plugin, &part.run, place, &part.origin_words()].map(str::as_bytes))
}

/// Identifies an entry of a part in a form. A browser may change a path.
pub(super) fn path_key(path: &str) -> String {
    key([path.as_bytes()])
}

/// Returns the parts that are meant, with the names of their plugins.
pub(super) fn find(
    server: &Server,
    is_meant: impl Fn(&str, &Part) -> bool,
) -> anyhow::Result<Vec<(String, Part)>> {
    let mut found = Vec::new();
    for Trash { plugin, parts } in Trash::all(Some(server.registrations.state_dir()))? {
        let parts = parts.into_iter().filter(|part| is_meant(&plugin, part));
        found.extend(parts.map(|part| (plugin.clone(), part)));
    }
    Ok(found)
}

/// Moves entries back that a form selects: that of the button, or all of the part.
pub(super) fn restore(server: &Server, form: &Form) -> anyhow::Result<Outcome> {
    let wanted = form.get("part").unwrap_or_default();
    let mut parts = find(server, |plugin, part| part_key(plugin, part) == wanted)?;
    let Some((plugin, part)) = parts.pop() else { return Ok(Outcome::NothingChosen) };
    let path = match form.get("one") {
        Some(one) => path_of(&part, one)?,
        None => form.get("all").map(|_| String::new()),
    };
    let Some(path) = path else { return Ok(Outcome::NothingChosen) };
    let replaces = form.get("replace").is_some();
    let mut reasons = Vec::new();
    let prepared = lock(std::iter::once(&part))
        .map_err(anyhow::Error::from)
        .and_then(|locks| Ok((locks, Restore::new(&part, &path, &Destination::Origin, replaces)?)));
    match prepared {
        Err(error) => reasons.push((part.run.clone(), format!("{error:#}"))),
        Ok((_locks, restore)) => {
            restore.run(|path, _, _, restored| {
                match restored {
                    Ok(Restored::Moved | Restored::Copied) => {}
                    Ok(Restored::Refused { why, .. }) => reasons.push((path.to_owned(), why)),
                    Err(error) => reasons.push((path.to_owned(), error.to_string())),
                }
                Ok(())
            })?;
        }
    }
    // Without its last entry, the run does not exist.
    let left = find(server, |of, other| of == plugin && other.run == part.run)?;
    let back = match left.is_empty() {
        true => "/trash".to_owned(),
        false => format!("/trash/{}", run_key(&plugin, &part.run)),
    };
    Ok(match reasons.is_empty() {
        true => Outcome::Done(back),
        false => Outcome::Refused(Refusals {
            title: "Files that are not restored",
            page: "/trash",
            back,
            reasons,
        }),
    })
}

/// Returns the path of an entry with a key.
fn path_of(part: &Part, wanted: &str) -> anyhow::Result<Option<String>> {
    let mut found = None;
    walk(&part.open()?, "", |path, _| -> std::io::Result<()> {
        if path_key(path) == wanted {
            found = Some(path.to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

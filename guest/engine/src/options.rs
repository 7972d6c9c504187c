//! The settings of a pair.

mod trash_keep;

use syncmgr_plugin::{Error, ErrorCode, Result, settings};

use crate::filter::Filter;
pub use trash_keep::TrashKeep;

/// How changes are propagated between the sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Propagates changes both ways; keeps both versions of a conflict.
    TwoWaySafe,
    /// Propagates changes both ways; the left version of a conflict wins.
    PreferLeft,
    /// Propagates changes both ways; the right version of a conflict wins.
    PreferRight,
    /// Propagates changes both ways; the newer version of a conflict wins.
    Newer,
    /// Propagates changes from left to right; keeps what was created or changed on the right.
    OneWaySafe,
    /// Makes the right side equal to the left one.
    Mirror,
}

/// The limit for deleted files of a side in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteLimit {
    /// Up to 10, or a quarter.
    Default,
    /// Up to this percentage of the files, at most 100.
    Percent(u64),
    /// Up to this many files.
    Files(u64),
    /// Any number of files.
    Any,
}

/// The settings of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `mode`
    pub mode: Mode,
    /// `max-delete`
    pub max_delete: DeleteLimit,
    /// `ignore`: gitignore patterns, one a line.
    pub ignore: String,
    /// `durable`: whether changes are flushed before they count as done.
    pub durable: bool,
    /// `verify`: whether copies are read back.
    pub verify: bool,
    /// `trash`: whether replaced and deleted files are kept.
    pub trash: bool,
    /// `trash-keep`: how long they are kept.
    pub trash_keep: TrashKeep,
    /// `dry-run`: whether to preview the run, without changes.
    pub dry_run: bool,
}

/// All settings of a pair.
const NAMES: [&str; 9] =
    ["name", "mode", "max-delete", "ignore", "durable", "verify", "trash", "trash-keep", "dry-run"];

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::TwoWaySafe,
            max_delete: DeleteLimit::Default,
            ignore: String::new(),
            durable: true,
            verify: true,
            trash: true,
            trash_keep: TrashKeep::default(),
            dry_run: false,
        }
    }
}

impl Options {
    /// Reads the settings of an item; `None` is the only pair. `labels` are the words for the left
    /// and the right side. Settings with the names in `others` are the plugin's, or granted servers.
    ///
    /// # Errors
    /// Fails for an unknown setting and for an invalid value. With several items, the error names
    /// the item.
    pub fn read(item: Option<&str>, labels: [&str; 2], others: &[&str]) -> Result<Self> {
        Self::try_read(item, labels, others).map_err(|error| match item {
            Some(item) => error.context(format_args!("item `{item}`")),
            None => error,
        })
    }

    fn try_read(item: Option<&str>, labels: [&str; 2], others: &[&str]) -> Result<Self> {
        check_names(item, others)?;
        Ok(Self {
            mode: match settings::get(item, "mode") {
                Some(text) => mode(&text, labels)?,
                None => Mode::TwoWaySafe,
            },
            max_delete: match settings::get(item, "max-delete") {
                Some(text) => delete_limit(&text)?,
                None => DeleteLimit::Default,
            },
            ignore: ignore(settings::get(item, "ignore").unwrap_or_default())?,
            durable: settings::flag(item, "durable", true)?,
            verify: settings::flag(item, "verify", true)?,
            trash: settings::flag(item, "trash", true)?,
            trash_keep: match settings::get(item, "trash-keep") {
                Some(text) => text.parse()?,
                None => TrashKeep::default(),
            },
            dry_run: settings::flag(item, "dry-run", false)?,
        })
    }
}

/// Rejects unknown settings: a misspelled one must not silently mean its default.
fn check_names(item: Option<&str>, others: &[&str]) -> Result<()> {
    for variable in settings::names() {
        let name = match (variable.rsplit_once('.'), item) {
            (Some((prefix, name)), Some(item)) if prefix == item => name,
            (Some(_), _) => continue,
            (None, _) => variable.as_str(),
        };
        if !NAMES.contains(&name) && !others.contains(&name) {
            return Err(invalid(format!("unknown setting `{variable}`; use {}", NAMES.join(", "))));
        }
    }
    Ok(())
}

/// Rejects settings of unknown items, which would silently have no effect. `keys` are those of all
/// pairs.
pub fn check_items(keys: &[&str]) -> Result<()> {
    settings::names().iter().try_for_each(|variable| check_item(variable, keys))
}

fn check_item(variable: &str, keys: &[&str]) -> Result<()> {
    let Some((item, _)) = variable.rsplit_once('.') else { return Ok(()) };
    if keys.contains(&item) {
        return Ok(());
    }
    let known = match keys {
        [] => "name the setting without an item".to_owned(),
        keys => format!("the items are {}", keys.join(", ")),
    };
    Err(invalid(format!(
        "setting `{variable}` is for the item `{item}`, which has no pair; {known}"
    )))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

fn mode(text: &str, [left, right]: [&str; 2]) -> Result<Mode> {
    Ok(match (text, text.strip_prefix("prefer-")) {
        ("two-way-safe", _) => Mode::TwoWaySafe,
        (_, Some(side)) if side == left => Mode::PreferLeft,
        (_, Some(side)) if side == right => Mode::PreferRight,
        ("newer", _) => Mode::Newer,
        ("one-way-safe", _) => Mode::OneWaySafe,
        ("mirror", _) => Mode::Mirror,
        _ => {
            return Err(invalid(format!(
                "setting `mode` is `{text}`; use two-way-safe, prefer-{left}, prefer-{right}, \
                 newer, one-way-safe or mirror"
            )));
        }
    })
}

/// Checks the patterns, so that an invalid one fails before any change.
fn ignore(patterns: String) -> Result<String> {
    Filter::new(&patterns).map(|_| patterns)
}

fn delete_limit(text: &str) -> Result<DeleteLimit> {
    if text == "any" {
        return Ok(DeleteLimit::Any);
    }
    let (digits, limit): (&str, fn(u64) -> DeleteLimit) = match text.strip_suffix('%') {
        Some(digits) => (digits, DeleteLimit::Percent),
        None => (text, DeleteLimit::Files),
    };
    match digits.parse().map(limit) {
        Ok(DeleteLimit::Percent(percent)) if percent > 100 => Err(invalid(format!(
            "setting `max-delete` is `{text}`, which is more than all files; use a part up to \
             `100%`, or `any`"
        ))),
        Ok(limit) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Ok(limit),
        Ok(_) | Err(_) => Err(invalid(format!(
            "setting `max-delete` is `{text}`; use a number of files, a part such as `50%`, or \
             `any`"
        ))),
    }
}

impl DeleteLimit {
    /// Returns whether `deleted` of `files` files exceed the limit.
    pub fn is_exceeded(self, deleted: u64, files: u64) -> bool {
        match self {
            Self::Default => deleted > 10 && deleted * 4 > files,
            Self::Percent(percent) => deleted * 100 > files.saturating_mul(percent),
            Self::Files(limit) => deleted > limit,
            Self::Any => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delete_limits() {
        for (text, deleted, files, exceeded) in [
            ("50%", 5, 9, true),
            ("60%", 5, 9, false),
            ("0%", 1, 9, true),
            ("3", 3, 9, false),
            ("3", 4, 9, true),
            ("any", 9, 9, false),
        ] {
            let limit = delete_limit(text).unwrap();
            assert_eq!(limit.is_exceeded(deleted, files), exceeded, "{text}: {deleted}/{files}");
        }
        for (deleted, files, exceeded) in [(10, 10, false), (11, 44, false), (11, 43, true)] {
            assert_eq!(DeleteLimit::Default.is_exceeded(deleted, files), exceeded);
        }
        assert_eq!(delete_limit("100%").unwrap(), DeleteLimit::Percent(100));
        for text in ["", "-1", "+1", "x", "%", "1.5", "any%", "ANY", "101%", "150%", "50%%", "5 %"]
        {
            assert!(delete_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_setting_of_an_unknown_item_is_an_error() {
        for (variable, keys, error) in [
            ("mode", &["a"][..], None),
            ("a.mode", &["a"], None),
            ("my.docs.mode", &["my.docs"], None),
            ("b.mode", &["a", "c"], Some("the items are a, c")),
            ("a.mode", &[], Some("without an item")),
        ] {
            let found = check_item(variable, keys).err().map(|error| error.message);
            match (&found, error) {
                (Some(found), Some(words)) => assert!(found.contains(words), "{found}"),
                (found, words) => assert_eq!(found.as_deref(), words, "{variable}"),
            }
        }
    }

    #[test]
    fn modes_are_spelled_exactly() {
        let labels = ["local", "remote"];
        for (text, expected) in [
            ("mirror", Some(Mode::Mirror)),
            ("prefer-local", Some(Mode::PreferLeft)),
            ("prefer-remote", Some(Mode::PreferRight)),
            ("prefer-left", None),
            ("prefer-", None),
            ("Mirror", None),
        ] {
            assert_eq!(mode(text, labels).ok(), expected, "{text}");
        }
    }
}

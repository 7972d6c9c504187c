//! The settings that a plugin declares, with the values that they can have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The maximum number of texts that a setting can be.
const MAX_VALUES: usize = 100;

/// The maximum length of such a text, and of a default, in bytes.
const VALUE_BYTES: usize = 255;

/// One setting of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct SettingRequest {
    /// The name; `*` matches one part between dots.
    pub name: String,
    /// The purpose, written by the author: escape it before showing it.
    pub why: String,
    /// Whether `ITEM.NAME` is the same setting of one item.
    pub per_item: bool,
    /// The values that it can have.
    pub values: SettingValues,
    /// The value without the setting; `None`: the plugin does not declare it. Its author wrote it:
    /// escape it before showing it.
    pub default: Option<String>,
}

/// The values of a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum SettingValues {
    /// Any text. The plugin may refuse it.
    #[default]
    Text,
    /// `true` or `false`.
    Boolean,
    /// A number in a range.
    Integer {
        /// The smallest number.
        min: i64,
        /// The largest number.
        max: i64,
    },
    /// One of these texts. The author wrote them: escape them before showing them.
    OneOf(Vec<String>),
}

impl SettingValues {
    /// Returns whether a setting can have a value.
    pub fn accept(&self, value: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Boolean => ["true", "false"].contains(&value),
            Self::Integer { min, max } => {
                let is_plain = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
                is_plain(value.strip_prefix('-').unwrap_or(value))
                    && value.parse().is_ok_and(|number: i64| (*min..=*max).contains(&number))
            }
            Self::OneOf(texts) => texts.iter().any(|text| text == value),
        }
    }
}

/// Formats as ``use `true` or `false` ``, without `use`.
impl fmt::Display for SettingValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("any text"),
            Self::Boolean => f.write_str("`true` or `false`"),
            Self::Integer { min: i64::MIN, max: i64::MAX } => f.write_str("a number"),
            Self::Integer { min, max: i64::MAX } => write!(f, "a number from {min}"),
            Self::Integer { min: i64::MIN, max } => write!(f, "a number up to {max}"),
            Self::Integer { min, max } => write!(f, "a number from {min} to {max}"),
            Self::OneOf(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| format!("`{text}`")).collect();
                match texts.split_last() {
                    Some((last, [])) => f.write_str(last),
                    Some((last, others)) => write!(f, "{} or {last}", others.join(", ")),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The kind of a setting in the section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Text,
    Boolean,
    Integer,
}

/// A setting in the section: a purpose, or a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    #[serde(default)]
    why: String,
    #[serde(default)]
    per_item: bool,
    #[serde(rename = "type", default)]
    kind: Kind,
    values: Option<Vec<String>>,
    min: Option<i64>,
    max: Option<i64>,
    default: Option<toml::Value>,
}

impl SettingRequest {
    /// Reads a setting from the section. The error is a sentence about the problem.
    pub(super) fn parse(name: String, value: toml::Value) -> Result<Self, String> {
        let refuse = |problem: &str| Err(format!("the setting {name:?} {problem}"));
        let table: Table = match value {
            toml::Value::String(why) => {
                let values = SettingValues::Text;
                return Ok(Self { name, why, per_item: false, values, default: None });
            }
            table @ (toml::Value::Table(_)
            | toml::Value::Array(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)) => match table.try_into() {
                Ok(table) => table,
                Err(error) => return refuse(&format!("is invalid: {}", error.message())),
            },
        };
        let values = match (table.kind, table.values, table.min, table.max) {
            (Kind::Text, None, None, None) => SettingValues::Text,
            (Kind::Boolean, None, None, None) => SettingValues::Boolean,
            (Kind::Integer, None, min, max) => SettingValues::Integer {
                min: min.unwrap_or(i64::MIN),
                max: max.unwrap_or(i64::MAX),
            },
            (Kind::Text, Some(values), None, None) => {
                let is_good = |value: &String| (1..=VALUE_BYTES).contains(&value.len());
                if !(1..=MAX_VALUES).contains(&values.len()) || !values.iter().all(is_good) {
                    return refuse(&format!(
                        "has 1 to {MAX_VALUES} `values` of 1 to {VALUE_BYTES} bytes"
                    ));
                }
                SettingValues::OneOf(values)
            }
            (Kind::Text | Kind::Boolean | Kind::Integer, ..) => {
                return refuse(
                    "has either a `type`, with `min` and `max` for `integer`, or `values`",
                );
            }
        };
        let default = match table.default {
            None => None,
            Some(toml::Value::String(text)) => Some(text),
            Some(toml::Value::Boolean(flag)) => Some(flag.to_string()),
            Some(toml::Value::Integer(number)) => Some(number.to_string()),
            Some(
                toml::Value::Float(_)
                | toml::Value::Datetime(_)
                | toml::Value::Array(_)
                | toml::Value::Table(_),
            ) => return refuse("has a default that is no text, boolean or integer"),
        };
        if let Some(default) = &default
            && (default.len() > VALUE_BYTES || !values.accept(default))
        {
            return refuse("has a default that it cannot have");
        }
        Ok(Self { name, why: table.why, per_item: table.per_item, values, default })
    }

    /// Returns whether a setting of this name is the requested one.
    pub(super) fn matches(&self, name: &str) -> bool {
        let of_item = || name.rsplit_once('.').is_some_and(|(_, name)| self.name == name);
        super::matches(&self.name, name) || self.per_item && of_item()
    }

    /// Returns whether the name is that of the setting, and no pattern.
    pub(super) fn is_exact(&self) -> bool {
        !self.name.contains('*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SettingRequest, String> {
        let table: toml::Table = toml::from_str(&format!("it = {text}")).unwrap();
        SettingRequest::parse("it".to_owned(), table["it"].clone())
    }

    #[test]
    fn values_are_those_that_are_declared() {
        let one = |texts: &[&str]| {
            SettingValues::OneOf(texts.iter().map(|text| (*text).to_owned()).collect())
        };
        let number = |min, max| SettingValues::Integer { min, max };
        for (text, values, words, good, bad) in [
            ("'why'", SettingValues::Text, "any text", &["", "x"][..], &[][..]),
            ("{}", SettingValues::Text, "any text", &["", "x"], &[]),
            (
                "{ type = 'boolean' }",
                SettingValues::Boolean,
                "`true` or `false`",
                &["true", "false"],
                &["", "True", "1", "yes", "true "],
            ),
            (
                "{ type = 'integer', min = 1, max = 32 }",
                number(1, 32),
                "a number from 1 to 32",
                &["1", "32", "08"],
                &["0", "33", "-1", "+1", "", "1.0", "99999999999999999999", "\u{661}", "--1", "-"],
            ),
            (
                "{ type = 'integer', min = -1 }",
                number(-1, i64::MAX),
                "a number from -1",
                &["-1", "0"],
                &["-2"],
            ),
            (
                "{ type = 'integer', max = 5 }",
                number(i64::MIN, 5),
                "a number up to 5",
                &["-9"],
                &["6"],
            ),
            ("{ values = ['a'] }", one(&["a"]), "`a`", &["a"], &["", "A", "b"]),
            (
                "{ values = ['a', 'b', 'c'] }",
                one(&["a", "b", "c"]),
                "`a`, `b` or `c`",
                &["b"],
                &["d"],
            ),
        ] {
            let setting = parse(text).unwrap();
            assert_eq!((&setting.values, setting.values.to_string()), (&values, words.to_owned()));
            assert!(good.iter().all(|value| values.accept(value)), "{text}");
            assert!(!bad.iter().any(|value| values.accept(value)), "{text}");
        }
    }

    #[test]
    fn invalid_declarations_are_refused() {
        let many: Vec<_> = (0..=MAX_VALUES).map(|number| format!("'{number}'")).collect();
        for text in [
            "1",
            "[]",
            "{ other = 1 }",
            "{ type = 'float' }",
            "{ type = 'boolean', values = ['true'] }",
            "{ type = 'boolean', min = 1 }",
            "{ min = 1 }",
            "{ values = [] }",
            "{ values = [''] }",
            "{ values = [1] }",
            &format!("{{ values = ['{}'] }}", "x".repeat(VALUE_BYTES + 1)),
            &format!("{{ values = [{}] }}", many.join(",")),
            "{ type = 'boolean', default = 'yes' }",
            "{ type = 'integer', min = 1, default = 0 }",
            "{ values = ['a'], default = 'b' }",
            "{ default = [] }",
            &format!("{{ default = '{}' }}", "x".repeat(VALUE_BYTES + 1)),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.starts_with("the setting \"it\" "), "{text}: {refused}");
        }
        let defaults = ["{ default = '' }", "{ type = 'boolean', default = true }"];
        let defaults = defaults.map(|text| parse(text).unwrap().default);
        assert_eq!(defaults, [Some(String::new()), Some("true".to_owned())]);
    }

    #[test]
    fn a_setting_of_each_item_has_the_name_of_the_item() {
        for (text, name, expected) in [
            ("{}", "it", true),
            ("{}", "docs.it", false),
            ("{ per-item = true }", "it", true),
            ("{ per-item = true }", "docs.it", true),
            ("{ per-item = true }", "my.docs.it", true),
            ("{ per-item = true }", "docs.other", false),
            ("{ per-item = true }", "it.docs", false),
        ] {
            assert_eq!(parse(text).unwrap().matches(name), expected, "{text} {name}");
        }
    }
}

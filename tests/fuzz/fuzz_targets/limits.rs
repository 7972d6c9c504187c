//! Parsing and formatting of limits.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use syncmgr_host::{LimitError, LimitRow, Limits, LoadLimits};

#[derive(Debug, Arbitrary)]
enum Name<'a> {
    Session(usize),
    Load(usize),
    Other(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Value<'a> {
    None,
    Number(u64, Unit),
    Other(&'a str),
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Unit {
    None,
    Bytes,
    Thousands,
    Millions,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl Name<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Session(at) => Limits::NAMES[at % Limits::NAMES.len()],
            Self::Load(at) => LoadLimits::NAMES[at % LoadLimits::NAMES.len()],
            Self::Other(text) => text,
        }
    }
}

impl Value<'_> {
    fn text(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Other(text) => (*text).to_owned(),
            Self::Number(number, unit) => {
                let unit = match unit {
                    Unit::None => "",
                    Unit::Bytes => "KiB",
                    Unit::Thousands => "MiB",
                    Unit::Millions => "GiB",
                    Unit::Milliseconds => "ms",
                    Unit::Seconds => "s",
                    Unit::Minutes => "min",
                    Unit::Hours => "h",
                };
                format!("{number}{unit}")
            }
        }
    }
}

/// The common interface of both kinds of limits.
trait Table: Clone + Default + PartialEq + std::fmt::Debug {
    const ALL: &[&str];
    fn put(&mut self, name: &str, value: &str) -> Result<(), LimitError>;
    fn list(&self) -> Vec<LimitRow>;
}

macro_rules! table {
    ($($type:ty),*) => {$(
        impl Table for $type {
            const ALL: &[&str] = <$type>::NAMES;

            fn put(&mut self, name: &str, value: &str) -> Result<(), LimitError> {
                self.set(name, value)
            }

            fn list(&self) -> Vec<LimitRow> {
                self.rows()
            }
        }
    )*};
}

table!(Limits, LoadLimits);

fn check<T: Table>(limits: &mut T, name: &str, value: &str) {
    let before = limits.clone();
    match limits.put(name, value) {
        Err(error) => {
            assert_eq!(*limits, before, "nothing was changed");
            let is_unknown = matches!(error, LimitError::Unknown { .. });
            assert_eq!(is_unknown, !T::ALL.contains(&name), "{error}");
            assert!(error.to_string().len() <= 1024 + name.len() + value.len(), "{error}");
        }
        Ok(()) => {
            let row = limits.list().into_iter().find(|row| row.name == name);
            let row = row.expect("what can be set is listed");
            assert!(value != "none" || row.value == "none", "{row:?}");
            for (old, new) in before.list().iter().zip(limits.list()) {
                assert!(*old == new || old.name == name, "{old:?} became {new:?}");
            }
        }
    }
    let rows = limits.list();
    assert!(rows.iter().map(|row| row.name).eq(T::ALL.iter().copied()));
    let mut again = T::default();
    for row in &rows {
        again.put(row.name, &row.value).expect("a row can be set");
    }
    assert_eq!(again, *limits);
}

fuzz_target!(|changes: Vec<(Name<'_>, Value<'_>)>| {
    let (mut session, mut load) = (Limits::default(), LoadLimits::default());
    for (name, value) in &changes {
        check(&mut session, name.text(), &value.text());
        check(&mut load, name.text(), &value.text());
    }
});

//! Compares constants with Windows' header: `data/mobsync.c` is compiled for 64-bit Windows, and
//! the object file contains the values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use conformance::workspace;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use syncmgr_host::{Hresult, LogLevel, Status};
use uuid::Uuid;

const COMPILER: &str = "x86_64-w64-mingw32-gcc";
const PACKAGE: &str = "gcc-mingw-w64-x86-64";

/// Constants in Rust that the header of mingw-w64 lacks, because it predates Windows Vista.
const NEWER: [(&str, u32); 1] = [("SYNCMGRSTATUS_UPDATING_INDETERMINATE", 8)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    Guid(Uuid),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:#x}"),
            Self::Guid(guid) => write!(f, "{guid}"),
        }
    }
}

type Rows = BTreeMap<String, Value>;

fn insert(rows: &mut Rows, name: &str, value: Value) -> Result<()> {
    ensure!(rows.insert(name.to_owned(), value).is_none(), "{name} is there twice");
    Ok(())
}

/// Returns the values of the header, or `None` if there is no compiler and none is required.
/// Compiles once for all tests of this file.
fn native() -> Result<Option<&'static Rows>> {
    static ROWS: OnceLock<Result<Option<Rows>>> = OnceLock::new();
    match ROWS.get_or_init(compile) {
        Ok(rows) => Ok(rows.as_ref()),
        Err(error) => Err(anyhow!("{error:#}")),
    }
}

fn compile() -> Result<Option<Rows>> {
    let dir = tempfile::tempdir()?;
    let object = dir.path().join("mobsync.o");
    let output = Command::new(COMPILER)
        .arg("-c")
        .arg(workspace().join("tests/data/mobsync.c"))
        .arg("-o")
        .arg(&object)
        .output();
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            ensure!(
                std::env::var_os("SYNCMGR_REQUIRE_MINGW").is_none(),
                "there is no {COMPILER}, and SYNCMGR_REQUIRE_MINGW wants it: install {PACKAGE}"
            );
            // Bypasses the test harness, which hides the output of a passing test.
            writeln!(
                io::stderr(),
                "SKIPPED: the comparison with mobsync.h, since there is no {COMPILER}. \
                 Install {PACKAGE} to run it."
            )?;
            return Ok(None);
        }
        output => output.context(COMPILER)?,
    };
    ensure!(
        output.status.success(),
        "{COMPILER}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    read_object(&object).map(Some)
}

/// Returns the rows and GUIDs that an object file defines.
fn read_object(path: &Path) -> Result<Rows> {
    let data = fs::read(path)?;
    let file = object::File::parse(&*data)?;
    let mut rows = Rows::new();
    for symbol in file.symbols().filter(|symbol| symbol.is_global() && symbol.is_definition()) {
        let name = symbol.name()?;
        let index = symbol.section_index().with_context(|| format!("{name} is nowhere"))?;
        let section = file.section_by_index(index)?;
        let bytes = |size| {
            let found = section.data_range(symbol.address(), size)?;
            found.with_context(|| format!("{name} does not end in its section"))
        };
        if let Some(row) = name.strip_prefix("row_") {
            insert(&mut rows, row, Value::Number(u64::from_le_bytes(bytes(8)?.try_into()?)))?;
        } else if name.starts_with("IID_") || name.starts_with("CLSID_") {
            let guid = Uuid::from_bytes_le(bytes(16)?.try_into()?);
            insert(&mut rows, name, Value::Guid(guid))?;
        } else {
            bail!("{name} is neither a row nor a GUID");
        }
    }
    Ok(rows)
}

/// Parses a table of names and values, separated by a tab. Lines that begin with `#` are comments.
fn read_table(text: &str) -> Result<Rows> {
    let mut rows = Rows::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once('\t').with_context(|| format!("no tab in {line}"))?;
        let value = if let Some(hex) = value.strip_prefix("0x") {
            Value::Number(u64::from_str_radix(hex, 16).with_context(|| line.to_owned())?)
        } else if let Ok(guid) = Uuid::try_parse(value) {
            Value::Guid(guid)
        } else {
            Value::Number(value.parse().with_context(|| line.to_owned())?)
        };
        insert(&mut rows, name, value)?;
    }
    Ok(rows)
}

/// Describes every difference between two tables.
fn differences(expected: &Rows, found: &Rows) -> Vec<String> {
    let names: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let difference = |name: &String| match (expected.get(name), found.get(name)) {
        (Some(expected), Some(found)) if expected == found => None,
        (Some(expected), Some(found)) => {
            Some(format!("{name} is {found} in the header, and {expected} here"))
        }
        (Some(_), None) => Some(format!("{name} is not in mobsync.c")),
        (None, _) => Some(format!("{name} is only in mobsync.c")),
    };
    names.into_iter().filter_map(difference).collect()
}

#[test]
fn the_table_equals_the_header() -> Result<()> {
    let Some(native) = native()? else {
        return Ok(());
    };
    let path = workspace().join("tests/data/mobsync.tsv");
    let table =
        read_table(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
    let differences = differences(&table, native);
    ensure!(differences.is_empty(), "mobsync.tsv:\n- {}", differences.join("\n- "));
    Ok(())
}

#[test]
fn every_named_hresult_has_the_native_value() -> Result<()> {
    let Some(native) = native()? else {
        return Ok(());
    };
    for (name, hresult) in Hresult::NAMED {
        let expected = Value::Number(hresult.0.into());
        assert_eq!(native.get(*name), Some(&expected), "{name}");
    }
    Ok(())
}

/// Compares an enumeration with all constants of a prefix. The names are derived from those in the
/// WIT.
fn compare_enumeration(prefix: &str, cases: &[(&str, u32)]) -> Result<()> {
    let Some(native) = native()? else {
        return Ok(());
    };
    let of_prefix = native.iter().filter(|(name, _)| name.starts_with(prefix));
    let mut expected: Rows = of_prefix.map(|(name, &value)| (name.clone(), value)).collect();
    for (name, value) in NEWER.iter().filter(|(name, _)| name.starts_with(prefix)) {
        insert(&mut expected, name, Value::Number(u64::from(*value)))?;
    }
    let mut found = Rows::new();
    for (name, value) in cases {
        let name = format!("{prefix}{}", name.to_uppercase().replace('-', "_"));
        insert(&mut found, &name, Value::Number(u64::from(*value)))?;
    }
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn every_status_has_the_native_value() -> Result<()> {
    let all = [
        Status::Stopped,
        Status::Skipped,
        Status::Pending,
        Status::Updating,
        Status::Succeeded,
        Status::Failed,
        Status::Paused,
        Status::Resuming,
        Status::UpdatingIndeterminate,
        Status::Deleted,
    ];
    compare_enumeration("SYNCMGRSTATUS_", &all.map(|status| (status.name(), status as u32)))
}

#[test]
fn every_log_level_has_the_native_value() -> Result<()> {
    let all = [LogLevel::Information, LogLevel::Warning, LogLevel::Error];
    compare_enumeration("SYNCMGRLOGLEVEL_", &all.map(|level| (level.name(), level as u32)))
}

#[test]
fn missing_extra_and_changed_rows_are_reported() -> Result<()> {
    let table = read_table("# comment\n\nA\t1\nB\t0x10\nC\t3\n")?;
    let object = read_table("A\t1\nB\t17\nD\t4\n")?;
    assert_eq!(
        differences(&table, &object),
        [
            "B is 0x11 in the header, and 0x10 here",
            "C is not in mobsync.c",
            "D is only in mobsync.c"
        ]
    );
    assert!(differences(&table, &table).is_empty());
    Ok(())
}

#[test]
fn an_invalid_table_is_rejected() {
    for text in ["A", "A 1", "A\t", "A\tx", "A\t0x", "A\t-1", "A\t1\nA\t1"] {
        assert!(read_table(text).is_err(), "{text:?}");
    }
}

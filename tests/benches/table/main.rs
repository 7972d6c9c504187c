//! `cargo bench`: one table of performance results, compared with lower bounds and with
//! competitors, all measured in the same run.
//!
//! `cargo bench -- [GROUP ...] [--files N,N] [--rounds N] [--large MIB] [--plugin FILE ...]`
//! measures a part of it, or more. Competing programs and runtimes are used if they are installed;
//! missing ones are listed. All files are written below `TMPDIR`.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod bare;
mod cold_start;
#[cfg(feature = "serve")]
mod history;
mod http;
mod loading;
mod many;
mod programs;
mod progress;
mod report;
mod s3;
mod session;
mod syncthing;
mod trees;
mod webdav;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use report::Row;

/// Which groups to measure, and the sizes.
#[derive(Debug)]
pub(crate) struct Options {
    /// Whether to check only that the benchmark works, as `cargo test` does.
    small: bool,
    groups: Vec<String>,
    files: Vec<usize>,
    rounds: usize,
    /// The size of large files in MiB.
    large: usize,
    plugins: Vec<PathBuf>,
}

/// A group of cases.
type Group = (&'static str, fn(&Options) -> Result<Vec<Row>>);

const GROUPS: &[Group] = &[
    ("progress", progress::measure),
    ("session", session::measure),
    ("http", http::measure),
    ("loading", loading::measure),
    ("cold-start", cold_start::measure),
    ("many", many::measure),
    ("trees", trees::measure),
    #[cfg(feature = "serve")]
    ("history", history::measure),
    ("webdav", webdav::measure),
    ("s3", s3::measure),
];

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            small: true,
            groups: Vec::new(),
            files: vec![1_000, 10_000],
            rounds: 5,
            large: 0,
            plugins: Vec::new(),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                // Options of Cargo.
                "--bench" => options.small = false,
                "--files" => {
                    let numbers = value()?;
                    let numbers = numbers.split(',').map(str::parse);
                    options.files = numbers.collect::<Result<_, _>>().context("--files")?;
                }
                "--rounds" => options.rounds = value()?.parse().context("--rounds")?,
                "--large" => options.large = value()?.parse().context("--large")?,
                "--plugin" => options.plugins.push(value()?.into()),
                group if GROUPS.iter().any(|(name, _)| *name == group) => {
                    options.groups.push(argument);
                }
                _ => {
                    let names: Vec<_> = GROUPS.iter().map(|(name, _)| *name).collect();
                    bail!("there is no {argument}; there are {}", names.join(", "));
                }
            }
        }
        if options.small {
            options.files = vec![200];
            options.rounds = 1;
        }
        Ok(options)
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(many::BARE) {
        let count = arguments.next().context("a number")?.parse().context("a number")?;
        println!("{}", many::bare(count)?);
        return Ok(());
    }
    let options = Options::parse(std::env::args().skip(1))?;
    let mut rows = Vec::new();
    for (name, measure) in GROUPS {
        if options.groups.is_empty() || options.groups.iter().any(|group| group == name) {
            println!("measuring: {name}");
            rows.extend(measure(&options).with_context(|| (*name).to_owned())?);
        }
    }
    println!();
    report::print(&rows);
    Ok(())
}

//! The time for loading an installed plugin, including reading it, compared with compiling it.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use conformance::{FOLDER, HELLO};
use syncmgr_host::Host;
use syncmgr_install::CodeCache;

use crate::Options;
use crate::report::{Figure, Goal, Row, median};

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    let mut plugins: Vec<(String, PathBuf, f64)> = vec![
        ("hello (Rust)".to_owned(), HELLO.into(), 1e-3),
        ("folder (Rust)".to_owned(), FOLDER.into(), 1e-3),
    ];
    for path in &options.plugins {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        plugins.push((name, path.clone(), 50e-3));
    }
    let times = if options.small { 2 } else { 50 };
    let home = tempfile::tempdir()?;
    let cache = CodeCache::new(home.path());
    let host = Host::new()?;
    let mut rows = Vec::new();
    for (name, path, goal) in plugins {
        let load = || -> Result<f64> {
            let since = Instant::now();
            let plugin = cache.load(&host, &name, &fs::read(&path)?)?;
            let took = since.elapsed().as_secs_f64();
            drop(plugin);
            Ok(took)
        };
        let compiling = Figure::Time(load()?);
        let took = (0..times).map(|_| load()).collect::<Result<_>>()?;
        rows.push(
            Row::new(format!("loading {name}"), Figure::Time(median(took)))
                .competitor("compiling", Some(compiling))
                .goal(Goal::AtMost(Figure::Time(goal))),
        );
    }
    Ok(rows)
}

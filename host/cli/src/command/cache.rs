use std::io::Write;

use serde::Serialize;
use syncmgr_host::text::to_json;
use syncmgr_install::CodeCache;

use crate::args::Cache;
use crate::escape::escape;
use crate::exit::Exit;
use crate::output;
use crate::plugin_source::registrations;

#[derive(Serialize)]
struct CacheLine {
    folder: String,
    entries: usize,
    bytes: u64,
    limit: u64,
}

pub(crate) fn run(args: &Cache) -> anyhow::Result<Exit> {
    let cache = CodeCache::new(registrations(args.state_dir.path.as_deref())?.state_dir());
    if args.clear {
        cache.clear()?;
    }
    let entries = cache.entries()?;
    let line = CacheLine {
        folder: cache.folder().display().to_string(),
        entries: entries.len(),
        bytes: entries.iter().map(|entry| entry.bytes).sum(),
        limit: cache.limit(),
    };
    let mut to = output::stdout();
    if args.json {
        writeln!(to, "{}", to_json(&line, false)?)?;
        return Ok(Exit::InSync);
    }
    let (size, limit) = (indicatif::BinaryBytes(line.bytes), indicatif::BinaryBytes(line.limit));
    let folder = escape(&line.folder);
    writeln!(to, "{folder}: {} compiled plugins, {size} of at most {limit}", line.entries)?;
    Ok(Exit::InSync)
}

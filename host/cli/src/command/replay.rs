use std::collections::{BTreeMap, HashSet};
use std::io::Write;

use syncmgr_host::LoadLimits;

use crate::args::Replay;
use crate::check::{self, Event, Recording};
use crate::escape::escape;
use crate::exit::Exit;
use crate::options::{key_value, once};
use crate::output;
use crate::plugin_source::{PluginSource, host, registrations};

pub(crate) fn run(args: &Replay) -> anyhow::Result<Exit> {
    let recording = Recording::read(&args.recording)?;
    let mut directories = BTreeMap::new();
    let mut names = HashSet::new();
    for dir in &args.dirs {
        let (name, path) = key_value(dir, "--dir NAME=PATH")?;
        once(&mut names, "--dir", name)?;
        directories.insert(name.to_owned(), path.into());
    }
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let plugin = PluginSource::find(&args.plugin, &registrations)?;
    let plugin = plugin.load(&host(LoadLimits::default())?, &registrations)?;
    let replayed = check::replay(&plugin, &recording, &directories)?;
    let mut to = output::stdout();
    let Some(divergence) = replayed.divergence else {
        writeln!(to, "all {} calls match the recording", replayed.calls)?;
        return Ok(Exit::InSync);
    };
    writeln!(to, "call {} differs from the recording", divergence.at)?;
    for line in &divergence.before {
        writeln!(to, "            {}", escape(line))?;
    }
    let show = |event: &Option<Event>| {
        event.as_ref().map_or("nothing more".to_owned(), ToString::to_string)
    };
    writeln!(to, "  recorded: {}", escape(&show(&divergence.recorded)))?;
    writeln!(to, "  now:      {}", escape(&show(&divergence.happened)))?;
    if let Some(note) = divergence.note() {
        writeln!(to, "  {note}")?;
    }
    Ok(Exit::Failed)
}

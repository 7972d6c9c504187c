use std::collections::{BTreeMap, HashSet};
use std::io::Write;

use syncmgr_kit::{Event, Recording};

use crate::args::Replay;
use crate::builtin::Named;
use crate::escape::escape;
use crate::exit::Exit;
use crate::job::{key_value, once, registrations};
use crate::output;
use crate::project;

pub(crate) fn run(args: &Replay) -> anyhow::Result<Exit> {
    let recording = Recording::read(&args.recording)?;
    let mut directories = BTreeMap::new();
    let mut names = HashSet::new();
    for dir in &args.dirs {
        let (name, path) = key_value(dir, "--dir NAME=PATH")?;
        once(&mut names, "--dir", name)?;
        directories.insert(name.to_owned(), path.into());
    }
    let plugin = Named::find(&args.plugin, &registrations(args.state_dir.as_deref())?)?;
    let plugin = project::load_named(&plugin, args.state_dir.as_deref())?;
    let replayed = syncmgr_kit::replay(&plugin, &recording, &directories)?;
    let mut to = output::stdout();
    let Some(divergence) = replayed.divergence else {
        writeln!(to, "all {} calls are as in the recording", replayed.calls)?;
        return Ok(Exit::InSync);
    };
    writeln!(to, "call {} is not as in the recording", divergence.at)?;
    for line in &divergence.before {
        writeln!(to, "            {}", escape(line))?;
    }
    let show = |event: &Option<Event>| {
        event.as_ref().map_or("nothing more".to_owned(), ToString::to_string)
    };
    writeln!(to, "  recorded: {}", escape(&show(&divergence.recorded)))?;
    writeln!(to, "  now:      {}", escape(&show(&divergence.happened)))?;
    Ok(Exit::Failed)
}

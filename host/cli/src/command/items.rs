use std::io::Write;

use serde::Serialize;
use syncmgr_host::sink::Discard;
use syncmgr_host::text::to_json;
use syncmgr_host::{Participation, Session, SyncEvent, Trigger};

use crate::args::Items;
use crate::escape::escape;
use crate::exit::Exit;
use crate::job::Job;
use crate::output;

#[derive(Serialize)]
struct ItemLine {
    item: String,
    name: String,
    checked: bool,
    flags: u32,
}

pub(crate) fn run(args: &Items) -> anyhow::Result<Exit> {
    let mut job = Job::new(&args.target)?;
    // Listing changes nothing.
    job.grants.make_read_only();
    let plugin = job.load()?;
    job.note_denied(&plugin);
    let options = job.session_options(&plugin)?.read_only();
    let mut session = plugin.start_on_thread(&options, Discard)?;
    let trigger = Trigger { event: SyncEvent::Manual, settings: true, may_bother_user: false };
    let list = session.call(async move |session: &mut Session| {
        match session.initialize(trigger, None).await? {
            Participation::Participates => session.enum_items().await.map(Some),
            Participation::Declines => Ok(None),
        }
    })??;
    let items: Vec<_> = list
        .into_iter()
        .flat_map(|list| list.items)
        .map(|item| ItemLine {
            item: item.id.to_string(),
            name: item.name,
            checked: item.checked,
            flags: item.flags,
        })
        .collect();
    let mut to = output::stdout();
    if args.json {
        writeln!(to, "{}", to_json(&items, false)?)?;
        return Ok(Exit::InSync);
    }
    for item in items {
        let mark = if item.checked { "x" } else { " " };
        writeln!(to, "[{mark}] {}  {}", item.item, escape(&item.name))?;
    }
    Ok(Exit::InSync)
}

use std::io::Write;

use crate::args::Explain;
use crate::exit::{Exit, UsageError};
use crate::output;

include!(concat!(env!("OUT_DIR"), "/errors.rs"));

pub(crate) fn run(args: &Explain) -> anyhow::Result<Exit> {
    let mut to = output::stdout();
    let Some(code) = &args.code else {
        for (code, page) in PAGES {
            // The first line after the heading is a summary.
            let about = page.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
            writeln!(to, "{code:<28} {}", about.unwrap_or_default())?;
        }
        return Ok(Exit::InSync);
    };
    let Some((_, page)) = PAGES.iter().find(|(known, _)| known == code) else {
        return Err(UsageError(format!(
            "unknown error code `{code}`; list the codes with `syncmgr explain`"
        ))
        .into());
    };
    to.write_all(page.as_bytes())?;
    Ok(Exit::InSync)
}

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Args, Completions};
use crate::exit::Exit;
use crate::output;

pub(crate) fn run(args: &Completions) -> anyhow::Result<Exit> {
    let mut command = Args::command();
    // It panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "syncmgr", &mut script);
    let mut to = output::stdout();
    to.write_all(&script)?;
    to.flush()?;
    Ok(Exit::InSync)
}

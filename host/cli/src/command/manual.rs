use std::fs;

use anyhow::Context;
use clap::CommandFactory;

use crate::args::{Args, Manual};
use crate::exit::Exit;

pub(crate) fn run(args: &Manual) -> anyhow::Result<Exit> {
    fs::create_dir_all(&args.dir)
        .and_then(|()| clap_mangen::generate_to(Args::command(), &args.dir))
        .with_context(|| format!("cannot write the manual to {}", args.dir.display()))?;
    Ok(Exit::InSync)
}

use std::io::Write;

use crate::args::New;
use crate::escape::escape;
use crate::exit::Exit;

pub(crate) fn run(args: &New) -> anyhow::Result<Exit> {
    let path = syncmgr_authoring::create(&args.parent, &args.name, args.lang)?;
    let path = path.display().to_string();
    let mut to = std::io::stdout().lock();
    writeln!(to, "made {}; its README.md tells what is in it", escape(&path))?;
    writeln!(to, "next:\n  cd {}\n  syncmgr build\n  syncmgr test", escape(&path))?;
    Ok(Exit::InSync)
}

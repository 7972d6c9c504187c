use std::io::Write;

use crate::args::New;
use crate::escape::{escape, quote};
use crate::exit::Exit;
use crate::output;
use crate::project::{Sdk, Template};

pub(crate) fn run(args: &New) -> anyhow::Result<Exit> {
    let template = args.with.unwrap_or(Template::Copy);
    // Until the SDK is published, a project that refers to it cannot be built.
    let sdk = match (args.vendor, args.no_vendor) {
        (false, true) => Sdk::Published,
        (true, _) | (false, false) => Sdk::Vendored,
    };
    let path = crate::project::create(&args.parent, &args.name, args.lang, template, sdk)?;
    let path = path.display().to_string();
    let mut to = output::stdout();
    writeln!(to, "created {}; see its README.md", escape(&path))?;
    writeln!(to, "next:\n  cd {}\n  syncmgr build\n  syncmgr test", quote(&path))?;
    Ok(Exit::InSync)
}

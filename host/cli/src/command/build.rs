use std::io::Write;

use syncmgr_authoring::Project;

use crate::args::{Build, Pack};
use crate::escape::escape;
use crate::exit::Exit;
use crate::project;

pub(crate) fn build(args: &Build) -> anyhow::Result<Exit> {
    let built = Project::find(&args.project)?.build()?;
    // What this host would refuse, its author learns now; and the first run need not compile it.
    project::load(&built.component, args.state_dir.as_deref())?;
    let size = indicatif::BinaryBytes(built.bytes);
    let path = built.component.display().to_string();
    writeln!(std::io::stdout(), "built {}, {size}", escape(&path))?;
    Ok(Exit::InSync)
}

pub(crate) fn pack(args: &Pack) -> anyhow::Result<Exit> {
    let project = Project::find(&args.project)?;
    project.build_if_stale()?;
    let packed = project.pack()?;
    let size = indicatif::BinaryBytes(packed.bytes);
    let path = packed.file.display().to_string();
    let mut to = std::io::stdout().lock();
    writeln!(
        to,
        "packed {}, {size}, for syncmgr:plugin@{}",
        escape(&path),
        escape(&packed.description.contract_version)
    )?;
    for (what, value) in [
        ("license", &project.manifest().plugin.license),
        ("homepage", &project.manifest().plugin.homepage),
        ("description", &project.manifest().plugin.description),
    ] {
        if value.is_none() {
            writeln!(to, "note: syncmgr.toml gives no `{what}`; it is good to have one")?;
        }
    }
    Ok(Exit::InSync)
}

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;

use crate::args::{Demo, GrantArgs, PluginArgs, Run, StateDir};
use crate::command;
use crate::escape::quote;
use crate::exit::Exit;
use crate::output;

pub(crate) fn run(args: &Demo) -> anyhow::Result<Exit> {
    let dir = &args.dir;
    let (left, right) = (dir.join("left"), dir.join("right"));
    if !left.exists() && !right.exists() {
        make_samples(&left, &right)
            .with_context(|| format!("cannot create sample folders in {}", dir.display()))?;
    }
    let dirs = [format!("left={}", left.display()), format!("right={}", right.display())];
    let state = dir.join("state");
    writeln!(
        output::stdout(),
        "$ syncmgr run folder --dir {} --dir {} --state-dir {}",
        quote(&dirs[0]),
        quote(&dirs[1]),
        quote(&state.display().to_string())
    )?;
    command::run::run(&Run {
        target: PluginArgs {
            plugin: Some("folder".to_owned()),
            grants: GrantArgs { dirs: dirs.to_vec(), ..GrantArgs::default() },
            state_dir: StateDir { path: Some(state) },
            ..PluginArgs::default()
        },
        ..Run::default()
    })
}

/// Creates a few hundred files on the left, some of them large enough to see progress, and a few on
/// the right.
fn make_samples(left: &Path, right: &Path) -> std::io::Result<()> {
    for number in 0..300_u32 {
        let folder = left.join("notes").join(format!("{:02}", number % 12));
        fs::create_dir_all(&folder)?;
        fs::write(
            folder.join(format!("note-{number:03}.txt")),
            format!("This is note {number}.\n"),
        )?;
    }
    for number in 0..4_u8 {
        let folder = left.join("photos");
        fs::create_dir_all(&folder)?;
        let photo = vec![number; 24 << 20];
        fs::write(folder.join(format!("photo-{number}.raw")), photo)?;
    }
    fs::create_dir_all(right.join("letters"))?;
    for name in ["aunt", "bank", "council"] {
        fs::write(right.join("letters").join(format!("{name}.txt")), format!("Dear {name},\n"))?;
    }
    Ok(())
}

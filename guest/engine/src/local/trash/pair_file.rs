//! The file that names the pair of a run in the trash, which several pairs share.

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{ErrorCode, Result};
use uuid::Uuid;

use crate::endpoint::Run;
use crate::tree::Side;

/// The maximum size of the file in bytes.
const MAX_BYTES: usize = 1024;

fn text(sides: [Uuid; 2]) -> String {
    let line = |side: Side| format!("{} {}\n", side.name(), sides[side.index()]);
    Side::BOTH.map(line).concat()
}

/// Writes the file, unless it exists.
pub(super) fn write(directory: &Directory, name: &str, run: &Run) -> Result<()> {
    if directory.stat(name)?.is_some() {
        return Ok(());
    }
    let temp = format!("{name}.new");
    let file = match directory.create_file(&temp) {
        // A killed run left it.
        Err(error) if error.code == ErrorCode::AlreadyExists => {
            directory.remove_file(&temp)?;
            directory.create_file(&temp)?
        }
        created => created?,
    };
    file.write(text(run.pair).as_bytes())?;
    if run.durable {
        file.flush()?;
    }
    directory.rename(&temp, directory, name)
}

/// Returns whether the file exists and names this pair, whose sides may be swapped.
pub(super) fn names_pair(directory: &Directory, name: &str, [left, right]: [Uuid; 2]) -> bool {
    let content = directory.open_file(name).and_then(|file| file.read_to_end(MAX_BYTES));
    let is = |sides| content.as_ref().is_ok_and(|content| *content == text(sides).as_bytes());
    is([left, right]) || is([right, left])
}

//! The state of a pair in the plugin's storage.

use syncmgr_plugin::directories::{Directory, File};
use syncmgr_plugin::{Error, ErrorCode, LogLevel, Result, SyncContext};

use crate::options::Options;
use crate::pair::Pair;
use crate::state::{State, Unusable};

/// State files larger than this are damaged.
pub(super) const MAX_STATE_BYTES: usize = 1 << 30;

/// Loads the state of the last run. One that cannot be used makes this the first run.
pub(super) fn load(storage: &Directory, pair: &Pair, context: &SyncContext) -> Result<State> {
    let roots = pair.roots();
    let swapped = [roots[1], roots[0]];
    let bytes = match storage.open_file(&pair.state_name()) {
        Ok(file) => file.read_to_end(MAX_STATE_BYTES),
        Err(error) if error.code == ErrorCode::NotFound => return Ok(State::new(roots)),
        Err(error) => Err(error),
    };
    let why = match bytes {
        Ok(bytes) => match State::from_bytes(&bytes, roots) {
            Ok(state) => return Ok(state),
            Err(Unusable::OtherPair) => match State::from_bytes(&bytes, swapped) {
                Ok(state) => return Ok(state.swapped()),
                Err(_) => "belongs to another pair".to_owned(),
            },
            Err(Unusable::Damaged) => "is damaged or of another version".to_owned(),
        },
        Err(error) => format!("cannot be read ({error})"),
    };
    context.log(
        LogLevel::Information,
        &format!(
            "the state of the last run {why}; treating this as the first run: equal files count as \
             synced, and nothing is deleted"
        ),
    );
    Ok(State::new(roots))
}

/// Replaces the state in one step, after all changes that it records.
pub(super) fn save(
    storage: &Directory,
    pair: &Pair,
    state: &State,
    options: &Options,
) -> Result<()> {
    let write = |file: &File| state.write(|part| file.write(part));
    replace(storage, pair, &pair.state_name(), options, write).map_err(|error: Error| {
        let context = "cannot save what was synced, so the next run compares all files again";
        error.context(context)
    })
}

/// Replaces a file of a pair in one step.
pub(super) fn replace(
    storage: &Directory,
    pair: &Pair,
    name: &str,
    options: &Options,
    write: impl FnOnce(&File) -> Result<()>,
) -> Result<()> {
    let temp = temp_state_name(pair);
    remove_if_there(storage, &temp)?;
    let file = storage.create_file(&temp)?;
    write(&file)?;
    if options.durable {
        file.flush()?;
    }
    storage.rename(&temp, storage, name)?;
    if options.durable {
        storage.flush()?;
    }
    Ok(())
}

/// Returns the name of a file until it is complete.
fn temp_state_name(pair: &Pair) -> String {
    format!("{}.new", pair.state_name())
}

pub(super) fn remove_if_there(directory: &Directory, name: &str) -> Result<()> {
    match directory.remove_file(name) {
        Err(error) if error.code != ErrorCode::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the leftovers of a run that was terminated while it saved the state.
pub(super) fn remove_temp_state(storage: &Directory, pair: &Pair) -> Result<()> {
    remove_if_there(storage, &temp_state_name(pair))
}

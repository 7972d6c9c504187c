//! Checks the paths that a plugin passes to WASI before wasmtime resolves them: names with a
//! special meaning on Windows, and locations that no grant includes.
//!
//! Every function of `descriptor` passes all of its arguments to [`check`], so that no path is
//! missed.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};

use crate::fs::device_names::is_device;
use crate::fs::system::leads_out;
use crate::state::SyncMgrCtx;

/// An argument of a function of `descriptor`.
pub(super) enum Argument<'a> {
    /// The directory to which the next path is relative.
    Directory(u32),
    /// Whether a link at the end of the next path is followed.
    Follow(bool),
    Path(&'a str),
    Other,
}

/// A type of argument.
pub(super) trait AsArgument {
    fn as_argument(&self) -> Argument<'_> {
        Argument::Other
    }
}

impl AsArgument for Resource<Descriptor> {
    fn as_argument(&self) -> Argument<'_> {
        Argument::Directory(self.rep())
    }
}

impl AsArgument for PathFlags {
    fn as_argument(&self) -> Argument<'_> {
        Argument::Follow(self.contains(Self::SYMLINK_FOLLOW))
    }
}

impl AsArgument for String {
    fn as_argument(&self) -> Argument<'_> {
        Argument::Path(self)
    }
}

impl AsArgument for u64 {}
impl AsArgument for Vec<u8> {}
impl AsArgument for Advice {}
impl AsArgument for NewTimestamp {}
impl AsArgument for OpenFlags {}
impl AsArgument for DescriptorFlags {}

/// All arguments of a function.
pub(super) trait Arguments {
    fn each<'a>(&'a self, visit: &mut dyn FnMut(Argument<'a>));
}

macro_rules! arguments {
    ($(($($name:ident)+))*) => {$(
        impl<$($name: AsArgument),+> Arguments for ($($name,)+) {
            #[allow(non_snake_case, reason = "each value is named like its type")]
            fn each<'a>(&'a self, visit: &mut dyn FnMut(Argument<'a>)) {
                let ($($name,)+) = self;
                $(visit($name.as_argument());)+
            }
        }
    )*};
}

arguments! { (A) (A B) (A B C) (A B C D) (A B C D E) }

/// A path, its base directory, and whether a link at its end is followed.
struct Given<'a> {
    directory: Option<u32>,
    follow: bool,
    path: &'a str,
}

/// Returns the error of the first refused argument, if any.
pub(super) fn check(
    state: &SyncMgrCtx,
    arguments: &impl Arguments,
) -> wasmtime::Result<Option<ErrorCode>> {
    let (mut directory, mut follow, mut paths) = (None, false, Vec::new());
    arguments.each(&mut |argument| match argument {
        Argument::Directory(rep) => directory = Some(rep),
        Argument::Follow(follows) => follow = follows,
        Argument::Path(path) => {
            // A second path without its own directory: the first is the text of a link.
            let last: Option<&mut Given<'_>> = paths.last_mut();
            let before = last.and_then(|last| last.directory.take_if(|_| directory.is_none()));
            let directory = directory.take().or(before);
            paths.push(Given { directory, follow: std::mem::take(&mut follow), path });
        }
        Argument::Other => {}
    });
    for given in paths {
        if let Some(refused) = check_path(state, &given)? {
            return Ok(Some(refused));
        }
    }
    Ok(None)
}

fn check_path(state: &SyncMgrCtx, given: &Given<'_>) -> wasmtime::Result<Option<ErrorCode>> {
    if has_other_meaning(given.path) {
        return Ok(Some(ErrorCode::Invalid));
    }
    let Some(rep) = given.directory else { return Ok(None) };
    let base = match state.table.get(&Resource::<Descriptor>::new_borrow(rep))? {
        Descriptor::Dir(directory) => Arc::clone(&directory.dir),
        // wasmtime returns the error.
        Descriptor::File(_) => return Ok(None),
    };
    match leads_out(&base, given.path, given.follow, &state.fence) {
        true => Ok(Some(ErrorCode::NotPermitted)),
        false => Ok(None),
    }
}

/// Returns whether Windows would interpret a path differently: as a file stream, a drive or a
/// device. Such paths are refused on every system, so that plugins behave the same everywhere.
fn has_other_meaning(path: &str) -> bool {
    path.contains(':') || path.split(['/', '\\']).any(is_device)
}

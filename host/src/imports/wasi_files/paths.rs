//! The paths that a plugin gives to WASI, checked before wasmtime resolves them: names that mean
//! something else on Windows, and places that no grant includes.
//!
//! Every function of `descriptor` goes through [`check`] with all of its arguments, so that one
//! that takes a path cannot be left out.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};

use crate::fs::device_names::is_device;
use crate::fs::system::leads_out;
use crate::state::State;

/// An argument of a function of `descriptor`.
pub(super) enum Argument<'a> {
    /// The directory in which the next path begins.
    Directory(u32),
    /// Whether the next path is followed where a link is at its end.
    Follow(bool),
    Path(&'a str),
    Other,
}

/// A type of an argument.
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

/// A path, where it begins, and whether a link at its end is followed.
struct Given<'a> {
    directory: Option<u32>,
    follow: bool,
    path: &'a str,
}

/// Why one of the arguments is refused, if one is.
pub(super) fn check(
    state: &State,
    arguments: &impl Arguments,
) -> wasmtime::Result<Option<ErrorCode>> {
    let (mut directory, mut follow, mut paths) = (None, false, Vec::new());
    arguments.each(&mut |argument| match argument {
        Argument::Directory(rep) => directory = Some(rep),
        Argument::Follow(follows) => follow = follows,
        Argument::Path(path) => {
            // A second path without a directory of its own: the first is the text of a link.
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

fn check_path(state: &State, given: &Given<'_>) -> wasmtime::Result<Option<ErrorCode>> {
    if has_other_meaning(given.path) {
        return Ok(Some(ErrorCode::Invalid));
    }
    let Some(rep) = given.directory else { return Ok(None) };
    let base = match state.table.get(&Resource::<Descriptor>::new_borrow(rep))? {
        Descriptor::Dir(directory) => Arc::clone(&directory.dir),
        // wasmtime says what is wrong.
        Descriptor::File(_) => return Ok(None),
    };
    match leads_out(&base, given.path, given.follow, &state.fence) {
        true => Ok(Some(ErrorCode::NotPermitted)),
        false => Ok(None),
    }
}

/// Whether Windows reads a path in another way than it is meant: a stream of a file or a drive, or
/// a device. It is refused on every system, so that a plugin behaves the same on all of them.
fn has_other_meaning(path: &str) -> bool {
    path.contains(':') || path.split(['/', '\\']).any(is_device)
}

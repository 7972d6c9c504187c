//! Names that Windows interprets as something else, or cannot store.
#![cfg(any(not(unix), test))]

use std::ffi::OsStr;
use std::io;

use super::device_names::is_device;
use super::metadata::{Entry, Metadata};

/// Returns whether Windows interprets a name as something else, or cannot store it.
pub(crate) fn has_special_meaning(name: &str) -> bool {
    name.contains(['\\', ':', '<', '>', '"', '|', '?', '*'])
        || name.chars().any(|character| character < ' ')
        || name.ends_with(['.', ' '])
        || is_device(name)
}

/// Returns a listed entry with its metadata, or `None` if it was removed since.
///
/// An entry whose name has a special meaning is listed without metadata. `stat` would return the
/// metadata of a device, or not find the entry.
pub(crate) fn listed(
    name: &OsStr,
    stat: impl FnOnce(&str) -> io::Result<Metadata>,
) -> Option<Entry> {
    let text = name.to_string_lossy().into_owned();
    let metadata = if has_special_meaning(&text) {
        let message = "Windows reserves this name; rename the file";
        Err(io::Error::new(io::ErrorKind::InvalidFilename, message))
    } else {
        match stat(&text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            result => result,
        }
    };
    let name = if name.to_str().is_some() { Ok(text) } else { Err(text) };
    Some(Entry { name, metadata })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_and_names_that_cannot_be_stored_are_special() {
        let special = "con CON nul aux.txt Prn.tar.gz com1 COM0 lpt9.log COM¹ lpt³.txt conin$ a:b \
                       a\\b a? a* <a a|b a\" ends. :";
        for name in special.split_whitespace().chain(["ends ", "nul .txt", "tab\t"]) {
            assert!(has_special_meaning(name), "{name:?}");
        }
        let usual = "console null auxiliary.txt com com10 com¹¹ comé lpt a.con .con COM⁴ ünïcode ~ \
                     x.nul";
        for name in usual.split_whitespace().chain(["a b"]) {
            assert!(!has_special_meaning(name), "{name:?}");
        }
    }

    #[test]
    fn an_entry_whose_name_is_reserved_is_listed_with_the_reason() {
        // Windows finds a device, or nothing, under such a name.
        let missing = |_: &str| Err(io::ErrorKind::NotFound.into());
        for name in ["con", "nul", "aux.txt", "COM¹"] {
            let entry = listed(OsStr::new(name), missing);
            let entry = entry.unwrap_or_else(|| panic!("{name} is left out"));
            assert_eq!(entry.name.as_deref(), Ok(name));
            let error = entry.metadata.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("rename"), "{error}");
        }
        assert!(listed(OsStr::new("gone"), missing).is_none(), "it was removed since");
        let denied = listed(OsStr::new("kept"), |_| Err(io::ErrorKind::PermissionDenied.into()));
        assert!(denied.is_some_and(|entry| entry.metadata.is_err()));
    }
}

//! The requests of a plugin: the section of its file, and the matching of names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use syncmgr_host::Requests;
use syncmgr_host::requests::SettingRequest;

/// Returns whether the pattern matches the name, computed independently of the host.
fn is_wanted(pattern: &str, name: &str) -> bool {
    let (pattern, parts): (Vec<_>, Vec<_>) =
        (pattern.split('.').collect(), name.split('.').collect());
    pattern.len() == parts.len()
        && pattern.iter().zip(&parts).all(|(wanted, part)| wanted == part || *wanted == "*")
}

/// Returns whether a setting of this name is the requested one.
fn is_setting(request: &SettingRequest, name: &str) -> bool {
    let parts: Vec<_> = name.split('.').collect();
    let is_of_item = parts.len() > 1 && parts.last() == Some(&&*request.name);
    is_wanted(&request.name, name) || request.per_item && is_of_item
}

// The section, and a name after a NUL.
fuzz_target!(|bytes: &[u8]| {
    let (section, name) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], String::from_utf8_lossy(&bytes[at + 1..])),
        None => (bytes, "a.b".into()),
    };
    let requests = match Requests::parse(section) {
        Ok(requests) => requests,
        Err(error) => {
            assert_eq!(error.code(), "contract-requests");
            assert!(error.to_string().len() <= 4096 + 2 * section.len(), "{error}");
            return;
        }
    };
    syncmgr_fuzz::check_requests(&requests);
    let settings = requests.settings.iter().map(|request| &*request.name);
    let names = settings.chain(requests.secrets.iter().map(|request| &*request.name));
    let starless = |name: &str| name.replace('*', "x");
    for name in names.flat_map(|name| [name.to_owned(), starless(name)]).chain([name.into()]) {
        let is_requested = requests.settings.iter().any(|request| is_setting(request, &name));
        assert_eq!(requests.setting(&name).is_some(), is_requested, "{name}");
        assert!(requests.setting(&name).is_none_or(|request| is_setting(request, &name)), "{name}");
        let is_requested = requests.secrets.iter().any(|request| is_wanted(&request.name, &name));
        assert_eq!(requests.secret(&name), is_requested, "{name}");
    }
    for directory in &requests.directories {
        assert!(requests.directory(&directory.name) >= Some(directory.access));
    }
    assert_eq!(Requests::parse(section), Ok(requests));
});

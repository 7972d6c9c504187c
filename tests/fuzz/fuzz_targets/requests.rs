//! The requests of a plugin: the section of its file, and the matching of names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use syncmgr_host::Requests;
use syncmgr_host::requests::Request;

/// Returns whether one of the patterns matches the name, computed independently of the host.
fn wanted(requests: &[Request], name: &str) -> bool {
    let parts: Vec<_> = name.split('.').collect();
    requests.iter().any(|request| {
        let pattern: Vec<_> = request.name.split('.').collect();
        pattern.len() == parts.len()
            && pattern.iter().zip(&parts).all(|(wanted, part)| wanted == part || *wanted == "*")
    })
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
    let names = requests.settings.iter().chain(&requests.secrets).map(|request| &*request.name);
    let starless = |name: &str| name.replace('*', "x");
    for name in names.flat_map(|name| [name.to_owned(), starless(name)]).chain([name.into()]) {
        assert_eq!(requests.setting(&name), wanted(&requests.settings, &name), "{name}");
        assert_eq!(requests.secret(&name), wanted(&requests.secrets, &name), "{name}");
    }
    for directory in &requests.directories {
        assert!(requests.directory(&directory.name) >= Some(directory.access));
    }
    assert_eq!(Requests::parse(section), Ok(requests));
});

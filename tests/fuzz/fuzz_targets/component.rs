//! A file that may be a plugin, in `inspect` and `validate`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use syncmgr_host::{Description, offered_interfaces};

fn is_sorted(names: &[String]) -> bool {
    names.is_sorted_by(|one, next| one < next)
}

fuzz_target!(|bytes: &[u8]| {
    let description = match Description::of(bytes) {
        Ok(description) => description,
        Err(error) => {
            assert!(error.code().starts_with("contract-"), "{error}");
            assert!(error.to_string().len() <= 4096 + 2 * bytes.len(), "{error}");
            return;
        }
    };
    let version = &description.contract_version;
    let mut numbers = version.split('.');
    assert_eq!((numbers.next(), numbers.next()), (Some("0"), Some("1")), "{version}");
    let export = format!("syncmgr:plugin/synchronize@{version}");
    assert!(description.exports.contains(&export), "{description:?}");
    assert!(is_sorted(&description.exports) && is_sorted(&description.imports));
    for import in &description.imports {
        let (name, _) = import.split_once('@').expect("an import has a version");
        assert!(offered_interfaces().any(|offered| offered == name), "{import}");
    }
    assert_eq!(description.size_bytes, bytes.len());
    assert!(description.largest_function_bytes < bytes.len() as u64);
    assert!(description.producers.is_sorted());
    syncmgr_fuzz::check_requests(&description.requests);
    assert_eq!(Description::of(bytes), Ok(description));
});

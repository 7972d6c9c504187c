//! What a registry sends, and references to its contents.
#![no_main]

use libfuzzer_sys::fuzz_target;
use syncmgr_install::registry::{Digest, PluginSignature, Reference, TrustedKey, fuzzing};

/// The maximum number of characters of a message about a manifest.
const MAX_MESSAGE: usize = 400;

/// The maximum number of signatures of a plugin.
const MAX_SIGNATURES: usize = 64;

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn reference(text: &str) {
    let Ok(reference) = text.parse::<Reference>() else { return };
    let shown = reference.to_string();
    assert_eq!(shown.parse().ok().as_ref(), Some(&reference), "{shown}");
    assert!(is_printable(&shown) && !shown.contains(['?', '#', ' ', '%', '\\']), "{shown}");
    let parts: Vec<_> = reference.repository().split('/').collect();
    assert!(parts.iter().all(|part| !part.is_empty() && !part.starts_with('.')), "{shown}");
    assert!(reference.name() == parts[parts.len() - 1]);
    assert!(reference.with_tag(text).is_err() || !text.contains([':', '/', '@']));
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok((digest, _)) = fuzzing::component(bytes) {
        assert_eq!(digest.as_str().parse::<Digest>().ok().as_ref(), Some(&digest));
    }
    let subject = Digest::of(b"");
    for problem in [fuzzing::component(bytes).err(), fuzzing::signature(bytes, &subject)] {
        let length = problem.map_or(0, |problem| problem.chars().count());
        assert!(length <= MAX_MESSAGE, "{length}");
    }
    assert!(fuzzing::listed(bytes).unwrap_or(0) <= MAX_SIGNATURES);
    if let Some(signature) = PluginSignature::parse(bytes) {
        assert!(signature.key().len() == 16 && is_printable(signature.key()));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    reference(text);
    if let Some((realm, service)) = fuzzing::challenge(text) {
        assert!(is_printable(&realm) && service.is_none_or(|service| is_printable(&service)));
    }
    if let Some(key) = TrustedKey::parse("", text) {
        assert!(key.id.len() == 16 && key.id.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
});

//! Token files, and the answers of token endpoints.
#![no_main]

use libfuzzer_sys::fuzz_target;
use syncmgr_host::fuzzing::renewed;

/// A token file and an answer that differ from the input.
const FILE: &[u8] =
    br#"{"token_url":"https://a.example/","client_id":"a","refresh_token":"12345678"}"#;
const ANSWER: &[u8] = br#"{"access_token":"12345678"}"#;

// A line with the status, a line with the file, and the answer.
fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let (status, file, answer) = (parts.next(), parts.next(), parts.next());
    let (Some(file), Some(answer)) = (file, answer) else { return };
    let status = status.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    let status = status.unwrap_or(200);
    for (file, answer) in [(file, answer), (FILE, answer), (file, ANSWER)] {
        match renewed(file, status, answer) {
            // The host can read its own output.
            Ok(written) => assert!(renewed(&written, 200, ANSWER).is_ok()),
            Err(message) => assert!(!message.contains(['\x1b', '\r', '\n'])),
        }
    }
});

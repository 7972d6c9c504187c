//! The manifest of a project, and a recording.
#![no_main]

use libfuzzer_sys::fuzz_target;
use syncmgr_cli::fuzzing;

fuzz_target!(|text: &str| {
    match fuzzing::manifest(text) {
        Ok(manifest) => {
            // These become parts of file names.
            let about = manifest.plugin;
            let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
            for part in [&about.name, &about.version] {
                assert!(!part.is_empty() && part.chars().all(plain), "{part:?}");
            }
            assert!(about.name.len() <= 31, "{:?}", about.name);
        }
        Err(message) => assert!(!message.is_empty()),
    }
    match fuzzing::recording(text) {
        Ok(recording) => {
            assert!(recording.events.len() < text.lines().count());
            for event in recording.events {
                // Its displayed form is one line without control characters.
                let shown = fuzzing::escaped(&event.to_string());
                assert!(!shown.chars().any(char::is_control), "{shown}");
            }
        }
        Err((line, message)) => {
            assert!((1..=text.lines().count().max(1)).contains(&line), "{line}");
            assert!(!message.is_empty());
        }
    }
});

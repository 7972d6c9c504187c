//! A job file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use syncmgr_cli::fuzzing;
use syncmgr_host::{Capability, Grant, Limits, LoadLimits};

/// A directory that does not exist, so that no path resolves.
const BASE: &str = "/nowhere/jobs";

fn is_plain(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    name.len() <= 100 && name != "storage" && name.split('.').all(part)
}

fuzz_target!(|text: &str| {
    let job = match fuzzing::job(text, Path::new(BASE)) {
        Ok(job) => job,
        Err(message) => {
            assert!(!message.is_empty() && message.len() <= 4096 + 4 * text.len(), "{message}");
            let shown = fuzzing::escaped(&message);
            assert!(!shown.chars().any(char::is_control), "{shown}");
            return;
        }
    };
    for grant in &job.grants {
        assert!(is_plain(grant.name()), "{grant:?}");
        assert!(grant.path().is_absolute(), "{grant:?}");
        let again = Grant::new(grant.name(), grant.path(), grant.access());
        assert_eq!(again.ok().as_ref(), Some(grant));
    }
    assert!(job.grants.len() + job.settings.len() + job.secrets.len() <= text.len());
    assert!(job.allow.iter().all(|allowed| Capability::ALL.contains(allowed)));
    let (mut load, mut session) = (LoadLimits::default(), Limits::default());
    for row in job.limits.0.rows() {
        load.set(row.name, &row.value).expect("a row can be set");
    }
    for row in job.limits.1.rows() {
        session.set(row.name, &row.value).expect("a row can be set");
    }
    assert_eq!((load, session), job.limits);
});

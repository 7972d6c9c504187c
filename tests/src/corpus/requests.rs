//! Conforming plugins with unusual sections of requests.

use anyhow::Result;
use wasm_encoder::{Component, CustomSection};

use super::core::Core;

/// A conforming plugin with sections of requests.
fn requesting(sections: &[&[u8]]) -> Result<Vec<u8>> {
    let mut bytes = Core::new().component()?;
    let mut component = Component::new();
    for section in sections {
        component
            .section(&CustomSection { name: "syncmgr-requests".into(), data: (*section).into() });
    }
    // Sections are appended to the component, which has a header.
    bytes.extend(&component.finish()[8..]);
    Ok(bytes)
}

/// Requests that are not TOML.
pub fn malformed_requests() -> Result<Vec<u8>> {
    requesting(&[b"[[[directories"])
}

/// Requests that are not UTF-8.
pub fn binary_requests() -> Result<Vec<u8>> {
    requesting(&[&[0xff; 100]])
}

/// A request whose name would be a shell command if pasted.
pub fn requests_with_a_command() -> Result<Vec<u8>> {
    requesting(&[b"[directories]\n\"x=$HOME;id;#\" = { access = \"read-only\" }"])
}

/// Two sections of requests.
pub fn doubled_requests() -> Result<Vec<u8>> {
    requesting(&[b"[settings]\nmode = \"a\"", b"[secrets]\ntoken = \"b\""])
}

/// Requests above the size limit.
pub fn huge_requests() -> Result<Vec<u8>> {
    requesting(&[&[b' '; 100 << 10]])
}

/// Nested requests.
pub fn nested_requests() -> Result<Vec<u8>> {
    let text = format!("x = {}", "[".repeat(60_000));
    requesting(&[text.as_bytes()])
}

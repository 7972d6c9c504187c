mod buckets;
mod headers;
mod random;

use super::*;

/// Returns a policy with these grants, by their URLs.
fn policy(grants: &[&str]) -> HttpPolicy {
    HttpPolicy::new(grants.iter().map(|grant| granted(grant).unwrap()).collect())
}

fn granted(url: &str) -> Result<HttpGrant, HttpGrantError> {
    HttpGrant::new("server", url, Access::ReadWrite)
}

fn at(addresses: &str) -> Vec<SocketAddr> {
    let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 1);
    addresses.split_whitespace().map(address).collect()
}

/// Returns the allowed addresses, or the code of the denial.
fn kept(grants: &[&str], url: &str, resolved: &str) -> String {
    let policy = policy(grants);
    match policy.check_origin(url).unwrap().addresses(&at(resolved)) {
        Ok(kept) => {
            assert!(kept.iter().all(|address| address.port() == 443));
            kept.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(" ")
        }
        Err(why) => why.code().to_owned(),
    }
}

#[test]
fn a_grant_has_one_canonical_form() {
    for (text, url, local) in [
        ("https://api.example.com", "https://api.example.com/", false),
        ("https://API.Example.COM.", "https://api.example.com/", false),
        ("https://api.example.com:443/x", "https://api.example.com/x", false),
        ("HTTPS://host:8443/x/", "https://host:8443/x/", false),
        ("http://host:80", "http://host/", false),
        ("http://host:443", "http://host:443/", false),
        ("https://bücher.example", "https://xn--bcher-kva.example/", false),
        ("https://_x.example.com", "https://_x.example.com/", false),
        ("https://127.0.0.1:65535", "https://127.0.0.1:65535/", false),
        ("https://[::1]:8080", "https://[::1]:8080/", false),
        ("http://[0:0::FFFF:127.0.0.1]", "http://[::ffff:7f00:1]/", false),
        ("local:http://nas.lan:8080/dav", "http://nas.lan:8080/dav", true),
        ("LOCAL:https://nas", "https://nas/", true),
        ("local:http://localhost", "http://localhost/", false),
        ("local:https://[::1]", "https://[::1]/", false),
    ] {
        let grant = granted(text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((grant.url(), grant.local), (url, local), "{text:?}");
    }
}

#[test]
fn invalid_grants_are_refused() {
    let table = [
        ("scheme", "ftp://host ://host host host/https://x local:host"),
        (
            "too-much",
            "https://host?x https://host#x https://host\\x https://user:pw@host https://@host",
        ),
        (
            "port",
            "https://host: https://host:0 https://host:65536 https://host:+80 https://host:８０ \
             https://host:* https://[::1]:",
        ),
        (
            "path",
            "https://host// https://host/a/../b https://host/./ https://host/%2e%2e/ \
             https://host/%252e%252e/ https://host/a%2f..%2fb https://host/a//b",
        ),
        (
            "host",
            "https://. https:// https://a..b https://.a.example https://a.example.. \
             https://h%6fst https://xn--ä.example https://*.a.example https://* https://＊.a.example \
             https://[::1 https://[::1]x https://[fe80::1%eth0] https://0x7f.1 https://2130706433 \
             https://127.1 https://0177.0.0.1 https://１27.0.0.1 https://127.0.0.1. \
             https://256.0.0.1",
        ),
    ];
    let table =
        table.iter().flat_map(|(code, texts)| texts.split(' ').map(move |text| (*code, text)));
    let long =
        [format!("https://{}.example", "x".repeat(64)), format!("https://{}x", "x.".repeat(127))];
    let more = [
        ("scheme", ""),
        ("scheme", " https://a"),
        ("host", "https://a b"),
        ("host", &long[0]),
        ("host", &long[1]),
    ];
    for (code, text) in table.chain(more) {
        let refused = granted(text).map_err(|why| why.code().to_owned());
        assert_eq!(refused, Err(format!("http-grant-{code}")), "{text:?}");
    }
    for name in ["", "a b", "a=b", ".", "*"] {
        let refused = HttpGrant::new(name, "https://host", Access::ReadOnly);
        assert_eq!(refused.unwrap_err().code(), "http-grant-name", "{name:?}");
    }
    let shown = granted("https://me:hunter2@host/").unwrap_err().to_string();
    assert!(shown.contains("[secret]@host") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn only_granted_origins_are_allowed() {
    let table = [
        (
            "https://api.example.com/",
            "https://api.example.com/x?y https://API.example.com.:443 https://api%2eexample.com",
        ),
        ("http://plain.example:8080/", "http://plain.example:8080"),
        ("https://xn--bcher-kva.example/", "https://BÜCHER.example"),
        (
            "http://127.0.0.1/",
            "http://127.0.0.1 http://0x7f.1 http://2130706433 http://127.1 http://0177.0.0.1 \
             http://１２７.0.0.1.",
        ),
        ("http://[::1]:8080/", "http://[::1]:8080 http://[0::0:1]:8080"),
        ("https://dav.example/me/", "https://dav.example/me https://dav.example/me/x?../y"),
        (
            "http-not-granted",
            "http://api.example.com http://api.example.com:443 https://api.example.com:444 \
             https://example.com https://x.api.example.com https://api.example.com.evil.example \
             https://evil.example#@api.example.com \
             https://example.org https://badexample.org http://a.example.org https://127.0.0.1 \
             http://127.0.0.2 http://0x7f.2 http://[::ffff:127.0.0.1] http://[::127.0.0.1] \
             http://localhost",
        ),
        (
            "http-no-server",
            "https://.example.org https://a..example.org https://*.example.org \
             https://api.example.com.. https://api.example.com:0",
        ),
        (
            "http-path",
            "https://dav.example/me/../you https://dav.example/me/%2e%2e/you https://dav.example//me \
             https://evil.example\\@api.example.com https://dav.example/me/..;/you",
        ),
        (
            "http-not-granted",
            "https://dav.example/ https://dav.example/men https://dav.example/ME/",
        ),
        ("http-user-info", "https://user@api.example.com https://:pw@api.example.com"),
        ("http-scheme", "ftp://api.example.com wss://api.example.com file:///etc/passwd data:,x"),
    ];
    let policy = policy(&table.map(|(grant, _)| grant)[..6]);
    for (outcome, urls) in table {
        for text in urls.split(' ') {
            let checked = policy.check("GET", text).map(|allowed| allowed.grant().url().to_owned());
            let checked = checked.unwrap_or_else(|why| why.code().to_owned());
            assert_eq!(checked, outcome, "{text:?}");
        }
    }
    let nothing = HttpPolicy::default();
    assert!(nothing.check("GET", "https://api.example.com").is_err());
}

#[test]
fn addresses_are_classified_by_range() {
    use AddressKind::{LinkLocal, Loopback, Metadata, Multicast, Private, Reserved};
    // The first and last addresses of ranges.
    let table = [
        (
            Some(Reserved),
            "0.0.0.0 0.255.255.255 192.0.0.0 192.0.0.255 192.0.2.0 192.0.2.255 192.88.99.0 \
             192.88.99.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 \
             203.0.113.255 240.0.0.0 255.255.255.255 \
             :: ::2 ::8.8.8.8 ::127.0.0.1 ::ffff:0.0.0.0 ::ffff:255.255.255.255 ::ffff:0:8.8.8.8 \
             64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8 \
             100:: 1fff:ffff:: 2001:: 2001::f7f7:f7f7 2001:2:: 2001:1ff:ffff:: 2001:db8:: \
             2001:db8:ffff:: 2002:: 2002:808:808:: 2002:ffff:: 3fff:: 3fff:fff:ffff:: 4000:: \
             5f00:: fbff:ffff:: fe00:: fe7f:ffff:: fec0:: feff:ffff::",
        ),
        (
            Some(Private),
            "10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 172.16.0.0 172.31.255.255 \
             192.168.0.0 192.168.255.255 ::ffff:10.0.0.1 ::ffff:192.168.0.1 fc00:: fdff:ffff::",
        ),
        (Some(Loopback), "127.0.0.0 127.255.255.255 ::1 ::ffff:127.0.0.1 ::ffff:127.255.255.255"),
        (Some(LinkLocal), "169.254.0.0 169.254.255.255 ::ffff:169.254.0.1 fe80:: febf:ffff::"),
        (
            Some(Metadata),
            "169.254.169.254 100.100.100.200 168.63.129.16 192.0.0.192 \
             ::ffff:169.254.169.254 fd00:ec2::254 fd20:ce::254",
        ),
        (Some(Multicast), "224.0.0.0 239.255.255.255 ::ffff:224.0.0.1 ff00:: ffff:ffff::"),
        (
            None,
            "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
             128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 \
             172.32.0.0 191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0 192.88.98.255 \
             192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 \
             198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 \
             ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2000:: 2000:ffff:: 2001:200:: 2001:db7:ffff:: \
             2001:db9:: 2001:ffff:: 2003:: 3ffe:ffff:: 3fff:1000:: 3fff:ffff::",
        ),
    ];
    for (kind, addresses) in table {
        for address in addresses.split(' ') {
            assert_eq!(AddressKind::of(address.parse().unwrap()), kind, "{address}");
        }
    }
}

#[test]
fn methods_need_their_access() {
    let read_only = policy(&["https://a.example"]).grants[0].read_only();
    let read_only = HttpPolicy::new(vec![read_only]);
    let read_write = policy(&["https://a.example"]);
    for (method, reading, writing) in [
        ("GET", "", ""),
        ("HEAD", "", ""),
        ("OPTIONS", "", ""),
        ("PROPFIND", "", ""),
        ("REPORT", "", ""),
        ("SEARCH", "", ""),
        ("get", "http-read-only", ""),
        ("PUT", "http-read-only", ""),
        ("PROPPATCH", "http-read-only", ""),
        ("ANY", "http-read-only", ""),
        ("CONNECT", "http-method", "http-method"),
        ("TRACE", "http-method", "http-method"),
        ("track", "http-method", "http-method"),
    ] {
        for (policy, expected) in [(&read_only, reading), (&read_write, writing)] {
            let checked = policy.check(method, "https://a.example/x");
            let code = checked.err().map_or("", |denial| denial.code());
            assert_eq!(code, expected, "{method}");
        }
    }
}

#[test]
fn the_most_specific_grant_decides() {
    let narrow = granted("https://a.example/x/").unwrap().read_only();
    let wide = granted("https://a.example/").unwrap();
    for grants in [[narrow.clone(), wide.clone()], [wide, narrow]] {
        let policy = HttpPolicy::new(grants.to_vec());
        assert!(policy.check("PUT", "https://a.example/y").is_ok());
        let denial = policy.check("PUT", "https://a.example/x/y").unwrap_err();
        assert_eq!(denial.code(), "http-read-only");
    }
}

#[test]
fn addresses_that_a_grant_does_not_allow_are_excluded() {
    for (grant, resolved, outcome) in [
        ("https://a.b.example", "8.8.8.8 ::ffff:8.8.8.8", "8.8.8.8 ::ffff:8.8.8.8"),
        ("https://a.b.example", "10.0.0.1 2600::1 ::1", "2600::1"),
        ("https://a.b.example", "10.0.0.1 ::1", "http-address"),
        ("https://a.b.example", "", "http-no-address"),
        ("https://a.b.example", "::ffff:10.0.0.1 64:ff9b::10.0.0.1", "http-address"),
        ("https://x.localhost", "127.0.0.1", "http-address"),
        (
            "local:https://nas",
            "10.0.0.1 fd00::1 ::ffff:10.0.0.1",
            "10.0.0.1 fd00::1 ::ffff:10.0.0.1",
        ),
        ("local:https://nas", "8.8.8.8 127.0.0.1 169.254.0.1", "8.8.8.8 127.0.0.1"),
        ("local:https://nas", "169.254.169.254", "http-address"),
        ("local:https://nas", "fe80::1 0.0.0.0 ff02::1", "http-address"),
        ("https://localhost", "127.0.0.1 ::1 10.0.0.1 8.8.8.8", "127.0.0.1 ::1"),
        ("https://localhost", "10.0.0.1 8.8.8.8", "http-astray"),
        ("https://127.0.0.1", "127.0.0.1 127.0.0.2 8.8.8.8", "127.0.0.1"),
        ("https://127.0.0.1", "127.0.0.2 8.8.8.8", "http-astray"),
        ("https://169.254.169.254", "169.254.169.254", "169.254.169.254"),
        ("https://8.8.8.8", "::ffff:8.8.8.8", "http-astray"),
        ("https://[fe80::1]", "fe80::1 fe80::2", "fe80::1"),
    ] {
        let url = grant.trim_start_matches("local:");
        assert_eq!(kept(&[grant], url, resolved), outcome, "{grant} {resolved}");
    }
    // The order of the grants does not matter.
    let mut grants = ["local:https://a.example/x", "https://a.example"];
    for _ in 0..2 {
        assert_eq!(kept(&grants, "https://a.example", "10.0.0.1"), "10.0.0.1");
        grants.reverse();
    }
}

#[test]
fn a_denial_names_the_remedy_and_no_secret() {
    let policy = policy(&["https://a.example", "http://b.example", "https://localhost"]);
    let denial = |method: &str, asked: &str, to: &str| {
        let denial = policy.check(method, asked).and_then(|allowed| allowed.addresses(&at(to)));
        denial.unwrap_err().to_string()
    };
    for (said, message) in [
        (
            denial("GET", "https://u:secret@C.example:444/secret?secret#secret", ""),
            "a URL of https://c.example:444 contains a user name or password; send them in a header \
             instead",
        ),
        (
            denial("GET", "https://C.example.:444/secret?secret#secret", ""),
            "https://c.example:444 is not granted; the operator can grant it with `--http NAME=https://c.example:444/`",
        ),
        (
            denial("GET", "http://[::1]/secret", ""),
            "http://[::1] is not granted; the operator can grant it with `--http NAME=http://[::1]/`",
        ),
        (
            denial("GET", "data:secret", ""),
            "cannot fetch `data:` URLs; use `https:`, or `http:` where granted",
        ),
        (
            denial("GET", "https://[secret", ""),
            "the URL is invalid (invalid IPv6 address); correct it",
        ),
        (
            denial("GET", "https://a..example:444/secret", ""),
            "https://a..example:444 is not a valid origin; correct the host name or the port",
        ),
        (
            denial("GET", "https://a.example/secret", ""),
            "https://a.example has no address; check the name",
        ),
        (
            denial("TRACE", "https://a.example/secret", ""),
            "the method TRACE is never allowed; use another one",
        ),
        (
            denial("GET", "http://b.example/secret", "fe80::1 10.0.0.1"),
            "http://b.example is at a private address, which needs a local grant; the operator can \
             grant it with `--http NAME=local:http://b.example/`",
        ),
        (
            denial("GET", "https://a.example/secret", "169.254.169.254"),
            "https://a.example is at a cloud metadata address, which no name opens; grant the \
             address itself, and use it in the URL",
        ),
        (
            denial("GET", "https://localhost/secret", "10.0.0.1"),
            "https://localhost resolved to a different address; check the resolver",
        ),
    ] {
        assert_eq!(said, message);
    }
}
